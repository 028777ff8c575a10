"""Models from wherever they are: a file, a folder in one of two formats, the hub, or memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from scrubbing.data.hub import fetch
from scrubbing.errors import FileError, ModelMismatch, UsageError, brief, fail
from scrubbing.models.precision import check_dtype
from scrubbing.models.transformer.checkpoint import POSITIONS, from_file, from_tensors
from scrubbing.models.transformer.files import read_json
from scrubbing.models.transformer.fit import unusable

if TYPE_CHECKING:
    from torch import Tensor

    from scrubbing.models.transformer.model import Transformer

_WEIGHTS = ("*.safetensors", "*final.pth", "*.pth", "*.pt")
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_READ = (
    "n_layers", "n_heads", "d_model", "d_head", "n_ctx", "d_vocab", "d_mlp", "act_fn", "attn_only", "final_rms",
    "normalization", "normalization_type", "shortformer_pos", "attention_dir", "eps",
)  # fmt: skip
"""What TransformerLens reads of the config of its own old models; the rest is how they were trained."""


def load_model(
    source: str | Path,
    config: Mapping[str, Any] | str | Path | None = None,
    *,
    name: str | None = None,
    dtype: torch.dtype = torch.float32,
    positions: int = POSITIONS,
    device: str | torch.device | None = None,
) -> Transformer:
    """Load a model from a file, a folder or the Hugging Face hub, and check it.

    The loaded model is the stored one: every tensor of the checkpoint is used or known to be no weight, every tensor of
    the model comes from the checkpoint, shapes agree, and the nodes add up to an independent forward pass (for a
    Hugging Face model, that of `transformers`).

    Args:
        source: a file of weights (see `from_file`); a folder with `config.json` and weights (see `from_folder`); or a
            repository of the hub, such as `openai-community/gpt2`.
        config: for a file without a config in its header: a mapping of fields, or the path of a JSON file.
        name: shown in reports; defaults to that of the file or folder.
        dtype: precision to compute in; weights stored in another precision are converted.
        positions: longest input to prepare rotary tables for, at most the context length.
        device: where to compute, such as `auto` or `cuda:1`; None is the CPU. What it computes there is compared with
            the CPU.

    Raises:
        FileError: SCR-FILE, there is no such file, or one is missing or damaged; SCR-HUB, it cannot be downloaded.
        UsageError: SCR-EXTRA, a library that is needed is not installed; a config was given for a folder; SCR-DEVICE.
        ModelMismatch: SCR-CONFIG, SCR-WEIGHTS, SCR-FAMILY, SCR-DTYPE, SCR-NAN, SCR-CHECK: see `from_file`.
    """
    check_dtype(dtype, str(source))
    path = Path(source)
    if path.is_file() or path.suffix in _SUFFIXES:
        return from_file(path, config, name=name, dtype=dtype, positions=positions, device=device)
    if config is not None:
        problem = "a config was given for what is not a file of weights; a folder has its own."
        fail(UsageError, "SCR-CONFIG", problem, "Leave out config=, or correct the folder's config.json.", str(source))
    folder = path if path.is_dir() else fetch(str(source))
    return _from_folder(folder, name or _name_of(path), dtype, positions).to(device)


def from_folder(
    folder: str | Path, *, name: str | None = None, device: str | torch.device | None = None
) -> Transformer:
    """Load a causal language model from a folder, in float32, and check it.

    Two formats are read. The first is that of Hugging Face models, whose `config.json` has `model_type`; it needs
    TransformerLens to be installed. The second is that of TransformerLens's own attention-only models
    (`NeelNanda/Attn_Only_2L512W_C4_Code`, `ArthurConmy/redwood_attn_2l`): a `config.json` with `n_layers`, `d_model`
    and so on, and a state dict in `*.safetensors`, `*final.pth`, `*.pth` or `*.pt`, which is read as plain tensors.

    Args:
        folder: path of the folder.
        name: shown in reports; defaults to the folder's.
        device: where to compute, such as `auto` or `cuda:1`; None is the CPU.

    Raises:
        FileError: SCR-FILE, a file is missing or damaged.
        UsageError: SCR-EXTRA, TransformerLens is not installed.
        ModelMismatch: SCR-MODEL, it is not a causal language model; and everything that `load_model` raises.
    """
    path = Path(folder)
    model = _from_folder(path, name or _name_of(path), torch.float32, POSITIONS)
    if not model.spec.causal or model.weights.W_U.shape[1] < model.weights.W_E.shape[0]:
        remedy = "Give a model that predicts the next token."
        fail(ModelMismatch, "SCR-MODEL", "it is not a causal language model.", remedy, str(folder))
    return model.to(device)


def from_state_dict(
    state_dict: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    name: str = "state dict",
    dtype: torch.dtype = torch.float32,
    positions: int = POSITIONS,
    device: str | torch.device | None = None,
) -> Transformer:
    """Make a model from tensors in memory, which are copied, and check it like a model from a file.

    Args:
        state_dict: tensors by name, in one of TransformerLens's layouts (see `from_file`) or as `transformers` names
            those of a supported family.
        config: config fields of TransformerLens (`cfg.to_dict()`), or of `transformers` (`config.to_dict()`, which has
            `model_type`).
        name: shown in reports.
        dtype: precision to compute in.
        positions: longest input to prepare rotary tables for, at most the context length.
        device: where to compute, such as `auto` or `cuda:1`; None is the CPU.

    Raises:
        UsageError: SCR-EXTRA, TransformerLens is needed and not installed.
        ModelMismatch: SCR-WEIGHTS, the values are not tensors by name, or not those of the model; SCR-CONFIG,
            SCR-FAMILY, SCR-DTYPE, SCR-NAN, SCR-CHECK: see `from_file`.
    """
    check_dtype(dtype, name)
    if not isinstance(state_dict, Mapping) or not isinstance(config, Mapping):
        what, kind = ("state_dict", state_dict) if not isinstance(state_dict, Mapping) else ("config", config)
        problem = f"{what} is a {type(kind).__name__}, not a mapping."
        fail(ModelMismatch, "SCR-WEIGHTS", problem, "Pass model.state_dict() and the fields of its config.", name)
    others = [str(key) for key, value in state_dict.items() if not isinstance(value, torch.Tensor)]
    if others:
        problem = f"not a tensor: {', '.join(others[:8])}."
        fail(ModelMismatch, "SCR-WEIGHTS", problem, "Pass model.state_dict().", name)
    # What cannot be copied, such as a tensor without numbers, is refused by name with all that does not fit.
    tensors = {
        str(key): tensor if unusable(tensor) else tensor.detach().to("cpu", copy=True)
        for key, tensor in state_dict.items()
    }
    if "model_type" in config:
        return _hugging_face()(tensors, config, name, name, dtype, positions).to(device)
    return from_tensors(tensors, config, name, name, dtype, positions).to(device)


def _name_of(path: Path) -> str:
    return path.resolve().name if path.is_dir() else str(path)


def _from_folder(path: Path, name: str, dtype: torch.dtype, positions: int) -> Transformer:
    if not (path / "config.json").is_file():
        remedy = "Give a folder with the config.json and the weights of a causal language model."
        fail(FileError, "SCR-FILE", "it has no config.json.", remedy, str(path))
    config = read_json(path / "config.json")
    if "model_type" in config:
        from scrubbing.models.transformer.files import read_folder

        load = _hugging_face(str(path))
        return load(read_folder(path), config, str(path), name, dtype, positions)
    none: list[Path] = []
    files = next((found for one in _WEIGHTS if (found := sorted(path.glob(one)))), none)
    if len(files) != 1:
        problem = f"it has no weights ({', '.join(_WEIGHTS)})."
        if files:
            problem = f"several files could be its weights: {', '.join(file.name for file in files[:5])}."
        remedy = f"Put the weights beside config.json, as one file {' or '.join(_WEIGHTS[:2])}."
        fail(FileError, "SCR-FILE", problem, remedy, str(path))
    # How an old model was trained stands in the same file, under names nobody has listed.
    old = "normalization" in config or "shortformer_pos" in config
    fields = {key: value for key, value in config.items() if key in _READ} if old else config
    return from_file(files[0], fields, name=name, dtype=dtype, positions=positions)


def _hugging_face(where: str = "") -> Any:
    try:
        from scrubbing.models.transformer_lens import hugging_face
    except ImportError as error:
        problem = f"a Hugging Face model is loaded through TransformerLens ({brief(error)})."
        fail(UsageError, "SCR-EXTRA", problem, "Install it with: pip install 'scrubbing[tl]'.", where)
    return hugging_face.load
