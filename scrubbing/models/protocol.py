"""What the engine needs of a model: nodes it can evaluate one at a time, on inputs of its choosing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.models.tokens import Tokens
from scrubbing.parts import InnerPart


@dataclass(frozen=True, eq=False)
class Inputs:
    """The columns a model reads, as tensors on its device."""

    columns: Mapping[str, Tensor]
    """Each `[inputs, ...]`."""
    visible: Tensor | None
    """The padding mask, bool `[inputs, positions]`; None where no input is padded."""


@runtime_checkable
class Model(Protocol):
    """A model as a graph of nodes evaluated on their own.

    Activations are flat: the first axis runs over tokens, (row, position) pairs. What a node produces may be held in a
    compact *raw* form (a head's `z`, width d_head); `write` turns raw values into residual contributions.

    A model whose heads have parts may say `splits_attention = True` and evaluate a part that has `distances` in two
    steps, see `run`; what moves under a pattern of another input then needs neither its queries nor its keys.
    """

    device: torch.device
    dtype: torch.dtype
    name: str

    @property
    def fingerprint(self) -> str:
        """Hash of weights and configuration."""
        ...

    def graph(self, data: Dataset) -> ModelGraph:
        """The model graph for inputs of this length."""
        ...

    def inputs(self, data: Dataset) -> Inputs:
        """The columns this model reads. Raises BadData for tokens it cannot take."""
        ...

    def source(self, node: Node, inputs: Inputs, rows: Tensor, positions: Tensor) -> Tensor:
        """Value of a node without slots for dataset rows `[tokens]` at positions `[tokens]`."""
        ...

    def constant(self, node: Node, slot: str) -> Tensor | None:
        """What a slot reads beside its parents, `[d]`: the biases of earlier layers."""
        ...

    def lens(self, node: Node, slot: str) -> Hashable:
        """Name of what a node does to a slot's input before using it (its norm); equal names, equal functions."""
        ...

    def prepare(self, lens: Hashable, x: Tensor, positions: Tensor, scale: Tensor | None) -> Tensor:
        """Apply it to `[tokens, d]`; `scale` `[tokens, 1]` replaces the norm's own, to freeze it."""
        ...

    def scale(self, lens: Hashable, x: Tensor) -> Tensor:
        """The norm's scale for `[tokens, d]`, `[tokens, 1]`; ones where there is no norm."""
        ...

    def run(
        self,
        nodes: Sequence[Node],
        prepared: Mapping[str, Tensor],
        tokens: Mapping[str, Tokens],
        visible: Tensor | None,
        part: InnerPart | None,
    ) -> list[Tensor]:
        """Raw values of nodes that read the same prepared slots.

        Args:
            nodes: heads of one layer, or a single node.
            prepared: slot to `[tokens of the slot, d]`.
            tokens: slot to its tokens; the result has those of `q` (heads) or `x`.
            visible: bool `[rows, positions]`, keys that attention may see.
            part: evaluate only this part: of an MLP a `NeuronPart`, of a head an `AttentionPart`.

        Heads that split attention are also asked, with a part that has `distances`, for the weights of its keys
        `[queries, distances]`, given `q` and `k` alone; and for their raw value given `v` and, in place of `q` and `k`,
        `weights` `[queries, heads, distances]`, whose tokens are the queries.
        """
        ...

    def write(self, raws: Sequence[tuple[Node, InnerPart | None, Tensor]]) -> Tensor:
        """Sum of the residual contributions of raw values on the same tokens, `[tokens, d]`."""
        ...

    def raw_width(self, node: Node, part: InnerPart | None) -> int:
        """Width of a raw value."""
        ...

    def flops(self, nodes: Sequence[Node], tokens: Mapping[str, float], rows: float, part: InnerPart | None) -> float:
        """Floating-point operations of `run`, for this many tokens per slot over this many rows."""
        ...

    def write_flops(self, node: Node, part: InnerPart | None) -> float:
        """Floating-point operations per token of turning a raw value into a residual contribution."""
        ...

    def reference(self, inputs: Inputs, rows: Tensor) -> Tensor:
        """Output of the model's own forward pass, `[rows, positions, d_out]`, independent of the methods above."""
        ...
