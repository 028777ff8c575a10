"""Legality: everything that can be wrong with a hypothesis, found before anything runs and reported together."""

from __future__ import annotations

from collections.abc import Iterator

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, anything
from scrubbing.errors import Fault, IllegalHypothesis, ScrubbingError, UsageError, fail, nearest
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import LOGITS, MASK, Node
from scrubbing.graph.positions import Where
from scrubbing.hypothesis.claims import WHOLE_INPUT, Claim, Target
from scrubbing.hypothesis.meeting_faults import meeting_faults
from scrubbing.hypothesis.statement import Statement
from scrubbing.hypothesis.treeify import PlacedClaim, Tree, treeify
from scrubbing.parts import InputPart, Part
from scrubbing.samplers import Agree, Sampler
from scrubbing.storable import Complaint, unusable

_EXPLAINED_BY = {"SCR-PART", "SCR-POSITION", "SCR-SLOT"}
"""A claim with one of these faults meets no path; to report that as well would say the same thing twice."""


def legal(hypothesis: Statement, graph: ModelGraph, data: Dataset | None = None, read: Where | None = None) -> Tree:
    """Check a hypothesis against a graph (and a dataset), and return it treeified. Nothing runs without this check.

    Args:
        hypothesis: what is claimed.
        graph: of the model on this dataset.
        data: inputs, before the hypothesis's scope is applied; without them, only what needs none is checked.
        read: positions at which a loss reads the output; None, where that is not known, for all positions.

    Returns:
        The tree; its `data` are the inputs in scope.

    Raises:
        IllegalHypothesis: lists every fault found.
    """
    if not isinstance(hypothesis, Statement):
        problem = f"a hypothesis was expected, and this is of type {type(hypothesis).__name__}."
        fail(UsageError, "SCR-CLAIM", problem, "Write Hypothesis(name, sentence, correspondence).")
    tree, found = _examined(hypothesis, graph, data, read)
    if found:
        raise IllegalHypothesis(found, f'"{hypothesis.name}" cannot be tested as written')
    return tree


def faults(
    hypothesis: Statement, graph: ModelGraph, data: Dataset | None = None, read: Where | None = None
) -> list[Fault]:
    """Everything wrong with a hypothesis on this model graph, and on this dataset if one is given; see `legal`."""
    return _examined(hypothesis, graph, data, read)[1]


def _examined(
    hypothesis: Statement, graph: ModelGraph, data: Dataset | None, read: Where | None
) -> tuple[Tree, list[Fault]]:
    found = list(_interpretation_faults(hypothesis))
    scoped: Dataset | None = None
    scope_faults: list[Fault] = []
    try:
        scoped = None if data is None else hypothesis.in_scope(data)
    except ScrubbingError as error:
        scope_faults += error.faults
    broken = list(_value_faults(hypothesis))
    tree = Tree(hypothesis, graph, scoped, []) if broken else treeify(hypothesis, graph, scoped)
    found += broken
    if tree.regions:
        found += list(_node_faults(tree)) or [*_matching_faults(tree, read), *_group_faults(tree)]
        found += _each_faults(tree)
    found += scope_faults
    if scoped is not None:
        found += _data_faults(tree, scoped)
    return tree, list(dict.fromkeys(found))


def _value_faults(hypothesis: Statement) -> Iterator[Fault]:
    """Parts, routes and samplers of a class that cannot be compared; nothing else can be said about these."""

    def visit(claim: Claim, path: str) -> Iterator[Fault]:
        values = [("SCR-SAMPLER", claim.sampler), ("SCR-SAMPLER", claim.unclaimed and claim.unclaimed.sampler)]
        for target in claim.targets:
            values += [("SCR-PART", target.only), ("SCR-ROUTE", target.route)]
        for code, value in values:
            yield from () if value is None else _told(code, path, unusable(value))
        for below, child in claim.paths(path):
            yield from visit(child, below)

    yield from _told("SCR-SAMPLER", hypothesis.name, unusable(hypothesis.everywhere.sampler))
    yield from visit(hypothesis.correspondence, hypothesis.correspondence.label)


