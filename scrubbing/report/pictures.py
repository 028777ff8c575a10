"""The interpretation as a picture: variables in layers, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from scrubbing.records.schema import VariableNode

_LETTER, _LINE, _PAD, _GAP, _RISE = 7.4, 44, 12, 24, 40
_LONGEST = 34


@dataclass(frozen=True)
class Box:
    """A variable, in pixels from the upper left."""

    name: str
    feature: str
    x: float
    y: float
    width: float
    height: float = _LINE


@dataclass(frozen=True)
class Graph:
    """Boxes and arrows, with the whole's width and height."""

    boxes: Sequence[Box]
    arrows: Sequence[tuple[float, float, float, float]]
    """Arrows from each variable (below) to those computed from it (above), as (x1, y1, x2, y2)."""
    width: float
    height: float


def interpretation(variables: Sequence[VariableNode]) -> Graph | None:
    """The variables in layers: what is computed from nothing else at the bottom."""
    import networkx as nx

    if not variables:
        return None
    by_name = {one.name: one for one in variables}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(by_name)
    graph.add_edges_from((one.name, parent) for one in variables for parent in one.parents if parent in by_name)
    if not nx.is_directed_acyclic_graph(graph):
        return None
    layers = [sorted(layer, key=list(by_name).index) for layer in nx.topological_generations(graph)]
    for above, layer in pairwise(layers):  # under what they are used for, so that arrows cross less
        layer.sort(key=lambda name: min(above.index(user) for user in graph.predecessors(name) if user in above))
    rows = [[_box(by_name[name], i) for name in layer] for i, layer in enumerate(layers)]
    width = max(sum(box.width for box in row) + _GAP * (len(row) - 1) for row in rows)
    placed: dict[str, Box] = {}
    for row in rows:
        x = (width - sum(box.width for box in row) - _GAP * (len(row) - 1)) / 2
        for box in row:
            placed[box.name] = Box(box.name, box.feature, x + 1, box.y + 1, box.width)
            x += box.width + _GAP
    middle = {name: box.x + box.width / 2 for name, box in placed.items()}
    arrows = [(middle[b], placed[b].y, middle[a], placed[a].y + _LINE) for a, b in graph.edges]
    return Graph(list(placed.values()), arrows, width + 2, len(rows) * (_LINE + _RISE) - _RISE + 2)


def _box(variable: VariableNode, layer: int) -> Box:
    name, feature = variable.name, "" if variable.feature == variable.name else variable.feature
    letters = min(_LONGEST, max(len(name), len(feature)))
    return Box(name, feature, 0, layer * (_LINE + _RISE), letters * _LETTER + 2 * _PAD)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """A text that fits its box."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
