"""The best affine recalibration of a model's logits, fitted on some references and scored on others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

NUMBERS_KEPT = 2**24
"""Logits kept for the fit, 64 MiB; with a large vocabulary fewer references are used."""

BYTES_KEPT = 4 * NUMBERS_KEPT
"""What they take, at most, for as long as a hypothesis is measured."""

_AT_ONCE = 2**20
"""Number of logits that are processed at a time."""

FEWEST = 10
"""References in each half below which nothing is fitted."""


class Kept(Protocol):
    """Logits of some references: one row per counted position and draw."""

    @property
    def targets(self) -> NDArray[np.int64]:
        """`[tokens]`."""
        ...

    @property
    def reference(self) -> NDArray[np.int64]:
        """Place of each token's reference among the references, `[tokens]`."""
        ...

    def take(self, tokens: NDArray[np.int64]) -> Tensor:
        """Logits of some tokens, in rising order, `[tokens, d_out]` on the CPU."""
        ...


@dataclass(frozen=True, eq=False)
class Sample:
    """What is recalibrated."""

    kept: Kept
    prior: Floats
    """Share of each class, `[d_out]`, all positive."""
    held_out: NDArray[np.bool_]
    """By token; the others are fitted to."""


def recalibrate(sample: Sample) -> tuple[float, float, Floats, Floats]:
    """Fit `logits / temperature + weight * log prior` by maximum likelihood, and score it on held-out references.

    Resampled activations leave a model as confident as before where it is now wrong, so a scrubbed model can lose to a
    constant although it still tells the classes apart. Two numbers, whatever the vocabulary, take that apart. Source:
    R. Greenblatt's comment on the causal scrubbing post (an affine map of the scrubbed logit); temperature scaling is
    Guo et al. 2017; weighting the base rates is ours.

    Returns:
        Temperature (infinite where the logits tell nothing), weight of the log prior, and the losses of the held-out
        tokens with and without recalibration, `[tokens]` each.
    """
    from scipy.optimize import minimize

    log_prior, targets = torch.as_tensor(np.log(sample.prior), device="cpu").float(), sample.kept.targets
    fitted, scored = np.flatnonzero(~sample.held_out), np.flatnonzero(sample.held_out)
    at_once = _AT_ONCE // len(log_prior) or 1

    def pieces(tokens: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits and targets of some tokens, few at a time."""
        for here in np.split(tokens, range(at_once, len(tokens), at_once)):
            logits = sample.kept.take(here)
            yield logits - logits.amax(1, keepdim=True), torch.as_tensor(targets[here], device="cpu")

    def objective(at: Floats) -> tuple[float, Floats]:
        value, gradient = 0.0, np.zeros(2)
        for x, y in pieces(fitted):
            log_p = torch.log_softmax(float(at[0]) * x + float(at[1]) * log_prior, 1)
            value -= float(log_p.gather(1, y[:, None]).double().sum())
            excess = log_p.exp_()
            excess[torch.arange(len(y)), y] -= 1
            gradient += [float((excess * x).sum(1).double().sum()), float((excess @ log_prior).double().sum())]
        return value / len(fitted), gradient / len(fitted)

    # A negative inverse temperature would say that the scrubbed model is worth most when turned upside down.
    found = minimize(objective, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    inverse, weight = (float(number) for number in found.x)

    def losses(scale: float, shift: float) -> Floats:
        entropy = torch.nn.functional.cross_entropy
        found = [entropy((scale * x + shift * log_prior).double(), y, reduction="none") for x, y in pieces(scored)]
        return torch.cat(found).numpy()

    after, before = losses(inverse, weight), losses(1.0, 0.0)
    return (1 / inverse if inverse > 0 else float("inf")), weight, after, before
