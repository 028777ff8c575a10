"""The shipped paren balancer at moments of its training: what a loss is worth in training."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import safe_open

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scrubbing import Dataset, Series
    from scrubbing.models.transformer import Transformer

HERE = Path(__file__).parent
MOMENTS = HERE / "training.safetensors"
_AT_ONCE = 500
"""Strings whose outputs are held at a time."""


@cache
def steps() -> tuple[tuple[int, ...], int]:
    """Steps after which weights were kept, and the number of all steps."""
    with safe_open(MOMENTS, "pt") as stored:
        kept = sorted({int(key.partition(".")[0]) for key in stored.keys()})  # noqa: SIM118 - not a dict
        return tuple(kept), int((stored.metadata() or {})["steps"])


def at(step: int) -> Transformer:
    """The model as it was after this many steps; its weights were stored in bfloat16."""
    from scrubbing import from_state_dict

    with safe_open(MOMENTS, "pt") as stored:
        before = f"{step}."
        names = [key for key in stored.keys() if key.startswith(before)]  # noqa: SIM118
        state = {name.removeprefix(before): stored.get_tensor(name).float() for name in names}
    with safe_open(HERE / "model.safetensors", "pt") as shipped:
        config = json.loads((shipped.metadata() or {})["config"])
    return from_state_dict(state, config, name=f"paren balancer after {step:,} steps")


def series() -> Series:
    """Losses of the model at 0.3, 1, 3, 10 and 100 % of its training, on the references themselves."""
    from benchmarks.parens.task import our_model
    from scrubbing import Series

    kept, last = steps()

    def losses(data: Dataset) -> list[NDArray[np.float64]]:
        return [_losses(model, data) for model in (*map(at, kept), our_model())]

    return Series("this model", "% of its training", tuple(100 * step / last for step in (*kept, last)), losses)


def _losses(model: Transformer, data: Dataset) -> NDArray[np.float64]:
    """Loss of every string at position 0, `[n, positions]`."""
    from benchmarks.parens.task import loss

    inputs, judged = model.inputs(data), loss()
    found = np.zeros(data["tokens"].shape)
    for rows in np.array_split(np.arange(len(data)), -(-len(data) // _AT_ONCE)):
        with torch.inference_mode():
            output = model.own_output(inputs, torch.as_tensor(rows))[:, 0]
            found[rows, 0] = judged.per_token(output, data, rows, np.zeros_like(rows)).numpy()
    return found
