"""The correspondence as a picture: the model's nodes in layers, the variables beside them, and who carries what.

Lines never run below a node: each variable has a lane between the variables and the model, and leaves it in the gap
above the row of a node that carries it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scrubbing.records.schema import Branch, ModelNode, VariableNode
from scrubbing.report.pictures import shortened

HUES = 8
"""Colours of variables; further ones begin again with dashes."""
_WIDE, _NARROW = 1050, 352
_BOX, _BOX_HEIGHT, _BOX_GAP = 236, 42, 16
_MARGIN = 22
"""For arrows between variables."""
_CHIP, _CLAIMED, _DOT, _GAP = 22, 38, 10, 6
_LETTER, _SMALL = 7.4, 6.6
_LABEL = 58
"""Width of the names of layers."""
_DENSE = 10
"""Nodes in a row beyond which unclaimed ones are dots."""
_SLOTS = {"q", "k", "v", "x", "mask", "input"}


@dataclass(frozen=True)
class Carrier:
    """What a claim names: a node, with the variable that it carries, or that is carried by what it reads."""

    node: str
    variable: str
    reads: bool


@dataclass(frozen=True)
class Chip:
    """A node, in pixels from the upper left; a dot without a name where there is no room for it."""

    node: str
    state: str
    x: float
    y: float
    width: float
    height: float
    carries: str = ""
    """Below the name: the variables, in short."""
    told: str = ""
    """Every claim on it, a line each."""
    hue: int = -1


@dataclass(frozen=True)
class VariableBox:
    """A variable and what draws agree on."""

    name: str
    feature: str
    x: float
    y: float
    width: float
    height: float
    hue: int


@dataclass(frozen=True)
class Join:
    """A line from a variable to a node that carries it."""

    variable: str
    node: str
    line: str
    hue: int


@dataclass(frozen=True)
class Layout:
    """The picture at one width, in pixels."""

    kind: str
    width: float
    height: float
    labels: Sequence[tuple[float, float, str]]
    chips: Sequence[Chip]
    boxes: Sequence[VariableBox]
    joins: Sequence[Join]
    reads: Sequence[str]
    """Lines from each claim to the one above it."""
    parents: Sequence[tuple[str, str]]
    """Lines from each variable to those computed from it, each with its head."""


@dataclass(frozen=True)
class Correspondence:
    """The picture for wide and for narrow pages, and the same in words."""

    wide: Layout
    narrow: Layout
    words: str
    caption: str = (
        "Coloured lines join each variable to the nodes that are claimed to carry it, or to read it; arrows on its "
        "side say from what it is computed. Grey lines lead from a claim to the one that reads it. Orange nodes are "
        "recomputed on a mixture of inputs, blue ones (dashed) wholly on a claim's input, and those with a dotted rim "
        "are resampled wherever they are read."
    )


@dataclass
class _Row:
    """Nodes that stand in one line, and the variables whose lines arrive from above."""

    label: str
    nodes: list[tuple[ModelNode, float]] = field(default_factory=list[tuple[ModelNode, float]])
    """Each with its width."""
    y: float = 0.0
    variables: list[str] = field(default_factory=list[str])


def correspondence(
    nodes: Sequence[ModelNode], branches: Sequence[Branch], variables: Sequence[VariableNode]
) -> Correspondence | None:
    """The picture of claims on a model; None where there are none, or no nodes.

    Args:
        nodes: of the model.
        branches: the claims.
        variables: of the interpretation.
    """
    if not nodes or not branches:
        return None
    rows = layers(nodes, branches)
    carriers = carried(branches, {node.name for node in nodes})
    places = {node.name: i for i, (_, row) in enumerate(rows) for node in row}
    ordered = _ordered(variables, [one for some in carriers for one in some], places)
    by_variable = {
        one.name: list(dict.fromkeys(c.node for some in carriers for c in some if c.variable == one.name))
        for one in ordered
    }
    words = "; ".join(f"{name} is carried by {', '.join(on)}" for name, on in by_variable.items() if on)
    drawn = [_Drawing(branches, rows, carriers, ordered, wide).layout() for wide in (True, False)]
    return Correspondence(*drawn, words=words)


def layers(nodes: Sequence[ModelNode], branches: Sequence[Branch]) -> list[tuple[str, list[ModelNode]]]:
    """The nodes of a model in rows: the output, the layers from the last, and what comes before the first."""
    outputs: set[str] = {branches[0].what} if branches else set()
    last = max((node.layer for node in nodes), default=-1)
    first = "input" if last >= 0 else "nodes"

    def row(node: ModelNode) -> str:
        return f"layer {node.layer}" if node.layer >= 0 else "output" if node.name in outputs else first

    order = ["output", *(f"layer {i}" for i in range(last, -1, -1)), first]
    rows: dict[str, list[ModelNode]] = {name: [] for name in order}
    for node in nodes:
        rows[row(node)].append(node)
    return [(name, row) for name, row in rows.items() if row]


def carried(branches: Sequence[Branch], known: set[str]) -> list[list[Carrier]]:
    """The nodes that each claim names, read from its targets in words; `its` is the node of the claim above."""
    found: list[list[Carrier]] = []
    above: list[list[str]] = []
    for branch in branches:
        del above[branch.depth :]
        here: list[Carrier] = []
        for target in branch.what.split(" | "):
            name, _, rest = target.partition(" ")
            reads = bool(rest) and set(rest.split()[0].split("/")) <= _SLOTS
            nodes = [name] if name in known else above[-1] if name == "its" and above else []
            here += [Carrier(node, branch.variable, reads) for node in nodes]
        above.append(list(dict.fromkeys(one.node for one in here)))
        found.append(here)
    return found


def _ordered(
    variables: Sequence[VariableNode], carriers: Sequence[Carrier], places: Mapping[str, int]
) -> list[VariableNode]:
    """What higher nodes carry first, and of what is carried alike what is computed from others; variables that only
    claims name come last.
    """
    by_name = {one.name: one for one in variables}
    depth = dict.fromkeys(by_name, 0)
    for _ in by_name:  # as often as the longest path could ask for
        for one in variables:
            for parent in one.parents:
                if parent in depth:
                    depth[parent] = min(len(by_name), max(depth[parent], depth[one.name] + 1))
    highest: dict[str, int] = {}
    for one in carriers:
        highest[one.variable] = min(highest.get(one.variable, len(places)), places[one.node])
    known = sorted(by_name.values(), key=lambda one: (highest.get(one.name, len(places)), depth[one.name]))
    others = [name for name in dict.fromkeys(one.variable for one in carriers) if name not in by_name]
    return known + [VariableNode(name=name, feature=name, parents=[], digest="") for name in others]


class _Drawing:
    """One layout in the making."""

    def __init__(
        self,
        branches: Sequence[Branch],
        rows: Sequence[tuple[str, Sequence[ModelNode]]],
        carriers: Sequence[Sequence[Carrier]],
        variables: Sequence[VariableNode],
        wide: bool,
    ) -> None:
        self.branches, self.carriers, self.variables, self.wide = branches, carriers, variables, wide
        self.on = {
            node.name: list(dict.fromkeys(c.variable for some in carriers for c in some if c.node == node.name))
            for _, row in rows
            for node in row
        }
        self.reading = {c.node for some in carriers for c in some if c.reads}
        self.lane = min(6.0, 90 / max(1, len(variables)))
        lanes = self.lane * len(variables) + 8
        self.lanes = _MARGIN + _BOX + 10 if wide else 2.0
        self.left = self.lanes + lanes
        self.right = float(_WIDE if wide else _NARROW) - 2
        self.hues = {one.name: i for i, one in enumerate(variables)}
        self.lines = self._lines(rows)

    def layout(self) -> Layout:
        """Everything in its place."""
        boxes_height = len(self.variables) * (_BOX_HEIGHT + _BOX_GAP) - _BOX_GAP
        bottom = self._place(0.0 if self.wide else boxes_height + 24)
        height = max(bottom, boxes_height + 2.0)
        boxes = self._boxes(height)
        chips = [chip for line in self.lines for chip in self._chips(line)]
        by_name = {chip.node: chip for chip in chips}
        labels = [(self.left, line.y + _CHIP / 2 + 4, line.label) for line in self.lines if line.label]
        return Layout(
            "wide" if self.wide else "narrow",
            max(one.x + one.width for one in [*chips, *boxes]) + 2 if self.wide else _NARROW,
            height + 2,
            labels,
            chips,
            boxes,
            list(self._joins(boxes, by_name)),
            list(self._reads(by_name)),
            list(self._parents(boxes)),
        )

    def _lines(self, rows: Sequence[tuple[str, Sequence[ModelNode]]]) -> list[_Row]:
        """The rows, broken where they are too wide."""
        found: list[_Row] = []
        for label, nodes in rows:
            dense = len(nodes) > _DENSE
            line, room = _Row(label), self.right - self.left - _LABEL
            found.append(line)
            for node in nodes:
                width = self._width(node, dense)
                if line.nodes and width > room:
                    line, room = _Row(""), self.right - self.left - _LABEL
                    found.append(line)
                line.nodes.append((node, width))
                room -= width + _GAP
        for line in found:
            here = [name for node, _ in line.nodes for name in self.on[node.name]]
            line.variables = [one.name for one in self.variables if one.name in here]
        return found

    def _width(self, node: ModelNode, dense: bool) -> float:
        if dense and node.state == "unclaimed" and not self.on[node.name]:
            return _DOT
        return 12 + max(_LETTER * len(shortened(node.name, 24)), _SMALL * len(self._carries(node.name)))

    def _carries(self, name: str) -> str:
        on = self.on[name]
        if not on:
            return ""
        more = f" +{len(on) - 1}" if len(on) > 1 else ""
        return ("in: " if name in self.reading else "") + shortened(on[0], 16) + more

    def _place(self, y: float) -> float:
        """Set the height of each line; returns where the last one ends."""
        for line in self.lines:
            line.y = y + 10 + 4 * len(line.variables)
            y = line.y + self._tallest(line)
        return y

    def _tallest(self, line: _Row) -> float:
        return max((self._height(node, width) for node, width in line.nodes), default=_CHIP)

    def _height(self, node: ModelNode, width: float) -> float:
        return _CLAIMED if self.on[node.name] else _DOT if width == _DOT else _CHIP

    def _chips(self, line: _Row) -> Iterator[Chip]:
        x, tallest = self.left + _LABEL, self._tallest(line)
        for node, width in line.nodes:
            on, height = self.on[node.name], self._height(node, width)
            told = "\n".join(
                branch.line
                for branch, some in zip(self.branches, self.carriers, strict=True)
                if any(one.node == node.name for one in some)
            )
            hue = self.hues[on[0]] if on else -1
            y = line.y + (min(6.0, tallest - _DOT) if height == _DOT else 0)
            yield Chip(node.name, node.state, x, y, width, height, self._carries(node.name), told, hue)
            x += width + _GAP

    def _boxes(self, height: float) -> list[VariableBox]:
        """Variables below each other: over the whole height where they stand beside the model."""
        n = len(self.variables)
        step = float(_BOX_HEIGHT + _BOX_GAP)
        if self.wide and n > 1:
            step = max(step, min(3 * step, (height - _BOX_HEIGHT) / (n - 1)))
        x, width = (_MARGIN, _BOX) if self.wide else (self.left, self.right - self.left - _MARGIN)
        return [
            VariableBox(
                one.name, "" if one.feature == one.name else one.feature, x, 1 + i * step, width, _BOX_HEIGHT, i
            )
            for i, one in enumerate(self.variables)
        ]

    def _joins(self, boxes: Sequence[VariableBox], chips: Mapping[str, Chip]) -> Iterator[Join]:
        for i, box in enumerate(boxes):
            lane = self.lanes + i * self.lane + 2
            start = f"M{box.x + box.width if self.wide else box.x:g} {box.y + box.height / 2:g}H{lane:g}"
            for line in self.lines:
                for node, _ in line.nodes:
                    on = self.on[node.name]
                    if box.name not in on:
                        continue
                    chip = chips[node.name]
                    gap = line.y - 6 - 4 * line.variables.index(box.name)
                    x = chip.x + chip.width * (on.index(box.name) + 1) / (len(on) + 1)
                    yield Join(box.name, node.name, f"{start}V{gap:g}H{x:g}V{chip.y:g}", i)

    def _reads(self, chips: Mapping[str, Chip]) -> Iterator[str]:
        """From each claimed node to those of the claim above."""
        above: list[Sequence[Carrier]] = []
        seen: set[tuple[str, str]] = set()
        for branch, some in zip(self.branches, self.carriers, strict=True):
            del above[branch.depth :]
            for one in some:
                for other in above[-1] if above else ():
                    if one.node == other.node or (one.node, other.node) in seen:
                        continue
                    seen.add((one.node, other.node))
                    a, b = chips[one.node], chips[other.node]
                    x1, x2 = a.x + a.width / 2, b.x + b.width / 2
                    yield f"M{x1:g} {a.y:g}L{x2:g} {b.y + b.height:g}"
            above.append(some)

    def _parents(self, boxes: Sequence[VariableBox]) -> Iterator[tuple[str, str]]:
        """Arcs on the side that has no lanes."""
        by_name = {box.name: box for box in boxes}
        for one in self.variables:
            for parent in one.parents:
                if parent not in by_name:
                    continue
                a, b = by_name[parent], by_name[one.name]
                x = a.x if self.wide else a.x + a.width
                out = -14 if self.wide else 14
                start, end = a.y + a.height / 2, b.y + b.height / 2 + 6
                line = f"M{x:g} {start:g}C{x + out:g} {start:g} {x + out:g} {end:g} {x:g} {end:g}"
                yield line, f"M{x + out / 2:g} {end - 4:g}L{x:g} {end:g}L{x + out / 2:g} {end + 4:g}Z"
