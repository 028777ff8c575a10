"""A device with little memory: budgets are a share of what is free, and what does not fit is computed in parts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from conftest import CLOSE, NAME
from test_runs import ALL, CLAIMS, padded_or_not

from benchmarks.speed import gpu
from benchmarks.speed.gpu import Run, Shape, claim, memory_rows
from scrubbing import OUTPUT, Experiment, Hypothesis, NextToken, UsageError
from scrubbing.device import budget, resolve
from scrubbing.engine.engine import DEFAULT_MEMORY
from scrubbing.engine.fitting import Fitting
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import tiny
from scrubbing.samplers import separate

ONLY_PRETEND = pytest.mark.skipif(
    NAME != "pretend", reason="how much memory there is can be chosen on the pretend device"
)
if NAME == "pretend":
    from pretend import FREE, MEMORY, PRETEND, Pretend


@ONLY_PRETEND
def test_the_default_budget_is_a_share_of_what_is_free(there, monkeypatch):
    assert budget(PRETEND, DEFAULT_MEMORY, DEFAULT_MEMORY) == 2**30 <= 0.8 * FREE
    monkeypatch.setattr("pretend.FREE", 3 * 2**26)
    assert budget(PRETEND, DEFAULT_MEMORY, DEFAULT_MEMORY) == 2**27
    assert budget(PRETEND, 10**6, DEFAULT_MEMORY) == 10**6
    assert budget(PRETEND, 2**40, DEFAULT_MEMORY) == 2**27
    assert budget(torch.device("cpu"), 2**40, DEFAULT_MEMORY) == 2**40


@ONLY_PRETEND
def test_engines_of_a_device_share_its_budget(there, monkeypatch):
    monkeypatch.setattr("pretend.FREE", 3 * 2**26)
    experiment = Experiment(from_bridge(tiny("native LN")), padded_or_not(False), NextToken(), device=there)
    hypothesis = Hypothesis("claims", "Something.", OUTPUT.carries(ALL, *CLAIMS["frozen norm"]))
    engine = experiment.executor.engine(experiment.jobs(hypothesis)[0].subject)
    assert engine.store.room.budget + 2 * engine.memory <= 2**27 < 2**30
    assert engine.memory > 2**20


@ONLY_PRETEND
@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("case", ["frozen norm", "each position on its own"])
def test_what_does_not_fit_is_computed_in_parts(case, store, there):
    """Every number is that of a device with room, and every draw is counted once."""
    hypothesis = Hypothesis("claims", "Something.", OUTPUT.carries(ALL, *CLAIMS[case]), unclaimed=separate())
    model, data = from_bridge(tiny("native LN")).to(there), padded_or_not(True)
    options = {"draws": 2, "references": 24, "store": store}

    def run():
        experiment = Experiment(model, data, NextToken(), **options)
        return experiment.run(hypothesis)

    whole = run()
    assert whole.measured.fitting is None and not any(one.code == "out-of-memory" for one in whole.record().notes)
    with Pretend(largest=3000) as device:
        parted = run()
    assert device.failed
    assert parted.measured.fitting is not None and parted.measured.fitting < 24
    (note,) = (one for one in parted.record().notes if one.code == "out-of-memory")
    assert note.values["rows"] == parted.measured.fitting
    assert parted.losses.keys() == whole.losses.keys()
    for name, losses in whole.losses.items():
        np.testing.assert_allclose(parted.losses[name], losses, rtol=1e-5, atol=1e-6, err_msg=name)
    assert parted.claims == whole.claims


def test_rows_are_halved_until_they_fit():
    """And no further; later rows come in parts of the size that was found. Nothing is computed twice."""
    asked = []

    def attempt(rows):
        asked.append(len(rows))
        if len(rows) > 5:
            raise torch.OutOfMemoryError
        return rows

    fitting = Fitting(torch.device("cpu"))
    found = list(fitting.each(np.arange(17), attempt))
    assert np.concatenate([rows for rows, _ in found]).tolist() == list(range(17))
    assert [last for _, last in found] == [False] * (len(found) - 1) + [True]
    assert (asked, fitting.most) == ([17, 9, 5, 5, 5, 2], 5)
    assert [len(rows) for rows, _ in fitting.each(np.arange(7), attempt)] == [5, 2]


def test_a_single_row_that_does_not_fit_is_an_error():
    def attempt(rows):
        raise torch.OutOfMemoryError

    with pytest.raises(UsageError, match=r"SCR-MEMORY.*a single input"):
        list(Fitting(torch.device("cpu")).each(np.arange(3), attempt))


def test_peak_memory_keeps_to_the_budget(there, monkeypatch):
    """Of the device, beside the model; a twentieth of what `make bench-gpu` measures, and a single long input fits."""
    monkeypatch.setattr(gpu, "BUDGETS", (200, 1024))
    rows = list(memory_rows(resolve(there), scale=20))
    assert len(rows) == 6
    assert not [row for row in rows if float(row[3].split()[0]) > (175 if row[0].endswith("1,024 positions") else 115)]


@contextmanager
def less(by: float) -> Iterator[None]:
    """Another program takes memory that the budget counts on: a run may take so much of its peak beside what is there.

    What runs before it left must be collected first: circles of theirs still count as taken, and are given back at any
    moment after, which leaves more room than was meant.
    """
    if NAME == "pretend":
        with Pretend(total=round(MEMORY.taken + by * (MEMORY.peak - MEMORY.taken))):
            yield
        return
    taken, total = torch.cuda.memory_allocated(), torch.cuda.get_device_properties(0).total_memory
    allowed = taken + by * (torch.cuda.max_memory_allocated() - taken)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(max(allowed, torch.cuda.memory_reserved()) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("store", [True, False])
def test_a_device_that_others_use(store, there):
    shape = Shape("small", 2, 4, 64, 1000, 64)
    model, data = shape.model(resolve(there), torch.float32), shape.data(256)

    def run() -> Run:
        options = {"references": 128, "draws": 1, "baselines": False, "series": None, "store": store}
        return Run(Experiment(model, data, NextToken(), **options), claim(shape))

    gc.collect()
    torch.get_device_module(model.device).reset_peak_memory_stats()
    first = run()
    whole = first.losses()
    assert first.executor.engine(first.job.subject).fitting.most is None
    del first
    gc.collect()
    with less(by=0.2):
        second = run()
        second.executor.engine(second.job.subject).verify(second.compiled, second.job.reference.rows)
        parted = second.losses()
    most = second.executor.engine(second.job.subject).fitting.most
    assert most is not None and most < 128
    np.testing.assert_allclose(parted, whole, rtol=0, atol=CLOSE)
