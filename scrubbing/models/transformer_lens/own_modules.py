"""Nodes evaluated by the bridged model's own modules and hooks, slowly: the independent side of the oracle.

A head gets query, key and value inputs of its own by running the whole model with its projections replaced through
hooks. Nothing here touches the weights or the functional evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.graph.nodes import Node
from scrubbing.models.transformer_lens.families import raw
from scrubbing.parts import AttentionPart, InnerPart, NeuronPart, ReadPart

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class OwnModules:
    """Implements `scrubbing.testing.NodeEvaluator` for a bridged model."""

    def __init__(self, bridge: TransformerBridge) -> None:
        self.bridge = bridge
        config: Any = getattr(bridge.original_model, "config", None)
        # Granite multiplies what its layers write, and divides its logits.
        self._written = float(getattr(config, "residual_multiplier", 1.0))
        self._divided = float(getattr(config, "logits_scaling", 1.0))

    def source(self, node: Node, data: Dataset, row: int) -> Tensor:
        """See `NodeEvaluator.source`."""
        tokens = torch.as_tensor(np.array(data["tokens"][row]), device="cpu")[None]
        name = "hook_pos_embed" if node.kind == "pos" else "blocks.0.hook_in"
        (value,) = self._captured(tokens, None, {}, name)
        if node.kind == "embed" and hasattr(self.bridge, "pos_embed"):
            value = value - self._captured(tokens, None, {}, "hook_pos_embed")[0]
        return value[0] if value.ndim == 3 else value

    def extra(self, node: Node, slot: str) -> Tensor | float:
        """See `NodeEvaluator.extra`."""
        blocks: list[Any] = list(self.bridge.blocks)
        if node.kind == "attn":
            biases = [blocks[node.layer].attn.b_O]
        elif hasattr(blocks[0], "ln1_post"):
            return 0.0
        else:
            parallel = bool(getattr(self.bridge.cfg, "parallel_attn_mlp", False))
            until = len(blocks) if node.kind == "logits" else node.layer + (node.kind == "mlp" and not parallel)
            biases = [block.attn.b_O for block in blocks[:until]]
        return sum((self._written * bias.detach() for bias in biases if bias is not None), start=torch.tensor(0.0))

    def evaluate(
        self,
        node: Node,
        slots: Mapping[str, Tensor],
        visible: Tensor | None,
        frozen: Mapping[str, Tensor] | None,
        part: InnerPart | None,
    ) -> Tensor:
        """See `NodeEvaluator.evaluate`."""
        norm = self._norm(node)
        normed = {name: norm(x[None]) if norm is not None else x[None] for name, x in slots.items()}
        if frozen is not None and norm is not None:
            normed = {name: _rescaled(norm, normed[name], slots[name], frozen[name]) for name in slots}
        block: Any = None if node.kind == "logits" else self.bridge.blocks[node.layer]
        match node.kind:
            case "head":
                return self._written * self._head(node, normed, visible, part)
            case "attn":
                return block.ln1_post(slots["x"][None])[0]
            case "mlp":
                return self._written * self._mlp(block, normed["x"], part)[0]
            case _:
                logits = self.bridge.unembed(normed["x"])[0] / self._divided
                cap = float(getattr(self.bridge.cfg, "output_logits_soft_cap", -1.0) or -1.0)
                return cap * torch.tanh(logits / cap) if cap > 0 else logits

    def _norm(self, node: Node) -> Any:
        if node.kind == "logits":
            return self.bridge.ln_final
        block: Any = self.bridge.blocks[node.layer]
        before = {"head": ("ln1",), "mlp": ("ln2", "ln1")}.get(node.kind, ())  # parallel blocks may share one
        return next((getattr(block, name) for name in before if hasattr(block, name)), None)

    def _head(
        self, node: Node, normed: Mapping[str, Tensor], visible: Tensor | None, part: InnerPart | None = None
    ) -> Tensor:
        length = normed["q"].shape[1]
        at = f"blocks.{node.layer}.attn"

        def run(replaced: Mapping[str, Tensor], *names: str) -> list[Tensor]:
            rows = max(len(value) for value in replaced.values())
            mask = None if visible is None else visible.long().expand(rows, -1)
            return self._captured(torch.zeros(rows, length, dtype=torch.int64), mask, replaced, *names)

        read = torch.cat([normed[name] for name in "qkv"])  # one input each, in a batch of three
        found = run({f"{at}.hook_in": read}, *(f"{at}.{name}.hook_out" for name in "qkv"))
        projected = {name: value[i : i + 1] for i, (name, value) in enumerate(zip("qkv", found, strict=True))}
        W_O = self.bridge.blocks[node.layer].attn.W_O
        values = projected["v"].reshape(length, -1, W_O.shape[1])
        chosen = np.ones((length, length), dtype=bool)
        if isinstance(part, AttentionPart):
            chosen = part.between(length)
            if part.as_if:
                value = values[:, node.head * values.shape[1] // W_O.shape[0]]
                seen = range(length) if visible is None else visible.nonzero()[:, 0].numpy().tolist()
                kept = [[key for key in seen if chosen[query, key]] for query in range(length)]
                return torch.stack([value[keys].sum(0) for keys in kept]) @ W_O[node.head]

        def mixed(kept: Tensor) -> Tensor:
            """The head's z if only these keys had values, which attention mixes linearly; `[n, length]` for as many."""
            rows = {f"{at}.hook_{name}": value.expand(len(kept), *value.shape[1:]) for name, value in projected.items()}
            only = values * kept[:, :, None, None]
            (z,) = run(rows | {f"{at}.hook_v": only.reshape(rows[f"{at}.hook_v"].shape)}, f"{at}.o.hook_in")
            return z.reshape(len(kept), length, W_O.shape[0], -1)[:, :, node.head]

        if part is None:
            return mixed(torch.ones(1, length))[0] @ W_O[node.head]
        each = torch.arange(length)
        return mixed(torch.as_tensor(chosen, dtype=values.dtype, device="cpu"))[each, each] @ W_O[node.head]

    def _mlp(self, block: Any, normed: Tensor, part: InnerPart | None) -> Tensor:
        def run(part: NeuronPart | None) -> Tensor:
            """The MLP if only these neurons were active; without a part, none is."""

            def only(module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
                chosen = [] if part is None else list(part.chosen(inputs[0].shape[-1]))
                kept = torch.zeros_like(inputs[0])
                kept[..., chosen] = inputs[0][..., chosen]
                return (kept, *inputs[1:])

            handle = raw(dict(block.mlp.named_children())["out"]).register_forward_pre_hook(only)
            try:
                return _whole_mlp(block, normed)
            finally:
                handle.remove()

        if isinstance(part, NeuronPart):
            return run(part) - run(None)
        if isinstance(part, ReadPart):
            return part.function(self.bridge)(normed)
        out = _whole_mlp(block, normed)
        return block.ln2_post(out) if hasattr(block, "ln2_post") else out

    def _captured(
        self, tokens: Tensor, mask: Tensor | None, replaced: Mapping[str, Tensor], *names: str
    ) -> list[Tensor]:
        """Activations of a full forward pass in which some others are replaced."""
        found: dict[str, Tensor] = {}

        def put(value: Tensor) -> Callable[..., Tensor]:
            def replacing(old: Tensor, hook: object) -> Tensor:
                return value.reshape(old.shape).to(old.dtype)

            return replacing

        def keep(name: str) -> Callable[..., None]:
            def keeping(value: Tensor, hook: object) -> None:
                found[name] = value

            return keeping

        hooks: list[tuple[str, Any]] = [(key, put(value)) for key, value in replaced.items()]
        positions = torch.arange(tokens.shape[1]).expand(len(tokens), -1)
        options: Any = {"position_ids": positions} | ({} if mask is None else {"attention_mask": mask})
        bridge: Any = self.bridge
        bridge.run_with_hooks(tokens, fwd_hooks=[*hooks, *((name, keep(name)) for name in names)], **options)
        return [found[name] for name in names]


def _whole_mlp(block: Any, normed: Tensor) -> Tensor:
    if block.mlp.name is not None:
        return block.mlp(normed)
    parts = dict(block.mlp.named_children())  # OPT's layer holds both matrices itself
    return parts["out"](raw(block).activation_fn(parts["in"](normed))).reshape(normed.shape)


def _rescaled(norm: Any, normed: Tensor, x: Tensor, clean: Tensor) -> Tensor:
    """What a norm returns for `x` if it divides by the scale it has on `clean`."""
    module = raw(norm)
    bias = getattr(module, "bias", None)
    centred = "RMS" not in type(module).__name__
    if isinstance(module, torch.nn.Identity):
        return normed
    eps = getattr(module, "eps", None) or module.variance_epsilon

    def scale(value: Tensor) -> Tensor:
        value = value - value.mean(-1, keepdim=True) if centred else value
        return (value.pow(2).mean(-1, keepdim=True) + eps).sqrt()

    free = normed if bias is None else normed - bias
    free = free * (scale(x) / scale(clean))
    return free if bias is None else free + bias
