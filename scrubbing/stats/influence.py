"""Means of losses and functions of them, each with how much every reference input moves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import BadData, fail
from scrubbing.stats.critical import Critical
from scrubbing.stats.intervals import aggregated, per_input

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Losses:
    """The losses of one run by reference input.

    Raises:
        BadData: SCR-REFERENCES, an id is given twice; SCR-DATA, not one entry per input, or weights that are no
            weights; SCR-NAN, a loss is not finite.
    """

    ids: NDArray[np.int64]
    """Reference inputs in the order they were drawn, `[n]`."""
    columns: Mapping[str, Any]
    """Losses by name, `[n]` or `[n, draws]`; draws are averaged."""
    weights: Floats | None = None
    """What each input counts in a mean, `[n]`; None for one each."""
    clusters: NDArray[Any] | None = None
    """What inputs have in common that makes their losses alike, such as a template or a document, `[n]`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", {name: per_input(values) for name, values in self.columns.items()})
        n = len(self.ids)
        if len(np.unique(self.ids)) < n:
            fail(BadData, "SCR-REFERENCES", "a reference input is given twice.", "Give every id once.", "losses")
        held = {**self.columns, "weights": self.weights, "clusters": self.clusters}
        for name, values in held.items():
            if values is not None and np.shape(values) != (n,):
                problem = f"{name} is of shape {list(np.shape(values))}; there are {n} inputs."
                fail(BadData, "SCR-DATA", problem, "Give one entry per input.", "losses")
        for name, values in self.columns.items():
            if not np.isfinite(values).all():
                problem = f"{name} is not finite on {np.sum(~np.isfinite(values))} of {n} inputs."
                fail(BadData, "SCR-NAN", problem, "Find out where the loss overflows.", "losses")
        # Not `< 0`, which lets NaN through.
        if self.weights is not None and not (np.all(self.weights >= 0) and 0 < np.sum(self.weights) < np.inf):
            problem = "weights are negative, not finite, or all zero."
            fail(BadData, "SCR-DATA", problem, "Choose inputs with positions that count.", "losses")

    def rows(self, chosen: NDArray[np.int64]) -> Losses:
        """These rows, in this order."""
        weights, clusters = (None if x is None else x[chosen] for x in (self.weights, self.clusters))
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Losses(self.ids[chosen], columns, weights, clusters)


@dataclass(frozen=True, eq=False)
class Influence:
    """An estimate, and for every unit how much more or less it would be if all units were like this one.

    To first order, the estimate is the truth plus the mean of `n` independent values with the spread of these. So they
    are all that standard errors, bounds and comparisons need, whatever is estimated: a mean, a ratio, or a difference
    of two runs. Source: Hampel, "The influence curve and its role in robust estimation" (1974); as the delta method or
    Taylor linearisation in Cochran, "Sampling Techniques" (1977), chapters 6 and 9.
    """

    estimate: float
    values: Floats
    """Centred, `[n]`: one per reference input, or per cluster."""
    inputs: int
    """Reference inputs it is based on."""

    @property
    def n(self) -> int:
        """Independent units: reference inputs, or clusters."""
        return len(self.values)

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

    @cached_property
    def skewness(self) -> float:
        """Third moment of the values over the cube of their standard deviation; 0 if they are all alike."""
        largest = np.abs(self.values).max(initial=0.0)
        if largest == 0:
            return 0.0
        values = self.values / largest
        return float(np.mean(values**3) / np.mean(values**2) ** 1.5)

    def bounds(self, critical: Critical, alpha: float, n: int | None = None) -> tuple[float, float]:
        """Lower and upper bound, each wrong with probability `alpha`; infinite where units are too few.

        Losses are skewed, and one-sided bounds of the form estimate ± z SE are wrong by as much as the skewness over
        the root of n: simulated false passes at 5 % and n = 200 came to 8 to 16 %. Hall's cubic transformation of the
        studentised mean takes that term out. The skewness is estimated too, and badly where tails are heavy on both
        sides; so the correction may move a bound outwards, and never inwards. Source: Hall, "On the removal of
        skewness by transformation", Journal of the Royal Statistical Society B 54 (1992); only outwards is ours.

        Args:
            critical: how many standard errors away, from `scrubbing.stats.critical`.
            alpha: of each bound.
            n: as if there were so many units of the same spread.
        """
        units = self.n if n is None else n
        z = critical(units, alpha)
        if self.n < 2 or np.isinf(z):
            return -np.inf, np.inf
        se, skewness = self.se * np.sqrt(self.n / units), self.skewness / np.sqrt(units)

        def away(z: float) -> float:
            moved = z - skewness / 6
            c = np.cbrt(1 + skewness * moved)
            return float(3 * moved / (c * c + c + 1))  # (cbrt(1 + x) - 1) / x = 1 / (c^2 + c + 1), also where x is 0

        return self.estimate - se * max(z, away(z)), self.estimate - se * min(-z, away(-z))

    def __sub__(self, other: Influence) -> Influence:
        """The difference of two estimates on the same units, in the same order."""
        return Influence(self.estimate - other.estimate, self.values - other.values, self.inputs)

    def __neg__(self) -> Influence:
        return Influence(-self.estimate, -self.values, self.inputs)


def mean_loss(losses: Losses, name: str = "scrubbed") -> Influence:
    """Mean of one column, sum(w x) / sum(w)."""
    return linear(losses, means(losses)[name], {name: 1.0})


def _weights(losses: Losses) -> Floats:
    return np.ones(len(losses.ids)) if losses.weights is None else losses.weights / losses.weights.mean()


def means(losses: Losses) -> dict[str, float]:
    """Weighted mean of every column."""
    weights = _weights(losses)
    return {name: float(np.mean(weights * values)) for name, values in losses.columns.items()}


def linear(losses: Losses, estimate: float, slopes: Mapping[str, float]) -> Influence:
    """A function of weighted means, to first order.

    Args:
        losses: of one run.
        estimate: the function's value at the means.
        slopes: its derivative by each mean it depends on, at the means, by name of the column.
    """
    weights, centre = _weights(losses), means(losses)
    values = sum((slope * weights * (losses.columns[name] - centre[name]) for name, slope in slopes.items()), start=0.0)
    return Influence(estimate, aggregated(np.asarray(values), losses.clusters), len(losses.ids))
