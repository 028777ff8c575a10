"""Means over inputs and functions of them, with standard errors and bootstrap intervals.

The unit is the reference input. Draws of one input are not independent, so they are averaged first; treating them as
independent made nominal 95 % intervals cover 57 % in a simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.numbers import PLAIN

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and interval; these are None below two inputs, and where some resample has no
    value, as a ratio whose denominator is zero on the inputs resampled.
    """

    value: float
    se: float | None
    low: float | None
    high: float | None
    n: int
    """Reference inputs (or clusters) it is based on."""

    def __str__(self) -> str:
        return PLAIN.interval(self.value, self.low, self.high)

    def __float__(self) -> float:
        return self.value


def per_input(values: ArrayLike) -> NDArray[np.float64]:
    """Average over draws: `[n]` or `[n, draws]` to `[n]`."""
    array = np.asarray(values, dtype=np.float64)
    return array if array.ndim == 1 else array.mean(axis=1)


def aggregated(values: NDArray[np.float64], clusters: NDArray[Any] | None) -> NDArray[np.float64]:
    """Sums over clusters, scaled to have the mean of the values; the values themselves without clusters."""
    if clusters is None:
        return values
    _, of = np.unique(clusters, return_inverse=True)
    sums = np.bincount(of, values).astype(np.float64)
    return sums * (len(sums) / len(values))


class Bootstrap:
    """Means of several columns over the same inputs, resampled together.

    Ratios of means are resampled as ratios: numerator and denominator share the resampled inputs. Intervals are
    percentile intervals: BCa returns NaN exactly at a perfect score, where scrubbed and model losses are equal. Source:
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13; resampling by `scipy.stats.bootstrap`.

    Args:
        columns: name to values, `[n]` or `[n, draws]`.
        seed: of the resampling.
        level: of the intervals.
        weights: of the inputs, `[n]`; means are then sum(w x) / sum(w), numerator and denominator resampled together,
            with the standard error of a ratio estimator (Cochran, "Sampling Techniques" (1977), section 2.11).
        clusters: what makes the losses of some inputs alike, such as their template or document, `[n]`. Clusters are
            then resampled whole, and `n` is their number. Source: Davison and Hinkley, "Bootstrap Methods and their
            Application" (1997), section 3.8.
    """

    def __init__(
        self,
        columns: Mapping[str, ArrayLike],
        seed: int = 0,
        level: float = LEVEL,
        weights: NDArray[np.float64] | None = None,
        clusters: NDArray[Any] | None = None,
    ) -> None:
        self.columns = {name: per_input(values) for name, values in columns.items()}
        self.level = level
        self.seed = seed
        inputs = len(next(iter(self.columns.values())))
        self.weights = np.ones(inputs) if weights is None else weights / weights.mean()
        self.clusters = clusters
        self.n = inputs if clusters is None else len(np.unique(clusters))
        self._resampled: dict[str, NDArray[np.float64]] | None = None

    def mean(self, name: str) -> Estimate:
        """Mean of one column; its standard error is the usual one, its interval the bootstrap's."""
        column = self.columns[name]
        residual = aggregated(self.weights * (column - np.mean(self.weights * column)), self.clusters)
        se = float(residual.std(ddof=1) / np.sqrt(self.n)) if self.n > 1 else None
        return self._estimate(lambda means: means[name], se)

    def of(self, statistic: Callable[[Mapping[str, Any]], Any]) -> Estimate:
        """A function of the column means, such as a ratio of differences."""
        return self._estimate(statistic, None)

    def _estimate(self, statistic: Callable[[Mapping[str, Any]], Any], se: float | None) -> Estimate:
        value = float(statistic({name: float(np.mean(self.weights * c)) for name, c in self.columns.items()}))
        if self.n < 2:
            return Estimate(value, None, None, None, self.n)
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = np.asarray(statistic(self._means()), dtype=np.float64)
        if not np.isfinite(drawn).all():
            return Estimate(value, se, None, None, self.n)
        if drawn.ndim == 0:
            drawn = np.full(RESAMPLES, float(drawn))
        tail = (1 - self.level) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return Estimate(value, float(drawn.std(ddof=1)) if se is None else se, float(low), float(high), self.n)

    def _means(self) -> Mapping[str, NDArray[np.float64]]:
        if self._resampled is None:
            from scipy import stats

            sums = [aggregated(self.weights * column, self.clusters) for column in self.columns.values()]
            table, weights = np.stack(sums), aggregated(self.weights, self.clusters)

            def means(chosen: NDArray[np.int64], axis: int = -1) -> NDArray[np.float64]:
                return table[:, chosen].mean(axis=axis) / weights[chosen].mean(axis=axis)

            result = stats.bootstrap(
                (np.arange(self.n),),
                means,
                n_resamples=RESAMPLES,
                batch=max(1, 2_000_000 // self.n),
                vectorized=True,
                method="percentile",
                rng=np.random.default_rng(self.seed),
            )
            self._resampled = dict(zip(self.columns, result.bootstrap_distribution, strict=True))
        return self._resampled
