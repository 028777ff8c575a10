"""Runs in shards: the same record bit for bit, whoever measures, in whatever order, and whatever dies on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.parens.task import our_data, task
from scrubbing import Experiment, UsageError, Workers
from scrubbing.experiment.executors import executor_of
from scrubbing.experiment.sharded import files, partition
from scrubbing.experiment.sharded.executor import Sharded
from scrubbing.experiment.sharded.work import Worker
from scrubbing.experiment.verdict import runs
from tests.thin import thinned

RUNGS = ["two-tests"]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(runs, "_REFERENCES", 16)
    monkeypatch.setitem(partition.ROWS, "cpu", 40)


class Here(Sharded):
    """Shards measured in this process, each by a worker of its own where that is wanted, in any order."""

    def __init__(self, settings, room=None, order=None, forgetful=False, collect=False):
        super().__init__(settings, 1, room, collect=collect)
        self.order, self.forgetful = order, forgetful
        self.worker, self.measured = Worker(self.room), 0

    def run(self, name, manifest, files):
        numbers = list(files)
        if self.order is not None:
            self.order.shuffle(numbers)
        for number in numbers:
            if self.forgetful:
                self.worker = Worker(self.room)
            self.worker.measure(name, number, files[number])
            self.measured += 1
            yield number


def experiment(executor, n=300, **changed):
    options = {"references": 40, "draws": 3, "strata": task.settings.strata, "executor": executor, **changed}
    return Experiment(task.model(), our_data(n), task.loss(), **options)


def everything(results):
    timed = {"provenance": {"seconds", "when"}, "tested": {"seconds"}}
    return [(one.record().model_dump(exclude=timed), one.inputs().to_parquet()) for one in results]


def run(executor, out=None, n=300, rungs=RUNGS, **changed):
    changed = {"verdict": n == 300, **changed}
    return everything(experiment(executor, n, **changed).run_all([task.rung(name) for name in rungs], out))


MANY = 6_000
"""Inputs of which few are read, so that clean activations are computed anew in each shard."""


@pytest.fixture(scope="module")
def whole():
    """Of a small dataset with a verdict, and of a large one without."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "_REFERENCES", 16)
        patched.setitem(partition.ROWS, "cpu", 40)
        made = experiment(lambda settings: Here(settings), verdict=True)
        found = everything(made.run_all([task.rung(name) for name in RUNGS]))
        return {300: found, "shards": made.executor.measured, MANY: run(lambda settings: Here(settings), n=MANY)}


@pytest.mark.parametrize("n", [300, MANY])
def test_in_any_order_by_workers_that_know_nothing_of_each_other(whole, n):
    order = random.Random(n)
    assert run(lambda settings: Here(settings, order=order, forgetful=True), n=n) == whole[n]


def test_both_ways_of_computing_clean_activations_are_tested():
    hypotheses = [task.rung(name) for name in RUNGS]
    for n, wanted in ((300, {True}), (MANY, {False})):
        jobs = [job for one in hypotheses for job in experiment("in process", n).jobs(one)]
        shards = partition.shards_of(jobs)
        assert {one.groups for one in shards} == wanted
        assert len(shards) > 3


def test_as_one_process_up_to_rounding(whole):
    for (ours, inputs), (theirs, others) in zip(run("in process"), whole[300], strict=True):
        ours, theirs = ({**one, "provenance": None} for one in (ours, theirs))
        assert _close(ours, theirs), "records differ by more than rounding"
        assert len(inputs) == pytest.approx(len(others), rel=0.01)


def _close(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_close(a[name], b[name]) for name in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_close, a, b))
    return a == pytest.approx(b, rel=1e-4, abs=1e-5) if isinstance(a, float) and isinstance(b, float) else a == b


def test_every_reference_of_every_job_is_in_one_shard():
    made = experiment("in process", verdict=True, controls=["shuffled-labels"])
    jobs = made.jobs(task.rung("signs"))
    seen = [np.zeros(len(job.reference.rows), int) for job in jobs]
    for shard in partition.shards_of(jobs):
        for place in shard.jobs:
            seen[place][shard.part :: shard.of] += 1
    assert all((one == 1).all() for one in seen)


@pytest.mark.parametrize("n", [1, 2])
def test_processes(whole, n, tmp_path):
    assert run(Workers(n), tmp_path) == whole[300]
    assert not list(tmp_path.glob(".scrub-*"))


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 8])
@pytest.mark.parametrize("inputs", [300, MANY])
def test_more_processes(whole, n, inputs):
    assert run(Workers(n), n=inputs) == whole[inputs]


def _kill(executor, times, seed, done):
    """Kill a worker so many times, at random moments."""
    draw, left = random.Random(seed), times
    while left and not done.is_set():
        time.sleep(draw.uniform(0.02, 0.3))
        if executor.pids:
            with suppress(ProcessLookupError):
                os.kill(draw.choice(executor.pids), signal.SIGKILL)
                left -= 1
    done.killed = times - left


