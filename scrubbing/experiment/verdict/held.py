"""Which input each claim held in every draw: draws are functions of counters, so they are looked up, not recorded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.classes import distinct, numbered
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.experiment.jobs import Job
from scrubbing.hypothesis.treeify import Tree
from scrubbing.sampling.frames import Frame

Ints = NDArray[np.int64]


def held(job: Job, region: int) -> tuple[Dataset, Ints]:
    """The inputs that a claim held: a dataset, and rows of it, `[references, draws]`, or `[references, draws,
    positions]` for a claim that draws per position (or lies under one that does).

    Where a generator made them, they are of a dataset of its own.
    """
    n, draws = len(job.reference.rows), job.draws
    rows, numbers = np.repeat(job.reference.rows, draws), np.tile(np.arange(draws), n)
    frame = Frame.root(job.data, rows, numbers, job.seed, {}, job.subject.real)
    context, shape = job.contexts.of(region), (n, draws)
    length = job.tree.graph.positions
    for space in enclosing(job.tree, region):
        # One row per token, as if every one of them were read: which are makes no difference to what each draws.
        frame = frame.below(
            space, np.repeat(np.arange(len(frame)), length), np.tile(np.arange(length), len(frame)), length
        )
        shape = (*shape, length)
    data, found = frame.source(context)
    return data, found.reshape(shape)


def codes(feature: Feature, data: Dataset, home: Dataset) -> tuple[Ints, int]:
    """Every value of a feature as a number, one numbering for all positions: `[n]` or `[n, positions]`, and how many.

    Args:
        feature: of a claim.
        data: whose values are wanted.
        home: the inputs in scope, whose values are numbered; one that is not among them is -1.
    """
    number, first = numbered(feature, home)
    if data is home:
        return number.astype(np.int64), len(first)
    values = feature(home)
    present = (values.reshape(-1) if feature.per == "position" else values)[first]
    other = feature(data)
    flat = other.reshape(-1) if feature.per == "position" else other
    both = distinct(np.concatenate([present, flat]))[1]
    known = np.full(int(both.max(initial=0)) + 1, -1, dtype=np.int64)
    known[both[: len(present)]] = np.arange(len(present))
    shape = other.shape[:1] if feature.per == "input" else other.shape
    return known[both[len(present) :]].reshape(shape), len(present)


def enclosing(tree: Tree, region: int) -> list[int]:
    """Claims that draw per position, from the output down to this one."""
    found: list[int] = []
    at: int | None = region
    while at is not None:
        here = tree.regions[at]
        if here.parent is not None and here.claim.each:
            found.append(at)
        at = here.parent
    return found[::-1]


def parent_held(job: Job, region: int) -> tuple[Dataset, Ints]:
    """The inputs that a claim had to agree with, row by row as in `held`."""
    above = job.tree.regions[region].parent
    assert above is not None
    data, rows = held(job, above)
    of = held(job, region)[1]
    return data, np.broadcast_to(rows.reshape(rows.shape + (1,) * (of.ndim - rows.ndim)), of.shape)
