"""Runs that are killed without warning, disks that are full, folders that cannot be written, and two runs in one."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from scrubbing.records.store import load, load_inputs
from tests.warm import Process

ROOT = Path(__file__).parents[2]
KILLS = 30

RUN = """
import sys
from pathlib import Path
from benchmarks.parens.task import our_data, task
from scrubbing import Experiment
from scrubbing.experiment import journal
from scrubbing.records.store import save

journal.EVERY = 0.0  # after every batch: as many places to be killed in as possible
out = Path(sys.argv[1])
experiment = Experiment(task.model(), our_data(600), task.loss(), references=150, draws=3, memory=2**22)
print("ready", flush=True)
with experiment.results([task.rung("two-tests"), task.rung("signs"), task.rung("one-number")], out) as results:
    for result in results:
        record = result.record()
        save(record, out / f"{record.hypothesis.rpartition('/')[2]}.json", result.inputs())
"""


HOW = {"cwd": "/", "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
"""In no repository, whose revision would be recorded and may change while this runs."""


def start(out):
    """A run that has begun."""
    process = Process("-c", RUN, str(out), **HOW)
    process.waits_to_say("ready")
    return process


def passed(process):
    with process:
        done = process.done()
        assert done.returncode == 0, done.stderr


def found(out):
    """Records and values per input, without the time they took."""
    timed = {"provenance": {"seconds", "when"}}
    records = {path.name: load(path) for path in sorted(out.glob("*.json"))}
    return {
        name: (record.model_dump(exclude=timed), load_inputs(record, out / name).to_parquet())
        for name, record in records.items()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    process = start(out)
    began = time.monotonic()
    passed(process)
    return found(out), time.monotonic() - began


@pytest.mark.slow
def test_killed_thirty_times_at_random_moments(whole, tmp_path):
    """Kill -9 until there were thirty; every run that gets through gives the same record bit for bit."""
    records, seconds = whole
    chance = random.Random(0)
    killed = completed = 0
    while killed < KILLS:
        out = tmp_path / str(completed)
        with start(out) as process:
            time.sleep(chance.uniform(0, seconds))
            process.send_signal(signal.SIGKILL)
            code = process.done().returncode
        killed += code == -signal.SIGKILL
        for path in out.glob("*.json"):  # what is there is whole, at any moment
            _same(found(out)[path.name], records[path.name])
        if code == 0:
            assert found(out) == records
            completed += 1
    passed(start(out))
    assert found(out) == records
    assert not list(out.glob(".scrub-*"))


def _same(run, wanted):
    """By field, so that a failure says what differs."""
    differ = {name: (run[0][name], wanted[0][name]) for name in wanted[0] if run[0][name] != wanted[0][name]}
    assert differ == {}
    assert run[1] == wanted[1]


def test_killed_once(whole, tmp_path):
    records, seconds = whole
    with start(tmp_path) as process:
        time.sleep(seconds / 2)
        process.send_signal(signal.SIGKILL)
    passed(start(tmp_path))
    assert found(tmp_path) == records


def test_a_full_disk(tmp_path):
    """No file may grow beyond two kilobytes: what a full disk looks like to the writer of a larger one."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "signs.json").write_text("what was there before\n")
    limited = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (2048, 2048))
    command = [sys.executable, "-c", RUN, str(out)]
    done = subprocess.run(command, **HOW, capture_output=True, text=True, preexec_fn=limited, check=False)
    assert done.returncode == 1
    assert "[SCR-FILE]" in done.stderr and "cannot be written" in done.stderr
    assert (out / "signs.json").read_text() == "what was there before\n"
    assert not [path for path in out.rglob("*") if path.is_file() and path.stat().st_size == 2048]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; run the tests as another user")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with start(tmp_path) as process:
        done = process.done()
    tmp_path.chmod(0o700)
    assert done.returncode == 1
    assert "[SCR-FILE]" in done.stderr


def test_a_read_only_file_system():
    """`/proc` refuses everybody, root as well."""
    with start("/proc/scrubbing") as process:
        done = process.done()
    assert done.returncode == 1
    assert "[SCR-FILE] /proc/scrubbing: this folder cannot be created" in done.stderr


def test_two_processes_on_one_folder(whole, tmp_path):
    records, _ = whole
    with start(tmp_path) as first:
        while not (tmp_path / ".scrub.lock").exists():
            time.sleep(0.01)
        with start(tmp_path) as second:
            refused, whole_run = second.done(), first.done()
    # Whoever came second was refused, or began when the first was over; neither harmed the other.
    assert whole_run.returncode == 0, whole_run.stderr
    assert refused.returncode == 0 or "another run is writing to this folder" in refused.stderr
    assert found(tmp_path) == records