def killed(n, times, rungs, seed=0, **changed):
    made = experiment(Workers(n), **changed)
    done = threading.Event()
    killer = threading.Thread(target=_kill, args=(made.executor, times, seed, done))
    killer.start()
    found = everything(made.run_all([task.rung(name) for name in rungs]))
    done.set()
    killer.join()
    return found, done.killed


def test_a_worker_is_killed(monkeypatch):
    monkeypatch.setattr("scrubbing.experiment.sharded.processes._DEATHS", 20)
    found, times = killed(2, 2, RUNGS)
    assert times >= 1
    assert found == run(lambda settings: Here(settings), verdict=False)


@pytest.mark.slow
def test_workers_are_killed_ten_times(whole, monkeypatch):
    monkeypatch.setattr("scrubbing.experiment.sharded.processes._DEATHS", 20)
    times = 0
    for seed in range(10):
        found, killed_now = killed(2, 10 - times, RUNGS, seed, verdict=True)
        assert found == whole[300]
        times += killed_now
        if times >= 10:
            break
    assert times >= 10


@pytest.mark.slow
def test_workers_that_die_again_and_again(monkeypatch):
    monkeypatch.setattr("scrubbing.experiment.sharded.processes._DEATHS", 2)
    loss = task.loss()
    object.__setattr__(loss, "per_token", lambda *_: os._exit(1))
    made = Experiment(task.model(), our_data(300), loss, references=20, executor=Workers(1))
    with pytest.raises(UsageError) as refused:
        made.run(task.rung("two-tests"))
    assert refused.value.codes == ("SCR-WORKER",)
    assert "2 workers died, one after another, of part 1 of" in str(refused.value)


def test_what_a_worker_refuses_is_refused_here():
    """The same error as in one process, with its faults."""
    from scrubbing import OUTPUT, Hypothesis, IllegalHypothesis, Variable, everything, head
    from scrubbing.parts import activation

    wrong = activation(lambda output: output - output.mean(0))
    claims = head(1, 0).part(wrong).direct().carries(Variable("x", everything))
    hypothesis = Hypothesis(
        "wrong", "A part that looks at other tokens.", OUTPUT.carries(Variable("y", everything), claims)
    )
    told = []
    for executor in ("in process", Workers(1)):
        with pytest.raises(IllegalHypothesis) as refused:
            experiment(executor).run(hypothesis)
        told.append(str(refused.value))
    assert told[0] == told[1]
    assert "SCR-PART" in told[0]


class Stop(Exception):
    """Stands for a power cut."""


def stopped(after, out, **changed):
    left = after

    class Stopped(Here):
        def run(self, name, manifest, files):
            nonlocal left
            for number in super().run(name, manifest, files):
                if not left:
                    raise Stop
                left -= 1
                yield number

    with pytest.raises(Stop):
        run(lambda settings: Stopped(settings), out, **changed)


@pytest.mark.parametrize("after", thinned([1, 2, 3, 4, 7, 9, 11, 14, 17, 19], of=4))
def test_stopped_anywhere_it_goes_on_with_what_is_absent(whole, after, tmp_path):
    stopped(after, tmp_path)
    kept = list(tmp_path.glob(".scrub-*/*.npz"))
    assert len(kept) == after + 1
    made = experiment(lambda settings: Here(settings), verdict=True)
    found = everything(made.run_all([task.rung(name) for name in RUNGS], tmp_path))
    assert found == whole[300]
    assert made.executor.measured == whole["shards"] - len(kept)
    assert not list(tmp_path.glob(".scrub-*"))


@pytest.mark.parametrize("spoilt", [lambda c, at: c[:at], lambda c, at: c[:at] + bytes([c[at] ^ 1]) + c[at + 1 :]])
def test_shards_that_are_spoilt_are_measured_again(whole, spoilt, tmp_path):
    """Eleven of them, from the first byte to the last."""
    stopped(10, tmp_path)
    paths = sorted(tmp_path.glob(".scrub-*/*.npz"))
    for i, path in enumerate(paths):
        content = path.read_bytes()
        path.write_bytes(spoilt(content, i * (len(content) - 1) // 10))
    made = experiment(lambda settings: Here(settings), verdict=True)
    assert everything(made.run_all([task.rung(name) for name in RUNGS], tmp_path)) == whole[300]
    assert len(paths) == 11
    assert made.executor.measured == whole["shards"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"versions": {"python": "2.7"}}, "of other versions"),
        ({"code": "another"}, "the source files of scrubbing differ"),
        ({"key": "another"}, "of another model, hypothesis, dataset or setting"),
        ({"how": {}}, "another part of the run"),
    ],
)
def test_shards_of_another_code_data_or_version_are_refused(changed, told, tmp_path):
    stopped(3, tmp_path)
    shard = partition.Shard((0,))
    real, path = files.Manifest.of, next(tmp_path.glob(".scrub-*/*.npz"))
    key = path.name.partition("-")[0]
    manifest = replace(real(key, how={}, spill=None, shards=[shard], titles=[""]), **changed)
    files.save(path, manifest, shard, {})
    with pytest.raises(UsageError) as refused:
        run(lambda settings: Here(settings), tmp_path)
    assert refused.value.codes == ("SCR-SHARD",)
    assert told in str(refused.value)


