"""A verdict that was stopped goes on where it was, and is that of an uninterrupted run bit for bit."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from benchmarks.parens.task import our_data, task
from scrubbing import Experiment
from scrubbing.engine.engine import Engine
from scrubbing.experiment.verdict import runs
from scrubbing.records.store import load
from tests.stopping import files, stopped
from tests.warm import Process

RUNGS = ["signs", "two-tests"]
"""One that is sufficient, whose values are merged, and one that is not, whose loss is shared out."""
ALSO = ("complete", "adversary")
WHERE = (0.1, 0.4, 0.7, 0.97)
"""Of all files that a run writes, those after which it is stopped."""


@pytest.fixture(autouse=True)
def _few_references(monkeypatch):
    monkeypatch.setattr(runs, "_REFERENCES", 30)


def verdicts(out=None):
    """Verdicts with every further part, as records without the time they took."""
    data = our_data(400)
    experiment = Experiment(
        task.model(),
        data,
        task.loss(),
        references=60,
        draws=2,
        memory=2**22,
        verdict=True,
        controls=["shuffled-labels"],
    )
    records = []
    with experiment.results([task.rung(name) for name in RUNGS], out) as results:
        for result in results:
            more = {name: getattr(experiment, name)(result) for name in ALSO}
            record = result.record().model_dump(exclude={"provenance": {"seconds", "when"}, "tested": {"seconds"}})
            records.append((record, {name: one.model_dump() for name, one in more.items()}))
    return records


@pytest.fixture(scope="module")
def whole():
    """What an uninterrupted run says, and how many files it writes on the way."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "_REFERENCES", 30)
        return verdicts()


@pytest.fixture(scope="module")
def files_of_all(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "_REFERENCES", 30)
        return files(lambda: verdicts(tmp_path_factory.mktemp("all")))


@pytest.mark.parametrize("where", WHERE)
def test_stopped_anywhere_the_verdict_is_the_same_bit_for_bit(where, whole, files_of_all, tmp_path):
    stopped(lambda: verdicts(tmp_path), where, files_of_all)
    assert list(tmp_path.glob(".scrub-*/*.npz"))
    assert verdicts(tmp_path) == whole
    assert not list(tmp_path.glob(".scrub-*"))


def test_stopped_again_and_again(whole, files_of_all, tmp_path):
    for _ in range(3):
        stopped(lambda: verdicts(tmp_path), 0.25, files_of_all)
    assert verdicts(tmp_path) == whole


def test_what_was_measured_is_not_measured_again(files_of_all, tmp_path, monkeypatch):
    asked, real = [], Engine.run
    monkeypatch.setattr(Engine, "run", lambda *a, **k: asked.append(k) or real(*a, **k))
    stopped(lambda: verdicts(tmp_path), 0.9, files_of_all)
    before = len(asked)
    verdicts(tmp_path)
    assert len(asked) - before < 0.25 * before


def test_what_is_kept_is_known_by_what_was_measured(whole, files_of_all, tmp_path, monkeypatch):
    """Not by how many measurements came before it: tests that ask for other references find none of theirs."""
    stopped(lambda: verdicts(tmp_path), 0.5, files_of_all)
    monkeypatch.setattr(runs, "_REFERENCES", 40)
    for (resumed, _), (afresh, _), (before, _) in zip(verdicts(tmp_path), verdicts(), whole, strict=True):
        for one, other in zip(resumed["tested"]["claims"], afresh["tested"]["claims"], strict=True):
            # Activations were computed in other groups, which shows in the last bits.
            assert one["crossed"]["cost"]["value"] == pytest.approx(other["crossed"]["cost"]["value"], abs=1e-4)
        assert resumed["tested"]["examples"] == afresh["tested"]["examples"] != before["tested"]["examples"]


PROGRAM = """
from benchmarks.parens import task as parens
from hypotheses.parens.shipped import signs
from scrubbing import Task, Settings
task = Task("few", parens.graph, lambda: parens.our_data(1500), parens.our_model, parens.loss, ladder=lambda: [signs()],
            settings=Settings(references=500))
"""


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    (folder / "few.py").write_text(PROGRAM)
    return folder


@pytest.fixture(scope="module")
def straight(few):
    """The record of a command that nobody stops."""
    with command(few, few / "straight") as process:
        assert "scrub show" in process.done().stderr
    return record_in(few / "straight")


def command(few: Path, out: Path) -> Process:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    line = ("-m", "scrubbing.cli", "verdict", "few.py::signs", "--out", str(out), "--json")
    return Process(*line, cwd=few, env=env)


def record_in(out: Path):
    (path,) = out.rglob("*.json")
    return load(path).model_dump(exclude={"provenance": {"seconds", "when"}, "tested": {"seconds"}})


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_kill(how, few, straight, tmp_path):
    with command(few, tmp_path) as process:
        while len(list(tmp_path.glob(".scrub-*/*.npz"))) < 5:
            assert process.poll() is None, "it ended before it could be stopped"
            time.sleep(0.01)
        process.send_signal(how)
        done = process.done()
    if how == signal.SIGINT:
        assert done.returncode == 130
        assert done.stderr.splitlines()[-1] == "Interrupted. The same command goes on where this one stopped."
    assert len(list(tmp_path.glob(".scrub-*/*.npz"))) >= 5
    with command(few, tmp_path) as process:
        process.done()
    assert record_in(tmp_path) == straight
