"""The best affine recalibration of a model's logits, fitted on some references and scored on others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

NUMBERS_KEPT = 2**24
"""Logits kept for the fit, 64 MiB; with a large vocabulary fewer references are used."""

FEWEST = 10
"""References in each half below which nothing is fitted."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Logits of some references: one row per counted position and draw."""

    logits: NDArray[np.float32]
    """`[tokens, d_out]`"""
    targets: NDArray[np.int64]
    reference: NDArray[np.int64]
    """Place of each token's reference among the references, `[tokens]`."""


def recalibrate(kept: Kept, prior: Floats, held_out: NDArray[np.bool_]) -> tuple[float, float, Floats, Floats]:
    """Fit `logits / temperature + weight * log prior` by maximum likelihood, and score it on held-out references.

    Resampled activations leave a model as confident as before where it is now wrong, so a scrubbed model can lose to a
    constant although it still tells the classes apart. Two numbers, whatever the vocabulary, take that apart. Source:
    R. Greenblatt's comment on the causal scrubbing post (an affine map of the scrubbed logit); temperature scaling is
    Guo et al. 2017; weighting the base rates is ours.

    Args:
        kept: logits and targets.
        prior: share of each class, `[d_out]`, all positive.
        held_out: by token; the others are fitted to.

    Returns:
        Temperature (infinite where the logits tell nothing), weight of the log prior, and the losses of the held-out
        tokens with and without recalibration, `[tokens]` each.
    """
    from scipy.optimize import minimize

    logits, targets = torch.from_numpy(kept.logits), torch.from_numpy(kept.targets)
    logits = logits - logits.amax(1, keepdim=True)
    log_prior = torch.from_numpy(np.log(prior)).float()
    fit, scored = torch.from_numpy(~held_out), torch.from_numpy(held_out)
    x, y = logits[fit], targets[fit]

    def objective(at: Floats) -> tuple[float, Floats]:
        log_p = torch.log_softmax(float(at[0]) * x + float(at[1]) * log_prior, 1)
        excess = log_p.exp()
        excess[torch.arange(len(y)), y] -= 1
        gradient = [float((excess * x).sum(1).double().mean()), float((excess @ log_prior).double().mean())]
        return -float(log_p.gather(1, y[:, None]).double().mean()), np.array(gradient)

    # A negative inverse temperature would say that the scrubbed model is worth most when turned upside down.
    found = minimize(objective, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    inverse, weight = (float(number) for number in found.x)

    def losses(scores: Tensor) -> Floats:
        return torch.nn.functional.cross_entropy(scores.double(), targets[scored], reduction="none").numpy()

    after, before = losses(inverse * logits[scored] + weight * log_prior), losses(logits[scored])
    return (1 / inverse if inverse > 0 else float("inf")), weight, after, before
