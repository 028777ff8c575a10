"""Edges that ACDC saved: `save_edges` (a pickled list) or `save_subgraph` (a `.pth` file with every edge)."""

from __future__ import annotations

from typing import Any

from scrubbing.circuits import hooks
from scrubbing.circuits.base import Format, Options, Reading
from scrubbing.circuits.edge_circuit import reading
from scrubbing.circuits.files import Source
from scrubbing.circuits.problems import Problems
from scrubbing.graph.edges import Edge
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.guards import is_dict, is_list, is_sequence, is_tuple

_REMEDY = "Write it with save_edges or save_subgraph of the tool."
_INNER = ("hook_q", "hook_k", "hook_v")
Named = tuple[hooks.Places, hooks.Places]
"""Receiver and sender."""


class Acdc(Format):
    """Edges from a receiver to a sender, each a hook's name and an index.

    The graph there has an edge from the input of a head's query, key or value to that itself; where it is cut, so are
    all edges into the slot. With `top` or `threshold`, effect sizes decide.
    """

    def read(self, source: Source, graph: ModelGraph, options: Options, problems: Problems) -> Reading | None:
        """See `Format.read`."""
        stored = source.pickled()
        listed = is_list(stored)
        entries: list[Any] = list(stored) if is_list(stored) else list(stored.items()) if is_dict(stored) else []
        if not listed and not is_dict(stored):
            problems.add(f"it holds a {type(stored).__name__}, not edges.", _REMEDY)
            return None
        rows = [(f"entry {i}", *_row(one, f"entry {i}", problems)) for i, one in enumerate(entries)]
        present = [(where, named, value) for where, named, value in rows if named and (listed or value is True)]
        inner = [_slot(named) for _, named, _ in present if _inside(named)]
        all_inner = [_slot(named) for _, named, _ in rows if named and _inside(named)]
        kept = [row for row in present if not _inside(row[1]) and not _within_component(row[1])]
        if options.by_score:
            if not listed or any(not isinstance(value, float) for _, _, value in kept):
                problems.add("its edges have no effect sizes.", "Leave out top= and threshold=, or use save_edges.")
                return None
            kept = [kept[i] for i in options.chosen([value for _, _, value in kept])]
        written: list[tuple[str, Edge]] = []
        for where, (receiver, sender), _ in kept:
            found = hooks.edges_between(sender, receiver, graph)
            if isinstance(found, str):
                problems.add(f"{found} is no end of an edge.", _REMEDY, where)
            else:
                written += [(where, edge) for edge in found]
        cut = _cut(inner, all_inner, kept, graph)
        whole = [one for one in written if (one[1].reader, one[1].slot) not in cut]
        return reading(source.title, whole, graph, problems)


def _row(entry: Any, where: str, problems: Problems) -> tuple[Named | None, Any]:
    """Receiver, sender, and the effect size or whether the edge is present."""
    if is_sequence(entry) and len(entry) == 2 and is_tuple(entry[0]) and len(entry[0]) == 4:
        receiver, at, sender, from_ = entry[0]
        indices = [getattr(one, "hashable_tuple", one) for one in (at, from_)]
        if isinstance(receiver, str) and isinstance(sender, str) and all(is_tuple(one) for one in indices):
            return ((receiver, indices[0]), (sender, indices[1])), entry[1]
    problems.add("it is no edge: receiver, index, sender, index.", _REMEDY, where)
    return None, None


def _inside(named: Named) -> bool:
    """Whether an edge is that from a slot's input to query, key or value."""
    return named[0][0].rpartition(".")[2] in _INNER


def _within_component(named: Named) -> bool:
    """Whether an edge only says that a component's output depends on what it reads."""
    return named[1][0].rpartition(".")[2] in (*_INNER, "hook_mlp_in")


def _slot(named: Named) -> str:
    return f"{named[1][0]}{hooks.shown(named[1][1])}"


def _cut(
    inner: list[str], all_inner: list[str], kept: list[tuple[str, Named, Any]], graph: ModelGraph
) -> set[tuple[Any, str]]:
    """Slots whose input does not reach query, key or value."""
    if not all_inner:
        return set()
    gone: set[tuple[Any, str]] = set()
    for _, (receiver, _), _ in kept:
        name = f"{receiver[0]}{hooks.shown(receiver[1])}"
        if receiver[0].endswith("_input") and name not in inner:
            gone |= set(hooks.readers_at(*receiver, graph) or [])
    return gone
