"""The tighter hypothesis: the same claims without what is not needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from scrubbing.data.features import Feature
from scrubbing.graph.positions import Positions
from scrubbing.hypothesis.claims import WHOLE_INPUT, Claim, Target
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.treeify import Tree
from scrubbing.hypothesis.variables import Variable
from scrubbing.sampling.contexts import Member


def tighter(
    tree: Tree,
    dropped: Collection[int],
    freed: Collection[Member],
    features: Mapping[int, Feature],
    positions: Mapping[int, tuple[int, ...]],
) -> Hypothesis:
    """A hypothesis with less in it. A claim of which no member is left is left out, with all below it.

    Args:
        tree: of the hypothesis.
        dropped: regions of claims that are left out, with all below them.
        freed: members that are left out.
        features: coarser features, by region.
        positions: positions that are kept, by region.
    """
    hypothesis = tree.hypothesis
    assert isinstance(hypothesis, Hypothesis)
    known: dict[tuple[Variable, Feature], Variable] = {}

    def variable(region: int, claim: Claim) -> Variable:
        coarser = features.get(region)
        if coarser is None:
            return claim.variable
        key = claim.variable, coarser
        if key not in known:
            others = sum(before == claim.variable for before, _ in known)
            known[key] = Variable(f"{claim.variable.name} (coarser{f' {others + 1}' if others else ''})", coarser)
        return known[key]

    def made(region: int) -> Claim | None:
        placed = tree.regions[region]
        targets = _targets(tree, region, freed)
        if not targets:
            return None
        if region in positions:
            targets = tuple(replace(one, positions=Positions(positions[region])) for one in targets)
        below = [made(child) for child in placed.children if child not in dropped]
        children = tuple(one for one in below if one is not None)
        return replace(placed.claim, targets=targets, variable=variable(region, placed.claim), children=children)

    root = made(0)
    assert root is not None
    return replace(hypothesis, name=f"{hypothesis.name}, tighter", correspondence=root)


def _targets(tree: Tree, region: int, freed: Collection[Member]) -> tuple[Target, ...]:
    """The targets of a claim that are left, and of each the slots that are left: without any, it is gone too."""
    parent = tree.regions[region].parent
    if parent is None:
        return tree.regions[region].claim.targets
    found: list[Target] = []
    for number, (child, target, node) in enumerate(tree.targets(parent)):
        if child != region or Member(parent, number) in freed:
            continue
        gone = {member.slot for member in freed if (member.parent, member.target) == (parent, number)}
        if gone and not target.read_slots:
            met = [slot for above in tree.regions[parent].nodes for slot in tree.graph.slots.get(above, {})]
            allowed = target.into_slots or tuple(dict.fromkeys(met))
            left = tuple(slot for slot in allowed if slot not in gone and slot != "mask")
            if not left:
                continue
            target = replace(target, into_slots=left)
        elif gone:
            slots = [slot for slot in tree.graph.slots[node] if target.claims_slot(slot) and slot not in gone]
            assert target.read_slots == WHOLE_INPUT or set(slots) <= set(target.read_slots)
            if not slots:
                continue
            target = replace(target, read_slots=tuple(slots))
        found.append(target)
    return tuple(found)
