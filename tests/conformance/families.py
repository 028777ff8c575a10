"""Every family of `transformers` in the variants its config allows, on tiny random models; and the table of results.

`python tests/conformance/families.py` measures them all and writes docs/reference/model-families.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scrubbing import Dataset
from scrubbing.models.check import compose, random_inputs
from scrubbing.models.local import from_state_dict
from scrubbing.models.transformer.encoder import COLUMN
from scrubbing.models.transformer.model import Transformer
from scrubbing.models.transformer_lens.families import REFUSED
from scrubbing.models.transformer_lens.native import seeded
from scrubbing.models.transformer_lens.tiny import scramble

Config = dict[str, Any]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "model-families.md"
VOCABULARY, LENGTH = 50, 12
LIMITS = {"float32": 1e-5, "padded": 1e-5, "bf16 in float32": 1e-5, "bf16": 0.1}
"""What a row measures, and how large it may be."""

_ENDS: Config = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_SIZES: Config = {
    **_ENDS,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 32,
    "intermediate_size": 24,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 16,
}
_GPT: Config = {**_ENDS, "n_layer": 2, "n_head": 4, "n_embd": 32, "vocab_size": VOCABULARY, "n_positions": 16}
_NEO: Config = {
    **{key: value for key, value in _SIZES.items() if not key.startswith("num_")},
    "num_layers": 2,
    "num_heads": 4,
    "window_size": 3,
}
_GROUPED: Config = {**_SIZES, "num_key_value_heads": 2}
_GEMMA: Config = {**_GROUPED, "head_dim": 16, "sliding_window": 3, "query_pre_attn_scalar": 8}
_KINDS = ["sliding_attention", "full_attention"]
_ENCODER: Config = {**_SIZES, "max_position_embeddings": 20, "num_labels": 3}
_DISTILLED: Config = {
    **_ENDS,
    "n_layers": 2,
    "n_heads": 4,
    "dim": 32,
    "hidden_dim": 24,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 16,
    "num_labels": 3,
}


def rope(kind: str = "default", **options: Any) -> Config:
    """Rotary positions of this kind, in the words of a config."""
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **options}}


_LLAMA3 = rope("llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8)
_YARN = rope("yarn", factor=4.0, original_max_position_embeddings=8)
_ROPES: dict[str, Config] = {
    "linear rotary": rope("linear", factor=2.0),
    "llama3 rotary": _LLAMA3,
    "yarn rotary": _YARN,
}
_WHOLE: dict[str, Config] = {"tied": {"tie_word_embeddings": True}, "a key per query": {"num_key_value_heads": 4}}
_GEMMAS: dict[str, Config] = {"untied": {"tie_word_embeddings": False}, "one key head": {"num_key_value_heads": 1}}

FAMILIES: dict[str, tuple[str, Config, dict[str, Config]]] = {
    "GPT-2": (
        "GPT2LMHeadModel",
        _GPT,
        {
            "untied": {"tie_word_embeddings": False},
            "relu": {"activation_function": "relu"},
        },
    ),
    "GPT-NeoX, Pythia": (
        "GPTNeoXForCausalLM",
        _SIZES,
        {
            "sequential": {"use_parallel_residual": False},
            "all dimensions turned": {"rotary_pct": 1.0},
            "tied": {"tie_word_embeddings": True},
        },
    ),
    "Llama": (
        "LlamaForCausalLM",
        _GROUPED,
        {**_WHOLE, **_ROPES, "biases": {"attention_bias": True, "mlp_bias": True}, "wide heads": {"head_dim": 16}},
    ),
    "Mistral": (
        "MistralForCausalLM",
        _GROUPED,
        {**_WHOLE, "window": {"sliding_window": 3}, "wide heads": {"head_dim": 16}},
    ),
    "Qwen2": (
        "Qwen2ForCausalLM",
        _GROUPED,
        {**_WHOLE, "window": {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}},
    ),
    "Gemma 2": (
        "Gemma2ForCausalLM",
        _GEMMA,
        {**_GEMMAS, "no caps": {"attn_logit_softcapping": None, "final_logit_softcapping": None}},
    ),
    "Qwen3": (
        "Qwen3ForCausalLM",
        {**_GROUPED, "head_dim": 16},
        {
            **_WHOLE,
            "yarn rotary": _YARN,
            "biases": {"attention_bias": True},
            "window": {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1},
        },
    ),
    "Gemma 3": (
        "Gemma3ForCausalLM",
        {**_GEMMA, "layer_types": _KINDS},
        {
            **_GEMMAS,
            "logit cap": {"final_logit_softcapping": 3.0},
            "linear rotary": {
                "rope_parameters": {
                    "sliding_attention": rope()["rope_parameters"],
                    "full_attention": rope("linear", factor=8.0)["rope_parameters"],
                }
            },
        },
    ),
    "Phi-3": (
        "Phi3ForCausalLM",
        _GROUPED,
        {
            **_WHOLE,
            "window": {"sliding_window": 3},
            "half of the dimensions turned": rope(partial_rotary_factor=0.5),
        },
    ),
    "GPT-Neo, TinyStories": (
        "GPTNeoForCausalLM",
        {**_NEO, "attention_types": [[["global", "local"], 1]]},
        {"all local": {"attention_types": [[["local"], 2]]}, "untied": {"tie_word_embeddings": False}},
    ),
    "OLMo 2": ("Olmo2ForCausalLM", _GROUPED, {**_WHOLE, "biases": {"attention_bias": True}, "yarn rotary": _YARN}),
    "Gemma": ("GemmaForCausalLM", {**_GROUPED, "head_dim": 16}, _GEMMAS),
    "Phi, Phi-2": (
        "PhiForCausalLM",
        _SIZES,
        {
            "grouped queries": {"num_key_value_heads": 2},
            "all dimensions turned": rope(partial_rotary_factor=1.0),
        },
    ),
    "GPT-J": (
        "GPTJForCausalLM",
        {**_GPT, "rotary_dim": 4},
        {"all dimensions turned": {"rotary_dim": 8}, "tied": {"tie_word_embeddings": True}},
    ),
    "OPT": (
        "OPTForCausalLM",
        {**_SIZES, "ffn_dim": 24, "word_embed_proj_dim": 32},
        {
            "untied": {"tie_word_embeddings": False},
            "no biases": {"enable_bias": False},
            "plain norms": {"layer_norm_elementwise_affine": False},
            "gelu": {"activation_function": "gelu"},
        },
    ),
    "StableLM": (
        "StableLmForCausalLM",
        _GROUPED,
        {
            **_WHOLE,
            "parallel": {"use_parallel_residual": True},
            "query and key norms": {"qk_layernorm": True},
            "biases": {"use_qkv_bias": True},
        },
    ),
    "Falcon": (
        "FalconForCausalLM",
        _SIZES,
        {
            "sequential": {"parallel_attn": False, "multi_query": False},
            "biases": {"bias": True},
        },
    ),
    "SmolLM3": (
        "SmolLM3ForCausalLM",
        {**_GROUPED, "no_rope_layers": [1, 0]},
        {
            **_WHOLE,
            "all layers turned": {"no_rope_layers": [1, 1]},
            "biases": {"attention_bias": True, "mlp_bias": True},
            "window": {"use_sliding_window": True, "sliding_window": 3, "layer_types": _KINDS},
        },
    ),
    "Granite": (
        "GraniteForCausalLM",
        {
            **_GROUPED,
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.5,
            "attention_multiplier": 0.3,
            "logits_scaling": 2.0,
        },
        {**_WHOLE, "biases": {"attention_bias": True, "mlp_bias": True}},
    ),
    "BERT, masked tokens": (
        "BertForMaskedLM",
        _ENCODER,
        {"untied": {"tie_word_embeddings": False}, "relu": {"hidden_act": "relu"}, "one type": {"type_vocab_size": 1}},
    ),
    "BERT, classes": ("BertForSequenceClassification", _ENCODER, {"tanh gelu": {"hidden_act": "gelu_new"}}),
    "RoBERTa, masked tokens": (
        "RobertaForMaskedLM",
        _ENCODER,
        {"untied": {"tie_word_embeddings": False}, "padding is token 3": {"pad_token_id": 3}},
    ),
    "RoBERTa, classes": ("RobertaForSequenceClassification", _ENCODER, {"one output": {"num_labels": 1}}),
    "DistilBERT, masked tokens": (
        "DistilBertForMaskedLM",
        _DISTILLED,
        {"untied": {"tie_word_embeddings": False}, "relu": {"activation": "relu"}},
    ),
    "DistilBERT, classes": ("DistilBertForSequenceClassification", _DISTILLED, {"one output": {"num_labels": 1}}),
}
"""By name: the class of `transformers`, the config of the plain variant, and what changes in the others."""

_BY_LENGTH = "speeds that depend on the length"
_UNKNOWN = "TransformerLens cannot wrap this"
_NEW_FALCON: Config = {"new_decoder_architecture": True, "num_kv_heads": 2}
REFUSED_VARIANTS: dict[tuple[str, str], tuple[Config, str]] = {
    ("GPT-2", "scores scaled by layer"): ({"scale_attn_by_inverse_layer_idx": True}, "scales attention by layer"),
    ("Llama", "dynamic rotary"): (rope("dynamic", factor=2.0), _BY_LENGTH),
    ("Phi-3", "longrope rotary"): (
        rope("longrope", short_factor=[1.0] * 4, long_factor=[2.0] * 4, original_max_position_embeddings=8),
        _BY_LENGTH,
    ),
    ("GPT-2", "scores not scaled"): ({"scale_attn_weights": False}, "does not scale its scores"),
    ("GPT-NeoX, Pythia", "no attention biases"): ({"attention_bias": False}, _UNKNOWN),
    ("Phi, Phi-2", "query and key norms"): ({"qk_layernorm": True}, _UNKNOWN),
    ("Falcon", "grouped queries (40b)"): (_NEW_FALCON, _UNKNOWN),
    ("Falcon", "grouped queries, one norm (11b)"): ({**_NEW_FALCON, "num_ln_in_parallel_attn": 1}, _UNKNOWN),
    ("OPT", "norms after layers (350m)"): ({"do_layer_norm_before": False}, "norms the residual stream itself"),
    ("OPT", "projected embeddings"): ({"word_embed_proj_dim": 16}, "projects its embeddings"),
    ("Falcon", "alibi (rw-1b)"): ({"alibi": True}, "adds a distance to its scores"),
    ("Gemma 3", "looking ahead"): ({"use_bidirectional_attention": True}, "looks ahead"),
}
"""Variants that are refused: what changes, and words of the reason."""


def module_of(family: str, changed: Mapping[str, Any]) -> Any:
    """A tiny module of `transformers`, every parameter scrambled, in evaluation mode."""
    import transformers

    kind, config, _ = FAMILIES[family]
    made: Any = getattr(transformers, kind)
    with seeded(0):
        module = made(made.config_class(**{**config, **changed}))
    scramble(module, 0)
    return module.eval()


def rounded(module: Any, dtype: torch.dtype) -> Any:
    """The module with its weights stored in bfloat16, as `transformers` loads it to compute in `dtype`."""
    # Not module.bfloat16(), which would round the speeds of rotary positions too.
    state = {key: tensor.bfloat16() for key, tensor in module.state_dict().items()}
    kind: Any = type(module)  # pyright: ignore[reportUnknownVariableType]
    return kind.from_pretrained(None, config=module.config, state_dict=state, dtype=dtype).eval()


def loaded(module: Any, dtype: torch.dtype = torch.float32) -> Transformer:
    """The module as a scrubbable model that computes in `dtype`; loading it runs the self-check."""
    name = type(module).__name__
    return from_state_dict(module.state_dict(), described(module), name=name, dtype=dtype)


def described(module: Any) -> Config:
    """The config as `save_pretrained` writes it, with the class."""
    return {**module.config.to_dict(), "architectures": [type(module).__name__]}


def inputs(module: Any, length: int, padded: bool, n: int = 4, seed: int = 0) -> Dataset:
    """Random inputs for a module, with tokens of every type where it tells types apart."""
    data = random_inputs(VOCABULARY, length, padded, n, seed)
    types = getattr(module.config, "type_vocab_size", 0)
    if not types:
        return data
    drawn = np.random.default_rng(seed).integers(0, types, size=(n, length))
    return Dataset({**{key: data[key] for key in data}, COLUMN: drawn}, name=data.name)


def of_transformers(module: Any, data: Dataset) -> torch.Tensor:
    """The module's own logits, `[n, positions, outputs]`; of a classifier, those of the first position alone."""
    options: dict[str, Any] = {} if "mask" not in data else {"attention_mask": torch.tensor(data["mask"].copy()).long()}
    options |= {COLUMN: torch.tensor(data[COLUMN])} if COLUMN in data else {}
    tokens = torch.tensor(data["tokens"])
    if type(module).__name__.startswith("Roberta"):  # it takes any token of padding's number for padding
        after = module.config.pad_token_id + 1
        options["position_ids"] = after + torch.arange(tokens.shape[1]).expand(tokens.shape)
    if module.config.model_type not in ("bert", "roberta", "distilbert"):
        options["use_cache"] = False
    with torch.inference_mode():
        found = module(tokens, **options).logits.float()
    return found[:, None] if found.ndim == 2 else found


