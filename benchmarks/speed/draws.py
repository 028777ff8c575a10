"""What it is worth that draws share a batch, where the references do not fill one.

    OMP_NUM_THREADS=1 python -m benchmarks.speed draws

The same outputs of the same plan, with a batch for each draw and with the engine's own batches. Processor time, the
best of three.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from scrubbing.engine import Engine, fixed
from scrubbing.experiment import find_task

EXAMPLES = 4800


def main() -> None:
    """Print a row for each number of references."""
    torch.set_num_threads(1)
    task = find_task("parens")
    data = task.data()
    engine = Engine(task.model(), data, fixed((0,)))
    compiled = engine.compile(task.rung("signs"))
    sys.stdout.write("| references | draws | a batch for each draw, in units of the other |\n|---|---|---|\n")
    for n in (1, 12, 100, 400, 1600):
        rows, draws = np.random.default_rng(0).choice(len(data), n, replace=False), EXAMPLES // n
        engine.outputs(compiled, rows, draws, 0)  # clean activations are there
        outputs = partial(engine.outputs, compiled, rows, draws, 0)
        ratio = best_of(partial(outputs, batch=n)) / best_of(outputs)
        sys.stdout.write(f"| {n:,} | {draws:,} | {ratio:.1f} |\n")


def best_of(call: Callable[[], object]) -> float:
    """Seconds of the processor."""
    found: list[float] = []
    for _ in range(3):
        started = time.process_time()
        call()
        found.append(time.process_time() - started)
    return min(found)
