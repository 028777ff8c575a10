"""What the engine needs of a model: nodes it can evaluate one at a time, on inputs of its choosing."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.models.content import NoContent, content_hash
from scrubbing.models.tokens import Tokens
from scrubbing.parts import InnerPart
from scrubbing.renamed import deprecated, old_names


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """The columns a model reads, as tensors on its device."""

    columns: Mapping[str, Tensor]
    """Each `[inputs, ...]`."""
    visible: Tensor | None
    """The padding mask, bool `[inputs, positions]`; None where no input is padded."""


_RENAMED = {"reference": "own_output", "lens": "norm_key"}
"""Methods of a model as they were called in version 0.1."""


class Model(ABC):
    """A model as a graph of nodes evaluated on their own. Subclass it to scrub a model of your own.

    A subclass says what its graph is, what its inputs are, what each node computes from what it reads, and, for the
    check that this is the model, what its own forward pass gives. Everything else has a default: no biases, no norms,
    nodes whose values are what they write.

    Activations are flat: the first axis runs over tokens, (row, position) pairs. What a node produces may be held in a
    compact *raw* form (a head's `z`, width d_head); `write` turns raw values into residual contributions.
    """

    name: str = "model"
    """Shown in records."""
    device: torch.device = torch.device("cpu")
    """Where it computes."""
    dtype: torch.dtype = torch.float32
    """In what precision."""
    splits_attention: bool = False
    """Whether heads evaluate a part that has `distances` in two steps, see `run`; what moves under a pattern of
    another input then needs neither its queries nor its keys."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for old, new in _RENAMED.items():
            if old in vars(cls) and new not in vars(cls):
                deprecated(f"{cls.__name__}.{old} is now called {new}")
                setattr(cls, new, vars(cls)[old])

    @abstractmethod
    def graph(self, data: Dataset) -> ModelGraph:
        """The model graph for inputs of this length."""

    @abstractmethod
    def inputs(self, data: Dataset) -> ModelInputs:
        """The columns this model reads.

        Raises:
            BadData: inputs it cannot take.
        """

    @abstractmethod
    def source(self, node: Node, inputs: ModelInputs, rows: Tensor, positions: Tensor) -> Tensor:
        """Value of a node without slots for dataset rows `[tokens]` at positions `[tokens]`, `[tokens, width]`."""

    @abstractmethod
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

    @abstractmethod
    def raw_width(self, node: Node, part: InnerPart | None) -> int:
        """Width of a raw value."""

    @abstractmethod
    def own_output(self, inputs: ModelInputs, rows: Tensor) -> Tensor:
        """Output of the model's own forward pass, `[rows, positions, d_out]`, independent of the methods above."""

    @cached_property
    def _unreadable(self) -> str:
        return uuid.uuid4().hex

    @property
    def fingerprint(self) -> str:
        """Hash of weights and configuration: by default of the class and all public attributes. Where these cannot be
        read, a name that no other object has, so that a run of this model is never taken for a run of another.
        """
        try:
            return content_hash((type(self), {n: v for n, v in vars(self).items() if not n.startswith("_")}))
        except NoContent as reason:
            return f"{self._unreadable} (of this object only: {reason})"

    def constant(self, node: Node, slot: str) -> Tensor | None:
        """What a slot reads beside its parents, `[d]`: the biases of earlier layers."""
        return None

    def reference(self, batch: ModelInputs, rows: Tensor) -> Tensor:
        """Deprecated: `own_output`."""
        deprecated("Model.reference is now called own_output")
        return self.own_output(batch, rows)

    def read(self, node: Node | str, data: Dataset) -> Tensor:
        """What a node writes on every input, `[n, positions, d]`; see `scrubbing.models.reading.read`."""
        from scrubbing.models.reading import read

        return read(self, node, data)

    def norm_key(self, node: Node, slot: str) -> Hashable:
        """Name of what a node does to a slot's input before using it (its norm); equal names, equal functions."""
        return "as it is"

    def prepare(self, norm_key: Hashable, x: Tensor, positions: Tensor, scale: Tensor | None) -> Tensor:
        """Apply it to `[tokens, d]`; `scale` `[tokens, 1]` replaces the norm's own, to freeze it."""
        return x

    def scale(self, norm_key: Hashable, x: Tensor) -> Tensor:
        """The norm's scale for `[tokens, d]`, `[tokens, 1]`; ones where there is no norm."""
        return torch.ones_like(x[:, :1])

    def write(self, raws: Sequence[tuple[Node, InnerPart | None, Tensor]]) -> Tensor:
        """Sum of the residual contributions of raw values on the same tokens, `[tokens, d]`."""
        return torch.stack([raw for _, _, raw in raws]).sum(0)

    def flops(self, nodes: Sequence[Node], tokens: Mapping[str, float], rows: float, part: InnerPart | None) -> float:
        """Floating-point operations of `run`, for this many tokens per slot over this many rows; one per token where
        nothing is known.
        """
        return sum(tokens.values())

    def write_flops(self, node: Node, part: InnerPart | None) -> float:
        """Floating-point operations per token of turning a raw value into a residual contribution."""
        return 0.0


__getattr__ = old_names(__name__, {"Inputs": "scrubbing.models.protocol.ModelInputs"})
