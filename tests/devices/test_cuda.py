"""What only CUDA itself can tell: that the host waits as often as it does on the pretend device, and for what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import ABSENT, CLOSE, NAME

from benchmarks.speed.gpu import Run, Shape, claim, memory_rows, run_of, rungs
from scrubbing import Experiment, NextToken

pytestmark = pytest.mark.skipif(NAME == "pretend" or bool(ABSENT), reason=ABSENT or "for SCRUBBING_DEVICE=cuda")
RUNS = list(rungs(tiny=True))


@pytest.mark.parametrize(("task", "hypothesis", "references"), RUNS, ids=[one.name for _, one, _ in RUNS])
def test_waits(task, hypothesis, references, there):
    run = run_of(task, hypothesis, references, there)
    run()
    kernels, waits, _ = run.counted()
    assert float(kernels) > 0
    assert 0 < float(waits) <= 2


def test_peak_memory_keeps_to_the_budget(there):
    over = [row for row in memory_rows(torch.device(there), tiny=True) if float(row[3].split()[0]) > 115]
    assert not over


def test_what_does_not_fit_is_computed_in_parts(there):
    """Another program took the memory that the budget counts on."""
    shape = Shape("small", 2, 4, 256, 5000, 128)
    model, data = shape.model(torch.device(there), torch.float32), shape.data(256)
    options = {"references": 128, "draws": 1, "baselines": False, "series": None, "store": False}

    def run() -> Run:
        return Run(Experiment(model, data, NextToken(), **options), claim(shape))

    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    first = run()
    reference = first.job.reference
    whole = first().done(reference)
    assert whole.fitting is None
    needed = torch.cuda.max_memory_reserved() - before
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + needed / 3) / total)
    try:
        parted = run()().done(reference)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert parted.fitting is not None and parted.fitting < 128
    np.testing.assert_allclose(parted.values["loss."], whole.values["loss."], rtol=0, atol=CLOSE)
