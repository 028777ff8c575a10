"""What the engine needs of a model: nodes it can evaluate one at a time, on inputs of its choosing."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.device import resolve
from scrubbing.errors import UsageError, fail
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.models.content import NoContent, content_hash
from scrubbing.models.tokens import Tokens
from scrubbing.parts import InnerPart
from scrubbing.renamed import deprecated, old_names
from scrubbing.shown import Shown

RESULT = "result"
"""Under this name, `Model.run` gets the tokens of its result where no slot of the node is read at its own position."""


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """The dataset columns that a model reads, as tensors on its device."""

    columns: Mapping[str, Tensor]
    """Column name to tensor `[inputs, ...]`."""
    visible: Tensor | None
    """The padding mask, bool `[inputs, positions]`; None where no input is padded."""
    on_host: NDArray[np.bool_] | None = None
    """`visible` as an array, where the model has it; otherwise it is read back from the device."""

    @cached_property
    def seen(self) -> NDArray[np.bool_] | None:
        """`visible` on the host."""
        if self.on_host is not None or self.visible is None:
            return self.on_host
        return self.visible.cpu().numpy()


_RENAMED = {"reference": "own_output", "lens": "norm_key"}
"""Methods of a model as they were called in version 0.1."""


class Model(Shown, ABC):
    """A model as a graph of nodes that can be evaluated one by one. Subclass it to scrub a model of your own.

    A subclass defines the graph, the inputs, what each node computes from its slots, and the output of its own forward
    pass, with which the nodes are checked. Everything else has a default: no biases, no norms, and nodes whose raw
    values are their contributions to the residual stream.

    Activations are flat: the first axis runs over tokens, (row, position) pairs. What a node produces may be held in a
    compact *raw* form (a head's `z`, width d_head); `write` turns raw values into residual contributions.
    """

    name: str = "model"
    """Shown in records."""
    device: torch.device = torch.device("cpu")
    """The device that the model computes on."""
    dtype: torch.dtype = torch.float32
    """The precision that the model computes in."""
    splits_attention: bool = False
    """Whether heads evaluate a part that has `distances` in two steps, see `run`. Values that move under the pattern
    of another input then need neither queries nor keys of that input."""

    @property
    def largest(self) -> int | None:
        """Numbers in the largest matrix that a step multiplies by; None where that is not known."""
        return None

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
        """Prepare the columns of a dataset that this model reads.

        Raises:
            BadData: the model cannot take these inputs.
        """

    @abstractmethod
    def source(self, node: Node, inputs: ModelInputs, rows: Tensor, positions: Tensor) -> Tensor:
        """Value `[tokens, width]` of a node without slots, for input rows `[tokens]` at positions `[tokens]`."""

    @abstractmethod
    def run(
        self,
        nodes: Sequence[Node],
        prepared: Mapping[str, Tensor],
        tokens: Mapping[str, Tokens],
        visible: Tensor | None,
        part: InnerPart | None,
    ) -> list[Tensor]:
        """Compute the raw values of nodes that read the same prepared slots.

        Args:
            nodes: heads of one layer, or a single node.
            prepared: slot name to prepared input `[tokens of the slot, d]`.
            tokens: slot name to the tokens of the slot. The result has the tokens of the slots that are read at their
                own position, such as `q` of heads; where there are none, those under `RESULT`, or else every token.
            visible: keys that attention may see, bool `[rows, positions]`; None for all.
            part: evaluate only this part: a `NeuronPart` or `ReadPart` of an MLP, or an `AttentionPart` of a head.

        For a model that sets `splits_attention`, heads are also called with a part that has `distances`: with `q` and
        `k` alone, to return the weights of its keys `[queries, distances]`; and with `v` and `weights`
        `[queries, heads, distances]` (whose tokens are the queries) in place of `q` and `k`, to return the raw value.
        """

    @abstractmethod
    def raw_width(self, node: Node, part: InnerPart | None) -> int:
        """Width of the raw value of a node, or of a part of it."""

    @abstractmethod
    def own_output(self, inputs: ModelInputs, rows: Tensor) -> Tensor:
        """Output of the model's own forward pass, `[rows, positions, d_out]`, independent of the methods above."""

    @cached_property
    def _unreadable(self) -> str:
        return uuid.uuid4().hex

    @property
    def fingerprint(self) -> str:
        """Hash of weights and configuration; by default, of the class and all public attributes.

        Where these cannot be hashed, it is a name unique to this object, so that a run of this model is never taken for
        a run of another.
        """
        try:
            return content_hash((type(self), {n: v for n, v in vars(self).items() if not n.startswith("_")}))
        except NoContent as reason:
            return f"{self._unreadable} (of this object only: {reason})"

    def to(self, device: torch.device | str | None = None) -> Model:
        """The same model on another device. A model of your own that is to be moved overrides this.

        Raises:
            UsageError: SCR-DEVICE, there is no such device; or the model cannot be moved, which is the default.
        """
        there = self.device if device is None else resolve(device, self.name)
        if there != self.device:
            problem = (
                f"it is on {self.device}, was to be moved to {there}, and {type(self).__name__} has no method to()."
            )
            fail(UsageError, "SCR-DEVICE", problem, "Make it there and leave out device=, or give it one.", self.name)
        return self

    def constant(self, node: Node, slot: str) -> Tensor | None:
        """The constant that a slot reads beside its parents, `[d]`, such as the biases of earlier layers, or None."""
        return None

    def reference(self, batch: ModelInputs, rows: Tensor) -> Tensor:
        """Deprecated: `own_output`."""
        deprecated("Model.reference is now called own_output")
        return self.own_output(batch, rows)

    def read(self, node: Any, data: Dataset) -> Tensor:
        """What a node writes on every input, `[n, positions, d]`; see `scrubbing.models.reading.read`."""
        from scrubbing.models.reading import read

        return read(self, node, data)

    def norm_key(self, node: Node, slot: str) -> Hashable:
        """Key of the norm that a node applies to a slot's input. Slots with equal keys are normalised alike."""
        return "as it is"

    def prepare(self, norm_key: Hashable, x: Tensor, positions: Tensor, scale: Tensor | None) -> Tensor:
        """Apply the norm with this key to `[tokens, d]`. A `scale` `[tokens, 1]` replaces the norm's own."""
        return x

    def scale(self, norm_key: Hashable, x: Tensor) -> Tensor:
        """The scale `[tokens, 1]` by which the norm with this key divides `[tokens, d]`; ones without a norm."""
        return torch.ones_like(x[:, :1])

    def write(self, raws: Sequence[tuple[Node, InnerPart | None, Tensor]]) -> Tensor:
        """Sum of the contributions `[tokens, d]` to the residual stream of raw values on the same tokens."""
        return torch.stack([raw for _, _, raw in raws]).sum(0)

    def flops(self, nodes: Sequence[Node], tokens: Mapping[str, float], rows: float, part: InnerPart | None) -> float:
        """Floating-point operations of `run`, for these tokens per slot over these rows; by default, one per token."""
        return sum(tokens.values())

    def write_flops(self, node: Node, part: InnerPart | None) -> float:
        """Floating-point operations per token of turning a raw value into a residual contribution."""
        return 0.0


__getattr__ = old_names(__name__, {"Inputs": "scrubbing.models.protocol.ModelInputs"})
