"""What the model can do without the mechanism: what is claimed is removed, and what is unclaimed kept.

Several formulas are published as "completeness"; here are two. What remains of the performance where all of the
mechanism is removed from the model: Marks et al., "Sparse feature circuits" (2024). And, for parts of the mechanism,
how far model and mechanism differ where both lack the part: Wang et al., "Interpretability in the wild" (2022). To
remove is to put in another input's activation, or the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from scrubbing.experiment.executors import Executor
from scrubbing.experiment.result import Result
from scrubbing.experiment.verdict.runs import ALL_EXACT, NULL, Rise, Runs
from scrubbing.experiment.verdict.sufficient import sample_of, together
from scrubbing.hypothesis.treeify import Tree
from scrubbing.samplers import Agree
from scrubbing.sampling.contexts import Member, Mode

SETS = 8
"""Sets of several claims that are removed together, beside each claim alone and all."""
FEW = 4
"""Claims up to which all sets are."""
_TRIES = 9
"""Times as many sets are drawn, in which each claim is half of the time, since some are alike, or of one claim."""
_SEED = 0
"""Of the references and draws, on which the null is run anyway."""


@dataclass(frozen=True)
class Removed:
    """Some claims, removed from model and hypothesis."""

    claims: tuple[str, ...]
    """In words; empty for all of them."""
    model: Rise
    """What the model still recovers without them."""
    hypothesis: Rise
    """What the scrubbed model still recovers without them."""
    difference: Rise
    """How much more that of the model is."""


@dataclass(frozen=True)
class Complete:
    """What is left without the mechanism, as rises over the null; none where the mechanism is all there is."""

    paths: Rise
    """The paths of the deepest claims hold another input; all other inputs of the nodes on the way are kept."""
    nodes: Rise
    """The nodes claimed directly below the output hold another input, whatever they read."""
    mean: Rise
    """These nodes are at their mean over the dataset."""
    constant: Rise | None
    """What the constant prediction recovers. Means hedge as it does, and so may recover as much without knowing
    anything. None where there is no constant."""
    removed: tuple[Removed, ...] = ()


def complete(result: Result, executor: Executor, sets: int = SETS) -> Complete | None:
    """Of a result with the null, on references of its own; None where nothing is claimed to carry anything.

    Raises:
        NoFraction: SCR-FRACTION, the model is not better than the null.
    """
    result.loss_recovered("null")
    runs = Runs.of(result, executor)
    found = remaining(result, runs)
    return None if found is None else replace(found, removed=tuple(_each(runs, sets)))


def remaining(result: Result, runs: Runs) -> Complete | None:
    """What is left with everything claimed removed, in three ways; None where nothing is claimed."""
    tree = runs.scrub.tree
    deepest, top = _deepest(tree), [one for one in _carriers(tree) if tree.regions[one].parent == 0]
    if not top:
        return None
    modes = [_without(tree, ALL_EXACT, deepest), _without(tree, ALL_EXACT, top)]
    paths, nodes, mean = _left(runs, [*modes, Mode(claimed="mean", unclaimed="exact")])
    return Complete(paths, nodes, mean, _constant(result))


def _each(runs: Runs, sets: int) -> Iterator[Removed]:
    tree = runs.scrub.tree
    carriers = _carriers(tree)
    for some in _chosen(carriers, sets, runs.scrub.seed):
        modes = [_without(tree, mode, some) for mode in (ALL_EXACT, runs.scrub.mode)]
        sample = runs.sample(_SEED)
        ours, theirs = runs.losses_of([(sample, mode) for mode in modes])
        model, hypothesis = _left(runs, modes)
        words = () if len(some) == len(carriers) else tuple(tree.regions[one].claim.what for one in some)
        yield Removed(words, model, hypothesis, sample.rise(theirs - ours, model.gap))


def _left(runs: Runs, modes: Sequence[Mode]) -> list[Rise]:
    """By how much losses in these modes are below that of the null, whose draws are those of what is removed."""
    sample = runs.sample(_SEED)
    null, model, *found = runs.losses_of([(sample, mode) for mode in (NULL, ALL_EXACT, *modes)])
    gap = sample.rise(null - model, 1.0).mean
    return [sample.rise(null - losses, gap) for losses in found]


def _constant(result: Result) -> Rise | None:
    if "constant" not in result.losses:
        return None
    gap = together(result).gap
    losses, sample = result.losses, sample_of(result)
    return sample.rise(losses["null"] - losses["constant"][:, None], gap)


def _without(tree: Tree, mode: Mode, regions: Sequence[int]) -> Mode:
    """The same run with these claims holding one other input between them, with all that lies below them."""
    members = frozenset(
        Member(above, i)
        for region in regions
        if (above := tree.regions[region].parent) is not None
        for i, (child, *_) in enumerate(tree.targets(above))
        if child == region
    )
    return replace(mode, freed=mode.freed | members, together=True)


def _carriers(tree: Tree) -> list[int]:
    """Claims that say that something is carried."""
    found: list[int] = []
    for region in tree.regions[1:]:
        sampler = region.claim.sampler or Agree()
        if sampler.compares(region.claim.variable.agrees_on()).op != "constant":
            found.append(region.index)
    return found


def _deepest(tree: Tree) -> list[int]:
    """Of these, those with none of them below."""
    carriers = _carriers(tree)
    above: set[int] = set()
    for one in carriers:
        at = tree.regions[one].parent
        while at is not None:
            above.add(at)
            at = tree.regions[at].parent
    return [one for one in carriers if one not in above]


def _chosen(carriers: Sequence[int], sets: int, seed: int) -> list[tuple[int, ...]]:
    """Each claim alone, some sets of several (all sets, if they are few), and all claims."""
    n = len(carriers)
    rng = np.random.default_rng([seed, n])
    several = [some for size in range(2, n) for some in combinations(carriers, size)] if n <= FEW else []
    for _ in range(0 if n <= FEW else _TRIES * sets):
        some = tuple(one for one, there in zip(carriers, rng.integers(0, 2, n).tolist(), strict=True) if there)
        several += [some] if 1 < len(some) < n else []
    several = list(dict.fromkeys(several))[: None if n <= FEW else sets]
    return [*((one,) for one in carriers), *several, *([tuple(carriers)] if n > 1 else [])]
