"""How often intervals and verdicts are right, on losses whose means are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.statistics.families import Family
from scrubbing.errors import NoFraction
from scrubbing.metrics import fraction, recovered
from scrubbing.stats import Losses, Means, compare, fixed_size, mean_loss

ALPHA = 0.05
_RESAMPLED = 100
"""Runs on which the percentile bootstrap is tried, for comparison."""


@dataclass(frozen=True)
class Rates:
    """Of runs on `n` inputs, in shares."""

    loss: float
    """The 95 % interval of the scrubbed loss holds the true one."""
    loss_optimistic: float
    """The true loss is above it."""
    recovered: float
    """The 95 % interval of the fraction recovered holds the true one, of runs that have a fraction."""
    recovered_optimistic: float
    """The true fraction is below it."""
    slack: float
    """Distance of the loss's upper end from the true loss, on average, as a fraction of the null gap."""
    floor: float
    """A gate of level 5 % finds the fraction at least the true one, which happens to be its floor: a false pass."""
    change: float
    """The same for a change of the loss from that of the model, with the true change as margin."""
    worse: float
    """A false fail of that gate."""
    percentile: float
    """The 95 % percentile bootstrap interval of the scrubbed loss holds the true one."""


def rates(family: Family, n: int, draws: int, runs: int, seed: int) -> Rates:
    """Simulate."""
    rng = np.random.default_rng([seed, n, draws, *family.name.encode()])
    means = family.means(draws)
    truth = fraction(means, "null")
    rise, gap = means["scrubbed"] - means["model"], means["null"] - means["model"]
    found: list[tuple[float, ...]] = []
    fractions: list[tuple[float, ...]] = []
    for _ in range(runs):
        columns = family.sample(rng, n, draws)
        losses = Means(columns)
        low, high = _ends(losses.mean("scrubbed"))
        before = Losses(np.arange(n), {"scrubbed": columns["model"], "null": columns["null"]})
        after = Losses(np.arange(n), {"scrubbed": columns["scrubbed"], "null": columns["null"]})
        change = compare(before, after, mean_loss).change.bounds(fixed_size, ALPHA)
        found.append(
            (
                low <= means["scrubbed"] <= high,
                high < means["scrubbed"],
                (high - means["scrubbed"]) / gap,
                change[1] <= rise,
                change[0] > rise,
            )
        )
        try:
            share = recovered(losses)
        except NoFraction:
            continue
        low, high = share.bounds(fixed_size, ALPHA / 2)
        fractions.append((low <= truth <= high, low > truth, share.bounds(fixed_size, ALPHA)[0] >= truth))
    loss, loss_optimistic, slack, change, worse = np.mean(found, axis=0)
    covered, optimistic, floor = np.mean(fractions, axis=0) if fractions else (1.0, 0.0, 0.0)
    percentile = np.mean([_percentile(family, rng, n, draws, means["scrubbed"]) for _ in range(min(runs, _RESAMPLED))])
    return Rates(*map(float, (loss, loss_optimistic, covered, optimistic, slack, floor, change, worse, percentile)))


def _ends(estimate) -> tuple[float, float]:
    """An interval that was refused counts as one that covers nothing."""
    return (np.nan, np.nan) if estimate.low is None else (estimate.low, estimate.high)


def _percentile(family: Family, rng: np.random.Generator, n: int, draws: int, truth: float) -> bool:
    values = family.sample(rng, n, draws)["scrubbed"].mean(axis=1)
    low, high = np.quantile(values[rng.integers(n, size=(500, n))].mean(axis=1), [0.025, 0.975])
    return bool(low <= truth <= high)
