"""Tiny random models of every supported family, for tests that need no download. All parameters are scrambled: default
initialisation has zero biases and unit norms, which would hide mistakes in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from scrubbing.models.transformer_lens.native import boot, seeded

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

POSITIONS = 6
VOCABULARY = 50

NATIVE_SIZES: dict[str, Any] = {
    "n_layers": 2,
    "n_heads": 2,
    "d_model": 8,
    "d_head": 4,
    "n_ctx": POSITIONS,
    "d_vocab": VOCABULARY,
}
"""Sizes of every native variant."""
_HF: dict[str, Any] = {
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_size": 8,
    "intermediate_size": 6,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": POSITIONS,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}

NATIVE: dict[str, dict[str, Any]] = {
    "native classifier": {
        "normalization_type": "LN",
        "d_mlp": 6,
        "act_fn": "relu",
        "attention_dir": "bidirectional",
        "d_vocab_out": 2,
    },
    "native attention-only": {"attn_only": True, "normalization_type": None},
    "native LNPre attention-only": {"attn_only": True, "normalization_type": "LNPre"},
    "native LN": {"normalization_type": "LN", "d_mlp": 6, "act_fn": "gelu"},
    "native solu": {"normalization_type": "RMSPre", "d_mlp": 6, "act_fn": "solu"},
    "native rotary": {
        "normalization_type": "RMS",
        "gated_mlp": True,
        "d_mlp": 6,
        "act_fn": "silu",
        "positional_embedding_type": "rotary",
        "n_key_value_heads": 1,
        "final_rms": True,
        "attn_scores_soft_cap": 5.0,
        "output_logits_soft_cap": 3.0,
    },
}
"""Native variants, by what they exercise."""


_GROUPED: dict[str, Any] = {**_HF, "num_key_value_heads": 1}
_WINDOWED: dict[str, Any] = {**_GROUPED, "head_dim": 4, "sliding_window": 3}
_GPT: dict[str, Any] = {"n_layer": 2, "n_head": 2, "n_embd": 8, "vocab_size": VOCABULARY, "n_positions": POSITIONS}
_ENDS: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}

HUGGING_FACE: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-2": ("GPT2LMHeadModel", {**_GPT, **_ENDS}),
    "GPT-NeoX": ("GPTNeoXForCausalLM", {**_HF, "rotary_pct": 0.5}),
    "Llama": ("LlamaForCausalLM", _GROUPED),
    "Mistral": ("MistralForCausalLM", _WINDOWED),
    "Qwen2": ("Qwen2ForCausalLM", _GROUPED),
    "Gemma 2": ("Gemma2ForCausalLM", {**_WINDOWED, "query_pre_attn_scalar": 8}),
}
"""Families of `transformers` that every test runs over, by name: the class, and the config."""

FURTHER: dict[str, tuple[str, dict[str, Any]]] = {
    "Qwen3": ("Qwen3ForCausalLM", {**_GROUPED, "head_dim": 4}),
    "Gemma 3": (
        "Gemma3ForCausalLM",
        {**_WINDOWED, "query_pre_attn_scalar": 8, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "Phi-3": ("Phi3ForCausalLM", _GROUPED),
    "GPT-Neo": (
        "GPTNeoForCausalLM",
        {
            **{key: value for key, value in _HF.items() if not key.startswith("num_")},
            "num_layers": 2,
            "num_heads": 2,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 3,
        },
    ),
    "OLMo 2": ("Olmo2ForCausalLM", _GROUPED),
    "Gemma": ("GemmaForCausalLM", {**_GROUPED, "head_dim": 4}),
    "Phi-2": ("PhiForCausalLM", _HF),
    "GPT-J": ("GPTJForCausalLM", {**_GPT, **_ENDS, "rotary_dim": 2}),
    "OPT": ("OPTForCausalLM", {**_HF, "ffn_dim": 6, "word_embed_proj_dim": 8}),
    "StableLM": (
        "StableLmForCausalLM",
        {**_GROUPED, "rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5, "rope_type": "default"}},
    ),
    "Falcon": ("FalconForCausalLM", _HF),
    "SmolLM3": ("SmolLM3ForCausalLM", {**_GROUPED, "no_rope_layers": [1, 0]}),
    "Granite": (
        "GraniteForCausalLM",
        {
            **_GROUPED,
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.5,
            "attention_multiplier": 0.3,
            "logits_scaling": 2.0,
        },
    ),
}
"""More families, whose designs are mixtures of what those above have; the longer tests of them are marked slow."""

NAMES = (*NATIVE, *HUGGING_FACE)
"""What every test runs over."""


def tiny(name: str, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> TransformerBridge:
    """A tiny bridge of this family, in evaluation mode."""
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    bridge: Any
    if name in NATIVE:
        bridge = boot({**NATIVE_SIZES, **NATIVE[name]}, head_bias="d_vocab_out" in NATIVE[name])
    else:
        module = _drawn(name, seed)
        bridge = build_bridge_from_module(module, type(module).__name__, hf_config=module.config)
    scramble(bridge.original_model, seed)
    return (bridge if dtype == torch.float32 else bridge.to(dtype)).eval()


def hugging_face(name: str, *, seed: int = 0) -> Any:
    """A tiny module of `transformers`, not bridged, in evaluation mode."""
    module = _drawn(name, seed)
    scramble(module, seed)
    return module.eval()


def _drawn(name: str, seed: int) -> Any:
    import transformers

    kind, config = (HUGGING_FACE | FURTHER)[name]
    made: Any = getattr(transformers, kind)
    with seeded(seed):
        return made(made.config_class(**config))


def scramble(module: nn.Module, seed: int) -> None:
    """Move every parameter away from where default initialisation leaves it, by amounts that the seed decides."""
    generator = torch.Generator().manual_seed(seed)
    done: set[int] = set()
    with torch.no_grad():
        for parameter in module.parameters():
            # A fused and a split view of the same weights must not both be moved.
            if parameter.untyped_storage().data_ptr() not in done:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
            done.add(parameter.untyped_storage().data_ptr())
