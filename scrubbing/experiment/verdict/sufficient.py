"""Whether what is claimed is enough: together, apart, and for every value it was asked to agree with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scrubbing.experiment.result import Result
from scrubbing.experiment.verdict.claims import Unit
from scrubbing.experiment.verdict.held import codes, parent_held
from scrubbing.experiment.verdict.runs import ALL_EXACT, Rise, Runs, Sample, rise_of
from scrubbing.metrics.slices import MAIN

Floats = NDArray[np.float64]
FLAGGED = 0.05
"""Share of the gap that a value must cost, where it is held, to be named."""
FEWEST, MOST = 8, 500
"""References with a value from which it is judged; tests of values above which none are made for a claim."""


@dataclass(frozen=True)
class Wrong:
    """A value for which scrubbing costs much, though all claims agree on it."""

    unit: Unit
    value: object
    position: int | None
    rise: Rise


def together(result: Result) -> Rise:
    """What scrubbing costs, on all references of a run."""
    return _of(result, result.losses["scrubbed"] - result.losses["model"][:, None])


def cancelled(result: Result) -> Rise:
    """By how much the losses of single draws fall below the model's own: as much of what is lost is hidden by that."""
    return _of(result, (result.losses["model"][:, None] - result.losses["scrubbed"]).clip(min=0))


def sample_of(result: Result) -> Sample:
    """The references and draws of a result itself."""
    reference = result.job.reference
    whole = len(reference.rows) == int((reference.slices.weights(reference.data)[MAIN] > 0).sum())
    return Sample(reference, result.job.draws, result.job.seed, whole)


def _of(result: Result, difference: Floats) -> Rise:
    losses, sample = result.losses, sample_of(result)
    gap = sample.rise(losses["null"] - losses["model"][:, None], 1.0).mean
    return sample.rise(difference, gap)


def wrong_values(runs: Runs, units: Sequence[Unit], gap: float, alpha: float) -> list[Wrong]:
    """Values of claimed features for which scrubbing costs much, on references spread over them. Each claim's values
    share the level.
    """
    return [wrong for unit in units for wrong in _wrong_of(runs, unit, gap, alpha)]


def _wrong_of(runs: Runs, unit: Unit, gap: float, alpha: float) -> Iterator[Wrong]:
    if (
        unit.is_whole_input
        or unit.depth > 1
        or unit.values * (1 if unit.positions is None else len(unit.positions)) > MOST
    ):
        return
    sample = runs.sample(1, unit.feature)
    scrubbed, own = runs.losses_of([(sample, runs.scrub.mode), (sample, ALL_EXACT)])
    rise, region = scrubbed - own, unit.regions[0]
    data, rows = parent_held(runs.job(sample, runs.scrub.mode), region)
    number = codes(unit.feature, data, unit.data)[0]
    if number.ndim == 1:
        places: dict[int | None, NDArray[np.int64]] = {None: number[rows] if rows.ndim == 2 else number[rows][..., 0]}
    elif unit.positions is None:
        places = {unit.at: number[rows, unit.at]}
    else:
        places = {p: number[rows[..., p] if rows.ndim == 3 else rows, p] for p in unit.positions}
    tests = sum(len(np.unique(one)) for one in places.values())
    for position, values in places.items():
        for value in np.unique(values[values >= 0]):
            found = _where(rise, values == value, gap)
            if found is not None and found.lower(alpha / tests) > FLAGGED * gap:
                yield Wrong(unit, unit.value(int(value)), position, found)


def _where(rise: Floats, chosen: NDArray[np.bool_], gap: float) -> Rise | None:
    """Mean over the chosen draws, a reference with some of them being one unit."""
    number = chosen.sum(axis=1)
    some = number > 0
    if some.sum() < FEWEST:
        return None
    mean = (rise * chosen).sum(axis=1)[some] / number[some]
    return rise_of(mean, np.ones(int(some.sum())), gap)
