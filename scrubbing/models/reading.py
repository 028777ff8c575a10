"""What nodes hold on whole inputs: the model evaluated node by node, nothing exchanged."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.errors import IllegalHypothesis, ModelMismatch, fail, nearest
from scrubbing.graph.nodes import MASK, Node
from scrubbing.models.protocol import Model
from scrubbing.models.tokens import Tokens

AT_ONCE = 256
"""Inputs that are evaluated together."""


def read(model: Model, node: Any, data: Dataset) -> Tensor:
    """What a node writes on every input: its contribution to the residual stream, or the output itself.

    Args:
        model: any that can be scrubbed.
        node: a `Node`, its name, such as `a1.h0`, or a target that is a whole node, such as `head(1, 0)`.
        data: the inputs.

    Returns:
        `[n, positions, d]`, on the CPU. At padding it holds whatever the model computes there.

    Raises:
        ModelMismatch: SCR-MODEL, the model has no such node. IllegalHypothesis: SCR-NAME, no node and no name of one.
    """
    graph = model.graph(data)
    named = getattr(node, "node", node)  # of a target, which lives on a higher floor
    if getattr(node, "read_slots", ()) or getattr(node, "only", None) is not None:
        problem = f"{node} is not all that a node writes."
        fail(IllegalHypothesis, "SCR-NAME", problem, "Name a whole node, such as a1.h0.", model.name)
    wanted = named if isinstance(named, Node) else Node.parse(named)
    if wanted not in graph.slots or wanted == MASK:
        known = [str(one) for one in graph.slots if one != MASK]
        problem = f"it has no node {wanted} that writes anything."
        fail(ModelMismatch, "SCR-MODEL", problem, f"Did you mean: {nearest(str(wanted), known)}?", model.name)
    needed = {wanted, *graph.upstream.get(wanted, ())}
    order = [one for one in graph.slots if one in needed and one != MASK]
    with torch.inference_mode():
        starts = range(0, len(data), AT_ONCE)
        batches = [torch.arange(start, min(start + AT_ONCE, len(data))) for start in starts]
        return torch.cat([_read(model, wanted, order, data, rows) for rows in batches])


def _read(model: Model, wanted: Node, order: list[Node], data: Dataset, rows: Tensor) -> Tensor:
    graph, inputs = model.graph(data), model.inputs(data)
    length, rows = graph.positions, rows.to(model.device)
    tokens = Tokens.rectangle(len(rows), tuple(range(length)), model.device)
    visible = None if inputs.visible is None else inputs.visible[rows]
    written: dict[Node, Tensor] = {}
    for node in order:
        slots = graph.slots[node]
        if not slots:
            raw = model.source(node, inputs, rows[tokens.rows], tokens.positions)
        else:
            prepared: dict[str, Tensor] = {}
            for name, slot in slots.items():
                if slot.parents == (MASK,):
                    continue
                x = torch.stack([written[parent] for parent in slot.parents]).sum(0)
                constant = model.constant(node, name)
                x = x if constant is None else x + constant
                prepared[name] = model.prepare(model.norm_key(node, name), x, tokens.positions, None)
            (raw,) = model.run([node], prepared, dict.fromkeys(prepared, tokens), visible, None)
        written[node] = raw if node == graph.output else model.write([(node, None, raw)])
    return written[wanted].reshape(len(rows), length, -1).cpu()