def _interpretation_faults(hypothesis: Statement) -> Iterator[Fault]:
    used = [claim.variable for claim in hypothesis.correspondence.walk()]
    yield from hypothesis.interpretation.faults(used)


def _node_faults(tree: Tree) -> Iterator[Fault]:
    """Names that the model does not have. Reported first: further faults would only follow from them."""
    graph, root = tree.graph, tree.regions[0]
    if root.claim.targets not in ((Target(LOGITS),), (Target(graph.output),)):
        problem = f"the root claim must be on the model's whole output, {graph.output}."
        remedy = "Start with OUTPUT.carries(...) and put every other claim inside it."
        yield Fault("SCR-ROOT", root.path, problem, remedy)
    drawn = root.claim.sampler is not None and not root.claim.sampler.keeps(_agreed(root.claim) or anything)
    if drawn or root.claim.group is not None or root.claim.exclude_self:
        problem = "the root claim holds the reference input itself, so it draws nothing."
        yield Fault("SCR-ROOT", root.path, problem, "Drop sampler=, group= and exclude_self= there.")
    for region in tree.regions[1:]:
        for target in region.claim.targets:
            for node in _named(target):
                if node not in graph.slots:
                    remedy = f"Did you mean: {nearest(str(node), map(str, graph.slots))}?"
                    if node == MASK:
                        remedy = "It has one where the dataset has a `mask` column."
                    yield Fault("SCR-NODE", region.path, f"the model has no node {node}.", remedy)


def _named(target: Target) -> Iterator[Node]:
    if target.node is not None:
        yield target.node
    if target.route is not None:
        yield from target.route.named


def _matching_faults(tree: Tree, read: Where | None) -> Iterator[Fault]:
    found = list(_claim_faults(tree))
    explained = {fault.where for fault in found if fault.code in _EXPLAINED_BY}
    for fault in meeting_faults(tree, read, lambda other: [*_claim_faults(other), *_each_faults(other)]):
        if fault.code == "SCR-OVERLAP" or fault.where not in explained:
            yield fault
    yield from found


def _claim_faults(tree: Tree) -> Iterator[Fault]:
    for region in tree.regions:
        if own := tree.own_parts(region.index):
            yield from _own_part_faults(tree, region, {hit.region for hit in own})
        yield from _sampler_faults(region)
        for target, node in zip(region.claim.targets, region.nodes, strict=True):
            yield from _target_faults(tree, region, target, node)


def _own_part_faults(tree: Tree, region: PlacedClaim, parts: set[int]) -> Iterator[Fault]:
    if tree.graph.output in region.nodes:
        problem = "the model's output cannot be claimed in parts."
        yield Fault("SCR-PART", region.path, problem, "Claim parts of the nodes that write to it.")
    if any(target.read_slots or target.only for target in region.claim.targets):
        problem = "a part of its own output is claimed, but it is on a part already, or on what a node reads."
        remedy = "Claim parts of a whole node: combine two rewrites into one part."
        yield Fault("SCR-PART", region.path, problem, remedy)
    for other in region.children:
        if other not in parts:
            problem = "its parent claim is split into parts of its own output, and this is not one of them."
            yield Fault("SCR-PART", tree.regions[other].path, problem, "Put it under the part it belongs to.")


def _sampler_faults(region: PlacedClaim) -> Iterator[Fault]:
    claim, sampler = region.claim, _sampler(region.claim)
    if region.parent is None or not claim.exclude_self:
        return
    agreed = _agreed(claim)
    if agreed is not None and sampler.keeps(agreed):
        problem = "it must draw the input that its parent claim holds, and must never draw it."
        yield Fault("SCR-SAMPLER", region.path, problem, "Drop exclude_self=True, or let it agree on less.")
    elif not sampler.excludable:
        problem = f"exclude_self=True is about drawing from the dataset, and its input is {sampler}."
        yield Fault("SCR-SAMPLER", region.path, problem, "Drop exclude_self=True.")


