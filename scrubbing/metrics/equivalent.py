"""How much training, or how large a model, a loss is worth: interpolation in a series of unscrubbed models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.errors import UsageError, fail
from scrubbing.stats.intervals import Estimate, Means

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """A series of unscrubbed models of increasing training (or size), and their losses on the same task.

    Raises:
        UsageError: SCR-SERIES, fewer than two points, amounts that do not increase, or another number of losses.
    """

    what: str
    """What the points are, in words, as in "this model at moments of its training"."""
    unit: str
    """Unit of the amounts, as in "% of its training"."""
    amounts: tuple[float, ...]
    losses: Sequence[float] | Callable[[Dataset], Sequence[Floats]]
    """Mean loss of each point; or a function giving, for a dataset of references, the loss of every prediction
    `[n, positions]` of each point, so that the references' own sampling error cancels.
    """

    def __post_init__(self) -> None:
        told = ""
        if len(self.amounts) < 2 or not all(0 < a < b for a, b in zip(self.amounts, self.amounts[1:], strict=False)):
            told = f"its amounts are {list(self.amounts)}."
        elif not callable(self.losses) and len(self.losses) != len(self.amounts):
            told = f"it has {len(self.amounts)} amounts and {len(self.losses)} losses."
        if told:
            remedy = "Give two or more positive, increasing amounts and a loss for each."
            fail(UsageError, "SCR-SERIES", told, remedy, f"series {self.what!r}")


def equivalent(
    amounts: Sequence[float],
    losses: Sequence[float | Floats],
    scrubbed: Floats,
    weights: Floats,
    clusters: NDArray[Any] | None = None,
    bound: float | None = None,
) -> tuple[Estimate | None, str]:
    """The amount at which the series has the scrubbed loss, linear in loss against log amount. Source: ours.

    Losses are made monotone first: a point that is worse than an earlier one counts as that one.

    Args:
        amounts: increasing.
        losses: of each point, one number or per reference `[n]`.
        scrubbed: loss per reference, `[n]` or `[n, draws]`.
        weights: of the references.
        clusters: family of each reference, `[n]`.
        bound: the largest loss on a reference that was not drawn; see `scrubbing.stats.intervals.ceilings`.

    Returns:
        The amount with its interval, or None with `"less"` (the scrubbed loss is worse than all of the series) or
        `"more"` (better than all).
    """
    names = [f"point {i}" for i in range(len(amounts))]
    given = {
        name: np.broadcast_to(np.asarray(loss, dtype=np.float64), (len(weights),))
        for name, loss in zip(names, losses, strict=True)
    }
    whole = Means({"scrubbed": scrubbed, **given}, weights=weights, clusters=clusters, ceiling=bound)
    logs = np.log(np.asarray(amounts, dtype=np.float64))

    def amount(means: Mapping[str, float]) -> float:
        points = np.minimum.accumulate([means[name] for name in names])
        # np.interp wants increasing abscissae: the losses from last to first.
        return float(np.exp(np.interp(means["scrubbed"], points[::-1], logs[::-1])))

    means = {name: whole.value(name) for name in whole.columns}
    if means["scrubbed"] > means[names[0]]:
        return None, "less"
    if means["scrubbed"] < min(means[name] for name in names):
        return None, "more"
    return whole.of(amount), ""
