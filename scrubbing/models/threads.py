"""With how many threads of a CPU a model is computed."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

import torch

from scrubbing.device import multiplying
from scrubbing.models.protocol import Model

_MANY = 2**20
"""Numbers of a matrix from which on it is shared among threads."""


def threads_for(model: Model) -> int:
    """How many threads of a CPU a model is computed with: those that torch has, or one where its matrices are small.

    Threads wait for each other after each step, and those of a small model are short. A second thread gains it a sixth
    at most where nobody else computes; where others do, a run takes five times as long. `OMP_NUM_THREADS` says
    otherwise, for any model. Source: ours, measured in `docs/design/speed.md`.
    """
    small = model.device.type == "cpu" and model.largest is not None and model.largest < _MANY
    return 1 if small and "OMP_NUM_THREADS" not in os.environ else torch.get_num_threads()


def use_threads(n: int) -> None:
    """Compute every model with so many threads from now on, in this process and those that it starts."""
    torch.set_num_threads(n)
    os.environ["OMP_NUM_THREADS"] = str(n)


@contextmanager
def computing(model: Model, tf32: bool = False) -> Generator[None]:
    """Within, products are as in `multiplying`, and torch has the threads that suit the model."""
    before, suited = torch.get_num_threads(), threads_for(model)
    if suited != before:
        torch.set_num_threads(suited)
    try:
        with multiplying(model.device, tf32):
            yield
    finally:
        if suited != before:
            torch.set_num_threads(before)
