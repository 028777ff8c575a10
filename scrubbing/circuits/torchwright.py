"""The schematic of a model that torchwright compiled: which columns of the residual stream every head and MLP reads and
writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from scrubbing.circuits.base import Format, Options, Reading
from scrubbing.circuits.edge_circuit import all_edges, reading
from scrubbing.circuits.files import Source
from scrubbing.circuits.problems import NO_PLACE, Problems
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import EMBED, Node, head_node, mlp_node
from scrubbing.guards import is_dict, is_sequence
from scrubbing.hypothesis.claims import Target
from scrubbing.parts import neurons

FORMAT = "torchwright.schematic.v1"
_MATRIX = re.compile(r"L(\d+)\.(attn|mlp)\.W_(Q|K|V|O|in|up|out)")
_UNSAID = (
    "that a norm is the same on every input: of what it reads, only the columns that are used are claimed",
    "a value for each of the program's nodes as a function of the input: name features yourself for what places it",
)
Columns = set[int]


@dataclass
class _Map:
    """Columns of the residual stream by who reads and writes them."""

    reads: dict[tuple[Node, str], Columns] = field(default_factory=dict[tuple[Node, str], Columns])
    writes: dict[Node, Columns] = field(default_factory=dict[Node, Columns])


class Torchwright(Format):
    """`torchwright_schematic.json`. An edge is kept where a component reads a column that another one writes."""

    def read(self, source: Source, graph: ModelGraph, options: Options, problems: Problems) -> Reading | None:
        """See `Format.read`."""
        stored = source.json()
        if not is_dict(stored) or stored.get("format") != FORMAT:
            problems.add(f'its "format" is not {FORMAT}.', "Give torchwright_schematic.json of a compiled model.")
            return None
        if options.by_score:
            problems.add("its edges have no scores.", "Leave out top= and threshold=.")
        columns = _columns(stored, graph, problems)
        problems.stop_if_any()
        kept = [
            (str(edge), edge)
            for edge in all_edges(graph)
            if columns.writes.get(edge.writer, set()) & columns.reads.get((edge.reader, edge.slot), set())
        ]
        return reading(source.title, kept, graph, problems, (*_UNSAID, *_places_told(stored, graph)))


def places(stored: dict[str, Any]) -> dict[str, list[Target]]:
    """By node of the program: the heads and neurons that compute it, to be claimed."""
    found: dict[str, list[Target]] = {}
    for number, layer in enumerate(stored["schedule"]["layers"]):
        for one in layer["attention_operations"]:
            start, length = one["heads"]
            targets = [Target(head_node(number, head)) for head in range(start, start + length)]
            found.setdefault(one["node"] or one["type"], []).extend(targets)
        for one in layer["mlp_operations"]:
            if one["hidden_slots"]:
                slots = [i for start, length in one["hidden_slots"] for i in range(start, start + length)]
                found.setdefault(one["node"] or one["type"], []).append(Target(mlp_node(number)).part(neurons(slots)))
    return found


def _places_told(stored: dict[str, Any], graph: ModelGraph) -> Iterator[str]:
    named = {one["id"]: one.get("name") or one["op"] for one in stored["graphs"]["lowered"]["nodes"]}
    for node, targets in places(stored).items():
        yield f"what {node} ({named.get(node, node)}) means; it is computed by {', '.join(map(str, targets))}"


def _columns(stored: dict[str, Any], graph: ModelGraph, problems: Problems) -> _Map:
    """Which columns are read and written."""
    found = _Map()
    try:
        width = stored["model"]["d_head"]
        if stored["model"]["d_model"] != graph.d_model:
            told = f"it has a residual stream of {stored['model']['d_model']}, and the model of {graph.d_model}."
            problems.add(told, NO_PLACE, "model.d_model")
        for rectangles in stored["physical_layout"]["placements"].values():
            for one in rectangles:
                _place(found, one["matrix"], _span(one["axis0"]), _span(one["axis1"]), width)
        states = {state["key"]: state["nodes"] for state in stored["residual_stream"]["states"]}
        reserved = set(stored["residual_stream"]["rms_norm_reserved_columns"])
        found.writes[EMBED] = {c for runs in states["input"].values() for run in runs for c in _span(run)} | reserved
        read = {c for runs in states["output"].values() for run in runs for c in _span(run)}
        found.reads[graph.output, "x"] = read | reserved
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problems.add(f"it lacks part of the map ({type(error).__name__}: {error}).", "Compile the model again.")
    for node in [*found.writes, *(reader for reader, _ in found.reads)]:
        if node not in graph.slots:
            problems.add(f"the model has no {node}.", NO_PLACE)
    return found


def _place(found: _Map, matrix: str, rows: range, columns: range, width: int) -> None:
    at = _MATRIX.fullmatch(matrix)
    if at is None:
        return  # a bias
    layer, what = int(at[1]), at[3]
    if at[2] == "attn":
        inner, outer = (rows, columns) if what == "O" else (columns, rows)
        for head in range(inner.start // width, (inner.stop - 1) // width + 1):
            node = head_node(layer, head)
            if what == "O":
                found.writes.setdefault(node, set()).update(outer)
            else:
                found.reads.setdefault((node, what.lower()), set()).update(outer)
    elif what == "out":
        found.writes.setdefault(mlp_node(layer), set()).update(columns)
    else:
        found.reads.setdefault((mlp_node(layer), "x"), set()).update(rows)


def _span(run: Any) -> range:
    if not is_sequence(run):
        raise TypeError("a run of columns is [start, length]")
    start, length = run
    return range(start, start + length)
