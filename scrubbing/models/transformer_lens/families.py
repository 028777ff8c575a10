"""Family specs: reading a bridged model's weights, and saying how its family computes.

Only families listed here are accepted. Generic defaults are silently wrong for others (with those of GPT-2, GPT-Neo
differs by 2.7 in its logits), so an unknown family is an error that says what to supply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
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
    from scrubbing.models.transformer_lens.encoders import ENCODERS

    if name in ENCODERS:
        problem = f"{name} is read from the module of transformers, and not through a bridge."
        remedy = "Pass its folder to load_model, or its state_dict() and config to from_state_dict."
        fail(ModelMismatch, "SCR-FAMILY", problem, remedy, where)
    problem = f"{name} is not among the supported families: native, {', '.join((*FAMILIES, *ENCODERS))}."
    if name in REFUSED:
        problem = f"{name} is not supported: {REFUSED[name]}."
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
    norms = {f"{x}_norm": _head_norm(raw(attn), f"{x}_norm", f"{x}_layernorm") for x in "qk"}
    tensors = {key: _copy(getattr(attn, key, None)) for key in ("W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V", "b_O")}
    # TransformerLens's own W_O comes out transposed where a module is bridged twice.
    W_O, _ = _linear(attn.o)
    tensors["W_O"] = W_O.reshape(tensors["W_Q"].shape[0], -1, W_O.shape[-1])  # pyright: ignore[reportOptionalMemberAccess]
    post = _norm(block.ln1_post) if hasattr(block, "ln1_post") else None
    before = _norm(block.ln1) if hasattr(block, "ln1") else IDENTITY
    return Attention(norm=before, post=post, **norms, **tensors)  # pyright: ignore[reportArgumentType]


def _head_norm(attn: Any, *names: str) -> Norm | None:
    """The norm of queries or of keys under one of these names, if it is used."""
    module = raw(next((found for name in names if (found := getattr(attn, name, None)) is not None), None))
    if module is None:
        return None
    if not hasattr(module, "norms"):
        return _norm(module)
    each = [_norm(one) for one in module.norms]  # StableLM has one for every head
    weights: list[Tensor] = [one.weight for one in each if one.weight is not None]
    return Norm(each[0].kind, each[0].eps, torch.stack(weights))


def _mlp(block: Any) -> Mlp:
    parts = dict(block.mlp.named_children())
    W_in, b_in = _linear(parts["in"])
    W_out, b_out = _linear(parts["out"])
    W_gate, b_gate = _linear(parts["gate"]) if "gate" in parts else (None, None)
    post = _norm(block.ln2_post) if hasattr(block, "ln2_post") else None
    # Without a norm of its own, an MLP reads what attention does in parallel blocks, or the residual stream itself.
    before = next((_norm(getattr(block, one)) for one in ("ln2", "ln1") if hasattr(block, one)), IDENTITY)
    return Mlp(before, W_in, W_out, b_in, b_out, W_gate, b_gate, post)


def _weights(bridge: TransformerBridge, rotary: tuple[Tensor, ...] | None) -> Weights:
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


def activation(name: str | None) -> str:
    """Our name of an activation function of `transformers` or TransformerLens.

    Raises:
        ModelMismatch: SCR-FAMILY, it is not known.
    """
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
        activation=activation((cfg.act_fn or "gelu").lower()) if weights.mlps else "relu",
        positions=where,
        attention_cap=max(0.0, float(attention.attn_scores_soft_cap)),
        logit_cap=max(0.0, float(cfg.output_logits_soft_cap)),
    )
    return spec, weights


def _hf_spec(bridge: TransformerBridge, act: str, scale: float | None = None, **options: Any) -> Spec:
    """The spec of a causal model of `transformers`, whose family is the config's model_type."""
    hf: Any = bridge.original_model.config
    attention = raw(bridge.blocks[0].attn)
    scale = float(attention.scaling) if scale is None else scale
    return Spec(str(hf.model_type), True, scale, activation(act), **options)


