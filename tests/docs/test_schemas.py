"""The published schemas: current, true of everything that is shipped, and false of what is damaged."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from scrubbing.cli import app
from scrubbing.errors import ScrubbingError
from scrubbing.experiment.task import find_task
from scrubbing.hypothesis.json_schema import hypothesis_schema
from scrubbing.records.schema import VERSION, json_schema
from scrubbing.testing.random_hypotheses import random_hypothesis
from tests.docs.json_schema import faults
from tests.report.schema import example
from tests.unit.test_json_form import DATA, GRAPHS

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "reference" / "schemas"
RECORDS = [
    path
    for folder in ("hypotheses/snapshots", "docs/examples/gate/snapshots")
    for path in sorted((ROOT / folder).glob("*.json"))
]
SHIPPED = ["parens", "induction", "induction-python"]


@pytest.mark.parametrize("name", ["hypothesis", "record"])
def test_what_is_published_is_what_the_command_prints(name: str) -> None:
    """`scrub schema NAME > docs/reference/schemas/NAME.json` makes it anew."""
    printed = CliRunner().invoke(app, ["schema", name])
    assert printed.exit_code == 0
    assert (PUBLISHED / f"{name}.json").read_text(encoding="utf-8") == printed.output


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_shipped_records_are_what_the_schema_says(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["version"] == VERSION
    assert list(faults(record, json_schema(), json_schema())) == []
    assert list(faults(record["stored"], hypothesis_schema(), hypothesis_schema())) == []


def test_a_record_with_every_field_is_what_the_schema_says() -> None:
    whole = json.loads(json.dumps(example()))
    assert list(faults(whole, json_schema(), json_schema())) == []


@pytest.mark.parametrize("task", SHIPPED)
def test_shipped_hypotheses_are_what_the_schema_says(task: str) -> None:
    schema, stored = hypothesis_schema(), 0
    for made in find_task(task).ladder():
        try:
            value = json.loads(json.dumps(made.to_json()))
        except ScrubbingError:
            continue  # one of its functions has no address
        stored += 1
        assert list(faults(value, schema, schema)) == [], made.name
    assert stored


@given(which=st.integers(0, 2), seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_any_hypothesis_is_what_the_schema_says(which: int, seed: int) -> None:
    schema = hypothesis_schema()
    value = json.loads(json.dumps(random_hypothesis(GRAPHS[which], DATA[which], seed).to_json()))
    assert list(faults(value, schema, schema)) == []


def without_node(value: Any) -> None:
    del value["correspondence"]["targets"][0]["node"]


def misspelt(value: Any) -> None:
    value["correspondence"]["childs"] = value["correspondence"].pop("children")


def of_a_kind_that_is_not(value: Any) -> None:
    value["correspondence"]["children"][0]["targets"][0]["route"] = {"class": "anypath"}


def with_text_for_a_list(value: Any) -> None:
    value["correspondence"]["children"] = "all"


def of_another_format(value: Any) -> None:
    value["format"] = "scrubbing.hypothesis/9"


@pytest.mark.parametrize(
    "damage", [without_node, misspelt, of_a_kind_that_is_not, with_text_for_a_list, of_another_format]
)
def test_what_is_damaged_is_not(damage: Any) -> None:
    schema = hypothesis_schema()
    value = copy.deepcopy(json.loads(RECORDS[0].read_text(encoding="utf-8"))["stored"])
    assert not list(faults(value, schema, schema))
    damage(value)
    assert list(faults(value, schema, schema))


def test_a_record_with_a_field_too_many_is_not() -> None:
    value = json.loads(RECORDS[0].read_text(encoding="utf-8")) | {"opinion": "good"}
    assert list(faults(value, json_schema(), json_schema())) == [": there is no opinion"]


def test_the_schema_does_not_depend_on_what_was_imported() -> None:
    assert "trusted" in hypothesis_schema()["$defs"]
