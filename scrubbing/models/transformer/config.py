"""The config of a checkpoint in TransformerLens's words: what is read, what may be ignored, what is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, Literal

from scrubbing.errors import Fault, ModelMismatch, nearest
from scrubbing.guards import is_sequence
from scrubbing.models.transformer.rotary import Rotary, scaling_fault
from scrubbing.models.transformer.weights import ACTIVATIONS, Norm, Spec, Weights

Kind = Literal["LN", "RMS", "none"]
SYNONYMS = {"normalization": "normalization_type", "shortformer_pos": "shortformer"}
"""Keys of old config files under one name."""
_NORMS: dict[str | None, tuple[Kind, bool]] = {
    "LN": ("LN", True),
    "LNPre": ("LN", False),
    "RMS": ("RMS", True),
    "RMSPre": ("RMS", False),
    None: ("none", False),
}
"""Value to kind of norm, and whether it has weights."""
_POSITIONS = {"standard": "residual", "shortformer": "query_key", "rotary": "rotary_pairs"}
_ACTIVATIONS = {**{name: name for name in ACTIVATIONS}, "swish": "silu"}
_SIZES = ("n_layers", "n_heads", "d_model", "d_head", "n_ctx", "d_vocab")
_LARGEST = 2**48
"""Above any size, and small enough to compute with."""
_OTHERS = (
    "d_mlp", "d_vocab_out", "act_fn", "normalization_type", "attention_dir", "positional_embedding_type", "shortformer",
    "attn_only", "gated_mlp", "final_rms", "eps", "use_attn_scale", "attn_scale", "n_key_value_heads", "rotary_dim",
    "rotary_base", "rope_scaling", "attn_scores_soft_cap", "output_logits_soft_cap", "biases",
)  # fmt: skip
_HARMLESS = {
    # How it was trained, where it came from, and how TransformerLens is to run it.
    "architecture", "attn_implementation", "batch_size", "bos_token_id", "checkpoint_index", "checkpoint_label_type",
    "checkpoint_value", "d_mlp_type", "dataset_name", "default_padding_side", "default_prepend_bos", "device", "dtype",
    "from_checkpoint", "init_mode", "init_weights", "initializer_range", "lr", "max_tokens", "model_name", "model_type",
    "n_devices", "n_params", "name", "original_architecture", "seed", "tokenizer_appends_eos", "tokenizer_name",
    "tokenizer_prepends_bos", "trust_remote_code", "use_attn_in", "use_attn_result", "use_hook_mlp_in",
    "use_hook_tokens", "use_split_qkv_input", "weight_decay",
    # Read only by what `use_NTK_by_parts_rope`, `use_local_attn` and `use_qk_norm` switch on, which is refused.
    "NTK_by_parts_factor", "NTK_by_parts_high_freq_factor", "NTK_by_parts_low_freq_factor", "attn_types", "window_size",
    "qk_norm_after_rope",
    # Native models rotate neighbouring dimensions whatever this says.
    "rotary_adjacent_pairs",
}  # fmt: skip
"""Fields that change nothing of what a model computes. Any other must be absent, or at a value that means off."""
_BIASES = ("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_gate", "b_U")


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
    kv_heads: int
    attn_only: bool
    gated_mlp: bool
    act_fn: str
    norm: Kind
    normed: bool
    """Whether norms have weights."""
    final_norm: Kind
    final_normed: bool
    eps: float
    causal: bool
    attention_scale: float
    positions: Literal["residual", "query_key", "rotary_pairs"]
    rotary: Rotary | None
    attention_cap: float
    logit_cap: float
    biases: tuple[str, ...] | None
    """Which there are, where the file says so."""
    old: bool
    """In the words of a config of 2022, of models whose output layer may have no bias."""

    def spec(self) -> Spec:
        """The family spec."""
        kind = "shortformer" if self.positions == "query_key" else "native"
        made = Spec(kind, self.causal, self.attention_scale, self.act_fn, self.positions)
        return replace(made, attention_cap=self.attention_cap, logit_cap=self.logit_cap)


def read_fields(fields: Mapping[str, Any], where: str, *, legacy: bool = False) -> Config:
    """A config from its fields, with the meanings that TransformerLens 4's native models give them.

    Args:
        fields: of the config.
        where: named in errors.
        legacy: the tensors are named as before TransformerLens 4, when two fields meant something else.

    Raises:
        ModelMismatch: SCR-CONFIG, a size is missing, or a field asks for what is not supported; all of them at once.
    """
    given = {SYNONYMS.get(key, key): value for key, value in fields.items()}
    if faults := _kinds(given, where):
        raise ModelMismatch(faults)
    faults = [*_sizes(given, where), *_choices(given, where), *_numbers(given, where)]
    if legacy:
        faults += _changed_meaning(given, where)
    faults += _unknown(given, where)
    if faults:
        raise ModelMismatch(faults)
    attn_only, gated = bool(given.get("attn_only")), bool(given.get("gated_mlp"))
    norm, normed = _NORMS[_norm_of(given)]
    final_rms = bool(given.get("final_rms"))
    positions = _POSITIONS[_positions_of(given)]
    outputs = int(given.get("d_vocab_out") or -1)  # -1 is how TransformerLens says: as many as the vocabulary
    biases = given.get("biases")
    return Config(
        **{key: int(given[key]) for key in _SIZES},
        d_vocab_out=outputs if outputs > 0 else int(given["d_vocab"]),
        d_mlp=0 if attn_only else int(given.get("d_mlp") or 4 * given["d_model"]),
        kv_heads=int(given.get("n_key_value_heads") or given["n_heads"]),
        attn_only=attn_only,
        gated_mlp=gated,
        act_fn="relu" if attn_only else _ACTIVATIONS[_activation_of(given)],
        norm=norm,
        normed=normed,
        final_norm="RMS" if final_rms else norm,
        final_normed=normed or (final_rms and norm == "none"),
        eps=float(given.get("eps", 1e-5)),
        causal=given.get("attention_dir", "causal") == "causal",
        attention_scale=1.0 / _scale(given),
        positions=positions,  # pyright: ignore[reportArgumentType]
        rotary=Rotary.of(given) if positions == "rotary_pairs" else None,
        attention_cap=max(0.0, float(given.get("attn_scores_soft_cap", 0))),
        logit_cap=max(0.0, float(given.get("output_logits_soft_cap", 0))),
        biases=None if biases is None else tuple(biases),
        old=bool(set(SYNONYMS) & set(fields)),
    )


def _scale(given: Mapping[str, Any]) -> float:
    """What scores are divided by. `attn_scale` below zero is TransformerLens's way to say: the default."""
    scale = float(given.get("attn_scale") or -1)
    return scale if scale > 0 and given.get("use_attn_scale", True) else float(given["d_head"]) ** 0.5


