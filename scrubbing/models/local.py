"""A language model from a folder, whichever of two formats its files have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrubbing.errors import FileError, ModelMismatch, UsageError, brief, fail

if TYPE_CHECKING:
    from scrubbing.models.transformer.model import Transformer

_WEIGHTS = ("*.safetensors", "*final.pth", "*.pth", "*.pt")
_READ = (
    "n_layers", "n_heads", "d_model", "d_head", "n_ctx", "d_vocab", "d_mlp", "act_fn", "attn_only", "final_rms",
    "normalization", "normalization_type", "shortformer_pos", "attention_dir", "eps",
)  # fmt: skip
"""What TransformerLens reads of the config of its own old models; the rest is how they were trained."""


def from_folder(folder: str | Path, *, name: str | None = None) -> Transformer:
    """A causal language model from a folder, checked before it is returned.

    Two formats are read. A Hugging Face model: its `config.json` has `model_type`; needs TransformerLens. And that of
    TransformerLens's own attention-only models (`NeelNanda/Attn_Only_2L512W_C4_Code`, `ArthurConmy/redwood_attn_2l`):
    `config.json` with `n_layers`, `d_model` and so on, and a state dict in `*.safetensors`, `*final.pth`, `*.pth` or
    `*.pt`, which is read as plain tensors.

    Args:
        folder: with the files.
        name: shown in reports; defaults to the folder's.

    Raises:
        FileError: SCR-FILE, a file is missing or damaged.
        UsageError: SCR-EXTRA, TransformerLens is not installed.
        ModelMismatch: SCR-MODEL, it is no causal language model; and everything `from_file` and `from_bridge` raise.
    """
    path = Path(folder)
    name = name or path.resolve().name
    config = _config(path)
    model = _hugging_face(path, name) if "model_type" in config else _legacy(path, config, name)
    if not model.spec.causal or model.weights.W_U.shape[1] < model.weights.W_E.shape[0]:
        remedy = "Give a model that predicts the next token."
        fail(ModelMismatch, "SCR-MODEL", "it is not a causal language model.", remedy, str(folder))
    return model


def _config(path: Path) -> dict[str, Any]:
    remedy = "Give a folder with the config.json and the weights of a causal language model."
    try:
        found = json.loads((path / "config.json").read_bytes())
    except OSError as error:
        fail(FileError, "SCR-FILE", f"its config.json cannot be read ({error.strerror}).", remedy, str(path))
    except ValueError as error:
        fail(FileError, "SCR-FILE", f"its config.json is not JSON ({brief(error)}).", remedy, str(path))
    if not isinstance(found, dict):
        fail(FileError, "SCR-FILE", "its config.json is not a JSON object.", remedy, str(path))
    return found


def _hugging_face(path: Path, name: str) -> Transformer:
    try:
        from scrubbing.models.transformer_lens import from_directory
    except ImportError as error:
        problem = f"a Hugging Face model is loaded through TransformerLens ({brief(error)})."
        fail(UsageError, "SCR-EXTRA", problem, "Install it with: pip install 'scrubbing[tl]'.", str(path))
    return from_directory(path, name=name)


def _legacy(path: Path, config: dict[str, Any], name: str) -> Transformer:
    from scrubbing.models.transformer.checkpoint import from_file

    files = next((found for one in _WEIGHTS if (found := sorted(path.glob(one)))), [])
    if not files:
        remedy = f"Put the weights beside it, as {' or '.join(_WEIGHTS[:2])}."
        fail(FileError, "SCR-FILE", f"it has no weights ({', '.join(_WEIGHTS)}).", remedy, str(path))
    # How an old model was trained stands in the same file, under names nobody has listed.
    old = "normalization" in config or "shortformer_pos" in config
    fields = {key: value for key, value in config.items() if key in _READ} if old else config
    return from_file(files[0], fields, name=name)
