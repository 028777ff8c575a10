"""Comparison of a run with an earlier one, input by input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import BadData, fail
from scrubbing.stats.influence import Influence, Losses, mean_loss

LEAST = 0.001
"""Difference of losses below which they are the same: other batches differ in the last digits."""
Measure = Callable[[Losses], Influence]
"""Function of one run's losses to compare: `mean_loss`, or another such as `metrics.recovered.recovered`."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two runs on the reference inputs they have in common."""

    before: Influence
    after: Influence
    ids: NDArray[np.int64]
    """The common inputs, in the order of the later run."""
    only_before: int
    """Inputs left out because the later run does not have them."""
    only_after: int
    """Inputs left out because the earlier run does not have them."""

    @property
    def change(self) -> Influence:
        """After minus before."""
        return self.after - self.before

    @property
    def is_nothing(self) -> bool:
        """Whether no input changed, but for the last digits."""
        return bool(np.abs(self.change.each).max(initial=0.0) < LEAST)


def compare(before: Losses, after: Losses, measure: Measure = mean_loss) -> Comparison:
    """Compare two runs on their common inputs.

    What makes an input hard (and, with a common seed, the inputs drawn for it) is the same in both runs and cancels, so
    that few inputs suffice to show a small change. Each run has its own weights, so that its estimate is the one in its
    record. Clusters are those of the later run if it has any, otherwise those of the earlier.

    Raises:
        BadData: SCR-REFERENCES, the runs have no input in common.
    """
    _, here, there = np.intersect1d(after.ids, before.ids, return_indices=True)
    order = np.argsort(here)
    here, there = here[order], there[order]
    if not len(here):
        problem = f"runs on {len(before.ids)} and {len(after.ids)} reference inputs have none in common."
        fail(BadData, "SCR-REFERENCES", problem, "Compare runs with the same dataset and seed.", "comparison")
    left, right = before.rows(there), after.rows(here)
    clusters = left.clusters if right.clusters is None else right.clusters
    return Comparison(
        measure(replace(left, clusters=clusters)),
        measure(replace(right, clusters=clusters)),
        right.ids,
        len(before.ids) - len(here),
        len(after.ids) - len(here),
    )