def _activation_of(given: Mapping[str, Any]) -> str:
    if given.get("act_fn", "relu"):
        return str(given.get("act_fn", "relu")).lower()
    return "silu" if given.get("gated_mlp") else "gelu"


def _norm_of(given: Mapping[str, Any]) -> Any:
    """The known spelling of a norm, which TransformerLens reads whatever its case; as it is if there is none."""
    value = given.get("normalization_type", "LN")
    same = [key for key in _NORMS if key is not None and key.upper() == str(value).upper()]
    return same[0] if isinstance(value, str) and same else value


def _positions_of(given: Mapping[str, Any]) -> Any:
    if given.get("shortformer"):
        return "shortformer"
    value = given.get("positional_embedding_type") or "standard"
    return value.lower() if isinstance(value, str) else value


def _kinds(given: Mapping[str, Any], where: str) -> list[Fault]:
    """Values of another kind than a config holds, of which it cannot even be asked whether they are off."""
    flags = ("attn_only", "gated_mlp", "final_rms", "use_attn_scale", "shortformer")
    words = ("act_fn", "positional_embedding_type")
    told: list[tuple[str, str]] = []
    for key in sorted(set(given) - _HARMLESS):
        value = given[key]
        if key in flags and not (value is None or isinstance(value, bool) or (_whole(value) and value in (0, 1))):
            told.append((f"{key} is {value!r}.", "Write true or false."))
        elif key in words and not (value is None or isinstance(value, str)):
            told.append((f"{key} is {value!r}.", "Give its name, as text."))
        elif key == "d_vocab_out" and not (value is None or _whole(value)):
            told.append((f"{key} is {value!r}.", "Give an integer, or leave it out."))
        elif not (value is None or isinstance(value, (Real, str, list, tuple, dict))):
            told.append((f"{key} is of type {type(value).__name__}.", "Give what JSON can hold."))
    return [Fault("SCR-CONFIG", where, problem, remedy) for problem, remedy in told]


