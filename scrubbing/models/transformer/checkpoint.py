"""Small transformers in TransformerLens's layouts, from local files or from memory, without TransformerLens."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scrubbing.models.check import check_weights, random_inputs, self_check
from scrubbing.models.precision import check_dtype
from scrubbing.models.transformer import layout
from scrubbing.models.transformer.config import config_of, read_fields
from scrubbing.models.transformer.files import read_config, read_tensors
from scrubbing.models.transformer.fit import fit
from scrubbing.models.transformer.forward import forward
from scrubbing.models.transformer.model import Transformer
from scrubbing.models.transformer.weights import Spec, Weights

POSITIONS = 4096
"""Positions that rotary tables are prepared for, unless it is said otherwise."""
_CHECKED_POSITIONS = 16


def from_file(
    weights: str | Path,
    config: Mapping[str, Any] | str | Path | None = None,
    *,
    name: str | None = None,
    dtype: torch.dtype = torch.float32,
    positions: int = POSITIONS,
    device: str | torch.device | None = None,
) -> Transformer:
    """Load a model from a local file in one of TransformerLens's layouts, checked against an independent forward pass.

    Every tensor of the file is used, every tensor of the model comes from the file, and shapes agree; otherwise one
    error lists all differences. Only the masks that old checkpoints hold are ignored (`layout.IGNORED`).

    Args:
        weights: `.safetensors`, or `.pth`/`.pt` with a state dict.
        config: a mapping of fields (`n_layers`, `d_model`, `normalization_type`, ...) such as `cfg.to_dict()` in
            TransformerLens 4, or the path of a JSON file; None reads the safetensors header.
        name: shown in reports; defaults to the file's.
        dtype: precision to compute in.
        positions: longest input to prepare rotary tables for, at most the context length.
        device: where to compute, such as `auto` or `cuda:1`; None is the CPU.

    Raises:
        FileError: SCR-FILE, the file is missing, truncated, or without a config.
        ModelMismatch: SCR-CONFIG, a field is unknown or asks for what is not supported; SCR-WEIGHTS, the tensors are
            not those of the model; SCR-DTYPE; SCR-NAN, weights or output are not finite; SCR-CHECK.
    """
    check_dtype(dtype, str(weights))
    path = Path(weights)
    state, header = read_tensors(path)
    fields = read_config(config, header, path)
    return from_tensors(state, fields, str(path), name or path.stem, dtype, positions).to(device)


def from_tensors(
    state: Mapping[str, Tensor], fields: Mapping[str, Any], where: str, name: str, dtype: torch.dtype, positions: int
) -> Transformer:
    """A model from tensors by name in one of TransformerLens's layouts, which are not copied if they need not be.

    Arguments and exceptions as of `from_file`; `where` is named in errors.
    """
    kept = {key: tensor for key, tensor in state.items() if not layout.ignored(key)}
    old = layout.is_legacy(kept)
    cfg = read_fields(fields, where, legacy=old)
    # A config may ask for any number of layers; one more than there are is enough to say so.
    found = {int(match[1]) for key in kept if (match := re.search(r"\bblocks\.(\d{1,9})\.", key))}
    layers = min(cfg.n_layers, len(found) + 1)
    wanted = layout.legacy(cfg, kept, layers) if old else layout.native(cfg, layers)
    further = [] if layers == cfg.n_layers else [f"n_layers is {cfg.n_layers} and there are {len(found)} layers"]
    fit(kept, {key: one.shape for key, one in wanted.items()}, where, further=further)
    tensors = {one.place: one.turn(kept[key].detach()) for key, one in wanted.items()}
    return assemble(cfg.spec(), layout.weights(tensors, cfg, positions).to("cpu", dtype), name)


def assemble(spec: Spec, weights: Weights, name: str) -> Transformer:
    """Make a model from its weights, checked against the textbook forward pass, which also serves as its own.

    Raises:
        ModelMismatch: SCR-DTYPE, weights of several precisions or of none; SCR-NAN; SCR-CHECK.
    """
    check_weights(dict(weights.tensors()), weights.W_E.dtype, name)
    model = Transformer(spec, weights, None, name)

    def residuals(tokens: Tensor, visible: Tensor | None) -> list[Tensor]:
        return forward(spec, weights, tokens, visible)[:-1]

    longest = min(
        [_CHECKED_POSITIONS] + [len(one) for one in (weights.W_pos, *(weights.rotary or ())) if one is not None]
    )
    for padded in (False, True):
        self_check(model, random_inputs(weights.W_E.shape[0], longest, padded), residuals)
    return model


def to_file(model: Transformer, path: str | Path, **notes: str) -> None:
    """Write a model's weights and config to one safetensors file, with `notes` in its header.

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
