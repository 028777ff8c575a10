"""Records on disk: whole or not at all, and equal when read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from scrubbing import FileError, Hypothesis, SquaredError, scrub
from scrubbing.records.store import load, save


@pytest.fixture(scope="module")
def record(toy):
    return toy.run("x", strata={"x": toy.x.feature}).record()


def test_round_trip(record, tmp_path):
    path = save(record, tmp_path / "deep" / "er" / "r.json")
    assert load(path) == record
    assert load(str(path)) == record
    assert list(path.parent.iterdir()) == [path]


def test_every_float_comes_back_bit_for_bit(record, tmp_path):
    back = load(save(record, tmp_path / "r.json"))
    assert back.losses["scrubbed"].value.hex() == record.losses["scrubbed"].value.hex()


def test_a_record_holds_what_it_takes_to_run_it_again(toy, tmp_path):
    everything_kept = Hypothesis("all", "Everything matters.", toy.hypothesis().correspondence)
    record = scrub(everything_kept, toy.model, toy.data, SquaredError(), references=4).record()
    stored = load(save(record, tmp_path / "r.json")).stored
    assert stored is not None
    assert Hypothesis.from_json(stored) == everything_kept


def test_saving_replaces_the_file_in_one_step(record, tmp_path, monkeypatch):
    """A crash while writing leaves the old record, and never half a new one under its name."""
    path = save(record, tmp_path / "r.json")
    before = path.read_bytes()
    seen = []

    def crash(source, target):
        seen.append((json.loads(Path(source).read_text())["hypothesis"], path.read_bytes() == before))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", crash)
    with pytest.raises(FileError, match="No space left on device"):
        save(record.model_copy(update={"hypothesis": "other"}), path)
    assert seen == [("other", True)]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keep", [0, 1, 100, -2])
def test_truncated_files_are_named(record, tmp_path, keep):
    path = save(record, tmp_path / "cut.json")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileError, match="truncated") as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_any_changed_byte_of_the_structure_is_noticed(record, tmp_path):
    """A renamed, missing or additional field, at any depth, is named."""
    for change, place in (
        (lambda v: v["losses"]["model"].pop("se"), "losses.model.se"),
        (lambda v: v["choices"].update(extra=1), "choices.extra"),
        (lambda v: v["claims"][0].update(draws="many"), "claims.0.draws"),
        (lambda v: v.pop("notes"), "notes"),
    ):
        value = record.model_dump(mode="json")
        change(value)
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(value))
        with pytest.raises(FileError, match=place):
            load(path)


def test_a_folder_that_cannot_be_written(record, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError) as caught:
        save(record, tmp_path / "file" / "r.json")
    assert caught.value.codes == ("SCR-FILE",)


def test_records_do_not_change(record):
    with pytest.raises(ValidationError, match="frozen"):
        record.hypothesis = "other"