def _sampler(claim: Claim) -> Sampler:
    return claim.sampler or Agree()


def _agreed(claim: Claim) -> Feature | None:
    """What the drawn input must agree on; None if the variable has no feature."""
    try:
        return _sampler(claim).compares(claim.variable.agrees_on())
    except ScrubbingError:
        return None


def _target_faults(tree: Tree, region: PlacedClaim, target: Target, node: Node) -> Iterator[Fault]:
    graph, where = tree.graph, region.path
    above = () if region.parent is None else tuple(dict.fromkeys(tree.regions[region.parent].nodes))
    about = above if target.node is None and above else (node,)
    if target.positions is not None:
        yield from target.positions.faults(graph.positions, where)
    if target.read_slots and not any(graph.slots[one] for one in about):
        problem = f"{node} reads nothing: it is where the computation starts."
        yield Fault("SCR-SLOT", where, problem, "Claim what it writes: drop reads(...).")
    elif target.read_slots != WHOLE_INPUT:
        yield from _slot_faults(graph, target.read_slots, about, where)
    if above:
        yield from _slot_faults(graph, target.into_slots, above, where)
    if "mask" in target.read_slots or node == MASK:
        mixed = len(target.read_slots) > 1 and "mask" in target.read_slots and region.claim.children
        if target.positions or region.claim.each or target.only or (node == MASK and region.claim.children) or mixed:
            problem = "a padding mask belongs to one input as a whole: no positions, parts or claims below it."
            remedy = 'Claim it with reads("mask") or MASK.direct(), by a feature such as length.'
            yield Fault("SCR-MASK", where, problem, remedy)
    if target.only is not None:
        yield from _part_faults(graph, region.claim, target, target.only, about, where)
    if target.route is not None:
        yield from _told("SCR-ROUTE", where, target.route.faults(graph))


def _slot_faults(graph: ModelGraph, slots: tuple[str, ...], nodes: tuple[Node, ...], where: str) -> Iterator[Fault]:
    known = dict.fromkeys(slot for node in nodes for slot in graph.slots[node])
    for slot in slots:
        if slot not in known:
            told = " and ".join(map(str, nodes))
            remedy = f"Slots of {told}: {', '.join(known) or 'none'}."
            if slot == "mask" and MASK not in graph.slots:
                remedy += " Heads have a mask slot where the dataset has a `mask` column."
            yield Fault("SCR-SLOT", where, f"there is no slot {slot!r} at {told}.", remedy)


def _part_faults(
    graph: ModelGraph, claim: Claim, target: Target, part: Part, nodes: tuple[Node, ...], where: str
) -> Iterator[Fault]:
    if target.read_slots:
        problem = "a part is of a node's output, and this claim is on what a node reads."
        yield Fault("SCR-PART", where, problem, "Drop .part(...) or .reads(...).")
    if isinstance(part, InputPart) and claim.children:
        problem = f"{part} is computed from the input alone, so nothing flows into it that could be claimed."
        yield Fault("SCR-PART", where, problem, "Remove the claims below it.")
    for node in nodes:
        yield from _told("SCR-PART", where, part.faults(graph, node))


def _told(code: str, where: str, complaints: Iterator[Complaint]) -> Iterator[Fault]:
    for problem, remedy in complaints:
        yield Fault(code, where, problem, remedy)


def _group_faults(tree: Tree) -> Iterator[Fault]:
    """Claims of one group share a draw, which is only defined if they hold the same input and agree alike."""
    first: dict[str, PlacedClaim] = {}
    for region in tree.regions[1:]:
        name = region.claim.group
        if name is None:
            continue
        other = first.setdefault(name, region)
        ours, theirs = _draw_identity(tree, region), _draw_identity(tree, other)
        differ = [what for what in ours if ours[what] != theirs[what]]
        if differ:
            problem = f"it shares the draw of group {name!r} with {other.path!r}, but not {' and '.join(differ)}."
            remedy = "Give a group's claims one variable and one parent claim (or parent group), or split the group."
            yield Fault("SCR-GROUP", region.path, problem, remedy)