def difference(module: Any, model: Transformer, padded: bool) -> float:
    """Largest difference between the module's logits and what the nodes add up to, relative to the largest logit."""
    data = inputs(module, LENGTH, padded, seed=1)
    own = of_transformers(module, data)
    visible = torch.tensor(data["mask"].copy()) if padded else torch.ones(data["tokens"].shape, dtype=torch.bool)
    with torch.inference_mode():
        ours = compose(model, model.graph(data), model.inputs(data), len(data))[0].float()
    visible, ours = visible[:, : own.shape[1]], ours[:, : own.shape[1]]
    return float((own - ours)[visible].abs().max() / own[visible].abs().max())


def measured(family: str, variant: str) -> dict[str, float]:
    """Everything a row tells of one variant, by the names of `LIMITS`."""
    _, _, variants = FAMILIES[family]
    changed = {"plain": {}, **variants}[variant]
    module = module_of(family, changed)
    model = loaded(module)
    found = {"float32": difference(module, model, False), "padded": difference(module, model, True)}
    half = rounded(module, torch.bfloat16)
    for name, dtype in (("bf16", torch.bfloat16), ("bf16 in float32", torch.float32)):
        own, model = rounded(module, dtype), loaded(half, dtype)
        found[name] = max(difference(own, model, padded) for padded in (False, True))
    return found


