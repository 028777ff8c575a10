"""What a hypothesis claims, as things that can be given up one at a time: claims, members of claims, positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import groups
from scrubbing.data.classes import numbered, value_of
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.experiment.in_process import InProcess
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.verdict.held import codes, enclosing
from scrubbing.graph.nodes import MASK
from scrubbing.hypothesis.claims import WHOLE_INPUT
from scrubbing.hypothesis.treeify import Tree
from scrubbing.routes import Direct
from scrubbing.samplers import Agree, Cross, Sampler
from scrubbing.sampling.contexts import Member, Mode

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Unit:
    """A claim, or the claims of one group, whose feature can be crossed as one."""

    regions: tuple[int, ...]
    words: str
    variable: str
    feature: Feature
    data: Dataset
    positions: tuple[int, ...] | None
    """Where inputs are drawn, at each an input of its own, and the feature varies and something is read; None for a
    claim that draws one input."""
    depth: int
    """How many claims that draw per position it lies in, itself included."""
    at: int | None
    """Where a feature with a value per position is compared, of a claim that draws one input."""
    bits: float

    @cached_property
    def coded(self) -> tuple[Ints, int]:
        """The feature's values as numbers, `[n]` or `[n, positions]`, and how many there are."""
        return codes(self.feature, self.data, self.data)

    @property
    def values(self) -> int:
        """How many values the feature has, all positions together."""
        return self.coded[1]

    @property
    def is_whole_input(self) -> bool:
        """Whether only the input itself agrees."""
        return self.feature.op == "identity"

    @property
    def ways(self) -> tuple[dict[str, object], ...]:
        """How it is crossed: where inputs are drawn per position, at half of them too. Crossed at all, an input may be
        turned into its mirror image, on which much is as it was.
        """
        return ({},) if self.positions is None else ({"share": 0.5}, {})

    def value(self, code: int) -> object:
        """The value with this number, as plain Python."""
        return value_of(self.feature, self.data, numbered(self.feature, self.data)[1][code])

    def merged(self, classes: Ints) -> Feature:
        """The feature with the values of each class counting as equal, `[values]`."""
        return self.feature.merged(
            [self.value(int(v)) for v in np.flatnonzero(classes == c)] for c in np.unique(classes)
        )

    def crossed(self, mode: Mode, tree: Tree, **how: object) -> Mode:
        """The same run with this claim crossed."""
        return self._with(mode, {index: self._crossing(tree, index, **how) for index in self.regions})

    def coarsened(
        self, mode: Mode, tree: Tree, within: Feature | None, free: tuple[int, ...], share: float = 1.0
    ) -> Mode:
        """The same run with a coarser feature, and with nothing claimed at some positions.

        Args:
            mode: of the run.
            tree: of the hypothesis.
            within: the coarser feature; None for the claim's own.
            free: positions at which nothing is claimed.
            share: of positions, those at which values are exchanged.
        """
        own: dict[int, Sampler] = {}
        for index in self.regions:
            sampler = tree.regions[index].claim.sampler or Agree()
            if free:
                sampler = Cross(positions=free, share=share, otherwise=sampler)
            if within is not None:
                kept = tuple(p for p in self.positions or () if p not in free) if free else None
                sampler = Cross(within, kept, share=share, otherwise=sampler)
            own[index] = sampler
        return self._with(mode, own)

    def _with(self, mode: Mode, own: dict[int, Sampler]) -> Mode:
        kept = tuple(one for one in mode.samplers if one[0] not in own)
        return replace(mode, samplers=(*kept, *own.items()))

    def _crossing(self, tree: Tree, index: int, **how: object) -> Sampler:
        otherwise = tree.regions[index].claim.sampler or Agree()
        positions = self.positions if how.get("single") and "positions" not in how else None
        return replace(Cross(positions=positions, otherwise=otherwise), **how)


