"""Attribution graphs of circuit-tracer as JSON: features of transcoders on one prompt, grouped in supernodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from scrubbing.circuits.base import Format, Options, Reading
from scrubbing.circuits.files import Source
from scrubbing.circuits.problems import NO_PLACE, Problems
from scrubbing.data.features import everything
from scrubbing.errors import counted
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import EMBED, Node, mlp_node
from scrubbing.guards import is_dict, is_list
from scrubbing.hypothesis.claims import Bundle, Target
from scrubbing.hypothesis.variables import Variable
from scrubbing.parts import Dictionary
from scrubbing.routes import AnyPath

_FEATURE = re.compile(r"(\d+)_(\d+)_(\d+)")
_TOKEN = re.compile(r"E_(\d+)_(\d+)")
_UNSAID = (
    "which property of the input a group of features carries: all of it is claimed; name features in its place",
    "on which inputs the groups mean the same: the scope is every input, and the positions are those of one prompt",
    "that errors of the transcoders do not matter: they are the remainder, which is not claimed",
    "by which paths: those through attention, and through MLPs without a feature in the graph",
)
Place = tuple[int, int, int]
"""Layer, position and number of a feature; the layer of a token is -1."""


class CircuitTracer(Format):
    """A claim for each supernode of `qParams`, or without any, for each pinned feature, or else for each feature.

    The transcoders are given as `dictionaries`, one for each layer.
    """

    def read(self, source: Source, graph: ModelGraph, options: Options, problems: Problems) -> Reading | None:
        """See `Format.read`."""
        stored = source.json()
        nodes: Any = stored.get("nodes") if is_dict(stored) else None
        if not is_list(nodes):
            problems.add('it has no list of "nodes".', "Give the JSON that create_graph_files writes.")
            return None
        if options.by_score:
            problems.add("which nodes are kept was said when it was written.", "Leave out top= and threshold=.")
        known = {str(one.get("node_id")): one for one in nodes if is_dict(one)}
        groups = [
            (name, [place for key in keys if (place := _place(key, known, f"supernode {name}", problems))])
            for name, keys in _groups(stored, known)
        ]
        claimed = {mlp_node(layer) for _, places in groups for layer, _, _ in places if layer >= 0}
        bundles = [
            (name, _targets(places, claimed, graph, options.dictionaries, f"supernode {name}", problems))
            for name, places in groups
        ]
        problems.stop_if_any()
        kept = [(name, targets) for name, targets in bundles if targets]
        if not kept:
            problems.add("it has no features.", "Give a graph with supernodes, or lower its thresholds.")
        prompt = stored.get("metadata", {}).get("prompt", "") if is_dict(stored.get("metadata")) else ""
        told = f"On {prompt!r}, {counted(len(kept), 'group')} of features of {source.title} carry the input."
        claims = tuple(Bundle(tuple(targets)).carries(Variable(name, everything)) for name, targets in kept)
        return Reading(told, claims, _UNSAID)


def _groups(stored: Any, known: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Names of groups, and the ids of the nodes in each."""
    asked: Any = stored.get("qParams")
    asked = asked if is_dict(asked) else {}
    supernodes: Any = asked.get("supernodes")
    if is_list(supernodes) and supernodes:
        seen: dict[str, int] = {}
        for one in supernodes:
            name, *keys = map(str, one)
            seen[name] = seen.get(name, 0) + 1
            yield name if seen[name] == 1 else f"{name} ({seen[name]})", keys
        return
    pinned: Any = asked.get("pinnedIds")
    for key in pinned if is_list(pinned) and pinned else known:
        if _FEATURE.fullmatch(str(key)) and "feature" in _kind(known, str(key)):
            yield str(key), [str(key)]


def _kind(known: dict[str, Any], key: str) -> str:
    told = str(known.get(key, {}).get("feature_type"))
    return "feature" if "transcoder" in told else told


def _place(key: str, known: dict[str, Any], where: str, problems: Problems) -> Place | None:
    """The place of a node; None for errors and logits, which are not claimed."""
    if key not in known:
        problems.add(f"it names {key}, which is not among the nodes.", "Write the graph again.", where)
        return None
    kind = _kind(known, key)
    if kind == "embedding" and (found := _TOKEN.fullmatch(key)):
        return -1, int(found[2]), 0
    if kind == "feature" and (found := _FEATURE.fullmatch(key)):
        return int(found[1]), int(found[3]), int(found[2])
    return None


def _targets(
    places: Sequence[Place],
    claimed: set[Node],
    graph: ModelGraph,
    dictionaries: Sequence[Dictionary],
    where: str,
    problems: Problems,
) -> list[Target]:
    """Targets of a group: by layer and position, the features there."""
    found: list[Target] = []
    for layer, position in sorted({place[:2] for place in places}):
        node = mlp_node(layer) if layer >= 0 else EMBED
        route = AnyPath(frozenset(claimed - {node}))
        if not 0 <= position < graph.positions or node not in graph.slots:
            problems.add(f"the model has no {node} at position {position}.", NO_PLACE, where)
            continue
        target = Target(node, route).at(position)
        if layer >= 0:
            dictionary = next((one for one in dictionaries if one.node == node), None)
            chosen = [index for other, at, index in places if (other, at) == (layer, position)]
            if dictionary is None or max(chosen) >= dictionary.size:
                told = f"feature {max(chosen)} of layer {layer} is in none of the {len(dictionaries)} dictionaries."
                problems.add(told, "Give dictionaries=, the transcoders that it was made with.", where)
                continue
            target = target.part(dictionary.features(chosen))
        found.append(target)
    return found