def rows() -> dict[str, dict[str, float]]:
    """Per family the largest of each measurement over its variants."""
    found: dict[str, dict[str, float]] = {}
    for family, (_, _, variants) in FAMILIES.items():
        each = [measured(family, one) for one in ("plain", *variants)]
        found[family] = {key: max(one[key] for one in each) for key in LIMITS}
    return found


def shape(family: str) -> str:
    """The cells of a row that say what was measured."""
    kind, _, variants = FAMILIES[family]
    return f"| {family} | `{kind}` | {', '.join(('plain', *variants))} |"


def refusals() -> str:
    """The table of what is refused, and why."""
    whole: dict[str, list[str]] = {}
    for name, reason in REFUSED.items():
        whole.setdefault(reason, []).append(f"`{name}`")
    told = [f"| {', '.join(names)} | {reason} |" for reason, names in whole.items()]
    told += [f"| {family}: {variant} | … {reason} … |" for (family, variant), (_, reason) in REFUSED_VARIANTS.items()]
    return "\n".join(["| model | reason |", "|---|---|", *told])


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """The table of what is supported."""
    told = [f"{shape(family)} {' | '.join(f'{row[key]:.0e}' for key in LIMITS)} |" for family, row in found.items()]
    head = f"| family | class | variants | {' | '.join(LIMITS)} |"
    return "\n".join([head, "|---" * (3 + len(LIMITS)) + "|", *told])


if __name__ == "__main__":
    from transformers.utils import logging

    logging.disable_progress_bar()  # one for each of a hundred tiny models
    parts = PAGE.read_text().split("<!-- measured -->")
    parts[1], parts[3] = f"\n\n{table(rows())}\n\n", f"\n\n{refusals()}\n\n"
    PAGE.write_text("<!-- measured -->".join(parts))
