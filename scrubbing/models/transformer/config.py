"""The config of a checkpoint in TransformerLens's words: what is read, what may be ignored, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scrubbing.errors import Fault, ModelMismatch, nearest
from scrubbing.models.transformer.weights import ACTIVATIONS, Norm, Spec, Weights

_LEGACY = {"normalization": "normalization_type", "shortformer_pos": "shortformer"}
"""Keys of old config files under one name."""
_NORMS: dict[str | None, tuple[Literal["LN", "RMS", "none"], bool]] = {
    "LN": ("LN", True),
    "LNPre": ("LN", False),
    "RMS": ("RMS", True),
    "RMSPre": ("RMS", False),
    None: ("none", False),
}
"""Value to kind of norm, and whether it has weights."""
_POSITIONS: dict[str, Literal["residual", "query_key"]] = {"standard": "residual", "shortformer": "query_key"}
_SIZES = ("n_layers", "n_heads", "d_model", "d_head", "n_ctx", "d_vocab")
_OTHERS = (
    "d_mlp", "d_vocab_out", "act_fn", "normalization_type", "attention_dir", "positional_embedding_type", "shortformer",
    "attn_only", "gated_mlp", "final_rms", "eps", "use_attn_scale", "attn_scale",
)  # fmt: skip
_HARMLESS = {
    "architecture", "batch_size", "checkpoint_index", "checkpoint_label_type", "checkpoint_value", "d_mlp_type",
    "dataset_name", "default_prepend_bos", "device", "dtype", "from_checkpoint", "init_mode", "init_weights",
    "initializer_range", "lr", "max_tokens", "model_name", "model_type", "n_devices", "n_params",
    "original_architecture", "seed", "tokenizer_name", "tokenizer_prepends_bos", "trust_remote_code", "use_hook_tokens",
    "weight_decay", "name", "bos_token_id",
}  # fmt: skip
"""Fields that change nothing of what a model computes."""


@dataclass(frozen=True)
class Config:
    """Sizes and kinds of a checkpoint's architecture."""

    n_layers: int
    n_heads: int
    d_model: int
    d_head: int
    n_ctx: int
    d_vocab: int
    d_vocab_out: int
    d_mlp: int
    attn_only: bool
    gated_mlp: bool
    act_fn: str
    norm: Literal["LN", "RMS", "none"]
    normed: bool
    """Whether norms have weights."""
    final_rms: bool
    eps: float
    causal: bool
    attention_scale: float
    positions: Literal["residual", "query_key"]

    def spec(self) -> Spec:
        """The family spec."""
        kind = "shortformer" if self.positions == "query_key" else "native"
        return Spec(kind, self.causal, self.attention_scale, self.act_fn, self.positions)


