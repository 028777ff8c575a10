"""How far a function of means may be from the truth: bounds that include one unit that was not drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scrubbing.stats.critical import Critical

Floats = NDArray[np.float64]

_STEP = 1e-5
"""Step of numerical derivatives, as a share of the varied number, or of its spread where that is more."""
_ROUNDS = 20
_CLOSE = 1e-5
"""Relative error at which a search ends."""
_NEAREST = 1e-150
"""Distance above the largest value, as a share of the spread, at which all weight is on that value."""


@dataclass(frozen=True, eq=False)
class Influence:
    """A function of means, and how far it may be from the truth.

    To first order, an estimate is the truth plus the mean of as many independent `values` as there are units. So they
    give standard errors, whatever is estimated: a mean, a ratio, or a difference of two runs. Source: Hampel, "The
    influence curve and its role in robust estimation" (1974); as the delta method in Cochran, "Sampling Techniques"
    (1977), chapters 6 and 9. Bounds do not rest on it: see `bounds`.
    """

    function: Callable[[Floats], float]
    """The function of the means of the columns, `[k]`."""
    table: Floats
    """What is averaged, `[n, k]`: a row per unit, which is a reference input or a cluster."""
    lowest: Floats
    """Smallest value of each column on a unit that was not drawn, `[k]`."""
    highest: Floats
    inputs: int
    """Reference inputs it is based on."""

    @property
    def n(self) -> int:
        """Independent units: reference inputs, or clusters."""
        return len(self.table)

    @cached_property
    def means(self) -> Floats:
        """Means of the columns, `[k]`."""
        return self.table.mean(axis=0)

    @cached_property
    def estimate(self) -> float:
        """The function of the means."""
        return self._at(self.means)

    @cached_property
    def values(self) -> Floats:
        """How much more the estimate would be if all units were like this one, to first order, `[n]`; mean 0."""
        return (self.table - self.means) @ self._slopes(self.means)

    @property
    def each(self) -> Floats:
        """What every unit would make of the estimate alone, to first order, `[n]`: of a mean, the units' own values."""
        return self.values + self.estimate

    @cached_property
    def reach(self) -> float:
        """The most that one further unit, counted as all, moves the estimate either way, to first order."""
        slopes, (low, high) = self._slopes(self.means), (self.lowest - self.means, self.highest - self.means)
        moved = np.stack([slopes * low, slopes * high])
        return float(max(moved.max(axis=0).sum(), -moved.min(axis=0).sum()))

    @cached_property
    def se(self) -> float:
        """Standard error of the estimate; NaN below two units."""
        return float(self.values.std(ddof=1) / np.sqrt(self.n)) if self.n > 1 else np.nan

    @property
    def sd(self) -> float:
        """Standard deviation per reference input: the standard error times the root of their number, so that
        clusters are in it. What planning needs.
        """
        return self.se * np.sqrt(self.inputs)

    def bounds(self, critical: Critical, alpha: float, n: int | None = None) -> tuple[float, float]:
        """Lower and upper bound, each wrong with probability `alpha`; infinite where units are too few.

        A bound is the value of the function at weights of the units that are as far from equal as `tilt` allows, in
        the direction in which the function changes most there. One unit more than was drawn takes part, with the
        largest or the smallest value that each column may have, whichever moves the function outwards. So the bounds
        know that what has not been seen in n units may happen in a few of n. For a ratio, this is what inverting a
        test of `numerator - ratio * denominator` gives (Fieller 1954). Source of the whole: ours; see `tilt`.

        Args:
            critical: how many standard errors away a bound lies for normal values, from `scrubbing.stats.critical`.
            alpha: of each bound.
            n: as if there were so many units like these.
        """
        return -(-self).upper(critical, alpha, n), self.upper(critical, alpha, n)

    def upper(self, critical: Critical, alpha: float, n: int | None = None) -> float:
        """The upper bound alone; see `bounds`."""
        units = self.n if n is None else n
        z = critical(units, alpha)
        if self.n < 2 or not np.isfinite(z) or not np.isfinite(self.estimate):
            return np.inf
        means, bound, before = self.means, self.estimate, np.zeros_like(self.means)
        for _ in range(_ROUNDS):
            slopes = self._slopes(means)
            if not slopes.any() or np.abs(slopes - before).max() <= _CLOSE * np.abs(slopes).max():
                return bound
            further = np.where(slopes > 0, self.highest, self.lowest)
            weights = tilt(self.table @ slopes, float(further @ slopes), z, units / self.n)
            means = weights[:-1] @ self.table + weights[-1] * further
            before, bound = slopes, self._at(means)
            if not bound >= self.estimate:  # the denominator of a ratio has passed zero
                break
        return np.inf

    def _at(self, means: Floats) -> float:
        with np.errstate(all="ignore"):
            return float(self.function(means))

    def _slopes(self, means: Floats) -> Floats:
        """Derivative of the function in each mean, `[k]`."""
        steps = _STEP * np.maximum(np.maximum(self.highest - self.lowest, np.abs(means)), _NEAREST)
        aside = np.diag(steps)
        return np.array([self._at(means + a) - self._at(means - a) for a in aside]) / (2 * steps)

    def __sub__(self, other: Influence) -> Influence:
        """The difference of two estimates on the same units, in the same order."""
        k = len(self.means)
        return Influence(
            lambda means: self.function(means[:k]) - other.function(means[k:]),
            np.concatenate([self.table, other.table], axis=1),
            np.concatenate([self.lowest, other.lowest]),
            np.concatenate([self.highest, other.highest]),
            self.inputs,
        )

    def __neg__(self) -> Influence:
        def negated(means: Floats) -> float:
            return -self.function(means)

        return replace(self, function=negated)


