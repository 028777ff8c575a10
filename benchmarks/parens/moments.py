"""The shipped paren balancer at moments of its training: what a loss is worth in training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.moments import stored
from benchmarks.parens.task import our_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scrubbing import Dataset, Series
    from scrubbing.models.transformer import Transformer

STORED = Path(__file__).with_name("training.safetensors.xz")
"""Written by `benchmarks.parens.train`."""
_STRINGS_AT_ONCE = 64


def steps() -> tuple[int, ...]:
    """After which steps of training there are weights, the last being the shipped model's."""
    found = stored(STORED)
    return (*found.weights, found.steps)


def at(step: int) -> Transformer:
    """The model as it was after one of `steps()`."""
    model = our_model()
    if step == steps()[-1]:
        return model
    return model.with_weights(stored(STORED).weights[step], name=f"paren balancer after {step} steps")


def series() -> Series:
    """Losses of the model at these moments, on the references themselves."""
    from scrubbing import Series

    moments = steps()

    def losses(data: Dataset) -> list[NDArray[np.float64]]:
        return [_losses(at(step), data) for step in moments]

    shares = tuple(100 * step / moments[-1] for step in moments)
    return Series("this model", "% of its training", shares, losses)


def _losses(model: Transformer, data: Dataset) -> NDArray[np.float64]:
    """Loss of the prediction, `[n, positions]`; 0 but at the first position."""
    import torch
    import torch.nn.functional as F

    found, inputs = np.zeros(data["tokens"].shape), model.inputs(data)
    for rows in torch.arange(len(data)).split(_STRINGS_AT_ONCE):
        labels = torch.from_numpy(data["label"][rows.numpy()].copy())
        found[rows.numpy(), 0] = F.cross_entropy(
            model.own_output(inputs, rows)[:, 0].double(), labels, reduction="none"
        )
    return found
