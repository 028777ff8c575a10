"""Names of hypotheses as names of files."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubbing import Experiment, FileError, Hypothesis, SquaredError, UsageError
from scrubbing.gate import snapshots
from scrubbing.records.names import LONGEST, check, is_table, name_of, place, stem
from scrubbing.records.schema import PerInput
from scrubbing.records.store import load, load_inputs, save

ALIKE = [
    "a/b",
    "a b",
    "a-b",
    "a_b",
    "A/b",
    "a/B",
    "a.b",
    "a*",
    "a?",
    "a[b]",
    "*",
    "?" * 16,
    "a/b/c",
    "a-b/c",
    "a/b-c",
    "a--b",
    "a-/b",
    "a/-b",
    "a//b",
    "-",
    "--",
    "a-",
]
RESERVED = ["con", "NUL", "com1", ".", "..", ".hidden", "-o", "a\x00b", "a\nb", "\x1b[31m", "é", "e\u0301", "/", "//"]


@pytest.fixture(scope="module")
def result(toy):
    return toy.run("x")


@pytest.fixture(scope="module")
def record(result):
    return result.record()


@pytest.fixture(scope="module")
def inputs(result):
    return result.inputs()


@given(st.text(min_size=1, max_size=30))
def test_a_name_comes_back(name):
    made = stem(name)
    assert name_of(made) == name
    assert set(made) <= set(string.ascii_lowercase + string.digits + "_-+%")


@given(st.lists(st.text("aA-/ .%+*é", min_size=1, max_size=5), min_size=2, max_size=20, unique=True))
def test_names_do_not_meet(names):
    """Also where a file system takes capitals for small letters."""
    assert len({stem(name).casefold() for name in names}) == len(names)


@given(st.from_regex(r"[a-z0-9_]+(-[a-z0-9_]+)*", fullmatch=True).filter(lambda name: len(name) > 4))
def test_plain_names_are_the_names_of_their_files(name):
    assert stem(name) == name


def test_plain_names_stay_readable():
    found = {name: stem(name) for name in ("parens/one-number", "induction/refined", "a b", "Parens/MLP")}
    assert list(found.values()) == ["parens--one-number", "induction--refined", "a%20b", "+parens--+m+l+p"]


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names_are_files_like_any_other(name, tmp_path, record):
    path = place(tmp_path, name)
    assert path.parent == tmp_path and not path.name.startswith(".")
    save(record.model_copy(update={"hypothesis": name}), path)
    assert load(path).hypothesis == name
    assert snapshots.place(tmp_path, name, "float32", "cpu").stem.casefold() not in {"con", "nul", "com1"}


def test_nothing_of_another_is_overwritten_or_deleted(tmp_path, record, inputs):
    for round_ in range(2):
        for name in ALIKE:
            save(
                record.model_copy(update={"hypothesis": name, "seconds": float(round_)}), place(tmp_path, name), inputs
            )
    for name in ALIKE:
        kept = load(place(tmp_path, name))
        assert (kept.hypothesis, len(load_inputs(kept, place(tmp_path, name)))) == (name, len(inputs))
    assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.parquet"))) == len(ALIKE)


def test_tables_of_others_are_not_ours(tmp_path):
    path = tmp_path / "a[bc].json"
    assert is_table("a[bc]-0123456789abcdef.parquet", path)
    assert not any(
        is_table(file, path)
        for file in (
            "ab-0123456789abcdef.parquet",
            "a[bc]-x-0123456789abcdef.parquet",
            "a[bc]-0123456789abcdeg.parquet",
        )
    )


def test_a_record_points_at_nothing_elsewhere(tmp_path, record, inputs):
    path = save(record, tmp_path / "deep" / "r.json", inputs)
    stored = load(path)
    for file in ("../r.parquet", "/etc/passwd", ".."):
        moved = stored.model_copy(update={"inputs": PerInput(file=file, digest=stored.inputs.digest, rows=1)})
        with pytest.raises(FileError, match="SCR-FILE"):
            load_inputs(moved, path)


def test_every_fault_is_told_at_once():
    with pytest.raises(UsageError) as caught:
        check(["a", "x" * LONGEST, "é" * 60, "a", "b"])
    assert caught.value.codes == ("SCR-NAME", "SCR-NAME")
    assert "2 hypotheses have this name" in str(caught.value) and "room for 180" in str(caught.value)


def test_names_are_checked_before_anything_runs(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("scrubbing.experiment.in_process.InProcess._measured", lambda *_: pytest.fail("it ran"))
    of = toy.hypothesis("x")
    long = Hypothesis("x" * 300, of.sentence, of.correspondence)
    for hypotheses in ([of, of], [long]):
        with pytest.raises(UsageError, match="SCR-NAME"):
            Experiment(toy.model, toy.data, SquaredError()).run_all(hypotheses, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "  ", None, 3, b"name"])
def test_a_hypothesis_has_a_name(name, toy):
    of = toy.hypothesis("x")
    with pytest.raises(UsageError, match="SCR-NAME"):
        Hypothesis(name, of.sentence, of.correspondence)


def test_snapshots_of_0_1_stay_where_they_are(tmp_path, record):
    old = save(record.model_copy(update={"hypothesis": "my claim"}), tmp_path / "my-claim.json")
    assert snapshots.place(tmp_path, "my claim", "float32", "cpu") == old
    with pytest.raises(UsageError, match="SCR-NAME.*\n.*my%20claim.json"):
        snapshots.place(tmp_path, "my-claim", "float32", "cpu")
    assert snapshots.place(tmp_path, "my claim", "float64", "cpu").name == "my%20claim.float64-cpu.json"
    assert snapshots.place(tmp_path, "My claim", "float32", "cpu").name == "+my%20claim.json"
