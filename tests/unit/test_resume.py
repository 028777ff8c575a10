"""A run that is stopped goes on where it was, and gives the same bits; another run never picks up its measurements."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from benchmarks.parens.task import our_data, task
from scrubbing import OUTPUT, Experiment, FileError, Hypothesis, Variable, feature, head
from scrubbing.engine.engine import Engine
from scrubbing.records.files import alone
from tests.stopping import files, stopped


def experiment(seed=0, **options):
    options = {"references": 60, "draws": 3, "memory": 2**22, "strata": task.settings.strata, **options}
    return Experiment(task.model(), our_data(400), task.loss(), seed=seed, **options)


RUNGS = ["two-tests", "four-heads"]
WHERE = (0.0, 0.1, 0.25, 0.4, 0.6, 0.8, 1.0)
"""Of all files that a run writes, those after which it is stopped."""


def going(out, hypotheses=None, **options):
    """A run of them that writes to a folder."""
    return lambda: experiment(**options).run_all(hypotheses or [task.rung(name) for name in RUNGS], out)


def everything(results):
    timed = {"provenance": {"seconds", "when"}}
    return [(one.record().model_dump(exclude=timed), one.inputs().to_parquet()) for one in results]


@pytest.fixture(scope="module")
def whole():
    return everything(experiment().run_all([task.rung(name) for name in RUNGS]))


@pytest.fixture(scope="module")
def files_of_all(tmp_path_factory):
    return files(going(tmp_path_factory.mktemp("all")))


@pytest.mark.parametrize("where", WHERE)
def test_stopped_anywhere_the_record_is_the_same_bit_for_bit(where, whole, files_of_all, tmp_path):
    stopped(going(tmp_path), where, files_of_all)
    assert list(tmp_path.glob(".scrub-*/*.npz"))
    again = experiment().run_all([task.rung(name) for name in RUNGS], tmp_path)
    assert everything(again) == whole
    assert not list(tmp_path.glob(".scrub-*"))


def test_stopped_twice(whole, files_of_all, tmp_path):
    stopped(going(tmp_path), 0.2, files_of_all)
    stopped(going(tmp_path), 0.3, files_of_all)
    assert everything(experiment().run_all([task.rung(name) for name in RUNGS], tmp_path)) == whole


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    small = {"memory": 2**20}  # of which a draw takes several batches
    stopped(going(tmp_path / "kept", **small), 0.4, files(going(tmp_path / "all", **small)))
    skipped, real = [], Engine.run
    monkeypatch.setattr(Engine, "run", lambda *a, **k: skipped.append(k["skip"]) or real(*a, **k))
    going(tmp_path / "kept", **small)()
    run = list(skipped)
    skipped.clear()
    going(None, **small)()
    every = list(skipped)
    assert len(run) < len(every)
    assert max(run) > 0 == max(every)


@pytest.mark.parametrize(
    "changed", [{"seed": 1}, {"draws": 2}, {"references": 50}, {"memory": 2**23}, {"baselines": False}]
)
def test_another_run_starts_afresh(changed, files_of_all, tmp_path):
    stopped(going(tmp_path), 0.5, files_of_all)
    before = sorted(tmp_path.glob(".scrub-*/*.npz"))
    hypotheses = [task.rung(name) for name in RUNGS]
    assert everything(experiment(**changed).run_all(hypotheses, tmp_path)) == everything(
        experiment(**changed).run_all(hypotheses)
    )
    assert sorted(tmp_path.glob(".scrub-*/*.npz")) == before  # what the stopped run left is not touched


def test_a_feature_with_another_body_starts_afresh(tmp_path, monkeypatch):
    """The same name and import path, but other values: nothing measured with the old ones may be used."""

    def hypothesis(threshold):
        parity = feature(name="parity")(lambda data: data["tokens"].sum(1) % 2 == threshold % 2)
        monkeypatch.setattr(Hypothesis, "to_json", lambda self: {"name": self.name})
        return Hypothesis(
            "h",
            "a claim",
            OUTPUT.carries(
                Variable("v", parity),
                head(1, 0)
                .direct()
                .carries(
                    Variable(
                        "w", parity if threshold else feature(name="parity")(lambda data: data["tokens"][:, 1] == 0)
                    )
                ),
            ),
        )

    stopped(going(tmp_path / "kept", [hypothesis(1)]), 0.5, files(going(tmp_path / "all", [hypothesis(1)])))
    other = everything(experiment().run_all([hypothesis(0)], tmp_path / "kept"))
    assert other == everything(experiment().run_all([hypothesis(0)]))


def test_a_hypothesis_that_cannot_be_stored_runs_without_a_journal(tmp_path):
    unnamed = feature(name="unnamed")(lambda data: data["tokens"][:, 1] == 0)
    hypothesis = Hypothesis("h", "a claim", OUTPUT.carries(Variable("v", unnamed)))
    experiment().run_all([hypothesis], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] in ([".scrub.lock"], [])


def test_a_damaged_measurement_is_measured_again(whole, files_of_all, tmp_path):
    stopped(going(tmp_path), 0.9, files_of_all)
    for path in tmp_path.glob(".scrub-*/*.npz"):
        path.write_bytes(path.read_bytes()[:40])
    assert everything(experiment().run_all([task.rung(name) for name in RUNGS], tmp_path)) == whole


def test_two_runs_in_one_folder(tmp_path):
    with alone(tmp_path), pytest.raises(FileError) as refused:
        experiment().run_all([task.rung("two-tests")], tmp_path)
    assert "another run is writing to this folder" in str(refused.value)
    experiment().run_all([task.rung("two-tests")], tmp_path)  # once it is over


def test_the_lock_of_a_killed_process_is_gone(tmp_path):
    lines = [
        "import time, pathlib, scrubbing.records.files as files",
        f"with files.alone(pathlib.Path({str(tmp_path)!r})):",
        "    print('held', flush=True)",
        "    time.sleep(60)",
    ]
    hold = "\n".join(lines)
    process = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(FileError), alone(tmp_path):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with alone(tmp_path):
        pass


def test_measurements_differ_between_seeds(whole):
    other = everything(experiment(seed=1).run_all([task.rung(name) for name in RUNGS]))
    assert other != whole
