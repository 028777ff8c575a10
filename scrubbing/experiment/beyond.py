"""What a record says beside its losses: what recalibration leaves, and how much training a scrubbed model is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.metrics.equivalent import Series, equivalent
from scrubbing.metrics.recalibration import Sample, recalibrate
from scrubbing.records.schema import Equivalent, Number, Recalibrated
from scrubbing.stats.intervals import Means

Floats = NDArray[np.float64]


def recalibrated(
    sample: Sample | None,
    counted: Floats,
    clusters: NDArray[Any] | None,
    bound: float | None,
) -> Recalibrated | None:
    """After the best affine recalibration of the logits.

    Args:
        sample: None where there are no classes, or few references.
        counted: positions of each reference, `[n]`.
        clusters: family of each reference, `[n]`.
        bound: the largest loss on a reference that was not drawn; see `scrubbing.stats.intervals.ceilings`.
    """
    if sample is None:
        return None
    temperature, weight, after, before = recalibrate(sample)
    at, places = np.unique(sample.kept.reference[sample.held_out], return_inverse=True)
    number = np.bincount(places)
    columns = {name: np.bincount(places, x) / number for name, x in (("after", after), ("before", before))}
    families = None if clusters is None else clusters[at]
    both = Means(columns, weights=counted[at], clusters=families, ceiling=bound)
    return Recalibrated(
        temperature=temperature if np.isfinite(temperature) else None,
        prior=weight,
        loss=Number.of(both.mean("after")),
        before=Number.of(both.mean("before")),
        references=len(at),
    )


def worth(
    series: Series,
    losses: Sequence[Any],
    scrubbed: Floats,
    weights: Floats,
    clusters: NDArray[Any] | None,
    bound: float | None,
) -> Equivalent:
    """The amount of training at which the model itself had the scrubbed loss.

    Args:
        series: of unscrubbed models.
        losses: of each, one number or one per reference `[n]`.
        scrubbed: `[n, draws]`.
        weights: of the references, `[n]`.
        clusters: family of each reference, `[n]`.
        bound: the largest loss on a reference that was not drawn; see `scrubbing.stats.intervals.ceilings`.
    """
    amounts = series.amounts
    amount, beyond = equivalent(amounts, losses, scrubbed, weights, clusters, bound)
    if amount is not None:
        return Equivalent(what=series.what, unit=series.unit, amount=Number.of(amount))
    end = amounts[-1] if beyond == "more" else amounts[0]
    at = "last" if beyond == "more" else "first"
    return Equivalent(what=series.what, unit=series.unit, amount=None, beyond=at, end=end)