def read_fields(fields: Mapping[str, Any], where: str) -> Config:
    """A config from its fields.

    Raises:
        ModelMismatch: SCR-CONFIG, a size is missing, or a field asks for what is not supported; all of them at once.
    """
    given = {_LEGACY.get(key, key): value for key, value in fields.items()}
    faults = [
        Fault("SCR-CONFIG", where, f"its config has no {key}, or not a positive integer.", "Add it.")
        for key in _SIZES
        if not isinstance(given.get(key), int) or given[key] < 1
    ]
    attn_only = bool(given.get("attn_only"))
    if not attn_only and not isinstance(given.get("d_mlp"), int):
        faults.append(Fault("SCR-CONFIG", where, "its config has no d_mlp.", "Add it, or attn_only: true."))
    positions = "shortformer" if given.get("shortformer") else given.get("positional_embedding_type", "standard")
    act_fn = given.get("act_fn") or "relu"
    chosen: list[tuple[str, Any, Any]] = [
        ("normalization_type", given.get("normalization_type", "LN"), list(_NORMS)),
        ("attention_dir", given.get("attention_dir", "causal"), ["causal", "bidirectional"]),
        ("positional_embedding_type", positions, list(_POSITIONS)),
    ]
    chosen += [] if attn_only else [("act_fn", act_fn, list(ACTIVATIONS))]
    for key, value, known in chosen:
        if value not in known:
            remedy = f"Supported: {', '.join(map(repr, known))}. Load other models as a bridge, with from_bridge."
            faults.append(Fault("SCR-CONFIG", where, f"{key} is {value!r}.", remedy))
    faults += _unknown(given, where)
    if faults:
        raise ModelMismatch(faults)
    norm, normed = _NORMS[chosen[0][1]]
    scale = float(given.get("attn_scale") or given["d_head"] ** 0.5) if given.get("use_attn_scale", True) else 1.0
    outputs = given.get("d_vocab_out") or -1  # -1 is how TransformerLens says: as many as the vocabulary
    return Config(
        **{key: given[key] for key in _SIZES},
        d_vocab_out=outputs if outputs > 0 else given["d_vocab"],
        d_mlp=0 if attn_only else given["d_mlp"],
        attn_only=attn_only,
        gated_mlp=bool(given.get("gated_mlp")),
        act_fn=act_fn if act_fn in ACTIVATIONS else "relu",
        norm=norm,
        normed=normed,
        final_rms=bool(given.get("final_rms")),
        eps=float(given.get("eps", 1e-5)),
        causal=chosen[1][1] == "causal",
        attention_scale=1.0 / scale,
        positions=_POSITIONS[positions],
    )


def _unknown(given: Mapping[str, Any], where: str) -> list[Fault]:
    """Fields that might mean something: unknown, and neither off nor at a default that means off."""
    faults: list[Fault] = []
    for key in sorted(set(given) - set(_SIZES) - set(_OTHERS) - _HARMLESS):
        value = given[key]
        if value not in (None, False, 0, -1, "", [], {}) and not key.startswith("use_split"):
            problem = f"its config has {key} = {value!r}, which is not supported."
            remedy = f"Did you mean {nearest(key, [*_SIZES, *_OTHERS], most=1)}? Other models load through from_bridge."
            faults.append(Fault("SCR-CONFIG", where, problem, remedy))
    return faults


def config_of(spec: Spec, weights: Weights, name: str) -> dict[str, Any]:
    """The fields that describe a model.

    Raises:
        ModelMismatch: SCR-CONFIG, they cannot.
    """
    first = weights.attention[0]
    plain = not (spec.parallel or spec.attention_cap or spec.logit_cap or spec.windows or first.post)
    if not plain or spec.positions not in _POSITIONS.values() or first.W_K.shape != first.W_Q.shape:
        problem = f"a model of family {spec.family} cannot be written in this layout."
        raise ModelMismatch(Fault("SCR-CONFIG", name, problem, "Keep it in its own library's format."))
    heads, d, d_head = first.W_Q.shape
    assert weights.W_pos is not None
    fields: dict[str, Any] = {
        "n_layers": len(weights.attention),
        "n_heads": heads,
        "d_model": d,
        "d_head": d_head,
        "n_ctx": len(weights.W_pos),
        "d_vocab": weights.W_E.shape[0],
        "d_vocab_out": weights.W_U.shape[1],
        "normalization_type": _norm_name(first.norm),
        "eps": first.norm.eps,
        "attention_dir": "causal" if spec.causal else "bidirectional",
        "positional_embedding_type": "shortformer" if spec.positions == "query_key" else "standard",
    }
    if abs(spec.attention_scale - d_head**-0.5) > 1e-12:
        fields["attn_scale"] = 1 / spec.attention_scale
    if not weights.mlps:
        return fields | {"attn_only": True}
    gated = {"gated_mlp": True} if weights.mlps[0].W_gate is not None else {}
    return fields | {"d_mlp": weights.mlps[0].W_in.shape[1], "act_fn": spec.activation} | gated


def _norm_name(norm: Norm) -> str | None:
    return next(key for key, value in _NORMS.items() if value == (norm.kind, norm.weight is not None))
