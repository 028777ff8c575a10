"""Nodes of attention-only transformers evaluated by the textbook's formulas, for the oracle.

Where a family has no implementation but ours (shortformer), this stands in for the model's own modules. It shares no
code with the node evaluator: whole sequences, one head at a time, norms by their formulas.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.graph.nodes import Node
from scrubbing.models.transformer.forward import norm, pattern
from scrubbing.models.transformer.model import Transformer
from scrubbing.models.transformer.weights import Norm
from scrubbing.parts import AttentionPart, InnerPart


class TextbookNodes:
    """Implements `scrubbing.testing.NodeEvaluator` for transformers without MLPs and post-norms."""

    def __init__(self, model: Transformer) -> None:
        self.spec, self.weights = model.spec, model.weights
        assert not self.weights.mlps and self.weights.attention[0].post is None

    def source(self, node: Node, data: Dataset, row: int) -> Tensor:
        """See `NodeEvaluator.source`."""
        tokens = torch.as_tensor(np.array(data["tokens"][row], dtype=np.int64), device="cpu")
        if node.kind == "pos":
            assert self.weights.W_pos is not None
            return self.weights.W_pos[: len(tokens)]
        return self.weights.W_E[tokens]

    def extra(self, node: Node, slot: str) -> Tensor | float:
        """See `NodeEvaluator.extra`."""
        layers = self.weights.attention[: None if node.kind == "logits" else node.layer]
        return sum((a.b_O for a in layers if a.b_O is not None), start=torch.tensor(0.0))

    def evaluate(
        self,
        node: Node,
        slots: Mapping[str, Tensor],
        visible: Tensor | None,
        frozen: Mapping[str, Tensor] | None,
        part: InnerPart | None,
    ) -> Tensor:
        """See `NodeEvaluator.evaluate`."""
        by = self.weights.final if node.kind == "logits" else self.weights.attention[node.layer].norm
        x = {slot: _normed(by, value, None if frozen is None else frozen[slot]) for slot, value in slots.items()}
        if node.kind == "logits":
            logits = x["x"] @ self.weights.W_U
            return logits if self.weights.b_U is None else logits + self.weights.b_U
        return self._head(node, x, visible, part)

    def _head(self, node: Node, x: Mapping[str, Tensor], visible: Tensor | None, part: InnerPart | None) -> Tensor:
        attention, length = self.weights.attention[node.layer], len(x["q"])
        allowed = torch.ones(length, length, dtype=torch.bool)
        allowed = allowed.tril() if self.spec.causal else allowed
        allowed = allowed if visible is None else allowed & visible
        kv = node.head * attention.W_V.shape[0] // attention.W_Q.shape[0]
        v = x["v"] @ attention.W_V[kv]
        v = v if attention.b_V is None else v + attention.b_V[kv]
        attends = pattern(self.spec, self.weights, node.layer, node.head, (x["q"][None], x["k"][None]), allowed[None])[
            0
        ]
        if isinstance(part, AttentionPart):
            chosen = torch.as_tensor(part.between(length), device="cpu")
            attends = (chosen & allowed).to(v.dtype) if part.as_if else torch.where(chosen, attends, 0.0)
        return attends @ v @ attention.W_O[node.head]


def _normed(by: Norm, x: Tensor, frozen: Tensor | None) -> Tensor:
    """The norm of `x`, by the scale of another value if one is given."""
    if frozen is None or by.kind == "none":
        return norm(by, x)

    def scale(value: Tensor) -> Tensor:
        value = value - value.mean(-1, keepdim=True) if by.kind == "LN" else value
        return (value.square().mean(-1, keepdim=True) + by.eps).sqrt()

    bias = 0.0 if by.bias is None else by.bias
    return (norm(by, x) - bias) * scale(x) / scale(frozen) + bias
