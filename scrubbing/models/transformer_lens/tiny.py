"""Tiny random models of every supported family, for tests that need no download. All parameters are scrambled: default
initialisation has zero biases and unit norms, which would hide mistakes in them.
"""

from __future__ import annotations

from collections.abc import Callable
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


def _gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    config: dict[str, Any] = {
        "n_layer": 2,
        "n_head": 2,
        "n_embd": 8,
        "vocab_size": VOCABULARY,
        "n_positions": POSITIONS,
    }
    return GPT2LMHeadModel(GPT2Config(**config, bos_token_id=1, eos_token_id=2, pad_token_id=0))


def _neox() -> Any:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    options: dict[str, Any] = {**_HF, "rotary_pct": 0.5}
    return GPTNeoXForCausalLM(GPTNeoXConfig(**options))


def _llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**_HF, num_key_value_heads=1))


def _qwen2() -> Any:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(Qwen2Config(**_HF, num_key_value_heads=1))


def _mistral() -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(MistralConfig(**_HF, num_key_value_heads=1, head_dim=4, sliding_window=3))


def _gemma2() -> Any:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    options: dict[str, Any] = {"num_key_value_heads": 1, "head_dim": 4, "sliding_window": 3, "query_pre_attn_scalar": 8}
    return Gemma2ForCausalLM(Gemma2Config(**_HF, **options))


HUGGING_FACE: dict[str, Callable[[], Any]] = {
    "GPT-2": _gpt2,
    "GPT-NeoX": _neox,
    "Llama": _llama,
    "Mistral": _mistral,
    "Qwen2": _qwen2,
    "Gemma 2": _gemma2,
}
"""Hugging Face families, by name."""

NAMES = (*NATIVE, *HUGGING_FACE)


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
    with seeded(seed):
        return HUGGING_FACE[name]()


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
