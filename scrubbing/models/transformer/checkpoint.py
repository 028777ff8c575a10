"""Small transformers in local files, in TransformerLens's layout, without TransformerLens.

Two layouts of names are read: the legacy one (`blocks.0.attn.W_Q`, `[heads, d, d_head]`), which is also what `to_file`
writes, and that of TransformerLens 4's native models (`blocks.0.attn.q.weight`, `[heads * d_head, d]`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scrubbing.errors import ModelMismatch, fail
from scrubbing.models.check import random_inputs, self_check
from scrubbing.models.transformer.config import Config, config_of, read_fields
from scrubbing.models.transformer.files import read_config, read_tensors
from scrubbing.models.transformer.forward import forward
from scrubbing.models.transformer.model import Transformer
from scrubbing.models.transformer.weights import IDENTITY, Attention, Mlp, Norm, Spec, Weights

_IGNORED = re.compile(r"\.(IGNORE|mask|rotary_sin|rotary_cos)$")
"""Buffers of old checkpoints that are no weights."""
_CHECKED_POSITIONS = 16


def from_file(
    weights: str | Path,
    config: Mapping[str, Any] | str | Path | None = None,
    *,
    name: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Transformer:
    """A model from a local file, checked against an independent forward pass.

    Args:
        weights: `.safetensors`, or `.pth`/`.pt` with a state dict.
        config: its fields, or a JSON file of them (`n_layers`, `d_model`, `normalization_type`, ...); None reads them
            from the safetensors header.
        name: shown in reports; defaults to the file's.
        dtype: to compute in.

    Raises:
        FileError: SCR-FILE, missing, truncated, or without a config.
        ModelMismatch: SCR-CONFIG, a field is unknown or asks for what is not supported; SCR-WEIGHTS, the weights are of
            another architecture; SCR-NAN, the output is not finite; SCR-CHECK.
    """
    path = Path(weights)
    state, header = read_tensors(path)
    cfg = read_fields(read_config(config, header, path), str(path))
    state = {key: value for key, value in state.items() if not _IGNORED.search(key)}
    if any(key.endswith("attn.q.weight") for key in state):
        state = _legacy(state, cfg)
    wanted = _shapes(cfg, bias="unembed.b_U" in state)
    _fit(state, wanted, path)
    return assemble(cfg.spec(), _weights(state, cfg).to("cpu", dtype), name or path.stem)


def assemble(spec: Spec, weights: Weights, name: str) -> Transformer:
    """A model from its weights, checked against the textbook forward pass that also serves as its own.

    Raises:
        ModelMismatch: SCR-NAN, SCR-CHECK.
    """

    def own(tokens: Tensor, visible: Tensor | None) -> Tensor:
        there = weights.W_E.device
        return forward(spec, weights, tokens.to(there), None if visible is None else visible.to(there))[-1]

    def residuals(tokens: Tensor, visible: Tensor | None) -> list[Tensor]:
        return forward(spec, weights, tokens, visible)[:-1]

    model = Transformer(spec, weights, own, name)
    longest = _CHECKED_POSITIONS if weights.W_pos is None else min(_CHECKED_POSITIONS, len(weights.W_pos))
    for padded in (False, True):
        self_check(model, random_inputs(weights.W_E.shape[0], longest, padded), residuals)
    return model


def to_file(model: Transformer, path: str | Path, **notes: str) -> None:
    """Write a model's weights and config to one safetensors file; notes go into its header.

    Raises:
        ModelMismatch: SCR-CONFIG, the layout cannot express the model's family.
    """
    from safetensors.torch import save_file

    weights = model.weights
    config = config_of(model.spec, weights, model.name)
    state: dict[str, Tensor | None] = {
        "embed.W_E": weights.W_E,
        "pos_embed.W_pos": weights.W_pos,
        "unembed.W_U": weights.W_U,
        "unembed.b_U": weights.b_U,
        "ln_final.w": weights.final.weight,
        "ln_final.b": weights.final.bias,
    }
    for i, attention in enumerate(weights.attention):
        state |= {f"blocks.{i}.ln1.w": attention.norm.weight, f"blocks.{i}.ln1.b": attention.norm.bias}
        for key in ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "b_O"):
            state[f"blocks.{i}.attn.{key}"] = getattr(attention, key)
    for i, mlp in enumerate(weights.mlps):
        state |= {f"blocks.{i}.ln2.w": mlp.norm.weight, f"blocks.{i}.ln2.b": mlp.norm.bias}
        for key in ("W_in", "b_in", "W_out", "b_out", "W_gate", "b_gate"):
            state[f"blocks.{i}.mlp.{key}"] = getattr(mlp, key)
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items() if value is not None}
    save_file(tensors, str(path), {"config": json.dumps(config), **notes})


def _shapes(cfg: Config, bias: bool) -> dict[str, tuple[tuple[int, ...], bool]]:
    """Name to shape, and whether it must be there; biases are optional and then zero."""
    d, h, k = cfg.d_model, cfg.n_heads, cfg.d_head
    norm = {"w": True, "b": cfg.norm == "LN"} if cfg.normed else {}
    shapes: dict[str, tuple[tuple[int, ...], bool]] = {
        "embed.W_E": ((cfg.d_vocab, d), True),
        "unembed.W_U": ((d, cfg.d_vocab_out), True),
        "pos_embed.W_pos": ((cfg.n_ctx, d), True),
    }
    if bias:
        shapes["unembed.b_U"] = ((cfg.d_vocab_out,), True)
    final = {"w": True} if cfg.final_rms and cfg.normed else norm
    shapes |= {f"ln_final.{key}": ((d,), True) for key, there in final.items() if there}
    for i in range(cfg.n_layers):
        at = f"blocks.{i}"
        shapes |= {f"{at}.attn.W_{x}": ((h, d, k), True) for x in "QKV"}
        shapes |= {f"{at}.attn.b_{x}": ((h, k), False) for x in "QKV"}
        shapes |= {f"{at}.attn.W_O": ((h, k, d), True), f"{at}.attn.b_O": ((d,), False)}
        for ln in ("ln1",) if cfg.attn_only else ("ln1", "ln2"):
            shapes |= {f"{at}.{ln}.{key}": ((d,), True) for key, there in norm.items() if there}
        if not cfg.attn_only:
            m = cfg.d_mlp
            shapes |= {f"{at}.mlp.W_in": ((d, m), True), f"{at}.mlp.b_in": ((m,), False)}
            shapes |= {f"{at}.mlp.W_out": ((m, d), True), f"{at}.mlp.b_out": ((d,), False)}
            if cfg.gated_mlp:
                shapes |= {f"{at}.mlp.W_gate": ((d, m), True), f"{at}.mlp.b_gate": ((m,), False)}
    return shapes


def _fit(state: dict[str, Tensor], wanted: dict[str, tuple[tuple[int, ...], bool]], path: Path) -> None:
    told = [f"missing {key}" for key, (_, needed) in sorted(wanted.items()) if needed and key not in state]
    told += [f"unexpected {key}" for key in sorted(set(state) - set(wanted))]
    told += [
        f"{key} is {list(state[key].shape)} instead of {list(wanted[key][0])}"
        for key in sorted(set(state) & set(wanted))
        if tuple(state[key].shape) != wanted[key][0]
    ]
    if told:
        shown = "; ".join(told[:4]) + (f"; and {len(told) - 4} more" if len(told) > 4 else "")
        problem = f"its weights do not fit the config: {shown}."
        fail(ModelMismatch, "SCR-WEIGHTS", problem, "Give the config the weights were trained with.", str(path))


def _weights(state: dict[str, Tensor], cfg: Config) -> Weights:
    def norm(at: str, rms: bool = False) -> Norm:
        if cfg.norm == "none":
            return IDENTITY
        return Norm("RMS" if rms else cfg.norm, cfg.eps, state.get(f"{at}.w"), state.get(f"{at}.b"))

    def those(kind: type[Attention | Mlp], at: str, before: str) -> dict[str, Any]:
        names = [key for key in kind.__dataclass_fields__ if key[1:2] == "_"]
        return {"norm": norm(before)} | {key: state.get(f"{at}.{key}") for key in names}

    layers = range(cfg.n_layers)
    attention = tuple(Attention(**those(Attention, f"blocks.{i}.attn", f"blocks.{i}.ln1")) for i in layers)
    mlps = () if cfg.attn_only else tuple(Mlp(**those(Mlp, f"blocks.{i}.mlp", f"blocks.{i}.ln2")) for i in layers)
    return Weights(
        W_E=state["embed.W_E"],
        W_U=state["unembed.W_U"],
        attention=attention,
        mlps=mlps,
        final=norm("ln_final", cfg.final_rms),
        b_U=state.get("unembed.b_U"),
        W_pos=state["pos_embed.W_pos"],
    )


_RENAMED = {
    "embed.weight": "embed.W_E",
    "pos_embed.weight": "pos_embed.W_pos",
    "unembed.bias": "unembed.b_U",
}


def _legacy(state: dict[str, Tensor], cfg: Config) -> dict[str, Tensor]:
    """Tensors named as native models name them, under legacy names and in legacy shapes."""
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        if match := re.fullmatch(r"(blocks\.\d+\.attn)\.([qkvo])\.(weight|bias)", key):
            at, which, kind = match.groups()
            found[f"{at}.{'W' if kind == 'weight' else 'b'}_{which.upper()}"] = _by_head(value, which, kind, cfg)
        elif match := re.fullmatch(r"(blocks\.\d+\.mlp)\.(in|out|gate)\.(weight|bias)", key):
            at, which, kind = match.groups()
            found[f"{at}.{'W' if kind == 'weight' else 'b'}_{which}"] = value.T if kind == "weight" else value
        elif match := re.fullmatch(r"(.*\.ln[12]|ln_final)\.(weight|bias)", key):
            found[f"{match[1]}.{match[2][0]}"] = value
        elif key == "unembed.weight":
            found["unembed.W_U"] = value.T
        else:
            found[_RENAMED.get(key, key)] = value
    return found


def _by_head(value: Tensor, which: str, kind: str, cfg: Config) -> Tensor:
    """One matrix for all heads as one per head; left as it is where the sizes do not allow it, to be reported."""
    h, k = cfg.n_heads, cfg.d_head
    if kind == "bias":
        return value if which == "o" or value.shape != (h * k,) else value.reshape(h, k)
    if value.shape != ((cfg.d_model, h * k) if which == "o" else (h * k, cfg.d_model)):
        return value
    return value.T.reshape(h, k, -1) if which == "o" else value.reshape(h, k, -1).transpose(1, 2)
