"""Where what is lost is lost: Shapley values of restoring one claim at a time, and what is unclaimed.

Players are the claims (those of one group as one) and what is unclaimed. A claim is restored by letting it hold the
input of the claim above it; what is unclaimed, by not exchanging it. Restoring all gives the model itself. The value of
a player is by how much its restoration lowers the loss, averaged over all orders in which players can be restored, so
that values sum to what is lost, in every order and so in their mean. Source: Shapley, "A value for n-person games"
(1953); sampling of orders as in Castro, Gomez and Tejada (2009), each with its reverse as in Mitchell et al. (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from scrubbing.experiment.executors import Executor
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.result import Result
from scrubbing.experiment.verdict.runs import Runs, Sample, rise_of
from scrubbing.experiment.verdict.sufficient import together
from scrubbing.hypothesis.treeify import Tree
from scrubbing.metrics.slices import MAIN
from scrubbing.records.attribution import Attribution, PlayerShare
from scrubbing.records.measured import Number
from scrubbing.samplers import Agree
from scrubbing.sampling.contexts import Mode
from scrubbing.stats.critical import fixed_size

Floats = NDArray[np.float64]

MOST_EXACT = 5
"""Players up to which all subsets are run."""
BLOCKS = 10
"""Independent sets of references, each with an order of its own and its reverse."""
RUNS = 40
"""Runs of all references that sampling may take; with more players than these allow there are fewer references."""
_ALPHA = 0.05
_SEED = 100
"""Of the references of the first block, and of the draws: not those that tests of the verdict use."""


@dataclass(frozen=True)
class Player:
    """What can be restored: a claim, the claims of one group, or what is unclaimed, which has no regions."""

    regions: tuple[int, ...]
    what: str
    variable: str
    below: str = ""
    """The claim above, in words; empty below the output."""
    depth: int = 0
    """How many claims lie above it."""


def players(job: Job) -> list[Player]:
    """All that holds another input than what lies above it, the unclaimed last."""
    tree = job.tree
    by_group: dict[object, list[int]] = {}
    for region in tree.regions[1:]:
        sampler = region.claim.sampler or Agree()
        if sampler.keeps(sampler.compares(region.claim.variable.agrees_on())):
            continue
        key = region.index if region.claim.group is None else region.claim.group
        by_group.setdefault(key, []).append(region.index)
    found = [
        Player(
            tuple(regions),
            " and ".join(dict.fromkeys(tree.regions[index].claim.what for index in regions)),
            tree.regions[regions[0]].claim.variable.name,
            " and ".join(dict.fromkeys(_above(tree, index) for index in regions)),
            max(tree.depth(index) for index in regions),
        )
        for regions in by_group.values()
    ]
    return [*found, Player((), "", "")]


def restored(mode: Mode, who: Sequence[Player]) -> Mode:
    """The same run with these players restored."""
    regions = {region for one in who for region in one.regions}
    exact = any(not one.regions for one in who)
    return replace(mode, kept=mode.kept | regions, unclaimed="exact" if exact else mode.unclaimed)


def attribution(result: Result, executor: Executor) -> Attribution:
    """Of a result with the null, on references of its own.

    Raises:
        NoFraction: SCR-FRACTION, the model is not better than the null.
    """
    result.loss_recovered("null")
    return attribute(Runs.of(result, executor), together(result).gap)


def attribute(runs: Runs, gap: float) -> Attribution:
    """What is lost, shared out among claims and what is unclaimed.

    Args:
        runs: of the hypothesis.
        gap: loss of the null minus that of the model; shares are of it.
    """
    who = players(runs.scrub)
    few = len(who) <= MOST_EXACT
    found = _all_subsets(runs, who) if few else _sampled_orders(runs, who)
    shares = [
        PlayerShare(what=one.what, variable=one.variable, below=one.below, share=found.number(values, gap))
        for one, values in zip(who, found.values, strict=True)
    ]
    return Attribution(
        method="all subsets" if few else "sampled orders",
        orders=factorial(len(who)) if few else 2 * BLOCKS,
        references=found.references,
        draws=found.draws,
        lost=found.number(found.values.sum(axis=0), gap),
        shares=sorted(shares, key=lambda one: -one.share.value),
    )


@dataclass(frozen=True)
class _Shared:
    """Values of all players for every independent unit."""

    values: Floats
    """`[players, units]`, in the unit of the loss."""
    weights: Floats
    """Of the units, `[units]`."""
    references: int
    draws: int

    def number(self, values: Floats, gap: float) -> Number:
        """The mean of one value per unit as a share of the gap, with its interval."""
        rise = rise_of(values, self.weights, gap)
        if rise.n < 2:
            return Number(value=rise.mean / gap, se=None, low=None, high=None)
        half = fixed_size(rise.n, _ALPHA / 2) * rise.se
        ends = (one / gap for one in (rise.mean, rise.se, rise.mean - half, rise.mean + half))
        return Number(**dict(zip(("value", "se", "low", "high"), ends, strict=True)))


def _all_subsets(runs: Runs, who: Sequence[Player]) -> _Shared:
    """Every subset restored, on the same references."""
    n, sample = len(who), runs.sample(_SEED)
    subsets = [frozenset(some) for size in range(n + 1) for some in combinations(range(n), size)]
    modes = [restored(runs.scrub.mode, [who[i] for i in some]) for some in subsets]
    losses = dict(zip(subsets, runs.losses_of([(sample, mode) for mode in modes]), strict=True))
    values = np.zeros((n, *losses[frozenset()].shape))
    for some, loss in losses.items():
        for i in set(range(n)) - some:
            orders = factorial(len(some)) * factorial(n - len(some) - 1) / factorial(n)
            values[i] += orders * (loss - losses[some | {i}])
    weights, rows = sample.reference.weights()[MAIN], len(sample.reference.rows)
    if sample.whole:  # only draws are chosen at random
        return _Shared(values.reshape(n, -1), np.repeat(weights, sample.draws), rows, sample.draws)
    return _Shared(values.mean(axis=2), weights, rows, sample.draws)


def _sampled_orders(runs: Runs, who: Sequence[Player]) -> _Shared:
    """In each block of references, one order and its reverse: blocks are independent, and so are their orders."""
    n = len(who)
    each = max(1, int(runs.references * min(1.0, RUNS / (2 * n)) / BLOCKS))
    rng = np.random.default_rng(runs.scrub.seed)
    chains: list[tuple[Sample, list[int]]] = []
    for block in range(BLOCKS):
        sample, order = runs.sample(_SEED + block, None, each), rng.permutation(n).tolist()
        chains += [(sample, order), (sample, order[::-1])]
    mode = runs.scrub.mode
    asked = [
        (sample, restored(mode, [who[i] for i in order[:size]])) for sample, order in chains for size in range(n + 1)
    ]
    losses = runs.losses_of(asked)
    values, weights = np.zeros((n, BLOCKS)), np.zeros(BLOCKS)
    for number, (sample, order) in enumerate(chains):
        of = sample.reference.weights()[MAIN]
        means = [np.average(one.mean(axis=1), weights=of) for one in losses[number * (n + 1) : (number + 1) * (n + 1)]]
        values[order, number // 2] += -np.diff(means) / 2
        weights[number // 2] = of.sum()
    draws = chains[0][0].draws
    return _Shared(values, weights, sum(len(one.reference.rows) for one, _ in chains[::2]), draws)


def _above(tree: Tree, region: int) -> str:
    above = tree.regions[region].parent
    return tree.regions[above].claim.what if above else ""
