"""TransformerLens's own small transformer, with a biased head where one is wanted."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from scrubbing.errors import Fault, ModelMismatch, brief, fail, nearest

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_VALUES: dict[str, tuple[str | None, ...]] = {
    "attention_dir": ("bidirectional", "causal"),
    "normalization_type": ("LN", "LNPre", "RMS", "RMSPre", None),
}
"""Fields whose unknown values TransformerLens silently takes for the first of these."""


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

    fields = dict(config)
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
        with seeded(int(fields.get("seed") or 0)):
            module = NativeModel(copy.deepcopy(made))
            if head_bias:
                module.head = nn.Linear(module.head.in_features, module.head.out_features, bias=True)
            initialize_native_model(module, made)
    except (TypeError, ValueError, RuntimeError) as error:
        problem = f"TransformerLens cannot build this model ({brief(error)})."
        fail(ModelMismatch, "SCR-CONFIG", problem, "Correct the field it names.", "model config")
    return build_bridge_from_module(module, "TransformerLensNative", tl_config=made).eval()


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Draw torch's random numbers from a seed inside, and go on outside as if nothing had been drawn."""
    with torch.random.fork_rng():  # pyright: ignore[reportUnknownMemberType]; torch gives no types
        torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]; torch gives no types
        yield
