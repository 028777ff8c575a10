"""Folders that SAELens writes: `cfg.json` and `sae_weights.safetensors`, read and evaluated without it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import Fault, FileError, brief, fail
from scrubbing.guards import is_dict
from scrubbing.user_code import content_of

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
_ENCODERS = {"standard": "b_enc", "topk": "b_enc", "jumprelu": "b_enc threshold", "gated": "b_gate b_mag r_mag"}
"""By what an encoder does: the tensors that it needs beside `W_enc`, `W_dec` and `b_dec`."""
_NORMS = ("none", "layer_norm", "constant_norm_rescale")
_HOOK = re.compile(r"blocks\.(\d+)\.(hook_\w+|attn\.hook_result|ln2\.hook_normalized|mlp\.hook_in)")
_PLACES = {
    "hook_mlp_out": "mlp_out", "hook_attn_out": "attn_out", "attn.hook_result": "result", "hook_resid_pre": "resid_pre",
    "hook_resid_mid": "resid_mid", "hook_resid_post": "resid_post", "ln2.hook_normalized": "mlp_in",
    "mlp.hook_in": "mlp_in",
}  # fmt: skip
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Weights:
    """A dictionary's tensors and what they are of."""

    kind: str
    """How activations are computed: `standard`, `topk`, `jumprelu` or `gated`."""
    hook: str
    place: str
    """Of what the features are: `mlp_out`, `attn_out`, `result`, `resid_pre`, `resid_mid`, `resid_post`, `mlp_in`."""
    layer: int
    head: int
    W_enc: Array
    W_dec: Array
    b_dec: Array
    extra: Mapping[str, Array]
    k: int
    norm: str
    subtracts_b_dec: bool
    by_decoder_norm: bool
    """Whether activations are measured in lengths of what they write."""
    reads_mlp: bool
    """Whether it is a transcoder: features are functions of what an MLP reads, and add up to what it writes."""
    skip: Array | None

    @cached_property
    def _placed(self) -> dict[Any, dict[str, Any]]:
        return {}

    def _tensors(self, like: Any) -> dict[str, Any]:
        """The arrays as tensors of the same precision on the same device."""
        key = like.dtype, like.device
        if key not in self._placed:
            arrays = {"W_enc": self.W_enc, "W_dec": self.W_dec, "b_dec": self.b_dec, **self.extra}
            self._placed[key] = {name: like.new_tensor(array) for name, array in arrays.items()}
        return self._placed[key]

    def encoder(self, like: Any) -> Callable[[Any], Any]:
        """A function from values `[..., d]` to activations `[..., features]`, for tensors like this one."""
        at = self._tensors(like)

        def encode(value: Any) -> Any:
            x = self._normed(value)[0]
            if self.subtracts_b_dec:
                x = x - at["b_dec"]
            if self.kind == "gated":
                x = x @ at["W_enc"]
                open_ = x + at["b_gate"] > 0
                return open_ * (x * at["r_mag"].exp() + at["b_mag"]).clamp(min=0)
            pre = x @ at["W_enc"] + at["b_enc"]
            if self.by_decoder_norm:
                pre = pre * at["W_dec"].norm(dim=-1)
            if self.kind == "jumprelu":
                return pre.clamp(min=0) * (pre > at["threshold"])
            if self.kind == "topk":
                values, where = pre.topk(self.k, dim=-1)
                return pre.new_zeros(pre.shape).scatter(-1, where, values.clamp(min=0))
            return pre.clamp(min=0)

        return encode

    def decoder(self, like: Any) -> Callable[[Any, Any], Any]:
        """A function from values and their activations to reconstructions `[..., d]`, for tensors like this one."""
        at = self._tensors(like)

        def decode(value: Any, active: Any) -> Any:
            features = self.written(value, active, slice(None))
            scale, shift = self._normed(value)[1:]
            base = features + at["b_dec"] * scale + shift
            return base if self.skip is None else base + value @ value.new_tensor(self.skip.T)

        return decode

    def written(self, value: Any, active: Any, chosen: Any) -> Any:
        """What chosen features of these activations write, `[..., d]`, where they are found in a value."""
        W_dec = self._tensors(value)["W_dec"][chosen]
        if self.by_decoder_norm:
            W_dec = W_dec / W_dec.norm(dim=-1, keepdim=True).clamp(min=1e-8)
        return (active @ W_dec) * self._normed(value)[1]

    def _normed(self, value: Any) -> tuple[Any, Any, Any]:
        """A value as the encoder takes it, and the scale and shift by which what comes out is brought back."""
        if self.norm == "layer_norm":
            centre = value.mean(dim=-1, keepdim=True)
            spread = (value - centre).std(dim=-1, keepdim=True)
            normed = (value - centre) / (spread + 1e-5)
            return (normed, 1.0, 0.0) if self.reads_mlp else (normed, spread, centre)
        if self.norm == "constant_norm_rescale":
            size = value.norm(dim=-1, keepdim=True) / value.shape[-1] ** 0.5
            return value / size, 1.0 if self.reads_mlp else size, 0.0
        return value, 1.0, 0.0


def digest_of(folder: str) -> str:
    """Hash of the files.

    Raises:
        FileError: SCR-FILE, one cannot be read.
    """
    found = hashlib.blake2b(digest_size=8)
    for name in (CONFIG, WEIGHTS):
        try:
            found.update(content_of(Path(folder) / name))
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", None) or brief(error)
            remedy = f"Give the folder with {CONFIG} and {WEIGHTS}, as save_model of SAELens writes it."
            fail(FileError, "SCR-FILE", f"it cannot be read ({told}).", remedy, str(Path(folder) / name))
    return found.hexdigest()


