"""Prints how much memory a run took above its model and data, in MiB: `peak_memory.py BUDGET EVERY`."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scrubbing import OUTPUT, Dataset, Experiment, Hypothesis, NextToken, Variable, everything, feature, head, mlp
from scrubbing.models.transformer.checkpoint import assemble
from scrubbing.models.transformer.weights import Attention, Mlp, Norm, Spec, Weights

VOCABULARY, POSITIONS, D = 50_000, 100, 64
BUDGET, EVERY = int(sys.argv[1]) * 2**20, int(sys.argv[2])


@feature
def parity(data: Dataset) -> Any:
    """Of the first token."""
    return data["tokens"][:, 0] % 2


@feature(per="position")
def some(data: Dataset) -> Any:
    """One position in `EVERY`."""
    return np.broadcast_to(np.arange(data["tokens"].shape[1]) % EVERY == 0, data["tokens"].shape)


def made() -> Any:
    """A model of two layers with random weights."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.1

    norm = Norm("LN", weight=torch.ones(D), bias=torch.zeros(D))
    attention = [Attention(norm, *(random(4, D, 16) for _ in range(3)), random(4, 16, D)) for _ in range(2)]
    mlps = [Mlp(norm, random(D, 4 * D), random(4 * D, D)) for _ in range(2)]
    weights = Weights(
        random(VOCABULARY, D), random(D, VOCABULARY), tuple(attention), tuple(mlps), norm, W_pos=random(POSITIONS, D)
    )
    return assemble(Spec("random", True, 0.25), weights, "random")


def memory(name: str) -> float:
    """In MiB, as the system counts it."""
    found = re.search(name + r":\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def run(model: Any, tokens: Any, references: int) -> None:
    """One hypothesis with every baseline."""
    claims = (target.direct().carries(Variable("parity", parity)) for target in (head(1, 0), mlp(0)))
    hypothesis = Hypothesis("h", "c", OUTPUT.carries(Variable("output", everything), *claims))
    Experiment(model, Dataset({"tokens": tokens}), NextToken(some), references=references, draws=1, memory=BUDGET).run(
        hypothesis
    ).record()


if __name__ == "__main__":
    model = made()
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (200, POSITIONS))
    run(model, tokens[:, :4], 40)  # imports what a run imports
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    run(model, tokens, 4 if EVERY == 1 else 40)
    print(memory("VmHWM") - before)  # noqa: T201
