"""The functional transformer: nodes evaluated from weights, each on inputs of its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.device import has_double, indices, multiplying, resolve, upload
from scrubbing.errors import BadData, UsageError, fail
from scrubbing.graph.model_graph import ModelGraph, transformer_graph
from scrubbing.graph.nodes import LOGITS, Node
from scrubbing.models.check import check_weights, random_inputs, self_check, tokens_of
from scrubbing.models.protocol import Model, ModelInputs
from scrubbing.models.tokens import Tokens
from scrubbing.models.transformer.attention import (
    attend,
    attend_flops,
    mix,
    mix_flops,
    weights_at,
    weights_flops,
)
from scrubbing.models.transformer.fit import fit
from scrubbing.models.transformer.forward import forward as textbook
from scrubbing.models.transformer.weights import ACTIVATIONS, IDENTITY, Norm, Spec, Weights
from scrubbing.parts import AttentionPart, InnerPart, NeuronPart, ReadPart

Forward = Callable[[Tensor, Tensor | None], Tensor]
"""Tokens `[rows, positions]` and padding mask (true = real) or None, to logits `[rows, positions, outputs]`."""

_CHECKED_POSITIONS = 16
_NormKey = tuple[str, int, str]
"""Kind of the reading node, its layer, and which of several norms there."""


class Transformer(Model):
    """A transformer whose nodes can be evaluated one at a time.

    Hooks on a live model cannot give a single head its own query, key and value inputs in every family, so nodes are
    computed from the weights. That this is the same model is not assumed: `self_check` compares it with `forward`.

    Args:
        spec: description of the family.
        weights: all weights, in one dtype on one device.
        forward: the model's own forward pass, used for the self-check and by the oracle; None is the textbook's on
            these weights (`transformer.forward`), which shares no code with the evaluation of nodes.
        name: shown in reports.
        own_precision: the least precision that `forward` computes in, if that is not the weights'.
    """

    splits_attention = True

    def __init__(
        self, spec: Spec, weights: Weights, forward: Forward | None, name: str, own_precision: torch.dtype | None = None
    ) -> None:
        self.spec = spec
        self.weights = weights
        self.forward = forward or self._textbook
        self.name = name
        self.device = weights.W_E.device
        self.dtype = weights.W_E.dtype
        self.own_precision = own_precision or self.dtype
        self._given = forward
        self._home = self.device
        self._fingerprint: str | None = None

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.weights.W_E.shape[1]

    @property
    def largest(self) -> int:
        """Numbers in the output matrix, or in a matrix of an MLP or of all heads of a layer."""
        return max(self.weights.W_U.numel(), *(mlp.W_in.numel() for mlp in self.weights.mlps), self.d_model**2)

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return len(self.weights.attention)

    @property
    def n_heads(self) -> int:
        """Query heads per layer."""
        return self.weights.attention[0].W_Q.shape[0]

    @property
    def fingerprint(self) -> str:
        """Hash of weights and family spec."""
        if self._fingerprint is None:
            self._fingerprint = self.weights.fingerprint(self.spec)
        return self._fingerprint

    def weights_hash(self) -> str:
        """Hash of the weights alone, independent of how their family is described."""
        return self.weights.fingerprint(None)

    def graph(self, data: Dataset) -> ModelGraph:
        """The graph for this dataset's inputs; it has a mask node if the dataset has a `mask` column."""
        mlps = self.weights.mlps
        return transformer_graph(
            self.n_layers,
            self.n_heads,
            d_model=self.d_model,
            d_mlp=mlps[0].W_in.shape[1] if mlps else None,
            positions=tokens_of(data).shape[1],
            causal=self.spec.causal,
            padded=data.mask is not None,
            learned_positions=self.spec.positions == "residual",
            parallel=self.spec.parallel,
            post_norms=self.weights.attention[0].post is not None,
        )

    def inputs(self, data: Dataset) -> ModelInputs:
        """Tokens and mask on the model's device.

        Raises:
            BadData: SCR-TOKENS, not integers `[n, positions]`, outside the vocabulary, or longer than the model takes.
        """
        tokens = tokens_of(data)
        vocabulary, length = self.weights.W_E.shape[0], tokens.shape[1]
        if not 0 <= int(tokens.min()) <= int(tokens.max()) < vocabulary:
            worst = int(tokens.min()) if tokens.min() < 0 else int(tokens.max())
            problem = f"token {worst} is outside the model's vocabulary of {vocabulary}."
            fail(BadData, "SCR-TOKENS", problem, "Tokenise with the model's own tokenizer.", data.name)
        limit = None if self.weights.W_pos is None else self.weights.W_pos.shape[0]
        if self.weights.rotary is not None:
            limit = self.weights.rotary[0].shape[0]
        if limit is not None and length > limit:
            problem = f"its inputs have {length} positions, and the model is prepared for {limit}."
            fail(BadData, "SCR-TOKENS", problem, "Cut the inputs, or load the model with positions=.", data.name)
        visible = None if data.mask is None else upload(data.mask, self.device)
        return ModelInputs({"tokens": upload(tokens.astype(np.int32), self.device)}, visible, data.mask)

    def source(self, node: Node, inputs: ModelInputs, rows: Tensor, positions: Tensor) -> Tensor:
        """Token or position embeddings, `[tokens, d]`."""
        if node.kind == "pos":
            assert self.weights.W_pos is not None
            return self.weights.W_pos.index_select(0, positions)
        tokens = inputs.columns["tokens"]
        return self.weights.W_E.index_select(0, tokens.reshape(-1).index_select(0, rows * tokens.shape[1] + positions))

    def constant(self, node: Node, slot: str) -> Tensor | None:
        """Sum of the attention output biases written before this slot reads, `[d]`."""
        if node.kind == "attn":
            return self.weights.attention[node.layer].b_O
        if self.weights.attention[0].post is not None:
            return None
        until = self.n_layers if node == LOGITS else node.layer
        if node.kind == "mlp" and not self.spec.parallel:
            until += 1
        biases = [a.b_O for a in self.weights.attention[:until] if a.b_O is not None]
        return torch.stack(biases).sum(0) if biases else None

    def norm_key(self, node: Node, slot: str) -> Hashable:
        """`(kind, layer, variant)` of the norm; queries and keys of shortformer models have a variant of their own."""
        if node.kind == "head":
            shifted = self.spec.positions == "query_key" and slot in ("q", "k")
            return ("head", node.layer, "shifted" if shifted else "")
        return (node.kind, node.layer, "")

    def prepare(self, norm_key: Hashable, x: Tensor, positions: Tensor, scale: Tensor | None) -> Tensor:
        """The norm, and the positions that shortformer models add after it."""
        normed = self._norm(norm_key)(x, scale)
        _, _, which = cast(_NormKey, norm_key)
        if which == "shifted":
            assert self.weights.W_pos is not None
            normed = normed + self.weights.W_pos.index_select(0, positions)
        return normed

    def scale(self, norm_key: Hashable, x: Tensor) -> Tensor:
        """See `Model.scale`."""
        return self._norm(norm_key).scale(x)

    def _norm(self, norm_key: Hashable) -> Norm:
        kind, layer, _ = cast(_NormKey, norm_key)
        match kind:
            case "head":
                return self.weights.attention[layer].norm
            case "mlp":
                return self.weights.mlps[layer].norm
            case "logits":
                return self.weights.final
            case _:
                return IDENTITY

    def run(
        self,
        nodes: Sequence[Node],
        prepared: Mapping[str, Tensor],
        tokens: Mapping[str, Tokens],
        visible: Tensor | None,
        part: InnerPart | None,
    ) -> list[Tensor]:
        """See `Model.run`: `z` `[queries, d_head]` per head, hidden neurons or output `[tokens, ...]` otherwise."""
        first = nodes[0]
        if first.kind == "head":
            found = self._heads(first.layer, [node.head for node in nodes], prepared, tokens, visible, part)
            return list(found.unbind(1))
        x = prepared["x"]
        match first.kind:
            case "mlp":
                return [part.function(self)(x) if isinstance(part, ReadPart) else self._mlp(first.layer, x, part)]
            case "attn":
                post = self.weights.attention[first.layer].post
                assert post is not None
                return [post(x)]
            case _:
                return [self._logits(x)]

    def _logits(self, x: Tensor) -> Tensor:
        logits = x @ self.weights.W_U
        if self.weights.b_U is not None:
            logits += self.weights.b_U
        cap = self.spec.logit_cap
        return cap * torch.tanh(logits / cap) if cap else logits

    def _heads(
        self,
        layer: int,
        heads: Sequence[int],
        prepared: Mapping[str, Tensor],
        tokens: Mapping[str, Tokens],
        visible: Tensor | None,
        part: InnerPart | None,
    ) -> Tensor:
        """`z`, or the weights at the part's offsets, of heads with the same inputs, `[queries, heads, ...]`."""
        if "weights" in prepared:
            assert isinstance(part, AttentionPart)
            attention = self.weights.attention[layer]
            weights, xv = prepared["weights"], prepared["v"]
            return mix(attention, heads, weights, xv, tokens["weights"], tokens["v"], part.distances)
        xq, xk, q, k = prepared["q"], prepared["k"], tokens["q"], tokens["k"]
        if "v" not in prepared:
            assert isinstance(part, AttentionPart)
            return weights_at(self.spec, self.weights, layer, heads, (xq, xk), q, k, visible, part.distances)
        assert part is None or isinstance(part, AttentionPart)
        return attend(self.spec, self.weights, layer, heads, (xq, xk, prepared["v"]), q, k, visible, part)

    def _mlp(self, layer: int, x: Tensor, part: InnerPart | None) -> Tensor:
        mlp = self.weights.mlps[layer]
        chosen = slice(None) if part is None else indices(_neurons(part, mlp.W_in.shape[1]), self.device)

        def into(W: Tensor, b: Tensor | None) -> Tensor:
            out = x @ W[:, chosen]
            return out if b is None else out.add_(b[chosen])

        act = ACTIVATIONS[self.spec.activation]
        if mlp.W_gate is not None:
            hidden = act(into(mlp.W_gate, mlp.b_gate)).mul_(into(mlp.W_in, mlp.b_in))
        elif self.spec.activation == "solu" and part is not None:
            hidden = act(x @ mlp.W_in + (0 if mlp.b_in is None else mlp.b_in))[
                :, chosen
            ]  # softmax runs over all neurons
        else:
            hidden = act(into(mlp.W_in, mlp.b_in))
        if part is not None:
            return hidden
        out = hidden @ mlp.W_out
        if mlp.b_out is not None:
            out += mlp.b_out
        return out if mlp.post is None else mlp.post(out)

    def write(self, raws: Sequence[tuple[Node, InnerPart | None, Tensor]]) -> Tensor:
        """See `Model.write`; the heads of a layer go through one matrix product."""
        layers: dict[int, list[tuple[Tensor, Tensor]]] = {}
        total: Tensor | None = None
        for node, part, raw in raws:
            if node.kind == "head":
                layers.setdefault(node.layer, []).append((raw, self.weights.attention[node.layer].W_O[node.head]))
                continue
            if node.kind == "mlp" and part is not None and not isinstance(part, ReadPart):
                W_out = self.weights.mlps[node.layer].W_out
                raw = raw @ W_out[indices(_neurons(part, len(W_out)), self.device)]
            total = raw if total is None else total + raw
        for pairs in layers.values():
            if len(pairs) == 1:
                out = pairs[0][0] @ pairs[0][1]
            else:
                out = torch.cat([raw for raw, _ in pairs], dim=-1) @ torch.cat([W for _, W in pairs])
            total = out if total is None else total + out
        assert total is not None
        return total

    def raw_width(self, node: Node, part: InnerPart | None) -> int:
        """See `Model.raw_width`."""
        if node.kind == "head":
            return self.weights.attention[0].W_Q.shape[2]
        if node == LOGITS:
            return self.weights.W_U.shape[1]
        if part is None or isinstance(part, ReadPart):
            return self.d_model
        return len(_neurons(part, self.weights.mlps[node.layer].W_in.shape[1]))

    def flops(self, nodes: Sequence[Node], tokens: Mapping[str, float], rows: float, part: InnerPart | None) -> float:
        """See `Model.flops`; two operations per multiply-add, element-wise work left out."""
        first = nodes[0]
        if first.kind == "head":
            attention, heads = self.weights.attention[first.layer], [node.head for node in nodes]
            if "weights" in tokens:
                assert isinstance(part, AttentionPart)
                return mix_flops(attention, heads, tokens["weights"], tokens["v"], len(part.distances))
            if "v" not in tokens:
                return weights_flops(attention, heads, tokens["q"], tokens["k"], rows)
            return attend_flops(self.spec, attention, heads, tokens["q"], tokens["k"], rows)
        if isinstance(part, ReadPart):
            return tokens["x"] * part.flops(self.d_model)
        if first.kind == "mlp":
            mlp = self.weights.mlps[first.layer]
            neurons = mlp.W_in.shape[1] if part is None else self.raw_width(first, part)
            return 2 * tokens["x"] * self.d_model * neurons * ((mlp.W_gate is not None) + (2 if part is None else 1))
        return 2 * tokens["x"] * self.weights.W_U.numel() if first == LOGITS else 0.0

    def write_flops(self, node: Node, part: InnerPart | None) -> float:
        """See `Model.write_flops`."""
        raw = self.raw_width(node, part)
        compact = node.kind == "head" or (part is not None and not isinstance(part, ReadPart))
        return 2.0 * raw * self.d_model if compact else 0.0

    def own_output(self, inputs: ModelInputs, rows: Tensor) -> Tensor:
        """The model's own forward pass, `[rows, positions, outputs]`."""
        tokens = inputs.columns["tokens"][rows]
        visible = None if inputs.visible is None else inputs.visible[rows]
        with torch.inference_mode():
            there = None if visible is None else visible.to(self._home)
            return self.forward(tokens.to(self._home), there).to(self.device)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Transformer:
        """The same model on another device or in another precision.

        A `forward` that was passed in, such as a bridge's, stays where it is, gets its inputs there, and what it
        returns is brought here. A model on another device is compared with this one first.

        Args:
            device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, or a device of torch; None is this model's.
            dtype: precision to compute in; None is this model's.

        Raises:
            UsageError: SCR-DEVICE, there is no such device.
            ModelMismatch: SCR-CHECK, the other device computes something else.
        """
        there, precision = self.device if device is None else resolve(device, self.name), dtype or self.dtype
        if precision == torch.float64 and not has_double(there):
            remedy = "Load the model in float32: losses and statistics are in float64 on the host."
            fail(UsageError, "SCR-DEVICE", f"there are no float64 numbers on {there}.", remedy, self.name)
        weights = self.weights.to(there, precision)
        made = type(self)(self.spec, weights, self._given, self.name, self.own_precision if self._given else None)
        made._home = self._home if self._given else there
        if there != self.device and precision == self.dtype:
            for data in (self._samples(padded=False), self._samples(padded=True)):
                with multiplying(self.device):
                    own = self.own_output(self.inputs(data), torch.arange(len(data), device=self.device))
                self_check(made, data, own=own)
        return made

    def with_weights(self, tensors: Mapping[str, Tensor], name: str | None = None) -> Transformer:
        """A model of the same architecture with other weights, which its forward pass uses too.

        That forward pass is the textbook one. Where this model has another (that of a bridge, or of `transformers`),
        the textbook one must first agree with it on the present weights.

        Args:
            tensors: tensors under all names of `weights.learned()`; they are copied to this model's device and
                precision.
            name: shown in reports; defaults to this model's.

        Raises:
            ModelMismatch: SCR-WEIGHTS, other names or shapes; SCR-NAN, a tensor is not finite; SCR-CHECK, the textbook
                forward pass is not this model's, or the nodes do not add up to it.
        """
        shapes = {key: tuple(tensor.shape) for key, tensor in self.weights.learned()}
        fit(tensors, shapes, name or self.name)
        copied = {key: tensor.detach().to(self.device, self.dtype, copy=True) for key, tensor in tensors.items()}
        check_weights(copied, self.dtype, name or self.name)
        made = type(self)(self.spec, self.weights.replaced(copied), None, name or self.name)
        data = self._samples(padded=True)
        if self._given is not None:
            inputs = self.inputs(data)
            self_check(self, data)
            self_check(self, data, own=self._textbook(inputs.columns["tokens"], inputs.visible))
        self_check(made, data)
        return made

    def _samples(self, padded: bool) -> Dataset:
        """A few random inputs, for checks."""
        lengths = [len(one) for one in (self.weights.W_pos, *(self.weights.rotary or ())) if one is not None]
        return random_inputs(len(self.weights.W_E), min([_CHECKED_POSITIONS, *lengths]), padded)

    def _textbook(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        return textbook(self.spec, self.weights, tokens, visible)[-1]


def _neurons(part: InnerPart, width: int) -> tuple[int, ...]:
    assert isinstance(part, NeuronPart)
    return part.chosen(width)