def _sizes(given: Mapping[str, Any], where: str) -> list[Fault]:
    faults = [
        Fault("SCR-CONFIG", where, f"its config has no {key}, or not a positive integer.", "Add it.")
        for key in _SIZES
        if not _whole(given.get(key)) or not 0 < given[key] < _LARGEST
    ]
    d_mlp = given.get("d_mlp")
    if not given.get("attn_only") and not (_whole(d_mlp) and 0 < int(d_mlp or 0) < _LARGEST):
        faults.append(Fault("SCR-CONFIG", where, "its config has no d_mlp.", "Add it, or attn_only: true."))
    heads, shared = given.get("n_heads"), given.get("n_key_value_heads")
    if shared is not None and not (_whole(shared) and shared > 0 and _whole(heads) and heads % shared == 0):
        problem = f"n_key_value_heads is {shared!r}, and there are {heads!r} heads."
        faults.append(Fault("SCR-CONFIG", where, problem, "Give a divisor of the number of heads."))
    return faults


def _choices(given: Mapping[str, Any], where: str) -> list[Fault]:
    chosen: list[tuple[str, Any, list[Any]]] = [
        ("normalization_type", _norm_of(given), list(_NORMS)),
        ("attention_dir", given.get("attention_dir", "causal"), ["causal", "bidirectional"]),
        ("positional_embedding_type", _positions_of(given), list(_POSITIONS)),
    ]
    if not given.get("attn_only"):
        chosen.append(("act_fn", _activation_of(given), list(_ACTIVATIONS)))
    faults: list[Fault] = []
    for key, value, known in chosen:
        if value not in known:
            remedy = f"Supported: {', '.join(map(repr, known))}. Load other models as a bridge, with from_bridge."
            faults.append(Fault("SCR-CONFIG", where, f"{key} is {value!r}.", remedy))
    biases = given.get("biases")
    if biases is not None and not (is_sequence(biases) and all(one in _BIASES for one in biases)):
        remedy = f"Give a list of names among {', '.join(_BIASES)}."
        faults.append(Fault("SCR-CONFIG", where, f"biases is {biases!r}.", remedy))
    return faults


def _numbers(given: Mapping[str, Any], where: str) -> list[Fault]:
    told: list[tuple[str, str]] = []
    for key in ("eps", "attn_scale", "attn_scores_soft_cap", "output_logits_soft_cap"):
        value = given.get(key, 1.0)
        fine = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        if not fine or (key == "eps" and value < 0):
            told.append((f"{key} is {value!r}.", "Give a finite number; eps is not negative."))
    if _positions_of(given) == "rotary" and _whole(given.get("d_head")):
        width, base = given.get("rotary_dim"), given.get("rotary_base", 10000)
        width = given["d_head"] if width is None else width
        if not _whole(width) or not 0 < width <= given["d_head"] or width % 2:
            told.append((f"rotary_dim is {width!r}.", f"Give an even number up to d_head, {given['d_head']}."))
        if isinstance(base, bool) or not isinstance(base, Real) or not 1 <= float(base) < math.inf:
            told.append((f"rotary_base is {base!r}.", "Give a number of at least 1."))
        if problem := scaling_fault(given.get("rope_scaling"), width):
            told.append((problem, "Supported: linear, dynamic, ntk and llama3, with the numbers that they need."))
    return [Fault("SCR-CONFIG", where, problem, remedy) for problem, remedy in told]


def _changed_meaning(given: Mapping[str, Any], where: str) -> list[Fault]:
    """Fields with which a file of the old layout may mean something else than a native model of today does."""
    told: list[tuple[str, str]] = []
    if not given.get("use_attn_scale", True):
        problem = "use_attn_scale is off: no scaling before TransformerLens 4, the default scaling since."
        told.append((problem, "Leave it out, and give attn_scale: what scores are divided by, 1.0 for nothing."))
    if _positions_of(given) == "rotary":
        problem = "rotary positions are not supported in this layout, which does not say which dimensions they turn."
        told.append((problem, "Convert it to a native model of TransformerLens 4, and save that model's state_dict()."))
    return [Fault("SCR-CONFIG", where, problem, remedy) for problem, remedy in told]


