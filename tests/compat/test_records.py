"""Records written by released schemas must open for ever. Files here are never edited; a new schema adds new ones."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from scrubbing.cli import app
from scrubbing.records.store import load, load_inputs
from scrubbing.report.terminal import ladder_view, record_view

RECORDS = sorted((Path(__file__).parent / "records").glob("*.json"))


def test_every_version_is_here():
    from scrubbing.records.schema import VERSION

    assert {path.name.partition("-")[0] for path in RECORDS} == {f"v{i}" for i in range(1, VERSION + 1)}


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_old_records_open(path):
    """Nothing in them is lost: what was stored is what is read."""
    record, stored = load(path), json.loads(path.read_text())
    assert _common(record.model_dump(mode="json"), stored) == stored


def _common(read, stored):
    """What is read, without fields that the stored version did not have."""
    if isinstance(stored, dict):
        return {key: _common(read[key], value) for key, value in stored.items()}
    if isinstance(stored, list) and len(stored) == len(read):
        return [_common(one, value) for one, value in zip(read, stored, strict=True)]
    return read


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_old_records_are_shown(path):
    record = load(path)
    console = Console(file=io.StringIO(), width=100)
    console.print(record_view(record))
    console.print(ladder_view([record], "old"))
    assert record.claim in " ".join(console.file.getvalue().split())
    assert CliRunner().invoke(app, ["show", str(path)]).exit_code == 0


def test_the_numbers_of_the_first_record():
    record = load(Path(__file__).parent / "records" / "v1-signs.json")
    assert record.hypothesis == "parens/signs"
    assert (record.choices.references, record.choices.draws, record.choices.seed) == (300, 2, 0)
    assert record.losses["constant"].value == pytest.approx(0.5557, abs=1e-3)
    assert record.recovered[0].baseline == "null"
    assert record.recovered[0].fraction is not None


def test_the_values_per_input_of_the_second_version():
    path = Path(__file__).parent / "records" / "v2-two-tests.json"
    record = load(path)
    inputs = load_inputs(record, path)
    assert len(inputs) == record.choices.references == 60
    assert inputs["loss.scrubbed"].mean() == pytest.approx(record.losses["scrubbed"].value)
    assert list(inputs.names("stratum.")) == ["balanced", "count fails", "horizon fails"]
    assert load_inputs(load(path.with_name("v1-signs.json")), path) is None
