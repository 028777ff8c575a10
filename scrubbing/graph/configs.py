"""The graph of a transformer from its config, without weights: what `config.json` says, in either of two wordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scrubbing.errors import Fault, ModelMismatch
from scrubbing.graph.model_graph import ModelGraph, encoder_graph, transformer_graph


@dataclass(frozen=True)
class Shape:
    """What the graph of a family has beside its sizes."""

    learned_positions: bool = False
    parallel: str | bool = False
    """Whether attention and MLP read the same residual, or the field that says so."""
    parallel_unless_told: bool = True
    """What holds where that field is left out."""
    post_norms: bool = False
    encoder: bool = False
    """Of BERT's kind, with norms of the residual stream itself as nodes."""
    types: bool = False
    """Whether an encoder has embeddings of token types."""


FAMILIES: dict[str, Shape] = {
    "gpt2": Shape(learned_positions=True),
    "gpt_neox": Shape(parallel="use_parallel_residual"),
    "llama": Shape(),
    "mistral": Shape(),
    "qwen2": Shape(),
    "gemma2": Shape(post_norms=True),
    "qwen3": Shape(),
    "gemma3_text": Shape(post_norms=True),
    "phi3": Shape(),
    "gpt_neo": Shape(learned_positions=True),
    "olmo2": Shape(post_norms=True),
    "gemma": Shape(),
    "phi": Shape(parallel=True),
    "gptj": Shape(parallel=True),
    "opt": Shape(learned_positions=True),
    "stablelm": Shape(parallel="use_parallel_residual", parallel_unless_told=False),
    "falcon": Shape(parallel="parallel_attn"),
    "smollm3": Shape(),
    "granite": Shape(),
    "bert": Shape(encoder=True, types=True),
    "roberta": Shape(encoder=True, types=True),
    "distilbert": Shape(encoder=True),
}
"""By `model_type` of Hugging Face configs. Of any other family, the graph is known from the model alone."""
_SIZES = {
    "n_layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "n_heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "d_model": ("hidden_size", "n_embd", "d_model", "dim"),
}
_MLP = ("ffn_dim", "ffn_hidden_size", "intermediate_size", "n_inner", "d_mlp", "hidden_dim")


def config_graph(config: Mapping[str, Any], positions: int, padded: bool = False) -> ModelGraph | None:
    """The graph of the model that a config describes; it loads no torch.

    Args:
        config: the fields of a Hugging Face `config.json` of a supported family, or of a config of TransformerLens
            (which has `n_layers` and no `model_type`).
        positions: length of the inputs.
        padded: whether inputs come with a padding mask.

    Returns:
        The graph, equal to that of the loaded model; None where the family is not known here.

    Raises:
        ModelMismatch: SCR-CONFIG, a size is missing.
    """
    family = config.get("model_type")
    if family is not None and family not in FAMILIES:
        return None
    sizes = {size: _first(config, names) for size, names in _SIZES.items()}
    faults = [
        Fault("SCR-CONFIG", "config", f"it has no {_SIZES[size][0]}, or not a positive integer.", "Add it.")
        for size, found in sizes.items()
        if not found
    ]
    if faults:
        raise ModelMismatch(faults)
    d_mlp: int | None = _first(config, _MLP) or 4 * sizes["d_model"]
    if family is None:
        shape = Shape(learned_positions=_learned(config))
        d_mlp = None if config.get("attn_only") else d_mlp
    else:
        shape = FAMILIES[family]
    if shape.encoder and d_mlp:
        sizes |= {"d_mlp": d_mlp, "positions": positions}
        return encoder_graph(**sizes, padded=padded, types=shape.types)
    parallel = (
        shape.parallel
        if isinstance(shape.parallel, bool)
        else bool(config.get(shape.parallel, shape.parallel_unless_told))
    )
    return transformer_graph(
        sizes["n_layers"],
        sizes["n_heads"],
        d_model=sizes["d_model"],
        d_mlp=d_mlp,
        positions=positions,
        causal=config.get("attention_dir", "causal") == "causal",
        padded=padded,
        learned_positions=shape.learned_positions,
        parallel=parallel,
        post_norms=shape.post_norms,
    )


def is_encoder(config: Mapping[str, Any]) -> bool:
    """Whether a config is that of a model whose every position sees the whole input."""
    shape = FAMILIES.get(str(config.get("model_type")))
    return shape is not None and shape.encoder


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """The first of these fields that is a size; 0 where none is."""
    found = (config.get(name) for name in names)
    return next((one for one in found if isinstance(one, int) and not isinstance(one, bool) and one > 0), 0)


def _learned(config: Mapping[str, Any]) -> bool:
    """Whether a config of TransformerLens asks for position embeddings in the residual stream."""
    apart = config.get("shortformer") or config.get("shortformer_pos")
    return not apart and str(config.get("positional_embedding_type") or "standard").lower() == "standard"
