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

    Its steps are then shorter than what threads take to wait for each other: a second one gains nothing, and on a
    machine that others use too it takes five times as long. `OMP_NUM_THREADS` says otherwise, for any model.
    """
    small = model.device.type == "cpu" and model.largest is not None and model.largest < _MANY
    return 1 if small and "OMP_NUM_THREADS" not in os.environ else torch.get_num_threads()


def use_threads(n: int) -> None:
    """Compute every model with so many threads."""
    torch.set_num_threads(n)
    os.environ["OMP_NUM_THREADS"] = str(n)


@contextmanager
def computing(model: Model, tf32: bool = False) -> Generator[None]:
    """Within, a model's products are as in `multiplying`, with the threads that suit it: a switch too."""
    before, suited = torch.get_num_threads(), threads_for(model)
    if suited != before:
        torch.set_num_threads(suited)
    try:
        with multiplying(model.device, tf32):
            yield
    finally:
        if suited != before:
            torch.set_num_threads(before)