def _draw_identity(tree: Tree, region: PlacedClaim) -> dict[str, object]:
    claim, agreed = region.claim, _agreed(region.claim)
    anyones = agreed is not None and _sampler(claim).ignores_held(agreed) and not claim.exclude_self
    assert region.parent is not None
    above = tree.regions[region.parent]
    return {
        "what to agree on": claim.variable if claim.sampler is None else agreed,
        "the sampler": claim.sampler,
        "exclude_self": claim.exclude_self,
        "drawing at each position": claim.each,
        "the input held": None if anyones else ("group", above.claim.group) if above.claim.group else above.index,
    }


def _each_faults(tree: Tree) -> Iterator[Fault]:
    """Features with a value per position, where there is no telling which position is meant."""
    for region in tree.regions[1:]:
        agreed = _agreed(region.claim)
        one = tree.within_each(region.index) or tree.at_one_position(region.index) is not None
        if agreed is not None and agreed.per == "position" and not one:
            yield Fault(
                "SCR-EACH",
                region.path,
                f"feature {agreed.name} has a value per position, and the claim covers many positions with one draw.",
                "Add .each() (or reads(each=True)) so that every position draws its own input, or .at(one position).",
            )
    for region in tree.regions:
        agreed = region.unclaimed.feature
        if agreed.per == "position" and region.children and not tree.within_each(region.index):
            problem = f"what it leaves unclaimed is drawn by {agreed.name}, which has a value per position."
            remedy = "Use a feature with one value per input there, or make the claim draw per position with .each()."
            yield Fault("SCR-EACH", region.path, problem, remedy)


def _data_faults(tree: Tree, data: Dataset) -> Iterator[Fault]:
    hypothesis = tree.hypothesis
    yield from hypothesis.interpretation.data_faults(data)
    places = [(hypothesis.name, hypothesis.everywhere.sampler, hypothesis.everywhere.feature)]
    for region in tree.regions:
        claim, agreed = region.claim, _agreed(region.claim)
        if claim.sampler is not None and agreed is not None:
            places.append((region.path, claim.sampler, agreed))
        if claim.unclaimed is not None:
            places.append((region.path, claim.unclaimed.sampler, claim.unclaimed.feature))
    for where, sampler, feature in places:
        yield from _caught(_sampler_data_faults(where, sampler, feature, data))
    for region in tree.regions:
        yield from _caught(_region_data_faults(tree, region, data))


def _caught(found: Iterator[Fault]) -> Iterator[Fault]:
    """Faults, those that are raised on the way included."""
    try:
        yield from found
    except ScrubbingError as error:
        yield from error.faults


def _sampler_data_faults(where: str, sampler: Sampler, feature: Feature, data: Dataset) -> Iterator[Fault]:
    yield from _told("SCR-SAMPLER", where, sampler.faults(data))
    if feature.is_float(data):
        problem = f"feature {feature.name} has float values; equal in mathematics is not equal in floats."
        yield Fault("SCR-FLOAT", where, problem, "Declare the rounding: feature.rounded(1e-6).")


def _region_data_faults(tree: Tree, region: PlacedClaim, data: Dataset) -> Iterator[Fault]:
    positions = tree.graph.positions
    for feature in (_agreed(region.claim), region.unclaimed.feature):
        if feature is not None and feature.per == "position" and (width := feature(data).shape[1]) != positions:
            problem = f"feature {feature.name} has {width} positions; the model's inputs have {positions}."
            yield Fault("SCR-FEATURE", region.path, problem, f"Return values of shape [n, {positions}].")
    for by in {target.positions for target in region.claim.targets}:
        if by is not None and by.chosen_by is not None:
            data.remember(("positions", by), lambda by=by: by.chosen(data, positions))
