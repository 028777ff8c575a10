"""How far a hypothesis reaches: what it recovers at the edge of its scope and outside, and inputs that it fails on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.errors import ScrubbingError
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.jobs import Job, Subject, jobs
from scrubbing.experiment.measured import Reference
from scrubbing.experiment.result import Result
from scrubbing.experiment.settings import Settings
from scrubbing.experiment.verdict.needed import ALPHA, MOVED
from scrubbing.experiment.verdict.runs import ALL_EXACT, NULL, Rise, Runs, Sample, rise_of
from scrubbing.metrics.slices import MAIN
from scrubbing.models.protocol import Model
from scrubbing.rng import stream_key, uniform

Rows = NDArray[np.int64]
MOST_OUTSIDE = 0.5
"""Share of the dataset that may lie outside the scope of a hypothesis that does not hold there."""
TAKEN, SHOWN = 20, 5
"""Inputs whose outputs move most, which are tried again, and how many of them are shown."""
EDGE, COMPARED = 0.1, 2000
"""Share of the inputs in scope that are at its edge, at least; inputs on either side that are compared, at most."""
_SEED = 400
"""Of the search; new draws have the next one."""


@dataclass(frozen=True)
class Counterexample:
    """An input on which the scrubbed model is far from the model."""

    id: int
    text: str
    moved: float
    """How far, on draws that it was not chosen by, as a share of how far outputs are in the null."""
    model: float
    scrubbed: float
    """Losses."""


@dataclass(frozen=True)
class Edge:
    """The inputs in scope that are nearest to those outside."""

    rows: Rows
    """Of the inputs in scope."""
    distance: int
    """Entries of what the model reads in which they differ from an input outside, at most."""
    lost: Rise | None = None
    """What is lost on them; None where the model is no better than the null there."""


@dataclass(frozen=True)
class Scope:
    """Inside, edge and outside of a scope."""

    inside: int
    total: int
    """Inputs."""
    inside_worst: tuple[Counterexample, ...]
    """Those that were furthest in the search first."""
    outside: Rise | None = None
    """What is lost where the same is claimed of the inputs outside; None where that cannot be said."""
    outside_worst: tuple[Counterexample, ...] = ()
    why_not: str = ""
    """Why nothing can be said of what lies outside."""
    edge: Edge | None = None
    """None where nothing is outside."""

    @property
    def is_narrow(self) -> bool:
        """Whether most of the dataset lies outside."""
        return self.total - self.inside > MOST_OUTSIDE * self.total


def scope(result: Result, executor: Executor) -> Scope:
    """Of the hypothesis of a result.

    Raises:
        NoFraction: SCR-FRACTION, the model is not better than the null.
    """
    result.loss_recovered("null")
    return reach(result, Runs.of(result, executor))


def reach(result: Result, runs: Runs) -> Scope:
    """As `scope`, where the model is known to be better than the null."""
    inside, total = len(result.data), len(result.job.subject.data)
    found = Scope(inside, total, _furthest(runs))
    if inside == total:
        return replace(found, why_not="no input is outside")
    found = replace(found, edge=_at_the_edge(runs))
    settings = _plain(result.settings)
    try:
        outside = Runs(_outside(result.job, settings), runs.executor, runs.asked, runs.draws, again=runs.again)
        lost = _lost(outside, outside.sample(0))
        if lost is None:
            return replace(found, why_not="the model is no better than the null there")
        return replace(found, outside=lost, outside_worst=_furthest(outside))
    except ScrubbingError as error:  # such as a feature that is constant there, or a value that only one input has
        return replace(found, why_not=error.faults[0].problem.rstrip("."))


def _plain(settings: Settings) -> Settings:
    """The same choices, of all inputs, and without what is only reported."""
    plain = settings.but(strata={}, slices={}, measures=(), controls=())
    return plain.but(references=None, shard=None, baselines=("null",), zero_baseline="null", extra_baselines={})


def _outside(scrub: Job, settings: Settings) -> Job:
    """The same claims about all inputs that are out of scope."""
    hypothesis, of = scrub.hypothesis, scrub.subject
    assert hypothesis.scope is not None
    subject = Subject.of(of.model, of.data, of.loss)  # further slices may have no position there
    return jobs(replace(hypothesis, scope=~hypothesis.scope), subject, settings)[0]


def _at_the_edge(runs: Runs) -> Edge:
    """What is lost on the inputs at the edge; inputs are drawn from the whole scope."""
    scrub = runs.scrub
    edge = edge_of(scrub)
    chosen = edge.rows[: runs.references]
    draws = max(runs.draws, int(np.ceil(runs.references * runs.draws / len(chosen))))
    sample = Sample(Reference(runs.data, np.sort(chosen), scrub.reference.slices.alone), draws, 0, whole=False)
    return replace(edge, lost=_lost(runs, sample))


def edge_of(scrub: Job) -> Edge:
    """The tenth of the inputs in scope that are nearest to an input outside, and all that are as near.

    The distance of two inputs is the number of entries (tokens, or numbers) of what the model reads in which they
    differ. Source: Hamming (1950) for the distance; that the nearest tenth is the edge is ours. Up to 2,000 inputs on
    either side are compared, chosen by hashed id.
    """
    of, model = scrub.hypothesis, scrub.subject.model
    assert of.scope is not None
    outside = replace(of, scope=~of.scope).in_scope(scrub.subject.data)
    counted = np.flatnonzero(scrub.reference.slices.weights(scrub.data)[MAIN] > 0)
    inside, there = _some(scrub.data, counted), _some(outside, np.arange(len(outside)))
    ours, theirs = _read(model, scrub.data, inside), _read(model, outside, there)
    distance = np.zeros((len(inside), len(there)), dtype=np.int32)
    for own, other in zip(ours.T, theirs.T, strict=True):
        distance += own[:, None] != other[None]
    nearest = distance.min(axis=1)
    limit = int(np.sort(nearest)[int(np.ceil(EDGE * len(nearest))) - 1])
    return Edge(inside[nearest <= limit], limit)


def _some(data: Dataset, rows: Rows) -> Rows:
    """Up to as many rows as are compared, in an order that depends on ids alone."""
    order = np.argsort(uniform(stream_key(_SEED, "edge of the scope"), data.ids[rows], 0), kind="stable")
    return rows[order][:COMPARED]


def _read(model: Model, data: Dataset, rows: Rows) -> NDArray[np.float64]:
    """Everything that the model reads of these inputs, `[rows, entries]`."""
    columns = model.inputs(data.take(rows)).columns.values()
    return np.concatenate([one.cpu().double().numpy().reshape(len(rows), -1) for one in columns], axis=1)


def _lost(runs: Runs, sample: Sample) -> Rise | None:
    null, model, scrubbed = runs.losses_of([(sample, NULL), (sample, ALL_EXACT), (sample, runs.scrub.mode)])
    gap = sample.rise(null - model, 1.0)
    return sample.rise(scrubbed - model, gap.mean) if gap.lower(ALPHA) > 0 else None


def _furthest(runs: Runs) -> tuple[Counterexample, ...]:
    """Inputs whose scrubbed output is furthest from the model's, that which was furthest in the search first. They are
    measured on new draws, on which they must be surely far: the worst of many looks worse than it is.
    """
    mode, data = runs.scrub.mode, runs.data
    searched = runs.sample(_SEED, references=runs.more)
    ((_, moved),) = runs.measured([(searched, mode)])
    counts = searched.reference.weights()[MAIN] > 0
    rows = searched.reference.rows[np.argsort(-moved.mean(axis=1) * counts, kind="stable")[:TAKEN]]
    again = Sample(Reference(data, rows, searched.reference.slices), 2 * runs.draws, _SEED + 1, whole=False)
    (model, _), (scrubbed, further) = runs.measured([(again, ALL_EXACT), (again, mode)])
    found: list[Counterexample] = []
    for row, own, lost, far in zip(rows, model, scrubbed, further, strict=True):
        rise = rise_of(far, np.ones(len(far)), runs.spread)
        if rise.lower(ALPHA / TAKEN) > MOVED * rise.gap:
            share = rise.mean / rise.gap
            found.append(
                Counterexample(int(data.ids[row]), data.show(int(row)), share, float(own.mean()), float(lost.mean()))
            )
    return tuple(found[:SHOWN])
