"""Components by the names of TransformerLens's hooks: `blocks.1.attn.hook_result[:, :, 0]`, `blocks.1.hook_q_input`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from scrubbing.circuits.edge_circuit import inputs, readers
from scrubbing.graph.edges import Edge
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import EMBED, POS, Node, head_node, mlp_node

_HOOK = re.compile(r"blocks\.(?P<layer>\d+)\.(?:attn\.)?hook_(?P<what>\w+)")
_INDEX = re.compile(r"\s*(?P<hook>[\w.]+)\s*(?:\[(?P<index>[^\]]*)\])?\s*")
Places = tuple[str, Sequence[Any]]
"""A hook's name, and an index into what it holds: None for everything, else a number."""


def place(text: str) -> Places | None:
    """A hook with an index as ACDC prints them: `blocks.1.attn.hook_result[:, :, 0]`; None for other text."""
    found = _INDEX.fullmatch(text)
    if found is None:
        return None
    entries = [one.strip() for one in (found["index"] or "").split(",") if one.strip()]
    return found["hook"], [int(one) if one.lstrip("-").isdigit() else None for one in entries]


def writers_at(hook: str, index: Sequence[Any], graph: ModelGraph) -> list[Node] | None:
    """The nodes whose sum a hook holds, where it holds what components write; None where it does not."""
    if hook in ("hook_embed", "hook_pos_embed"):
        wanted = EMBED if hook == "hook_embed" else POS
        return [wanted] if wanted in graph.slots else []
    found = _HOOK.fullmatch(hook)
    if found is None:
        return None
    layer, what = int(found["layer"]), found["what"]
    if what == "resid_pre" and layer == 0:
        return inputs(graph)
    if what == "mlp_out":
        return [mlp_node(layer)]
    if what in ("result", "z") and (head := _head(index)) is not None:
        return [head_node(layer, head)]
    return None


def readers_at(hook: str, index: Sequence[Any], graph: ModelGraph) -> list[tuple[Node, str]] | None:
    """The slots that a hook is the input of; None where it is none of a slot."""
    found = _HOOK.fullmatch(hook)
    if found is None:
        return None
    layer, what = int(found["layer"]), found["what"]
    if what == "mlp_in":
        return readers(mlp_node(layer), graph) or [(mlp_node(layer), "x")]
    if what == "resid_post" and layer == last_layer(graph):
        return readers(graph.output, graph)
    head = _head(index)
    if what in ("q_input", "k_input", "v_input") and head is not None:
        return [(head_node(layer, head), what[0])]
    if what == "attn_in" and head is not None:
        return [(head_node(layer, head), slot) for slot in "qkv"]
    return None


def last_layer(graph: ModelGraph) -> int:
    """The number of the last layer."""
    return max((node.layer for node in graph.slots), default=-1)


def edges_between(writer: Places, reader: Places, graph: ModelGraph, at: tuple[int, ...] = ()) -> list[Edge] | str:
    """The edges from one hook to another; which of them is unknown, as text, where one is."""
    writers, slots = writers_at(*writer, graph), readers_at(*reader, graph)
    if writers is None or slots is None:
        hook, index = writer if writers is None else reader
        return f"{hook}{shown(index)}"
    return [Edge(one, node, slot, at) for one in writers for node, slot in slots]


def shown(index: Sequence[Any]) -> str:
    """An index as text: `[:, :, 0]`."""
    return f"[{', '.join(':' if one is None else str(one) for one in index)}]" if index else ""


def _head(index: Sequence[Any]) -> int | None:
    numbers = [one for one in index if isinstance(one, int)]
    return numbers[0] if len(numbers) == 1 else None