def test_what_nobody_measured_is_named(tmp_path):
    class Nobody(Sharded):
        def run(self, name, manifest, files):
            yield from ()

    with pytest.raises(UsageError) as refused:
        run(lambda settings: Nobody(settings, 1))
    assert refused.value.codes == ("SCR-SHARD",)
    assert "part 1 of 4 of parens/two-tests" in str(refused.value)


def test_what_cannot_leave_this_process_is_named():
    held = threading.Lock()
    loss = task.loss()
    object.__setattr__(loss, "held", held)
    made = Experiment(task.model(), our_data(300), loss, references=20, executor=lambda settings: Here(settings))
    with pytest.raises(UsageError) as refused:
        made.run(task.rung("two-tests"))
    assert refused.value.codes == ("SCR-SHARD",)
    assert "cannot be sent to another process" in str(refused.value)


@pytest.mark.parametrize("given", [{"n": 0}, {"n": "2"}, {"n": 2.5}, {"threads": 0}, {"n": 2, "threads": 4000}])
def test_workers_that_cannot_be(given):
    with pytest.raises(UsageError) as refused:
        Workers(**given)
    assert refused.value.codes == ("SCR-SETTING",)


def test_by_name():
    made = executor_of(experiment("in process").settings.but(executor="workers"))
    assert isinstance(made, Sharded)


def share(part, of, out, **changed):
    made = experiment(lambda settings: Here(settings), verdict=True, **changed)
    made.measure_share([task.rung(name) for name in RUNGS], out, part, of)
    return made.executor.measured


def test_shares_measured_apart_are_collected(whole, tmp_path):
    measured = [share(part, 3, tmp_path) for part in (2, 3, 1)]
    assert sum(measured) == 4
    assert share(1, 3, tmp_path) == measured[-1]  # again, which finds them there
    collected = run(lambda settings: Here(settings, collect=True), tmp_path)
    assert collected == whole[300]
    assert not list(tmp_path.glob(".scrub-*"))


def test_a_share_that_is_absent_is_named(tmp_path):
    share(1, 3, tmp_path)
    share(3, 3, tmp_path)
    with pytest.raises(UsageError) as refused:
        run(lambda settings: Here(settings, collect=True), tmp_path)
    assert refused.value.codes == ("SCR-SHARD",)
    assert "of 4 shards, 1 were not measured: part 2 of 4 of parens/two-tests" in str(refused.value)


def test_shares_of_what_cannot_be_known_again_are_refused(tmp_path):
    from scrubbing import OUTPUT, Hypothesis, Variable, feature

    unnamed = feature(name="unnamed")(lambda data: data["tokens"][:, 1] == 0)
    hypothesis = Hypothesis("h", "a claim", OUTPUT.carries(Variable("v", unnamed)))
    with pytest.raises(UsageError) as refused:
        experiment(lambda settings: Here(settings)).measure_share([hypothesis], tmp_path, 1, 2)
    assert refused.value.codes == ("SCR-SHARD",)


def test_one_process_measures_no_share(tmp_path):
    with pytest.raises(UsageError) as refused:
        experiment("in process").measure_share([task.rung("two-tests")], tmp_path, 1, 2)
    assert refused.value.codes == ("SCR-SETTING",)


SLOW = """
import time

from benchmarks.parens.task import our_data, task as parens
from scrubbing import Settings, Task, everything, feature
from scrubbing import OUTPUT, Hypothesis, Variable, head


class Slow(type(parens.loss())):
    def per_token(self, *given):
        time.sleep(0.1)
        return super().per_token(*given)


@feature
def starts(data):
    return data["tokens"][:, 1]


few = Settings(references=60, draws=12)
task = Task("slow", data=lambda: our_data(60), model=parens.model, loss=Slow, settings=few)
claims = OUTPUT.carries(Variable("output", everything), head(1, 0).direct().carries(Variable("start", starts)))
claim = Hypothesis("slow/claim", "Head 1.0 reports how the input starts.", claims)
"""


def test_ctrl_c_ends_the_workers_and_the_same_command_goes_on(tmp_path):
    """Ctrl-C in a terminal goes to all processes of the group. What a file defines, workers find in that file."""
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    command = [sys.executable, "-m", "scrubbing.cli", "run", "slow.py::claim", "--workers", "1", "--out", "out"]
    in_front = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, start_new_session=True, cwd=tmp_path, **in_front)
    while not list(tmp_path.glob("out/.scrub-*/*.npz")) and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert told.endswith("Interrupted. The same command goes on where this one stopped.\n")
    assert "Traceback" not in told
    assert list(tmp_path.glob("out/.scrub-*/*.npz"))
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "slow--claim.json").exists()
    assert not list(tmp_path.glob("out/.scrub-*"))
