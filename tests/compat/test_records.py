"""Records written by released schemas must open for ever, and show in every outlet. Files here are never edited; a new
schema adds new ones.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from scrubbing.cli import app
from scrubbing.records.compare import differences
from scrubbing.records.merge import merge
from scrubbing.records.schema import VERSION
from scrubbing.records.store import load, load_inputs
from scrubbing.report.frames import to_frame
from scrubbing.report.markdown import markdown
from scrubbing.report.page import fragment, page
from scrubbing.report.plot import plot
from scrubbing.report.terminal import ladder_view, record_view
from scrubbing.report.view import said

RECORDS = sorted((Path(__file__).parent / "records").glob("*.json"))
MOVED = {"nats": "lost", "name": "feature"}
"""Fields that are called otherwise in version 3, of fractions, and of strata."""


@pytest.fixture(params=RECORDS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_every_version_is_here():
    assert {path.name.partition("-")[0] for path in RECORDS} == {f"v{i}" for i in range(1, VERSION + 1)}


def test_nothing_that_was_stored_is_lost(path):
    """Every number and every text of the file is in what is read, where version 3 has it."""
    read, stored = load(path).model_dump(mode="json"), json.loads(path.read_text())
    if stored["version"] < 3:
        for name in ("accuracy", "kl", "changed"):
            (measure,) = [one for one in read["measures"] if one["name"] == name]
            assert measure["value"] == stored.pop(name)
        assert [note["values"]["text"] for note in read["notes"]] == stored.pop("notes")
        lines = stored.pop("tree").split("\n")[1:]
        written = read["claims_text"] or "\n".join(branch["line"] for branch in read["branches"])
        assert all(line.lstrip("│├└─ ") in written for line in lines if "·" not in line)
        assert stored.pop("version") < read["version"] == VERSION
    assert kept(read, stored) == stored


def kept(read, stored):
    """What is read, without fields that the stored version did not have."""
    if isinstance(stored, dict):
        return {key: kept(read[key] if key in read else read[MOVED[key]], value) for key, value in stored.items()}
    if isinstance(stored, list) and len(stored) == len(read):
        return [kept(one, value) for one, value in zip(read, stored, strict=True)]
    return read


def test_they_are_shown_in_every_outlet(path, tmp_path):
    record, inputs = load(path), load_inputs(load(path), path)
    console = Console(file=io.StringIO(), width=100)
    console.print(record_view(record))
    console.print(ladder_view([record, record], "old"))
    shown = " ".join(console.file.getvalue().split())
    assert record.claim in shown
    for text in (page([record], [inputs]), markdown([record]), fragment(record)):
        assert record.claim in text
    for line in said(record):
        assert " ".join(line.split()) in shown.replace("! ", "")
    assert list(to_frame([record])["hypothesis"]) == [record.hypothesis]
    assert plot([record], tmp_path / "old.svg").exists()
    assert CliRunner().invoke(app, ["show", str(path)]).exit_code == 0


def test_claims_are_shown_without_their_heading(path):
    """Version 1 kept them as text, under name and sentence, which are shown anyway."""
    record = load(path)
    console = Console(file=io.StringIO(), width=200)
    console.print(record_view(record))
    assert console.file.getvalue().count(record.claim) == 1
    assert "logits carries balanced" in console.file.getvalue()


def test_parts_of_an_old_run_are_merged():
    path = Path(__file__).parent / "records" / "v2-two-tests.json"
    record, inputs = load(path), load_inputs(load(path), path)
    halves = [inputs.rows(np.arange(k, 60, 2)) for k in (0, 1)]
    whole, table = merge([(record, half) for half in halves])
    assert whole.losses["scrubbed"].value == pytest.approx(record.losses["scrubbed"].value)
    assert whole.measure("kl").value.value == pytest.approx(record.measure("kl").value.value)
    assert "worse-than-constant" in {note.code for note in whole.notes}
    assert "text" not in {note.code for note in whole.notes}  # those were about another set of inputs
    assert len(table) == 60


def test_what_was_only_said_is_data_now():
    """A sentence told that nothing was exchanged, and at which end of a series a loss was."""
    path = Path(__file__).parent / "records" / "v2-two-tests.json"
    stored = json.loads(path.read_text())
    equivalent = {"what": "this model", "unit": "% of its training", "amount": None}
    told = "worse than this model at 0.5 % of its training, the first of the series"
    stored |= {"equivalent": {**equivalent, "told": told}, "notes": ["No activation is ever exchanged: this ..."]}
    record = type(load(path)).model_validate(stored)
    assert (record.equivalent.beyond, record.equivalent.end) == ("first", 0.5)
    assert not record.exchanged


def test_a_record_differs_from_itself_in_nothing(path):
    assert differences(load(path), load(path)) == []


def test_the_hash_of_the_first_version_is_computed(path):
    """Version 1 had none, and could not be told from another claim about the same model."""
    assert load(path).hash


def test_the_numbers_of_the_first_record():
    record = load(Path(__file__).parent / "records" / "v1-signs.json")
    assert record.hypothesis == "parens/signs"
    assert (record.choices.references, record.choices.draws, record.choices.seed) == (300, 2, 0)
    assert (record.choices.unit, record.choices.numerics) == ("nats", 1)
    assert record.losses["constant"].value == pytest.approx(0.5557, abs=1e-3)
    assert record.recovered[0].baseline == "null"
    assert record.recovered[0].fraction is not None


def test_the_values_per_input_of_the_second_version():
    path = Path(__file__).parent / "records" / "v2-two-tests.json"
    record = load(path)
    inputs = load_inputs(record, path)
    assert len(inputs) == record.choices.references == 60
    assert inputs["loss.scrubbed"].mean() == pytest.approx(record.losses["scrubbed"].value)
    assert inputs["measure.kl"].mean() == pytest.approx(record.measure("kl").value.value)
    assert list(inputs.names("stratum.")) == ["balanced", "count fails", "horizon fails"]
    assert load_inputs(load(path.with_name("v1-signs.json")), path) is None


@pytest.mark.parametrize("gone", ["tree", "kl", "notes", "strata"])
def test_an_old_record_without_a_field_of_its_version_is_refused(gone, tmp_path):
    from scrubbing import FileError

    stored = json.loads(RECORDS[0].read_text())
    del stored[gone]
    (tmp_path / "old.json").write_text(json.dumps(stored))
    with pytest.raises(FileError, match=gone):
        load(tmp_path / "old.json")


@pytest.mark.parametrize(("field", "value"), [("choices", []), ("strata", 3), ("recovered", [1]), ("equivalent", "x")])
def test_an_old_record_of_another_shape_is_refused(field, value, tmp_path):
    from scrubbing import FileError

    stored = json.loads((RECORDS[0].parent / "v2-two-tests.json").read_text()) | {field: value}
    (tmp_path / "old.json").write_text(json.dumps(stored))
    with pytest.raises(FileError, match="not a run record"):
        load(tmp_path / "old.json")
