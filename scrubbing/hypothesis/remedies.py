"""What to do about claims that do not meet, or meet on one path: changes are tried out before they are named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, permutations

from scrubbing.errors import Fault
from scrubbing.graph.nodes import Node
from scrubbing.graph.positions import Where
from scrubbing.hypothesis.claims import WHOLE_INPUT, Claim, Target
from scrubbing.hypothesis.meeting import Clash, Finding, Meeting, Unmatched, Unread, as_written, positions_of
from scrubbing.hypothesis.statement import Statement
from scrubbing.hypothesis.treeify import PlacedClaim, Tree, treeify
from scrubbing.routes import AnyPath, Direct, Route, Via

FaultsOf = Callable[[Tree], Iterable[Fault]]
"""What else is wrong with claims, whatever they meet."""
_MOST = 3
"""Remedies that are named, beside dropping a claim."""
_WORK = 1_000_000
"""Of trying remedies, in claims looked at for one reader of one writer: a few seconds, after which the only remedy
that is named is to drop a claim. Twenty-six claims of twelve layers, in each other's way, had not ended after nine
minutes.
"""


@dataclass(frozen=True)
class Remedy:
    """A change to a hypothesis, after which nothing is wrong any more with the claims concerned."""

    text: str
    """As part of a sentence: `add .direct()`."""
    made: Statement
    """The hypothesis with the change."""


@dataclass(frozen=True)
class _Placed:
    """One target of a claim in a tree."""

    region: PlacedClaim
    ordinal: int
    target: Target
    node: Node

    @property
    def index(self) -> int:
        return self.region.index

    @property
    def label(self) -> str:
        return f"{self.target}: {self.region.claim.variable}"

    def but(self, **changed: object) -> dict[int, Claim | None]:
        """An edit: the claim with another target in the place of this one."""
        targets = list(self.region.claim.targets)
        targets[self.ordinal] = replace(self.target, **changed)
        return {self.index: replace(self.region.claim, targets=tuple(targets))}

    def without(self) -> dict[int, Claim | None]:
        """An edit: the claim without this target, or no claim."""
        targets = self.region.claim.targets
        left = targets[: self.ordinal] + targets[self.ordinal + 1 :]
        return {self.index: replace(self.region.claim, targets=left) if left else None}


class Remedies:
    """Finds remedies for what was found in a tree.

    Args:
        tree: with claims that do not meet as they should.
        read: positions at which the output is read.
        faults_of: what else can be wrong with a claim, so that no remedy leads there.
    """

    def __init__(self, tree: Tree, read: Where | None, faults_of: FaultsOf) -> None:
        self.tree = tree
        self.read = read
        self.faults_of = faults_of
        self._left = _WORK

    def placed(self, region: int, index: int) -> _Placed:
        """One of a region's targets."""
        targets = self.tree.targets(region)
        child, target, node = targets[index]
        ordinal = sum(one == child for one, _, _ in targets[:index])
        return _Placed(self.tree.regions[child], ordinal, target, node)

    def of(self, finding: Finding) -> list[Remedy]:
        """A few remedies; the last is to drop a claim, which always is one."""
        match finding:
            case Clash():
                one, other = self.placed(finding.region, finding.first), self.placed(finding.region, finding.second)
                last = self._dropped(finding.region, one, other)
                found = self._apart(finding, one, other)
            case _:
                one = self.placed(finding.region, finding.target)
                last = Remedy("drop it", self._changed(one.without())[0])
                found = self._read(finding, one) if isinstance(finding, Unread) else self._met(finding, one)
        return [*islice(found, _MOST), last]

    def _dropped(self, region: int, one: _Placed, other: _Placed) -> Remedy:
        """Without one of two claims, and those that read like it."""
        placed = [self.placed(region, i) for i in range(len(self.tree.targets(region)))]
        alike = [this for this in placed if this.label == other.label]
        text = f"drop {other.label!r}" if len(alike) == 1 else f"drop every {other.label!r}"
        if one.label == other.label:
            alike, text = alike[1:], "drop one of them" if len(alike) == 2 else "drop all but one of them"
        edits: dict[int, Claim | None] = {}
        for index in {this.index for this in alike}:
            gone = {this.ordinal for this in alike if this.index == index}
            claim = self.tree.regions[index].claim
            left = tuple(target for i, target in enumerate(claim.targets) if i not in gone)
            edits[index] = replace(claim, targets=left) if left else None
        return Remedy(text, self._changed(edits)[0])

    def _apart(self, clash: Clash, one: _Placed, other: _Placed) -> Iterator[Remedy]:
        """Two claims off each other's paths."""
        if one.index == other.index or one.label == other.label:
            return
        both, found = (one.index, other.index), False
        for this in (other, one):
            route = this.target.route
            if route is not None and this.node != clash.node and (off := route.avoiding(clash.node)) is not None:
                for remedy in self._tried(f"keep {this.label!r} off it with {written(off)}", this.but(route=off), both):
                    found = True
                    yield remedy
        for upper, lower in ((one, other), (other, one)):
            if upper.node == clash.node != lower.node and upper.target.only is None:
                text = f"claim {lower.label!r} below {upper.label!r}"
                for remedy in self._tried(text, {}, both, (lower.index, upper.index)):
                    found = True
                    yield remedy
        if not found and one.target.route is not None and other.target.route is not None:
            yield from self._side_by_side(clash, one, other)

    def _side_by_side(self, clash: Clash, one: _Placed, other: _Placed) -> Iterator[Remedy]:
        """Two claims by slots or at positions of their own."""
        both = (one.index, other.index)
        for a, b in permutations(self._slots(clash.region), 2):
            if not one.target.into_slots and not other.target.into_slots:
                told = f'{one.label!r} by .into("{a}") and {other.label!r} by .into("{b}")'
                edits = one.but(into_slots=(a,)) | other.but(into_slots=(b,))
                yield from self._tried(f"let them enter by slots of their own, {told}", edits, both)
        places = list(positions_of(clash.around))
        if len(places) > 1 and one.target.positions is None and other.target.positions is None:
            a, b = places[-2:]
            told = f"{one.label!r} .at({a}) and {other.label!r} .at({b})"
            edits = one.but(positions=one.target.at(a).positions) | other.but(positions=one.target.at(b).positions)
            yield from self._tried(f"claim them at positions of their own, such as {told}", edits, both)

    def _read(self, unread: Unread, one: _Placed) -> Iterator[Remedy]:
        """A claim where it is read."""
        if unread.around:
            at = as_written(unread.around)
            told = f"slice({at.start}, {at.stop})" if isinstance(at, slice) else str(at)
            edits = one.but(positions=one.target.at(at).positions)
            yield from self._tried(f"claim it at what is read there, .at({told})", edits, one.index)
        yield from self._other_slots(one)
        yield from self._moved_up(one)

    def _met(self, unmatched: Unmatched, one: _Placed) -> Iterator[Remedy]:
        """A claim by a route that meets it."""
        target, route, parent = one.target, one.target.route, self.tree.regions[unmatched.region]
        if one.node in parent.nodes and not (target.read_slots and route is None):
            own = one.but(node=None, route=None, into_slots=(), read_slots=WHOLE_INPUT, only=None)
            yield from self._tried("use reads(...) for what it reads", own, one.index)
            return
        if route is None and target.read_slots:
            yield from self._other_slots(one)
            return
        for other in self._routes(route):
            for slots in (target.into_slots, ()) if target.into_slots else ((),):
                word = "add" if route is None else "use"
                entering = ", ".join(f'"{slot}"' for slot in target.into_slots)
                left = "" if slots == target.into_slots else f" without .into({entering})"
                text = f"{word} {written(other)}{left}"
                if (other, slots) != (route, target.into_slots):
                    yield from self._tried(text, one.but(route=other, into_slots=slots), one.index)
        for slot in self._slots(parent.index) if target.into_slots and route is not None else ():
            yield from self._tried(f'use .into("{slot}")', one.but(into_slots=(slot,)), one.index)
        yield from self._moved_up(one)

    def _routes(self, route: Route | None) -> Iterator[Route]:
        """Routes to try in the place of one."""
        if isinstance(route, Via):
            yield Via(route.through[::-1])
        if isinstance(route, AnyPath):
            yield from (AnyPath(route.avoid - {node}) for node in sorted(route.avoid))
        yield from ((Direct(), AnyPath()) if route is None else (AnyPath(), Direct()))

    def _other_slots(self, one: _Placed) -> Iterator[Remedy]:
        if not one.target.read_slots:
            return
        slots = [slot for slot in self.tree.graph.slots.get(one.node, ()) if slot not in one.target.read_slots]
        for slot in slots:
            yield from self._tried(f'use reads("{slot}")', one.but(read_slots=(slot,)), one.index)

    def _moved_up(self, one: _Placed) -> Iterator[Remedy]:
        """Under a claim further up."""
        parent = one.region.parent
        above = None if parent is None else self.tree.regions[parent].parent
        while above is not None:
            label = self.tree.regions[above].claim.what
            yield from self._tried(f"claim it under {label}", {}, one.index, (one.index, above))
            above = self.tree.regions[above].parent

    def _slots(self, region: int) -> list[str]:
        """By which claims below a region can enter."""
        slots = dict.fromkeys(slot for node in self.tree.regions[region].nodes for slot in self.tree.graph.slots[node])
        return [slot for slot in slots if slot != "mask"]

    # Trying out

    def _tried(
        self,
        text: str,
        edits: Mapping[int, Claim | None],
        concerned: int | tuple[int, ...],
        moved: tuple[int, int] | None = None,
    ) -> Iterator[Remedy]:
        """The remedy, if nothing is wrong with the claims concerned once they are edited, or one is moved."""
        if self._left <= 0:
            return
        made, claims = self._changed(edits, moved)
        tree = treeify(made, self.tree.graph, self.tree.data)
        self._left -= len(tree.regions) * sum(len(cell.entries) for cells in tree.cells.values() for cell in cells)
        concerned = (concerned,) if isinstance(concerned, int) else concerned
        now = {r.index for r in tree.regions if any(r.claim is claims.get(index) for index in concerned)}
        wrong: set[int] = set()
        for one in Meeting(tree, self.read).findings():
            ends = (one.first, one.second) if isinstance(one, Clash) else (one.target,)
            wrong |= {tree.targets(one.region)[end][0] for end in ends}
        if not wrong & now and not {fault.where for fault in self.faults_of(tree)} & {
            tree.regions[i].path for i in now
        }:
            yield Remedy(text, made)

    def _changed(
        self, edits: Mapping[int, Claim | None], moved: tuple[int, int] | None = None
    ) -> tuple[Statement, dict[int, Claim]]:
        """The hypothesis with some claims replaced or left out, and one moved below another; claims by old index."""
        made: dict[int, Claim] = {}

        def build(index: int) -> Claim:
            region = self.tree.regions[index]
            claim = edits.get(index, region.claim)
            assert claim is not None
            kept = [c for c in region.children if edits.get(c, claim) is not None and (moved is None or c != moved[0])]
            kept += [moved[0]] if moved is not None and index == moved[1] else []
            made[index] = replace(claim, children=tuple(map(build, kept)))
            return made[index]

        return replace(self.tree.hypothesis, correspondence=build(0)), made


def sentence(remedies: list[Remedy]) -> str:
    """Remedies as an instruction."""
    texts = [remedy.text for remedy in remedies]
    told = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])}{',' if len(texts) > 2 else ''} or {texts[-1]}"
    return f"{told[0].upper()}{told[1:]}."


def written(route: Route) -> str:
    """A route as a user writes it."""
    match route:
        case Direct():
            return ".direct()"
        case AnyPath(avoid=avoid):
            names = [f'"{node}"' for node in sorted(avoid)]
            return f".any_path({'' if not names else 'avoid=' + (names[0] if len(names) == 1 else _listed(names))})"
        case Via(through=through):
            names = [f'"{node}"' for node in through]
            return f".via({', '.join(names)})"
        case _:
            return f".by({route!r})"


def _listed(names: list[str]) -> str:
    return f"[{', '.join(names)}]"
