"""Ways to evaluate single nodes on whole sequences, for the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.graph.nodes import Node
from scrubbing.models.protocol import Model
from scrubbing.models.tokens import Tokens
from scrubbing.parts import InnerPart


class NodeEvaluator(Protocol):
    """Protocol for evaluating single nodes on whole sequences; slots hold residuals `[positions, d]` before norms."""

    def source(self, node: Node, data: Dataset, row: int) -> Tensor:
        """Value of a node without slots, `[positions, d]`."""
        ...

    def extra(self, node: Node, slot: str) -> Tensor | float:
        """The constant that a slot reads beside its parents, `[d]` or a number."""
        ...

    def evaluate(
        self,
        node: Node,
        slots: Mapping[str, Tensor],
        visible: Tensor | None,
        frozen: Mapping[str, Tensor] | None,
        part: InnerPart | None,
    ) -> Tensor:
        """Contribution of a node to the residual stream, `[positions, d]`.

        Args:
            node: the node to evaluate.
            slots: residual inputs by slot name.
            visible: padding mask of keys, bool `[positions]`.
            frozen: residual inputs whose norm scales are used instead of the slots' own.
            part: restrict the contribution to these neurons, or to these (query, key) pairs of attention.
        """
        ...


class ProtocolNodes:
    """Nodes evaluated through a model's own `run`, densely; for backends that have no other reference."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def source(self, node: Node, data: Dataset, row: int) -> Tensor:
        """See `NodeEvaluator.source`."""
        inputs = self.model.inputs(data)
        length = self.model.graph(data).positions
        rows, positions = torch.full((length,), row, device=self.model.device), self._positions(length)
        return self.model.write([(node, None, self.model.source(node, inputs, rows, positions))])

    def extra(self, node: Node, slot: str) -> Tensor | float:
        """See `NodeEvaluator.extra`."""
        constant = self.model.constant(node, slot)
        return 0.0 if constant is None else constant

    def evaluate(
        self,
        node: Node,
        slots: Mapping[str, Tensor],
        visible: Tensor | None,
        frozen: Mapping[str, Tensor] | None,
        part: InnerPart | None,
    ) -> Tensor:
        """See `NodeEvaluator.evaluate`."""
        length = len(next(iter(slots.values())))
        tokens = Tokens.rectangle(1, tuple(range(length)), self.model.device)
        prepared: dict[str, Tensor] = {}
        for name, x in slots.items():
            norm_key = self.model.norm_key(node, name)
            scale = None if frozen is None else self.model.scale(norm_key, frozen[name])
            prepared[name] = self.model.prepare(norm_key, x, self._positions(length), scale)
        mask = None if visible is None else visible[None].to(self.model.device)
        (raw,) = self.model.run([node], prepared, dict.fromkeys(prepared, tokens), mask, part)
        return raw if node.kind == "logits" else self.model.write([(node, part, raw)])

    def _positions(self, length: int) -> Tensor:
        return torch.arange(length, device=self.model.device)
