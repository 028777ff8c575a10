"""Simulated runs before and after a change, with the shape of a scrub, and limits of what a simulation may show."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

from scrubbing.metrics.recovered import recovered
from scrubbing.stats.influence import Influence, Losses, mean_loss
from scrubbing.stats.paired import compare

ALPHA = 0.05
CHANGE = 0.3
"""Mean loss after minus before in `runs`."""
BEFORE = {"model": 0.1, "scrubbed": 1.1, "null": 4.1}
MEASURES: dict[str, tuple[Callable[[Losses], Influence], float]] = {
    "mean loss": (mean_loss, CHANGE),
    "recovered": (recovered, -CHANGE / 4),
}
"""What is compared, and its change in `runs`."""


def runs(rng: np.random.Generator, n: int, draws: int = 4) -> tuple[Losses, Losses]:
    """The same inputs scrubbed before and after something changed.

    Some inputs are hard, and all their draws suffer (a gamma distribution). The change makes three inputs in ten worse,
    by an amount that is theirs and appears in all their draws; the draws of a swap differ from one run to the other.
    """
    hard = rng.gamma(2.0, 0.5, size=(n, 1))
    worse = np.where(rng.random((n, 1)) < 0.3, rng.exponential(CHANGE / 0.3, size=(n, 1)), 0.0)
    model = rng.exponential(0.1, size=n)
    null = model[:, None] + 16 * (rng.random((n, draws)) < 0.25)

    def run(extra: np.ndarray | float) -> Losses:
        scrubbed = model[:, None] + hard * rng.exponential(1.0, size=(n, draws)) + extra
        return Losses(np.arange(n), {"model": model, "scrubbed": scrubbed, "null": null})

    return run(0.0), run(worse)


def changes(times: int, n: int, measure: Callable[[Losses], Influence], seed: int) -> Iterator[Influence]:
    """Independent comparisons of two runs."""
    rng = np.random.default_rng(seed)
    for _ in range(times):
        yield compare(*runs(rng, n), measure).change


def most(times: int, rate: float) -> int:
    """Events with at most this rate happen more often than this in one simulation of a thousand."""
    return int(stats.binom.isf(1e-3, times, rate))


def least(times: int, rate: float) -> int:
    """Events with at least this rate happen less often than this in one simulation of a thousand."""
    return int(stats.binom.ppf(1e-3, times, rate))