def _gpt2(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    hf: Any = bridge.original_model.config
    if hf.scale_attn_by_inverse_layer_idx or hf.add_cross_attention:
        problem = "this GPT-2 scales attention by layer or attends to another sequence."
        fail(ModelMismatch, "SCR-FAMILY", problem, "Only plain GPT-2 is supported.")
    if not hf.scale_attn_weights:
        problem = "this GPT-2 does not scale its scores (scale_attn_weights is off), and TransformerLens does."
        fail(ModelMismatch, "SCR-FAMILY", problem, "Only plain GPT-2 is supported.")
    return _hf_spec(bridge, hf.activation_function), _weights(bridge, None)


def _gpt_neo(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    hf: Any = bridge.original_model.config
    windows = tuple(_window(hf.window_size) if kind == "local" else 0 for kind in hf.attention_layers)
    return _hf_spec(bridge, hf.activation_function, 1.0, windows=windows), _weights(bridge, None)


def _opt(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    hf: Any = bridge.original_model.config
    if not hf.do_layer_norm_before:
        problem = "this OPT norms the residual stream itself after every layer (do_layer_norm_before is off)."
        fail(ModelMismatch, "SCR-FAMILY", problem, "What its nodes write does not add up. Use a size other than 350m.")
    if hf.word_embed_proj_dim != hf.hidden_size:
        problem = "this OPT projects its embeddings (word_embed_proj_dim is not hidden_size)."
        fail(ModelMismatch, "SCR-FAMILY", problem, "Use a size other than 350m.")
    weights = _weights(bridge, None)
    assert weights.W_pos is not None
    unused = 2  # position embeddings that stand before those of the first position
    return _hf_spec(bridge, hf.activation_function), replace(weights, W_pos=weights.W_pos[unused:].clone())


def _gptj(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    hf: Any = bridge.original_model.config
    attention = raw(bridge.blocks[0].attn)
    sin, cos = attention.embed_positions[:positions].chunk(2, dim=-1)
    tables = tuple(one.repeat_interleave(2, dim=-1).clone() for one in (cos, sin))
    spec = _hf_spec(
        bridge, hf.activation_function, 1 / float(attention.scale_attn), positions="rotary_pairs", parallel=True
    )
    return spec, _weights(bridge, tables)


def _tables(bridge: TransformerBridge, positions: int, *kind: str) -> tuple[Tensor, Tensor]:
    """Cosine and sine for every position, of layers of this kind where kinds differ."""
    module = raw(bridge.rotary_emb)
    found: Any = getattr(module, "rope_type", "default")
    found = found[kind[0]] if kind else found
    if found not in _FIXED:
        problem = f"its rotary positions ({found}) turn at speeds that depend on the length of the input."
        fail(ModelMismatch, "SCR-FAMILY", problem, f"Supported: {', '.join(_FIXED)}.")
    like = raw(bridge.embed).weight.detach()
    with torch.no_grad():
        cos, sin = module(like[None, :1], torch.arange(positions, device=like.device)[None], *kind)
    return cos[0].clone(), sin[0].clone()


def _rotations(bridge: TransformerBridge, positions: int) -> tuple[tuple[int, ...], tuple[Tensor, ...]]:
    """Which pair of tables each layer uses, and the pairs."""
    attention = [raw(block.attn) for block in bridge.blocks]
    if isinstance(getattr(raw(bridge.rotary_emb), "rope_type", None), dict):  # Gemma 3 has one per kind of layer
        kinds = sorted({str(one.layer_type) for one in attention})
        tables = tuple(table for kind in kinds for table in _tables(bridge, positions, kind))
        return tuple(kinds.index(one.layer_type) for one in attention), tables
    turned = [bool(getattr(one, "use_rope", True)) for one in attention]  # SmolLM3 turns some layers only
    return () if all(turned) else tuple(0 if one else -1 for one in turned), _tables(bridge, positions)


def _window(value: Any) -> int:
    """How many keys a query sees, 0 for all."""
    if value is not None and (not isinstance(value, int) or not 0 < value < 2**48):
        problem = f"sliding_window is {value!r}."
        fail(ModelMismatch, "SCR-CONFIG", problem, "Give a positive number of keys, or none.")
    return min(value or 0, 2**31)


def _parallel(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    """GPT-NeoX, Phi, StableLM and Falcon: layer norms, rotary positions, and often attention and MLP in parallel."""
    hf: Any = bridge.original_model.config
    attention = raw(bridge.blocks[0].attn)
    if getattr(hf, "alibi", False):
        problem = "this Falcon adds a distance to its scores (alibi), which transformers rounds to bfloat16."
        fail(ModelMismatch, "SCR-FAMILY", problem, "Only Falcon with rotary positions (alibi: false) is supported.")
    named = ("use_parallel_residual", "parallel_attn", "new_decoder_architecture")
    parallel = hf.model_type == "phi" or any(bool(getattr(hf, name, False)) for name in named)
    act = hf.activation if hf.model_type == "falcon" else hf.hidden_act
    scale = float(attention.inv_norm_factor) if hf.model_type == "falcon" else None
    weights = _weights(bridge, _tables(bridge, positions))
    norms = "none" if weights.attention[0].q_norm is None else "each"
    options: dict[str, Any] = {"positions": "rotary_half", "parallel": parallel, "head_norms": norms}
    return _hf_spec(bridge, act, scale, **options), weights


def _llama(bridge: TransformerBridge, positions: int) -> tuple[Spec, Weights]:
    """Llama and what was made of it: gated MLPs, rotary positions, RMS norms, and what the config adds to these."""
    hf: Any = bridge.original_model.config
    if getattr(hf, "use_bidirectional_attention", False):
        problem = "this model looks ahead (use_bidirectional_attention)."
        fail(ModelMismatch, "SCR-FAMILY", problem, "Only causal models of this family are supported.")
    attention = [raw(block.attn) for block in bridge.blocks]
    # Mistral and Phi-3 keep one window for all layers in their config, the others one per attention module.
    default = getattr(hf, "sliding_window", None) if hf.model_type in ("mistral", "phi3") else None
    rotations, tables = _rotations(bridge, positions)
    weights = _multiplied(_weights(bridge, tables), hf)
    norm = weights.attention[0].q_norm
    heads, _, d_head = weights.attention[0].W_Q.shape
    together = norm is not None and norm.weight is not None and len(norm.weight) == heads * d_head != d_head
    spec = _hf_spec(
        bridge,
        getattr(hf, "hidden_activation", None) or hf.hidden_act,
        positions="rotary_half",
        attention_cap=float(getattr(hf, "attn_logit_softcapping", None) or 0.0),
        logit_cap=float(getattr(hf, "final_logit_softcapping", None) or 0.0),
        windows=tuple(_window(getattr(one, "sliding_window", default)) for one in attention),
        rotations=rotations,
        head_norms="none" if norm is None else "together" if together else "each",
    )
    return spec, weights


def _multiplied(weights: Weights, hf: Any) -> Weights:
    """With Granite's multipliers in the weights that they multiply the results of."""
    embed, layer = (float(getattr(hf, f"{one}_multiplier", 1.0)) for one in ("embedding", "residual"))
    divided = float(getattr(hf, "logits_scaling", 1.0))
    if (embed, layer, divided) == (1.0, 1.0, 1.0):
        return weights

    def times(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor * layer

    attention = (replace(one, W_O=one.W_O * layer, b_O=times(one.b_O)) for one in weights.attention)
    mlps = (replace(one, W_out=one.W_out * layer, b_out=times(one.b_out)) for one in weights.mlps)
    ends = {"W_E": weights.W_E * embed, "W_U": weights.W_U / divided}
    return replace(weights, attention=tuple(attention), mlps=tuple(mlps), **ends)


_EXPERTS = "its MLPs are mixtures of experts, and which experts a token meets depends on the token"
_ALIBI = "its scores have a bias for the distance (alibi)"
_LATENT = "its heads share compressed keys and values"
_RECURRENT = "its layers carry a state from position to position, and are not attention"
_TWO_STACKS = "it has an encoder and a decoder, and the second reads the first"
_POST_NORM = "it norms the residual stream itself after every layer, and of such models only encoders are supported"
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("MixtralForCausalLM", "Qwen2MoeForCausalLM", "Qwen3MoeForCausalLM", "OlmoeForCausalLM"), _EXPERTS),
    **dict.fromkeys(("PhimoeForCausalLM", "GraniteMoeForCausalLM"), _EXPERTS),
    "GptOssForCausalLM": f"{_EXPERTS}; its attention has sinks",
    **dict.fromkeys(("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"), f"{_EXPERTS}; {_LATENT}"),
    **dict.fromkeys(("BloomForCausalLM", "MptForCausalLM"), _ALIBI),
    **dict.fromkeys(("MambaForCausalLM", "Mamba2ForCausalLM", "RwkvForCausalLM", "JambaForCausalLM"), _RECURRENT),
    "Gemma3ForConditionalGeneration": "it reads images too; save its language model alone, as a Gemma3ForCausalLM",
    **dict.fromkeys(("T5ForConditionalGeneration", "BartForConditionalGeneration"), _TWO_STACKS),
    **dict.fromkeys(("BertLMHeadModel", "RobertaForCausalLM", "OpenAIGPTLMHeadModel"), _POST_NORM),
}
"""Class names of well-known models that are not supported, and why not."""

FAMILIES: Registry[Reader] = Registry("model family", "scrubbing.families", "SCR-FAMILY")
"""Class name of the wrapped model to the reader of its family. Other packages add theirs with `FAMILIES.add`, or by an
entry point of the group `scrubbing.families`."""

for _name, _reader in {
    "GPT2LMHeadModel": _gpt2,
    "GPTNeoXForCausalLM": _parallel,
    "LlamaForCausalLM": _llama,
    "MistralForCausalLM": _llama,
    "Qwen2ForCausalLM": _llama,
    "Gemma2ForCausalLM": _llama,
    "Qwen3ForCausalLM": _llama,
    "Gemma3ForCausalLM": _llama,
    "Phi3ForCausalLM": _llama,
    "GPTNeoForCausalLM": _gpt_neo,
    "Olmo2ForCausalLM": _llama,
    "GemmaForCausalLM": _llama,
    "PhiForCausalLM": _parallel,
    "GPTJForCausalLM": _gptj,
    "OPTForCausalLM": _opt,
    "StableLmForCausalLM": _parallel,
    "FalconForCausalLM": _parallel,
    "SmolLM3ForCausalLM": _llama,
    "GraniteForCausalLM": _llama,
}.items():
    FAMILIES.add(_name, _reader)
