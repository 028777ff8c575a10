"""The worst that a hypothesis permits: inputs that stand in for others, chosen against it.

A scrub draws anew for each reference, so that what is lost is what permitted exchanges cost on average. An adversary
chooses. It must choose for a whole batch at once, or it would fit single inputs: one assignment says, for each claim,
which input stands in for those with a value of its feature, and one for all where nothing is claimed. Random
assignments are tried; the worst on one half of the references is reported on the other. Source: ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.result import Result
from scrubbing.experiment.verdict.held import enclosing, held, parent_held
from scrubbing.experiment.verdict.runs import ALL_EXACT, NULL, Rise, Runs, Sample, rise_of
from scrubbing.metrics.slices import MAIN
from scrubbing.samplers import Agree
from scrubbing.sampling.frames import Frame

Floats = NDArray[np.float64]

ASSIGNMENTS = 32
"""That are tried."""
_SEED = 300
"""Of references and assignments, which are not those of other tests."""
_SHOWN = 6
"""Inputs of the worst assignment that are named, for each claim."""


@dataclass(frozen=True)
class StandIn:
    """What the worst assignment put in for a value of a claim."""

    what: str
    """The claim, in words; empty for what is unclaimed."""
    value: str
    id: int
    text: str


@dataclass(frozen=True)
class Adversary:
    """What is lost to assignments, with the model's loss subtracted."""

    stochastic: Rise
    """Inputs drawn anew for each reference, as the scrub does."""
    average: Rise
    """One assignment for all references, on average over those tried."""
    worst: Rise
    """The worst assignment of those tried, on references that it was not chosen by; on all, where these are all there
    are."""
    whole: bool
    """Whether the references are all inputs in scope, so that the loss of an assignment is known exactly."""
    tried: int
    number: int
    """Of the worst assignment."""
    held: tuple[StandIn, ...]


def adversary(result: Result, executor: Executor, assignments: int = ASSIGNMENTS) -> Adversary:
    """Of a result with the null, on references of its own.

    Raises:
        NoFraction: SCR-FRACTION, the model is not better than the null.
    """
    result.loss_recovered("null")
    runs = Runs.of(result, executor)
    usual, mode = runs.sample(_SEED), runs.scrub.mode
    tried = replace(usual, draws=assignments)
    null, model, scrubbed, shared = runs.losses_of(
        [(usual, NULL), (usual, ALL_EXACT), (usual, mode), (tried, replace(mode, shared=True))]
    )
    own = model.mean(axis=1, keepdims=True)
    gap = usual.rise(null - own, 1.0).mean
    rise, weights = shared - own, usual.reference.weights()[MAIN]
    chosen_by, reported = (np.full(len(own), True),) * 2 if usual.whole else _halves(usual)
    number = int(np.argmax(np.average(rise[chosen_by], axis=0, weights=weights[chosen_by])))
    job = runs.job(tried, replace(mode, shared=True))
    return Adversary(
        stochastic=usual.rise(scrubbed - own, gap),
        average=rise_of(rise.mean(axis=1), weights, gap),
        worst=rise_of(rise[reported, number], weights[reported], gap),
        whole=usual.whole,
        tried=assignments,
        number=number,
        held=tuple(_held(job, number)),
    )


def _halves(sample: Sample) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two halves of the references that count, bool `[references]` each."""
    counts = sample.reference.weights()[MAIN] > 0
    first = sample.reference.rank() % 2 == 0
    return counts & first, counts & ~first


def _held(job: Job, number: int) -> Iterator[StandIn]:
    """What stood in for what; claims that draw per position are left out, as their values are too many."""
    root = job.tree.regions[0].unclaimed
    unclaimed = job.contexts.unclaimed(0)
    if unclaimed.sampler is not None and not root.separately and unclaimed.sampler.ignores_held(root.feature):
        row = job.reference.rows[:1]
        frame = Frame.root(job.data, row, np.array([number]), job.seed, {}, job.subject.real)
        yield _stand_in("", "", *frame.source(unclaimed))
    for region in job.tree.regions[1:]:
        feature = (region.claim.sampler or Agree()).compares(region.claim.variable.agrees_on())
        if enclosing(job.tree, region.index) or feature.op == "identity":
            continue
        (data, rows), (above, before) = held(job, region.index), parent_held(job, region.index)
        at = job.tree.at_one_position(region.index) if feature.per == "position" else None
        values = feature(above) if at is None else feature(above)[:, at]
        _, first = np.unique(values[before[:, number]].reshape(len(before), -1), axis=0, return_index=True)
        for i in first[:_SHOWN]:
            value = "" if feature.op == "constant" else str(feature.value_at(above, int(before[i, number]), at))
            yield _stand_in(region.claim.what, value, data, rows[i : i + 1, number])


def _stand_in(claim: str, value: str, data: Dataset, rows: NDArray[np.int64]) -> StandIn:
    return StandIn(claim, value, int(data.ids[rows[0]]), data.show(int(rows[0])))
