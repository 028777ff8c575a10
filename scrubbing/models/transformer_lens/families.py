"""Family specs: reading a bridged model's weights, and saying how its family computes.

Only families listed here are accepted. Generic defaults are silently wrong for others (GPT-Neo differs by 2.7 in its
logits), so an unknown family is an error that says what to supply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor, nn

from scrubbing.errors import ModelMismatch, fail
from scrubbing.models.transformer.weights import IDENTITY, Attention, Mlp, Norm, Spec, Weights
from scrubbing.registry import Registry

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_ACTIVATION = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "silu": "silu",
    "swish": "silu",
    "solu": "solu",
}

_FIXED = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary positions with one table for inputs of any length."""

Reader = Callable[["TransformerBridge", int], tuple[Spec, Weights]]
"""A bridge and the number of positions to prepare for, to spec and weights."""


def read(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    """Spec and weights of a bridged model.

    Raises:
        ModelMismatch: SCR-FAMILY, its family is not supported.
    """
    from transformer_lens.model_bridge.sources.native import NativeModel

    module = bridge.original_model
    if isinstance(module, NativeModel):
        return _native(bridge, positions)
    name = type(module).__name__
    if name not in FAMILIES:
        unknown_family(name)
    return FAMILIES[name](bridge, positions)


def unknown_family(name: str, where: str = "") -> NoReturn:
    """Refuse a model whose family is not known.

    Raises:
        ModelMismatch: SCR-FAMILY.
    """
    problem = f"{name} is not among the supported families: native, {', '.join(FAMILIES)}."
    remedy = "Supply the model's nodes yourself by implementing scrubbing.models.protocol.Model, and pass it through "
    fail(ModelMismatch, "SCR-FAMILY", problem, f"{remedy}scrubbing.testing.check_model.", where)


def raw(module: Any) -> Any:
    """The wrapped module behind a bridge component; a module that was bridged twice is wrapped twice."""
    while hasattr(module, "original_component"):
        module = module.original_component
    return module


def _norm(module: Any) -> Norm:
    """A norm module as data; Gemma keeps its RMS weights as differences from one."""
    module = raw(module)
    kind = type(module).__name__
    if isinstance(module, nn.Identity):
        return IDENTITY
    if isinstance(module, nn.LayerNorm):
        return Norm("LN", module.eps, _copy(module.weight), _copy(module.bias))
    if kind == "NativeLayerNormPre":
        return Norm("LN", module.eps)
    if kind == "NativeRMSNormPre":
        return Norm("RMS", module.eps)
    if "RMSNorm" in kind:
        eps = module.variance_epsilon if hasattr(module, "variance_epsilon") else module.eps
        weight = _copy(module.weight)
        assert weight is not None
        return Norm("RMS", eps, weight, offset=1.0 if kind.startswith("Gemma") else 0.0)
    fail(ModelMismatch, "SCR-FAMILY", f"the norm {kind} is not known here.", "Supply the model's nodes yourself.")


def _copy(tensor: Tensor | None) -> Tensor | None:
    """Detached and copied: what is explained must not change when the live model is trained on."""
    return None if tensor is None else tensor.detach().clone()


def _linear(module: Any) -> tuple[Tensor, Tensor | None]:
    """Weight `[in, out]` and bias of a linear layer; GPT-2's Conv1D already has that orientation."""
    module = raw(module)
    weight = module.weight if type(module).__name__ == "Conv1D" else module.weight.T
    copied = _copy(weight)
    assert copied is not None
    return copied, _copy(module.bias)


def _attention(block: Any) -> Attention:
    attn = block.attn
    tensors = {key: _copy(getattr(attn, key, None)) for key in ("W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V", "b_O")}
    # TransformerLens's own W_O comes out transposed where a module is bridged twice.
    W_O, _ = _linear(attn.o)
    tensors["W_O"] = W_O.reshape(tensors["W_Q"].shape[0], -1, W_O.shape[-1])  # pyright: ignore[reportOptionalMemberAccess]
    post = _norm(block.ln1_post) if hasattr(block, "ln1_post") else None
    return Attention(norm=_norm(block.ln1), post=post, **tensors)  # pyright: ignore[reportArgumentType]


def _mlp(block: Any) -> Mlp:
    parts = dict(block.mlp.named_children())
    W_in, b_in = _linear(parts["in"])
    W_out, b_out = _linear(parts["out"])
    W_gate, b_gate = _linear(parts["gate"]) if "gate" in parts else (None, None)
    post = _norm(block.ln2_post) if hasattr(block, "ln2_post") else None
    return Mlp(_norm(block.ln2), W_in, W_out, b_in, b_out, W_gate, b_gate, post)


def _weights(bridge: TransformerBridge, rotary: tuple[Tensor, Tensor] | None) -> Weights:
    blocks: list[Any] = list(bridge.blocks)
    embed = raw(bridge.embed)
    embedding = embed.weight.detach().clone()
    if hasattr(embed, "embed_scale"):
        embedding *= embed.embed_scale.to(embedding.dtype)  # rounded first, as Gemma's own forward pass does
    W_U, b_U = _linear(bridge.unembed)
    pos = getattr(bridge, "pos_embed", None)
    return Weights(
        W_E=embedding,
        W_U=W_U,
        attention=tuple(_attention(block) for block in blocks),
        mlps=tuple(_mlp(block) for block in blocks if hasattr(block, "mlp")),
        final=_norm(bridge.ln_final),
        b_U=b_U,
        W_pos=None if pos is None else _copy(raw(pos).weight),
        rotary=rotary,
    )


def _act(name: str | None) -> str:
    if name not in _ACTIVATION:
        fail(
            ModelMismatch,
            "SCR-FAMILY",
            f"the activation {name!r} is not known here.",
            f"Known: {', '.join(_ACTIVATION)}.",
        )
    return _ACTIVATION[name]


def _native(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    cfg: Any = bridge.cfg
    attention: Any = raw(bridge.blocks[0].attn)
    rotary, where = None, "residual"
    if attention.rotary is not None:
        tables = attention.rotary.cos_cached, attention.rotary.sin_cached
        rotary, where = (tables[0][:positions].clone(), tables[1][:positions].clone()), "rotary_pairs"
    weights = _weights(bridge, rotary)
    spec = Spec(
        family="native",
        causal=bool(attention.causal),
        attention_scale=1.0 / float(attention.scale),
        activation=_act((cfg.act_fn or "gelu").lower()) if weights.mlps else "relu",
        positions=where,
        attention_cap=max(0.0, float(attention.attn_scores_soft_cap)),
        logit_cap=max(0.0, float(cfg.output_logits_soft_cap)),
    )
    return spec, weights


def _gpt2(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    hf: Any = bridge.original_model.config
    if hf.scale_attn_by_inverse_layer_idx or hf.add_cross_attention:
        problem = "this GPT-2 scales attention by layer or attends to another sequence."
        fail(ModelMismatch, "SCR-FAMILY", problem, "Only plain GPT-2 is supported.")
    scale = raw(bridge.blocks[0].attn).scaling
    return Spec("gpt2", True, float(scale), _act(hf.activation_function)), _weights(bridge, None)


def _rotary_tables(bridge: TransformerBridge, positions: int) -> tuple[Tensor, Tensor]:
    module = raw(bridge.rotary_emb)
    kind = getattr(module, "rope_type", "default")
    if kind not in _FIXED:
        problem = f"its rotary positions ({kind}) turn at speeds that depend on the length of the input."
        fail(ModelMismatch, "SCR-FAMILY", problem, f"Supported: {', '.join(_FIXED)}.")
    like = raw(bridge.embed).weight.detach()
    with torch.no_grad():
        cos, sin = module(like[None, :1], torch.arange(positions, device=like.device)[None])
    return cos[0].clone(), sin[0].clone()


def _window(value: Any) -> int:
    """How many keys a query sees, 0 for all."""
    if value is not None and (not isinstance(value, int) or not 0 < value < 2**48):
        problem = f"sliding_window is {value!r}."
        fail(ModelMismatch, "SCR-CONFIG", problem, "Give a positive number of keys, or none.")
    return min(value or 0, 2**31)


def _neox(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    hf: Any = bridge.original_model.config
    spec = Spec(
        "gpt_neox",
        True,
        float(raw(bridge.blocks[0].attn).scaling),
        _act(hf.hidden_act),
        "rotary_half",
        parallel=bool(hf.use_parallel_residual),
    )
    return spec, _weights(bridge, _rotary_tables(bridge, positions))


def _llama(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    hf: Any = bridge.original_model.config
    attention = [raw(block.attn) for block in bridge.blocks]
    # Mistral keeps one window for all layers in its config, Qwen2 one per attention module.
    default = getattr(hf, "sliding_window", None) if hf.model_type == "mistral" else None
    spec = Spec(
        str(hf.model_type),
        True,
        float(attention[0].scaling),
        _act(hf.hidden_act),
        "rotary_half",
        windows=tuple(_window(getattr(one, "sliding_window", default)) for one in attention),
    )
    return spec, _weights(bridge, _rotary_tables(bridge, positions))


def _gemma2(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    hf: Any = bridge.original_model.config
    attention = [raw(block.attn) for block in bridge.blocks]
    spec = Spec(
        "gemma2",
        True,
        float(attention[0].scaling),
        _act(hf.hidden_activation),
        "rotary_half",
        attention_cap=float(hf.attn_logit_softcapping or 0.0),
        logit_cap=float(hf.final_logit_softcapping or 0.0),
        windows=tuple(_window(getattr(one, "sliding_window", None)) for one in attention),
    )
    return spec, _weights(bridge, _rotary_tables(bridge, positions))


FAMILIES: Registry[Reader] = Registry("model family", "scrubbing.families", "SCR-FAMILY")
"""Class name of the wrapped model to the reader of its family. Other packages add theirs with `FAMILIES.add`, or by an
entry point of the group `scrubbing.families`."""

for _name, _reader in {
    "GPT2LMHeadModel": _gpt2,
    "GPTNeoXForCausalLM": _neox,
    "LlamaForCausalLM": _llama,
    "MistralForCausalLM": _llama,
    "Qwen2ForCausalLM": _llama,
    "Gemma2ForCausalLM": _gemma2,
}.items():
    FAMILIES.add(_name, _reader)