def weights_of(folder: str) -> Weights:
    """What is stored in a folder.

    Raises:
        FileError: SCR-FILE, a file is damaged; SCR-DICTIONARY, with everything that cannot be used.
    """
    cfg, tensors = _config(Path(folder) / CONFIG), _tensors(Path(folder) / WEIGHTS)
    inner: Any = cfg.get("metadata")
    said: dict[str, Any] = {**inner, **cfg} if is_dict(inner) else cfg
    name = str(said.get("architecture", "standard"))
    is_transcoder = "transcoder" in name
    kind = name.replace("skip_transcoder", "").replace("transcoder", "").strip("_") or "standard"
    if (said.get("activation_fn") or said.get("activation_fn_str")) == "topk":
        kind = "topk"
    hook = str(said.get("hook_name_out") if is_transcoder else said.get("hook_name", said.get("hook_point")))
    at = _HOOK.fullmatch(hook)
    place = _PLACES.get(at[2], "") if at else ""
    faults = [Fault("SCR-DICTIONARY", str(Path(folder)), *one) for one in _unusable(said, kind, hook, place, tensors)]
    if faults:
        raise FileError(faults)
    assert at is not None
    k = said.get("k") or _fields(said, "activation_fn_kwargs").get("k") or 0
    extra = {key: tensors[key] for key in _ENCODERS[kind].split()}
    return Weights(
        kind,
        hook,
        place,
        int(at[1]),
        int(said.get("hook_head_index") or said.get("hook_point_head_index") or 0),
        tensors["W_enc"],
        tensors["W_dec"],
        tensors["b_dec"],
        extra,
        int(k),
        str(said.get("normalize_activations") or "none"),
        bool(said.get("apply_b_dec_to_input", True)) and not is_transcoder,
        bool(said.get("rescale_acts_by_decoder_norm", False)),
        is_transcoder,
        tensors.get("W_skip"),
    )


def _unusable(
    said: Mapping[str, Any], kind: str, hook: str, place: str, tensors: Mapping[str, Array]
) -> Iterator[tuple[str, str]]:
    """Everything that keeps a dictionary from being used: problem and remedy."""
    if kind not in _ENCODERS:
        yield (
            f"its architecture is {said.get('architecture')!r}.",
            f"These are read: {', '.join(_ENCODERS)}, transcoders.",
        )
        return
    if not place:
        known = ", ".join(sorted(_PLACES))
        yield f"it is of {hook}, which is not put together from nodes.", f"These are known: blocks.N. and {known}."
    if "transcoder" in str(said.get("architecture")):
        read = _HOOK.fullmatch(str(said.get("hook_name")))
        if read is None or _PLACES.get(read[2]) != "mlp_in" or place not in ("", "mlp_out"):
            problem = f"it reads {said.get('hook_name')} and writes {hook}."
            yield problem, "A transcoder goes from ln2.hook_normalized or mlp.hook_in of an MLP to its hook_mlp_out."
    norm = said.get("normalize_activations") or "none"
    if norm not in _NORMS:
        yield f"its inputs are normalised by {norm!r}.", "Fold that into its weights with SAELens, and save it again."
    activation = said.get("activation_fn") or said.get("activation_fn_str") or "relu"
    if activation not in ("relu", "topk"):
        yield f"its activation function is {activation!r}.", "relu and topk are read."
    if kind == "topk" and not (said.get("k") or _fields(said, "activation_fn_kwargs").get("k")):
        yield "it does not say how many features are active at once.", 'Give "k" in cfg.json.'
    needed = ["W_enc", "W_dec", "b_dec", *_ENCODERS[kind].split()]
    if missing := [name for name in needed if name not in tensors]:
        yield f"it has no tensor {', '.join(missing)}.", f"{WEIGHTS} of {kind} has {', '.join(needed)}."
        return
    size, width = tensors["W_dec"].shape if tensors["W_dec"].ndim == 2 else (0, 0)
    shapes = {"W_enc": (tensors["W_enc"].shape[0], size), "b_dec": (width,)}
    shapes |= dict.fromkeys(_ENCODERS[kind].split(), (size,))
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            yield f"its {name} is {list(tensors[name].shape)}, and {list(shape)} fits W_dec.", "Check the weights."
    if wild := [name for name, array in tensors.items() if not np.isfinite(array).all()]:
        yield f"its {', '.join(wild)} is not finite.", "Check the weights."


def _fields(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    found: Any = said.get(name)
    return found if is_dict(found) else {}


def _config(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(content_of(path))
    except (OSError, ValueError, RecursionError) as error:
        fail(FileError, "SCR-FILE", f"it is no JSON ({brief(error)}).", "Save the dictionary again.", str(path))
    if not is_dict(found):
        fail(FileError, "SCR-FILE", "it holds no fields.", "Save the dictionary again.", str(path))
    return found


def _tensors(path: Path) -> dict[str, Array]:
    from safetensors.numpy import load_file

    try:
        found: dict[str, NDArray[Any]] = load_file(path)
        return {name: array.astype(np.float64) for name, array in found.items()}
    except Exception as error:  # safetensors raises its own, and TypeError for precisions that numpy lacks
        remedy = "Save it again with SAELens, in float32."
        fail(FileError, "SCR-FILE", f"it is no file of tensors ({brief(error)}).", remedy, str(path))
