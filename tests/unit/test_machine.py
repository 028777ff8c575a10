"""What a run would take on a machine: the arithmetic of the estimate, and files that describe a machine."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from benchmarks.parens.task import our_data, task
from scrubbing import Experiment, FileError, InProcess
from scrubbing.engine import Machine
from scrubbing.engine.machine import Work, filled
from scrubbing.experiment import predict

MACHINE = Machine("a machine", ((16, 1e9), (64, 4e9)), 1e9, 2e9, 1e8, 1e7, 1e-4, 2**30)


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return Experiment(task.model(), our_data(500), task.loss(), references=100)


def predicted(experiment: Experiment, rung: str, machine: Machine = MACHINE, **changed: object):
    run = experiment.but(store=True, **changed)
    assert isinstance(run.executor, InProcess)
    return predict(run.jobs(task.rung(rung)), machine, run.executor)


def test_every_kind_of_work_takes_its_own_time():
    work = Work(16, flops=2e9, moved=3e9, gathered=4e9, exponentials=5e8, draws=6e7, steps=1e4)
    assert work.seconds(MACHINE) == pytest.approx(2 + 3 + 2 + 5 + 6 + 1)
    assert (work + work).seconds(MACHINE) == pytest.approx(2 * 19)


def test_rates_of_products_lie_between_those_that_were_measured():
    assert [MACHINE.product(d) for d in (8, 16, 32, 64, 4096)] == pytest.approx([1e9, 1e9, 2e9, 4e9, 4e9])


def test_inputs_that_reads_meet():
    rng, inputs, reads = np.random.default_rng(0), 500, 700
    met = np.mean([len(np.unique(rng.integers(0, inputs, reads))) for _ in range(200)])
    assert filled(inputs, reads) == pytest.approx(met, rel=0.01)
    assert filled(10, 1e9) == 10


def test_more_claims_references_and_devices(experiment):
    signs, sources = predicted(experiment, "signs"), predicted(experiment, "sources")
    assert sources.total > 3 * signs.total
    more = predicted(experiment, "sources", references=400)
    assert 2 < more.total / sources.total < 4.5
    shared = predicted(experiment, "sources", replace(MACHINE, devices=4), references=400)
    assert more.total / 4 < shared.total < more.total / 1.5
    assert shared.passes >= more.passes  # means over the dataset are taken on each


def test_what_is_too_large_for_a_device_is_said(experiment):
    told = str(predicted(experiment, "signs", replace(MACHINE, memory=2**20)))
    assert "of which 1 MiB are there" in told
    assert "of which" not in str(predicted(experiment, "signs", replace(MACHINE, memory=2**40)))


@pytest.mark.parametrize("place", ["", "not/there.json", "x" * 300])
def test_where_a_machine_cannot_be_written(tmp_path, place):
    with pytest.raises(FileError, match="the machine cannot be written"):
        MACHINE.save(tmp_path / place)


def test_a_machine_is_read_as_it_was_written(tmp_path):
    MACHINE.save(tmp_path / "machine.json")
    assert Machine.load(tmp_path / "machine.json") == MACHINE


NUMBERS = [one.name for one in fields(Machine) if one.name not in ("name", "products")]
WRONG = [
    {"products": []},
    {"products": [[64, 1.0], [16, 1.0]]},
    {"products": [[-1, 1.0]]},
    {"products": 5},
    {"speed": 1},
]
WRONG += [{name: value} for name in NUMBERS for value in (float("nan"), float("inf"), -1, "fast", None, [1])]
WRONG += [{"products": [[64, value]]} for value in (float("nan"), 0, "fast", None)] + [{"name": 5}, {"moved": 0}]


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_files_that_describe_no_machine(tmp_path, change):
    MACHINE.save(tmp_path / "machine.json")
    given = json.loads((tmp_path / "machine.json").read_text()) | change
    (tmp_path / "machine.json").write_text(json.dumps(given))
    with pytest.raises(FileError) as refused:
        Machine.load(tmp_path / "machine.json")
    assert "it describes no machine" in str(refused.value)