def _unknown(given: Mapping[str, Any], where: str) -> list[Fault]:
    """Fields that might mean something: unknown, and neither off nor at a default that means off."""
    faults: list[Fault] = []
    for key in sorted(set(given) - set(_SIZES) - set(_OTHERS) - _HARMLESS):
        value = given[key].item() if hasattr(given[key], "item") else given[key]
        if key == "uses_rms_norm" and _norm_of(given) in ("RMS", "RMSPre"):
            continue
        if value not in (None, False, 0, -1, "", [], {}):
            problem = f"its config has {key} = {value!r}, which is not supported."
            remedy = f"Did you mean {nearest(key, [*_SIZES, *_OTHERS], most=1)}? Other models load through from_bridge."
            faults.append(Fault("SCR-CONFIG", where, problem, remedy))
    return faults


def _whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def config_of(spec: Spec, weights: Weights, name: str) -> dict[str, Any]:
    """The fields that describe a model.

    Raises:
        ModelMismatch: SCR-CONFIG, they cannot.
    """
    first = weights.attention[0]
    heads, d, d_head = first.W_Q.shape
    fields: dict[str, Any] = {
        "n_layers": len(weights.attention),
        "n_heads": heads,
        "d_model": d,
        "d_head": d_head,
        "n_ctx": 0 if weights.W_pos is None else len(weights.W_pos),
        "d_vocab": weights.W_E.shape[0],
        "d_vocab_out": weights.W_U.shape[1],
        "normalization_type": next(key for key, value in _NORMS.items() if value == _kind(first.norm)),
        "eps": (first.norm if first.norm.kind != "none" else weights.final).eps,
        "attention_dir": "causal" if spec.causal else "bidirectional",
        "positional_embedding_type": "shortformer" if spec.positions == "query_key" else "standard",
        "biases": [key for key in _BIASES if any(one is not None for one in _biases(weights, key))],
    }
    if abs(spec.attention_scale - d_head**-0.5) > 1e-12:
        fields["attn_scale"] = 1 / spec.attention_scale
    if len(first.W_K) != heads:
        fields["n_key_value_heads"] = len(first.W_K)
    if weights.final.kind != first.norm.kind:
        fields["final_rms"] = weights.final.kind == "RMS"
    fields |= {"attn_scores_soft_cap": spec.attention_cap} if spec.attention_cap else {}
    fields |= {"output_logits_soft_cap": spec.logit_cap} if spec.logit_cap else {}
    if weights.mlps:
        fields |= {"d_mlp": weights.mlps[0].W_in.shape[1], "act_fn": spec.activation}
        fields |= {"gated_mlp": True} if weights.mlps[0].W_gate is not None else {}
    else:
        fields["attn_only"] = True
    if weights.W_pos is None or not _says(read_fields(fields, name, legacy=True), spec, weights):
        problem = f"a model of family {spec.family} cannot be written in this layout."
        raise ModelMismatch(Fault("SCR-CONFIG", name, problem, "Keep it in its own library's format."))
    return fields


def _says(config: Config, spec: Spec, weights: Weights) -> bool:
    """Whether a config that was read says all that there is to say."""
    told = config.spec()
    scale, norms = told.attention_scale, [one.norm for one in (*weights.attention, *weights.mlps)]
    return (
        replace(told, family=spec.family, attention_scale=spec.attention_scale, activation=spec.activation)
        == replace(spec, windows=())
        and not any(spec.windows)
        and math.isclose(scale, spec.attention_scale)
        and (told.activation == spec.activation or not weights.mlps)
        and all(_kind(one) == (config.norm, config.normed) for one in norms)
        and _kind(weights.final) == (config.final_norm, config.final_normed)
        and {one.eps for one in (*norms, weights.final) if one.kind != "none"} <= {config.eps}
        and not any(one.post for one in (*weights.attention, *weights.mlps))
        and all(len({one is None for one in _biases(weights, key)}) < 2 for key in _BIASES)
    )


def _kind(norm: Norm) -> tuple[Kind, bool]:
    return norm.kind, norm.weight is not None


def _biases(weights: Weights, key: str) -> list[Any]:
    """One kind of bias, of every layer that could have it."""
    return [getattr(one, key) for one in (weights, *weights.attention, *weights.mlps) if hasattr(one, key)]
