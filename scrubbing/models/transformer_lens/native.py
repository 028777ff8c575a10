"""TransformerLens's own small transformer: building it with a biased head, and loading files without the hub."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from scrubbing.errors import Fault, FileError, ModelMismatch, brief, fail, nearest

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LEGACY_KEYS = {"normalization": "normalization_type"}
"""Keys of old config files under today's name."""
_VALUES: dict[str, tuple[str | None, ...]] = {
    "attention_dir": ("bidirectional", "causal"),
    "normalization_type": ("LN", "LNPre", "RMS", "RMSPre", None),
}
"""Fields whose unknown values TransformerLens takes in silence for the first of these."""


def boot(config: Mapping[str, Any], head_bias: bool = False) -> TransformerBridge:
    """A native model with random weights, in evaluation mode.

    Args:
        config: fields of `TransformerBridgeConfig`; unknown ones are refused, where `boot_native` drops them silently.
        head_bias: whether the output layer has a bias; TransformerLens's own never has.

    Raises:
        ModelMismatch: SCR-CONFIG, an unknown field or value.
    """
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources import build_bridge_from_module
    from transformer_lens.model_bridge.sources.native import NativeModel, initialize_native_model

    fields = {LEGACY_KEYS.get(key, key): value for key, value in config.items()}
    faults: list[Fault] = []
    known = {name for kind in TransformerBridgeConfig.__mro__[:-1] for name in inspect.signature(kind).parameters}
    for key in sorted(set(fields) - known):
        remedy = f"Did you mean: {nearest(key, sorted(known))}?"
        faults.append(Fault("SCR-CONFIG", "model config", f"TransformerBridgeConfig has no field {key!r}.", remedy))
    for key, values in _VALUES.items():
        if key in fields and fields[key] not in values:
            problem = f"{key} is {fields[key]!r}, which TransformerLens would take for {values[0]!r}."
            faults.append(Fault("SCR-CONFIG", "model config", problem, f"Write one of {', '.join(map(repr, values))}."))
    if faults:
        raise ModelMismatch(faults)
    try:
        made = TransformerBridgeConfig(**fields)
        with torch.random.fork_rng():
            torch.manual_seed(int(fields.get("seed") or 0))
            module = NativeModel(copy.deepcopy(made))
            if head_bias:
                module.head = nn.Linear(module.head.in_features, module.head.out_features, bias=True)
            initialize_native_model(module, made)
    except (TypeError, ValueError, RuntimeError) as error:
        problem = f"TransformerLens cannot build this model ({brief(error)})."
        fail(ModelMismatch, "SCR-CONFIG", problem, "Correct the field it names.", "model config")
    return build_bridge_from_module(module, "TransformerLensNative", tl_config=made).eval()


def load_native(weights: str | Path, config: Mapping[str, Any] | str | Path | None = None) -> TransformerBridge:
    """A native model from a local file: this package's safetensors, or a legacy TransformerLens checkpoint.

    Args:
        weights: `.safetensors` or `.pth`, with today's key names or with legacy ones (`blocks.0.attn.W_Q`).
        config: its fields, or a JSON file of them; None reads them from the safetensors header.

    Raises:
        FileError: SCR-FILE, missing, truncated, or without a config.
        ModelMismatch: SCR-CONFIG, SCR-WEIGHTS, the weights are of another architecture.
    """
    path = Path(weights)
    state, header = _read(path)
    config = _config(config, header, path)
    legacy = any(key.endswith((".W_Q", "embed.W_E")) for key in state)
    bias = state.get("unembed.b_U" if legacy else "unembed.bias")
    bridge = boot(config, head_bias=bias is not None and bool(bias.any()))
    if legacy:
        from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint

        try:
            state = convert_tl_checkpoint(state, bridge.cfg)
        except ValueError as error:
            fail(ModelMismatch, "SCR-WEIGHTS", str(error), "Give the config the weights were trained with.", str(path))
    state.setdefault("unembed.bias", torch.zeros(bridge.W_U.shape[1]))
    _load(bridge, state, path)
    return bridge


def save_native(bridge: TransformerBridge, config: Mapping[str, Any], path: str | Path, **notes: str) -> None:
    """Write weights and config to one safetensors file; notes go into its header."""
    from safetensors.torch import save_file

    tensors = {key: value.detach().contiguous() for key, value in bridge.state_dict().items()}
    save_file(tensors, str(path), {"config": json.dumps(dict(config)), **notes})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        fail(FileError, "SCR-FILE", "there is no such file.", "Check the path.", str(path))
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(str(path), "pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors and pickle raise a dozen kinds for a damaged file
        problem = f"it cannot be read ({brief(error)})."
        fail(FileError, "SCR-FILE", problem, "The file is truncated or not a checkpoint: fetch it again.", str(path))
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        problem = f"it holds a {type(loaded).__name__}, and names with a tensor each were expected."
        fail(FileError, "SCR-FILE", problem, "Save the model's state_dict().", str(path))
    return loaded, {}


def _config(given: Mapping[str, Any] | str | Path | None, header: Mapping[str, str], path: Path) -> Mapping[str, Any]:
    """The config that was given, or the file's own; they must not contradict each other."""
    stored = _mapping(header["config"], path) if "config" in header else None
    if isinstance(given, (str, Path)):
        try:
            text = Path(given).read_bytes()
        except OSError as error:
            fail(FileError, "SCR-FILE", f"it cannot be read ({error.strerror}).", "Check the path.", str(given))
        given = _mapping(text, Path(given))
    if given is None and stored is None:
        problem = "the file has no config in its header and none was given."
        fail(FileError, "SCR-FILE", problem, "Pass config= (a mapping, or a JSON file).", str(path))
    if given is None or stored is None:
        return given or stored or {}
    # Shapes do not tell how a matrix is cut into heads, so weights of another architecture may fit.
    both = [key for key in given if key in stored and key != "seed"]
    told = [f"{key} {given[key]!r} instead of {stored[key]!r}" for key in both if given[key] != stored[key]]
    if told:
        problem = f"the config that was given is not the one in the file: {', '.join(told)}."
        fail(ModelMismatch, "SCR-WEIGHTS", problem, "Leave out config=, or correct it.", str(path))
    return given


def _mapping(text: str | bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        fail(FileError, "SCR-FILE", f"its config is not JSON ({brief(error)}).", "Write it again.", str(path))
    if not isinstance(found, dict):
        problem = f"its config is a {type(found).__name__}, not fields with values."
        fail(FileError, "SCR-FILE", problem, "Write it as a JSON object.", str(path))
    return found


def _load(bridge: TransformerBridge, state: dict[str, Tensor], path: Path) -> None:
    wanted = {key: tuple(value.shape) for key, value in bridge.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in state.items()}
    told = [f"missing {key}" for key in sorted(set(wanted) - set(given))]
    told += [f"unexpected {key}" for key in sorted(set(given) - set(wanted))]
    told += [
        f"{key} is {list(given[key])} instead of {list(wanted[key])}"
        for key in sorted(set(given) & set(wanted))
        if given[key] != wanted[key]
    ]
    if told:
        shown = "; ".join(told[:4]) + (f"; and {len(told) - 4} more" if len(told) > 4 else "")
        problem = f"its weights do not fit the config: {shown}."
        fail(ModelMismatch, "SCR-WEIGHTS", problem, "Give the config the weights were trained with.", str(path))
    bridge.load_state_dict(state, strict=True)
