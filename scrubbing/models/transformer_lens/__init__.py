"""The only package that imports transformer_lens: bridged models as scrubbable ones, checked before they are
returned.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scrubbing.errors import Fault, FileError, ModelMismatch, brief, fail
from scrubbing.models.check import TOLERANCE, check_mode, random_inputs, self_check
from scrubbing.models.transformer.model import Transformer
from scrubbing.models.transformer_lens.families import read
from scrubbing.models.transformer_lens.native import boot

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

__all__ = ["boot", "from_bridge", "from_directory"]

_CHECKED_POSITIONS = 16


def from_bridge(
    bridge: TransformerBridge,
    *,
    name: str | None = None,
    positions: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Transformer:
    """A bridged model, ready to scrub. Weights are copied; later changes to the bridge do not reach the result.

    Args:
        bridge: in evaluation mode.
        name: shown in reports; defaults to the class of the wrapped model.
        positions: longest input to prepare rotary tables for; defaults to the context length, at most 4096.
        dtype: that the weights must already have; bf16 is only used when asked for here.

    Raises:
        ModelMismatch: SCR-MODEL, not a bridge; SCR-MODE or SCR-DROPOUT, training mode; SCR-DTYPE, SCR-DEVICE;
            SCR-FAMILY, unknown family; SCR-NAN, its output is not finite; SCR-CHECK, its nodes do not add up to it.
    """
    from transformer_lens.model_bridge import TransformerBridge

    if not isinstance(bridge, TransformerBridge):
        problem = f"a TransformerBridge was expected, and this is of type {type(bridge).__name__}."
        remedy = "Wrap it with transformer_lens's build_bridge_from_module, or save it and use from_directory."
        fail(ModelMismatch, "SCR-MODEL", problem, remedy)
    name = name or type(bridge.original_model).__name__
    check_mode([bridge, bridge.original_model], name)
    _check_device(bridge, name, dtype)
    cfg: Any = bridge.cfg
    spec, weights = read(bridge, positions or min(int(cfg.n_ctx), 4096))
    model = Transformer(spec, weights.to(weights.W_E.device, dtype), _forward(bridge), name)
    length = min(_CHECKED_POSITIONS, int(cfg.n_ctx))
    # RMS norms and rotary attention compute in float32 inside, whatever the dtype of their weights.
    single = dtype == torch.float64 and (weights.final.kind == "RMS" or weights.rotary is not None)
    tolerance = TOLERANCE[torch.float32 if single else dtype]
    for padded in (False, True):
        data = random_inputs(weights.W_E.shape[0], length, padded)
        self_check(model, data, _residuals(bridge, int(cfg.n_layers)), tolerance)
    return model


def from_directory(folder: str | Path, **options: Any) -> Transformer:
    """A Hugging Face causal language model from a local folder (config.json and safetensors), without the hub.

    Raises:
        FileError: SCR-FILE, the folder lacks a file, or one cannot be read.
        ModelMismatch: SCR-FAMILY, and everything `from_bridge` raises.
    """
    from transformer_lens.model_bridge import TransformerBridge

    remedy = "Give a folder with the config.json and the model.safetensors of a causal language model."
    if not (Path(folder) / "config.json").is_file():
        fail(FileError, "SCR-FILE", "it has no config.json.", remedy, str(folder))
    try:
        bridge = TransformerBridge.boot_transformers(str(folder), device="cpu")
    except (OSError, ValueError, KeyError) as error:
        fail(FileError, "SCR-FILE", f"no model can be loaded from it ({brief(error)}).", remedy, str(folder))
    return from_bridge(bridge, **{"name": Path(folder).name, **options})


def _forward(bridge: TransformerBridge) -> Any:
    def forward(tokens: Tensor, visible: Tensor | None) -> Tensor:
        mask = None if visible is None else visible.long()
        return bridge(tokens, attention_mask=mask)

    return forward


def _residuals(bridge: TransformerBridge, layers: int) -> Any:
    def residuals(tokens: Tensor, visible: Tensor | None) -> list[Tensor]:
        names = [f"blocks.{layer}.hook_out" for layer in range(layers)]
        options: Any = {} if visible is None else {"attention_mask": visible.long()}
        _, cache = bridge.run_with_cache(tokens, names_filter=lambda hook: hook in names, **options)
        return [cache[name] for name in names]

    return residuals


def _check_device(bridge: TransformerBridge, name: str, dtype: torch.dtype) -> None:
    weight = next(bridge.original_model.parameters())
    faults: list[Fault] = []
    if dtype not in TOLERANCE:
        problem = f"dtype={dtype!r} is not a precision that models are scrubbed in."
        faults.append(Fault("SCR-DTYPE", name, problem, f"Pass one of {', '.join(map(str, TOLERANCE))}."))
    elif weight.dtype != dtype:
        problem = f"its weights are {weight.dtype}, and {dtype} was expected."
        faults.append(Fault("SCR-DTYPE", name, problem, f"Pass dtype={weight.dtype}, or load it in {dtype}."))
    if weight.device.type == "mps" and torch.__version__ < "2.9":
        problem = f"torch {torch.__version__} computes wrong results on MPS."
        faults.append(Fault("SCR-DEVICE", name, problem, "Use torch 2.9 or newer, or the CPU."))
    if faults:
        raise ModelMismatch(faults)