def units(job: Job) -> list[Unit]:
    """The claims that draw anything that could be crossed, the output's left out."""
    tree, read = job.tree, _read(job)
    by_group: dict[object, list[int]] = {}
    for region in tree.regions[1:]:
        sampler = region.claim.sampler or Agree()
        feature = sampler.compares(region.claim.variable.agrees_on())
        if feature.op == "constant" or (sampler.keeps(feature) and feature.op != "identity"):
            continue
        key = region.index if region.claim.group is None else (region.claim.group, feature)
        by_group.setdefault(key, []).append(region.index)
    found: list[Unit] = []
    for regions in by_group.values():
        first = tree.regions[regions[0]]
        feature = (first.claim.sampler or Agree()).compares(first.claim.variable.agrees_on())
        places = _places(tree, regions[0], feature, job.data, read)
        words = " and ".join(dict.fromkeys(tree.regions[index].claim.what for index in regions))
        depth = len(enclosing(tree, regions[0]))
        at = tree.at_one_position(regions[0]) if depth == 0 and feature.per == "position" else None
        bits = _bits(feature, job.data, places, at)
        if bits > 0:
            variable = first.claim.variable.name
            found.append(Unit(tuple(regions), words, variable, feature, job.data, places, depth, at, bits))
    return found


def members(tree: Tree) -> Iterator[tuple[int, str, frozenset[Member]]]:
    """What a claim names beside other things, and could do without: one target of several, one slot of several.

    Yields:
        Region, the member in words, and the member as a mode frees it.
    """
    for region in tree.regions:
        targets = tree.targets(region.index)
        for child in region.children:
            own = [(i, target) for i, (index, target, _) in enumerate(targets) if index == child]
            for i, target in own:
                if len(own) > 1:
                    yield child, str(target), frozenset({Member(region.index, i)})
                slots = _slots(tree, region.index, i)
                for slot in slots if len(slots) > 1 else ():
                    into = "" if target.read_slots else "into "
                    yield child, f"{targets[i][2]} {into}{slot}", frozenset({Member(region.index, i, slot)})


def _slots(tree: Tree, parent: int, number: int) -> list[str]:
    """The slots that a target reads, or those through which it enters the claim above, if directly."""
    _, target, node = tree.targets(parent)[number]
    if not target.read_slots:
        if not isinstance(target.route, Direct):
            return []
        slots = [tree.graph.slots.get(above, {}) for above in tree.regions[parent].nodes]
        met = dict.fromkeys(name for one in slots for name, slot in one.items() if node in slot.parents)
        return [name for name in met if not target.into_slots or name in target.into_slots]
    wanted = [slot for slot in tree.graph.slots[node] if target.claims_slot(slot)]
    assert target.read_slots == WHOLE_INPUT or set(wanted) <= set(target.read_slots)
    return wanted


def _read(job: Job) -> dict[int, tuple[int, ...]]:
    """Positions at which claims that draw per position are read at all, where the same for all inputs."""
    if not any(enclosing(job.tree, region.index) for region in job.tree.regions[1:]):
        return {}  # no plan is needed
    plan = InProcess(store=False, memory=2**30, spill=None).compile(job).plan
    found: dict[int, tuple[int, ...]] = {}
    for space in plan.space.walk():
        for region, demand in space.entered.items():
            if demand.kind == "fixed":
                found[region] = demand.fixed
    return found


def _places(
    tree: Tree, region: int, feature: Feature, data: Dataset, read: dict[int, tuple[int, ...]]
) -> tuple[int, ...] | None:
    spaces = enclosing(tree, region)
    if len(spaces) != 1:
        return None
    length, here = tree.graph.positions, tree.regions[spaces[0]].claim
    places = set(read.get(spaces[0], range(length)))
    chosen = [
        None if t.positions is None else t.positions.resolve(length, MASK in tree.graph.slots) for t in here.targets
    ]
    if all(one is not None for one in chosen):
        places &= {position for one in chosen if one is not None for position in one}
    if feature.per == "position":
        several = [len(values) > 1 for values in groups(feature, data).values]
        places = {position for position in places if several[position]}
    return tuple(sorted(places))


def _bits(feature: Feature, data: Dataset, places: tuple[int, ...] | None, at: int | None) -> float:
    """Entropy of what is claimed, over all positions at which it is."""
    table = groups(feature, data)
    if feature.per == "input":
        return table.entropy
    share = table.size / len(data)
    surprise = -share * np.log2(share)
    columns = np.repeat(np.arange(len(table.values)), [len(values) for values in table.values])
    wanted = ([at] if at is not None else range(len(table.values))) if places is None else places
    return float(surprise[np.isin(columns, list(wanted))].sum()) + 0.0
