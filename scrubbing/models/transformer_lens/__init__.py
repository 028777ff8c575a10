"""The only package that imports transformer_lens: bridged models as scrubbable ones, checked before they are
returned.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scrubbing.device import outdated
from scrubbing.errors import FileError, ModelMismatch, brief, fail, located
from scrubbing.models.check import check_mode, check_weights, random_inputs, self_check
from scrubbing.models.precision import check_dtype, check_dtypes
from scrubbing.models.transformer.checkpoint import POSITIONS
from scrubbing.models.transformer.files import read_folder, read_json
from scrubbing.models.transformer.model import Forward, Transformer
from scrubbing.models.transformer.weights import Spec
from scrubbing.models.transformer_lens.families import read
from scrubbing.models.transformer_lens.native import boot
from scrubbing.models.transformer_lens.own_modules import OwnModules
from scrubbing.models.transformer_lens.tiny import tiny

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

__all__ = ["OwnModules", "boot", "from_bridge", "from_directory", "tiny"]

_CHECKED_POSITIONS = 16
_ON_ONE = "Load it without device_map, or save it and use load_model(FOLDER); device= moves it to one device."


def from_bridge(
    bridge: TransformerBridge,
    *,
    name: str | None = None,
    positions: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device | None = None,
) -> Transformer:
    """A bridged model, ready to scrub. Weights are copied; later changes to the bridge do not reach the result.

    Args:
        bridge: in evaluation mode.
        name: shown in reports; defaults to the class of the wrapped model.
        positions: longest input to prepare rotary tables for; defaults to the context length, at most 4096.
        dtype: that the weights must already have; bf16 is only used when asked for here.
        device: where to compute, such as `auto` or `cuda:1`; None is the bridge's own. The bridge is not moved: its
            forward pass, with which the nodes are compared, runs where it is.

    Raises:
        ModelMismatch: SCR-MODEL, not a bridge; SCR-MODE or SCR-DROPOUT, training mode; SCR-DTYPE, SCR-DEVICE;
            SCR-FAMILY, unknown family; SCR-NAN, its output is not finite; SCR-CHECK, its nodes do not add up to it.
    """
    from transformer_lens.model_bridge import TransformerBridge

    if not isinstance(bridge, TransformerBridge):
        problem = f"a TransformerBridge was expected, and this is of type {type(bridge).__name__}."
        remedy = "Wrap it with transformer_lens's build_bridge_from_module, or save it and use from_directory."
        fail(ModelMismatch, "SCR-MODEL", problem, remedy)
    given, name = name or "", name or type(bridge.original_model).__name__
    check_mode([bridge, bridge.original_model], name)
    _check_device(bridge, name, dtype)
    cfg: Any = bridge.cfg
    with located(given):
        spec, weights = read(bridge, positions or min(int(cfg.n_ctx), POSITIONS))
    weights = weights.to(weights.W_E.device, dtype)
    check_weights(dict(weights.tensors()), dtype, name)
    # RMS norms, rotary attention and GPT-Neo's compute in float32 inside, whatever the dtype of their weights.
    inside = weights.final.kind == "RMS" or weights.rotary is not None or spec.family == "gpt_neo"
    single = dtype == torch.float64 and inside
    model = Transformer(spec, weights, _forward(bridge, spec, dtype), name, torch.float32 if single else None)
    for padded in (False, True):
        data = random_inputs(weights.W_E.shape[0], min(_CHECKED_POSITIONS, int(cfg.n_ctx)), padded)
        self_check(model, data, _residuals(bridge, int(cfg.n_layers)))
    return model.to(device)


def from_directory(
    folder: str | Path,
    *,
    name: str | None = None,
    dtype: torch.dtype = torch.float32,
    positions: int = POSITIONS,
    device: str | torch.device | None = None,
) -> Transformer:
    """A Hugging Face causal language model from a local folder (config.json and weights), without the hub.

    Every tensor of the folder is used, every tensor of the model comes from it, and the logits are those of
    `transformers`.

    Args:
        folder: as `save_pretrained` writes it; a tokenizer is not needed.
        name: shown in reports; defaults to the folder's.
        dtype: precision to compute in; weights stored in another precision are converted.
        positions: longest input to prepare rotary tables for, at most the context length.
        device: where to compute, such as `auto` or `cuda:1`; None is the CPU.

    Raises:
        FileError: SCR-FILE, the folder lacks a file, or one cannot be read.
        ModelMismatch: SCR-FAMILY, SCR-CONFIG, SCR-WEIGHTS, and everything `from_bridge` raises.
    """
    from scrubbing.models.transformer_lens import hugging_face

    path = Path(folder)
    check_dtype(dtype, str(folder))
    if not (path / "config.json").is_file():
        remedy = "Give a folder with the config.json and the model.safetensors of a causal language model."
        fail(FileError, "SCR-FILE", "it has no config.json.", remedy, str(folder))
    config = read_json(path / "config.json")
    made = hugging_face.load(read_folder(path), config, str(folder), name or path.resolve().name, dtype, positions)
    return made.to(device)


def _forward(bridge: TransformerBridge, spec: Spec, dtype: torch.dtype) -> Forward:
    parameters = list(bridge.original_model.parameters())
    there, split = parameters[0].device, len({one.device for one in parameters}) > 1
    # In float64, a query whose window shows it nothing but padding gets NaN, which then spreads: transformers masks
    # with the smallest float64 and takes the softmax in float32. A causal model does not see padding on the right.
    blind = dtype == torch.float64 and spec.causal and any(spec.windows)

    def forward(tokens: Tensor, visible: Tensor | None) -> Tensor:
        if blind and visible is not None and not bool((visible[:, 1:] & ~visible[:, :-1]).any()):
            visible = None
        try:
            return bridge(tokens.to(there), attention_mask=None if visible is None else visible.to(there).long())
        except RuntimeError as error:
            if not split:
                raise
            problem = f"TransformerLens cannot run it where its device_map has put its parts: {brief(error)}."
            fail(ModelMismatch, "SCR-DEVICE", problem, _ON_ONE)

    return forward


def _residuals(bridge: TransformerBridge, layers: int) -> Any:
    whole: Any = bridge

    def residuals(tokens: Tensor, visible: Tensor | None) -> list[Tensor]:
        names = [f"blocks.{layer}.hook_out" for layer in range(layers)]
        options: Any = {} if visible is None else {"attention_mask": visible.long()}

        def is_asked(hook: str) -> bool:
            return hook in names

        _, cache = whole.run_with_cache(tokens, names_filter=is_asked, **options)
        return [cache[name] for name in names]

    return residuals


def _without_numbers(bridge: TransformerBridge) -> tuple[str, str]:
    """Why weights are on the meta device, and what to do."""
    placed: dict[str, Any] = getattr(bridge.original_model, "hf_device_map", None) or {}
    away = sorted(part for part, device in placed.items() if str(device) in ("cpu", "disk"))
    if not away:
        return "its weights are on the meta device, which holds shapes and no numbers.", "Load them."
    problem = (
        f"its device_map has offloaded {', '.join(away[:3])}{' and others' * (len(away) > 3)}, whose numbers are not"
    )
    remedy = (
        "Load it without device_map, or save it and use load_model(FOLDER), which holds it on the CPU; device= moves it"
    )
    return f"{problem} in memory.", f"{remedy} to one device."


def _check_device(bridge: TransformerBridge, name: str, dtype: torch.dtype) -> None:
    parameters = dict(bridge.original_model.named_parameters())
    check_dtypes({key: parameter.dtype for key, parameter in parameters.items()}, dtype, name)
    kinds = {parameter.device.type for parameter in parameters.values()}
    if "meta" in kinds:
        fail(ModelMismatch, "SCR-DEVICE", *_without_numbers(bridge), name)
    for kind in sorted(kinds):
        if told := outdated(kind):
            fail(ModelMismatch, "SCR-DEVICE", told, "Use torch 2.9 or newer, or the CPU.", name)
