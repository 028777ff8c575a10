"""Means over inputs and functions of them, with standard errors and intervals.

The unit is the reference input. Draws of one input are not independent, so they are averaged first; treating them as
independent made nominal 95 % intervals cover 57 % in a simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.numbers import PLAIN
from scrubbing.stats.bounds import Influence
from scrubbing.stats.critical import fixed_size

Floats = NDArray[np.float64]
Statistic = Callable[[Mapping[str, Any]], Any]
"""Statistic: a function from the means of the columns, by name, to a number."""

LEVEL = 0.95
METHOD = "95 %, Bayesian bootstrap with one further reference at the largest null loss (Gaffke 2005)"
"""The method in words, for records."""
SEEN = ("null", "constant")
"""Columns that have shown the largest values they have: the one defines the bound of the others, the other takes one
value per label."""


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and interval.

    There is no interval for fewer than two inputs, where nothing varies or could vary, and for a ratio whose
    denominator may be zero.
    """

    value: float
    se: float | None
    low: float | None
    high: float | None
    n: int
    """Number of reference inputs (or clusters) that the estimate is based on."""

    def __str__(self) -> str:
        return PLAIN.interval(self.value, self.low, self.high)

    def __float__(self) -> float:
        return self.value


def per_input(values: ArrayLike) -> Floats:
    """Average over draws: `[n]` or `[n, draws]` to `[n]`."""
    array = np.asarray(values, dtype=np.float64)
    return array if array.ndim == 1 else array.mean(axis=1)


def ceilings(columns: Mapping[str, ArrayLike], given: float | Mapping[str, float] | None = None) -> dict[str, float]:
    """The largest value that each column is assumed to take on an input that was not drawn.

    It is the number given, or else the largest of the column `null`, the model's output exchanged for that of any
    other input, since scrubbing exchanges no more than that. A column that has gone beyond on some input, draws
    averaged, is reckoned to go as far beyond once more; where neither is known, to twice the largest. Source: ours.

    Args:
        columns: name to values, `[n]` or `[n, draws]`.
        given: one number for all columns, or one for some of them by name.
    """
    largest = {name: float(np.max(np.abs(np.asarray(values)), initial=0.0)) for name, values in columns.items()}
    known = {name: largest[name] for name in SEEN if name in largest}
    known |= dict(given) if isinstance(given, Mapping) else {}
    usual = given if isinstance(given, (int, float)) else largest.get("null", 0.0)
    found: dict[str, float] = {}
    for name, values in columns.items():
        known_to, seen = known.get(name, usual), float(np.max(np.abs(per_input(values)), initial=0.0))
        found[name] = max(known_to, 2 * seen - known_to)
    return found


class Means:
    """Means of several columns over the same inputs, and functions of them.

    Intervals are those of the Bayesian bootstrap (Rubin 1981) with one further unit, computed instead of simulated
    (`scrubbing.stats.bounds.tilt`). The further unit stands for inputs that were not drawn. On it, a column has its
    smallest or largest possible value: 0 (or minus the ceiling, for a column with negative values) and its ceiling. In
    a function of several columns, only those in `asked` reach these values; the others stay in the range observed.

    Args:
        columns: name to values, `[n]` or `[n, draws]`.
        level: level of the intervals, such as 0.95.
        weights: weights of the inputs, `[n]`; means are then sum(w x) / sum(w). The further unit has the weight that
            units have on average if each counts by its weight, sum(w^2) / sum(w).
        clusters: what makes the losses of some inputs alike, such as their template or document, `[n]`. A cluster is
            then one unit, and `n` is their number.
        ceiling: the largest value of all columns, or of some by name; see `ceilings`.
    """

    def __init__(
        self,
        columns: Mapping[str, ArrayLike],
        level: float = LEVEL,
        weights: Floats | None = None,
        clusters: NDArray[Any] | None = None,
        ceiling: float | Mapping[str, float] | None = None,
    ) -> None:
        self.columns = {name: per_input(values) for name, values in columns.items()}
        self.level = level
        self.ceilings = ceilings(columns, ceiling)
        self.inputs = len(next(iter(self.columns.values())))
        weights = np.ones(self.inputs) if weights is None else np.asarray(weights, dtype=np.float64)
        self.weights = weights / weights.mean()
        self.clusters = clusters
        self._sums = {name: _summed(self.weights * column, clusters) for name, column in self.columns.items()}
        self.unit_weights = _summed(self.weights, clusters)
        self.n = len(self.unit_weights)

    def mean(self, name: str) -> Estimate:
        """The mean of one column, with its interval."""
        return self.estimate(self.influence(lambda means: means[name], [name]))

    def of(
        self, statistic: Statistic, names: Sequence[str] | None = None, asked: Sequence[str] | None = None
    ) -> Estimate:
        """Estimate a function of the column means, such as a ratio of differences; arguments as for `influence`."""
        return self.estimate(self.influence(statistic, names, asked))

    def value(self, name: str) -> float:
        """The mean of one column, without an interval."""
        weighted: Floats = self.weights * self.columns[name]
        return float(np.mean(weighted))

    def sums(self, name: str) -> Floats:
        """Weight times value of each unit, summed over its inputs and scaled to have the mean of the column, `[n]`."""
        return self._sums[name]

    def estimate(self, found: Influence) -> Estimate:
        """The estimate that belongs to an influence, with standard error and interval."""
        low, high = found.bounds(fixed_size, (1 - self.level) / 2)
        se = found.se if self.n > 1 and np.isfinite(found.se) else None
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            return Estimate(found.estimate, se, None, None, self.n)
        return Estimate(found.estimate, se, low, high, self.n)

    def influence(
        self, statistic: Statistic, names: Sequence[str] | None = None, asked: Sequence[str] | None = None
    ) -> Influence:
        """A function of the means, with what bounds and comparisons need.

        Args:
            statistic: function of the means by column name.
            names: columns that the statistic depends on; None for all.
            asked: columns that may reach their ceiling on the further unit; the others stay in the range observed. None
                for `scrubbed`, or for all columns where that is not among the names.
        """
        names = list(dict.fromkeys(self.columns if names is None else names))
        if asked is None:
            asked = ["scrubbed"] if "scrubbed" in names else names
        limits = np.array([self._limits(name, name in asked) for name in names])
        columns, weights = [self._sums[name] for name in names], self.unit_weights
        if np.ptp(weights) == 0:
            table, low, high = np.stack(columns, axis=1), *limits.T
        else:
            weight = float(weights @ weights / weights.sum())
            table = np.stack([*columns, weights], axis=1)
            low, high = (np.append(weight * limit, weight) for limit in limits.T)
        k = len(names)

        def function(means: Floats) -> float:
            shown = means if len(means) == k else means[:k] / means[k]
            return statistic(dict(zip(names, shown, strict=True)))

        return Influence(function, table, low, high, self.inputs)

    def _limits(self, name: str, asked: bool) -> tuple[float, float]:
        """The smallest and the largest value on a further unit."""
        lowest, highest = float(self.columns[name].min()), float(self.columns[name].max())
        if not asked:
            return lowest, highest
        return 0.0 if lowest >= 0 else -self.ceilings[name], self.ceilings[name]


def _summed(values: Floats, clusters: NDArray[Any] | None) -> Floats:
    """Sums over clusters, scaled to have the mean of the values; the values themselves without clusters."""
    if clusters is None:
        return values
    _, of = np.unique(clusters, return_inverse=True)
    sums = np.bincount(of, values).astype(np.float64)
    return sums * (len(sums) / len(values))
