"""The losses of a run per reference input, and the numbers that are computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import BadData, fail
from scrubbing.stats.bounds import Influence as Influence
from scrubbing.stats.intervals import Means, ceilings, per_input

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Losses:
    """The losses of one run per reference input.

    Raises:
        BadData: SCR-REFERENCES, an id is given twice; SCR-DATA, an array has not one entry per input, or weights are
            negative or all zero; SCR-NAN, a loss is not finite.
    """

    ids: NDArray[np.int64]
    """Reference inputs in the order they were drawn, `[n]`."""
    columns: Mapping[str, Any]
    """Losses by name, `[n]` or `[n, draws]`; draws are averaged."""
    weights: Floats | None = None
    """Weight of each input in a mean, `[n]`; None for equal weights."""
    clusters: NDArray[Any] | None = None
    """Cluster of each input, `[n]`: what makes the losses of some inputs alike, such as a template or a document."""
    ceiling: float | Mapping[str, float] | None = None
    """The largest loss on an input that was not drawn; see `scrubbing.stats.intervals.ceilings`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ceiling", ceilings(self.columns, self.ceiling))
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
        """The losses of the inputs in these rows, in this order."""
        weights, clusters = (None if x is None else x[chosen] for x in (self.weights, self.clusters))
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Losses(self.ids[chosen], columns, weights, clusters, self.ceiling)

    @cached_property
    def means(self) -> Means:
        """The means of the losses, with intervals."""
        return Means(self.columns, weights=self.weights, clusters=self.clusters, ceiling=self.ceiling)


def mean_loss(losses: Losses, name: str = "scrubbed") -> Influence:
    """The weighted mean of one column, sum(w x) / sum(w), with what bounds and comparisons need."""
    return losses.means.influence(lambda means: means[name], [name])
