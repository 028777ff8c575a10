"""How much of model and input a hypothesis keeps, and how much it claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import groups
from scrubbing.data.features import Feature
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.verdict.claims import Unit, units
from scrubbing.records.schema import ModelNode, Size
from scrubbing.samplers import Agree
from scrubbing.sampling.contexts import REFERENCE

Codes = NDArray[Any]

_FEW = 8
"""Values per input up to which counting them all takes less time than sorting."""


def size(job: Job, of_nodes: list[ModelNode]) -> Size:
    """How much of model and input is kept."""
    of_bits = float(np.log2(len(job.data)))
    features: dict[Feature, None] = {}
    for region in job.tree.regions[1:]:
        context = job.contexts.of(region.index)
        if not region.children and context is REFERENCE:
            return _sized(job, of_nodes, of_bits, of_bits)  # it keeps its input whole
        if context.feature is not None:
            features[context.feature] = None
    positions = job.tree.graph.positions
    bits = sum(groups(f, job.data).entropy * (positions if f.per == "position" else 1) for f in features)
    if len(job.tree.regions) == 1:
        bits = of_bits
    return _sized(job, of_nodes, min(bits, of_bits), of_bits)


def _sized(job: Job, of_nodes: list[ModelNode], bits: float, of_bits: float) -> Size:
    nodes = sum(node.state == "claimed" for node in of_nodes)
    every = units(job)
    return Size(
        claims=len(job.tree.regions) - 1,
        nodes=nodes,
        of_nodes=len(of_nodes),
        bits=bits,
        of_bits=of_bits,
        claimed=sum(one.bits for one in every),
        conditional=sum(_beyond_parent(one, job) for one in every),
    )


def _beyond_parent(unit: Unit, job: Job) -> float:
    """Entropy of a claim's feature given that of the claim above it, over the positions at which it is claimed.

    Where either has a value per position, values at the same position are compared; a feature with one value per input
    under one with a value per position is given the latter at each position in turn, and the mean counts.
    """
    parent = job.tree.regions[unit.regions[0]].parent
    if not parent:
        return unit.bits  # the output holds the reference itself, given which nothing is left
    claim = job.tree.regions[parent].claim
    above = (claim.sampler or Agree()).compares(claim.variable.agrees_on())
    given, at_one = groups(above, job.data).group, job.tree.at_one_position(parent)
    own = groups(unit.feature, job.data).group
    if given.ndim > 1 and at_one is not None:
        given = given[:, at_one]
    places = unit.positions if unit.at is None else (unit.at,)
    if own.ndim == 1:
        pairs = [(own, one) for one in _columns(given, places)]
        return float(np.mean([_conditional(*pair) for pair in pairs]))
    pairs = zip(_columns(own, places), _columns(given, places, own.shape[1]), strict=True)
    return float(sum(_conditional(*pair) for pair in pairs))


def _columns(values: Codes, places: Sequence[int] | None, length: int = 1) -> Iterator[Codes]:
    """Values at each place, `[n]`; those of an input again and again."""
    if values.ndim == 1:
        yield from [values] * (length if places is None else len(places))
    else:
        yield from values.T if places is None else values.T[list(places)]


def _conditional(feature: Codes, given: Codes) -> float:
    """H(feature | given) in bits. Source: Shannon."""
    both = feature.astype(np.int64) * (int(given.max(initial=0)) + 1) + given
    return _entropy(both) - _entropy(given) + 0.0


def _entropy(values: Codes) -> float:
    few = int(values.max(initial=0)) < _FEW * len(values)
    count = np.bincount(values) if few else np.unique(values, return_counts=True)[1]
    share = count[count > 0] / len(values)
    return float(-(share * np.log2(share)).sum())
