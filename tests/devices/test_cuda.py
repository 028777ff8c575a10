"""What only CUDA itself can tell: that the host waits as often as it does on the pretend device, and for what."""

from __future__ import annotations

import pytest
from conftest import ABSENT, NAME

from benchmarks.speed.gpu import Run, experiment_of, rungs

pytestmark = pytest.mark.skipif(NAME == "pretend" or bool(ABSENT), reason=ABSENT or "for SCRUBBING_DEVICE=cuda")
RUNS = list(rungs(tiny=True))


@pytest.mark.parametrize(("task", "hypothesis", "references"), RUNS, ids=[one.name for _, one, _ in RUNS])
def test_waits(task, hypothesis, references, there):
    run = Run(experiment_of(task.name, references, there), hypothesis)
    run()
    kernels, waits, _ = run.counted()
    assert float(kernels) > 0
    assert 0 < float(waits) <= 2
