"""The functional encoder of BERT's kind: norms act on the residual stream itself, and are nodes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.device import upload
from scrubbing.errors import BadData, fail
from scrubbing.graph.model_graph import ModelGraph, encoder_graph
from scrubbing.graph.nodes import EMBED_NORM, LOGITS, TYPES, Node
from scrubbing.models.check import check_weights, random_inputs, self_check, tokens_of
from scrubbing.models.protocol import ModelInputs
from scrubbing.models.tokens import Tokens
from scrubbing.models.transformer.forward import encoded
from scrubbing.models.transformer.model import Transformer
from scrubbing.models.transformer.weights import ACTIVATIONS, IDENTITY, Norm, Spec, Weights
from scrubbing.parts import InnerPart

_OF_HEAD = {**ACTIVATIONS, "tanh": torch.tanh}
COLUMN = "token_type_ids"
"""Of token types, as tokenizers name it; without it, every token is of type 0."""


class Encoder(Transformer):
    """An encoder whose nodes can be evaluated one at a time; its own forward pass is the textbook's.

    The norm after the embeddings, and those after attention and MLP of each layer, are nodes: what a head writes is
    read by the norm of its layer (`a0.norm`), and by later heads only through that. The output of a classifier is at
    every position what it would be if the classifier read that one; the model's own reads the first.
    """

    def graph(self, data: Dataset) -> ModelGraph:
        """The graph for this dataset's inputs; it has a mask node if the dataset has a `mask` column."""
        return encoder_graph(
            self.n_layers,
            self.n_heads,
            d_model=self.d_model,
            d_mlp=self.weights.mlps[0].W_in.shape[1],
            positions=tokens_of(data).shape[1],
            padded=data.mask is not None,
            types=self.weights.W_types is not None,
        )

    def inputs(self, data: Dataset) -> ModelInputs:
        """Tokens, their types and mask on the model's device.

        Raises:
            BadData: SCR-TOKENS, as of every transformer, or types that the model does not have.
        """
        found = super().inputs(data)
        if self.weights.W_types is None:
            return found
        types = upload(_types(data, len(self.weights.W_types)), self.device)
        return replace(found, columns={**found.columns, COLUMN: types})

    def source(self, node: Node, inputs: ModelInputs, rows: Tensor, positions: Tensor) -> Tensor:
        """Embeddings of tokens, positions or types, `[tokens, d]`."""
        if node != TYPES:
            return super().source(node, inputs, rows, positions)
        assert self.weights.W_types is not None
        return self.weights.W_types.index_select(0, inputs.columns[COLUMN][rows, positions])

    def constant(self, node: Node, slot: str) -> Tensor | None:
        """The attention output bias, `[d]`, at the norm after attention."""
        return self.weights.attention[node.layer].b_O if node.kind == "attn.norm" else None

    def _norm(self, norm_key: Hashable) -> Norm:
        kind, layer, _ = cast(tuple[str, int, str], norm_key)
        if kind == EMBED_NORM.kind:
            return self.weights.norms[0]
        after = ("attn.norm", "mlp.norm")
        return self.weights.norms[1 + 2 * layer + after.index(kind)] if kind in after else IDENTITY

    def run(
        self,
        nodes: Sequence[Node],
        prepared: Mapping[str, Tensor],
        tokens: Mapping[str, Tokens],
        visible: Tensor | None,
        part: InnerPart | None,
    ) -> list[Tensor]:
        """See `Model.run`; a norm is what prepares its input."""
        if nodes[0].kind.endswith(".norm"):
            return [prepared["x"]]
        return super().run(nodes, prepared, tokens, visible, part)

    def _logits(self, x: Tensor) -> Tensor:
        if self.weights.W_head is not None:
            x = x @ self.weights.W_head
            x = x if self.weights.b_head is None else x + self.weights.b_head
            x = self.weights.final(_OF_HEAD[self.spec.head](x))
        return super()._logits(x)

    def flops(self, nodes: Sequence[Node], tokens: Mapping[str, float], rows: float, part: InnerPart | None) -> float:
        """See `Model.flops`."""
        head = self.weights.W_head
        more = 2 * tokens["x"] * head.numel() if nodes[0] == LOGITS and head is not None else 0.0
        return more + super().flops(nodes, tokens, rows, part)

    def own_output(self, inputs: ModelInputs, rows: Tensor) -> Tensor:
        """The textbook's forward pass, `[rows, positions, outputs]`."""
        types = inputs.columns[COLUMN][rows] if COLUMN in inputs.columns else None
        visible = None if inputs.visible is None else inputs.visible[rows]
        with torch.inference_mode():
            return encoded(self.spec, self.weights, inputs.columns["tokens"][rows], types, visible)


def assemble(spec: Spec, weights: Weights, name: str, known: Mapping[bool, Tensor], positions: int) -> Encoder:
    """Make an encoder from its weights, checked against the textbook's forward pass and known logits.

    Args:
        spec: of the family.
        weights: of the model.
        name: shown in reports.
        known: logits for `check_inputs`, unpadded and padded: `[n, positions, outputs]`, or `[n, 1, outputs]` of the
            first position alone.
        positions: of these inputs.

    Raises:
        ModelMismatch: SCR-DTYPE, weights of several precisions or of none; SCR-NAN; SCR-CHECK.
    """
    check_weights(dict(weights.tensors()), weights.W_E.dtype, name)
    model = Encoder(spec, weights, None, name)
    for padded, logits in known.items():
        data = check_inputs(weights, positions, padded)
        own = model.own_output(model.inputs(data), torch.arange(len(data))).clone()
        self_check(model, data, own=own)
        own[:, : logits.shape[1]] = logits
        self_check(model, data, own=own)
    return model


def check_inputs(weights: Weights, positions: int, padded: bool) -> Dataset:
    """A few random inputs with tokens of every type."""
    data = random_inputs(len(weights.W_E), positions, padded)
    if weights.W_types is None:
        return data
    types = np.random.default_rng(1).integers(0, len(weights.W_types), size=(len(data), positions))
    return Dataset({**{key: data[key] for key in data}, COLUMN: types}, name=data.name)


def _types(data: Dataset, known: int) -> NDArray[Any]:
    """Types of tokens, int32 `[n, positions]`."""
    shape = tokens_of(data).shape
    if COLUMN not in data:
        return np.zeros(shape, np.int32)
    types = data[COLUMN]
    if types.shape != shape or types.dtype.kind not in "iu":
        problem = f"its {COLUMN} are {types.dtype} of shape {list(types.shape)}, and its tokens {list(shape)}."
        fail(BadData, "SCR-TOKENS", problem, "Give an integer for each token.", data.name)
    if not 0 <= int(types.min()) <= int(types.max()) < known:
        problem = f"its {COLUMN} are {int(types.min())} to {int(types.max())}, and the model has {known} types."
        fail(BadData, "SCR-TOKENS", problem, f"Give integers from 0 to {known - 1}.", data.name)
    return (types if data.mask is None else np.where(data.mask, types, 0)).astype(np.int32)