def tilt(values: Floats, further: float, z: float, times: float = 1.0) -> Floats:
    """Weights of units under which the mean of their values is as large as an upper bound allows.

    Beside the units seen there is one further unit, which was not. Weights `1 / (a - value)`, with a number `a` above
    all values, are as near to equal ones as weights with their mean can be: their product is the largest (empirical
    likelihood). And `a` is where that mean is passed with the probability that a standard normal number passes `z`, if
    weights are drawn uniformly from all that add up to 1 (the Bayesian bootstrap). That probability is computed, not
    simulated. For values of 0 and 1 the bound is that of Clopper and Pearson, up to 6 % of its level, to the safe side.

    Sources: Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
    variable" (2005), for the bound; Owen, "Empirical likelihood ratio confidence intervals for a single functional"
    (1988), for the weights; Lugannani and Rice (1980) in the form of Barndorff-Nielsen (1991) for the probability.

    Args:
        values: one per unit, `[n]`.
        further: the largest value that a unit may have.
        z: standard normal quantile; 0.1 where it is less.
        times: how many units each value stands for.

    Returns:
        Weights of the values and, last, of the further unit, `[n + 1]`. They add up to 1.
    """
    top, bottom = max(float(values.max()), further), min(float(values.min()), further)
    if top == bottom:
        return np.append(np.full(len(values), times), 1.0) / (times * len(values) + 1)
    below, last = (top - values) / (top - bottom), (top - further) / (top - bottom)
    n, z = times * len(values) + 1, max(z, 0.1)

    def passed(log_gap: float) -> tuple[float, float]:
        """The normal number that is passed as often as the mean, and about its slope."""
        gap = np.exp(log_gap)
        odds = 1 / (below + gap)
        total = times * float(odds.sum()) + 1 / (last + gap)
        squares = times * float(odds @ odds) + 1 / (last + gap) ** 2
        logs = times * float(np.log(odds).sum()) - np.log(last + gap)
        root = np.sqrt(max(2 * (n * np.log(total / n) - logs), _NEAREST))
        spread = np.sqrt(max(squares * (n / total) ** 2 - n, _NEAREST))
        return root + np.log(spread / root) / root, gap * (total - n * squares / total) / root

    # About where it is if the mean is normal, or if the further unit alone decides.
    usual = float(below.mean())
    start = np.log(max(np.hypot(np.sqrt(n) * below.std(), usual - last) / z - usual, 1 / (2 + z * z / 2)))
    odds = 1 / (np.append(below, last) + np.exp(_solve(passed, z, start)))
    odds[:-1] *= times
    return odds / odds.sum()


def _solve(function: Callable[[float], tuple[float, float]], wanted: float, start: float) -> float:
    """Solve for the argument at which a falling function, given with its slope, has a value; Newton's method in an
    interval.
    """
    low, high, at = np.log(_NEAREST), -np.log(_NEAREST), float(start)
    for _ in range(_ROUNDS):
        value, slope = function(at)
        if abs(value - wanted) < _CLOSE:
            break
        low, high = (at, high) if value > wanted else (low, at)
        step = at - (value - wanted) / slope
        at = float(np.clip(step, at - 4, at + 4)) if low < step < high else (low + high) / 2
    return at
