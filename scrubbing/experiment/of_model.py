"""The losses of another model on the same predictions, for baselines that are models."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import UsageError, fail
from scrubbing.guards import class_of
from scrubbing.user_code import running

if TYPE_CHECKING:
    from torch import Tensor

    from scrubbing.data.dataset import Dataset
    from scrubbing.metrics.losses import Loss

AT_ONCE = 64
"""Inputs whose outputs are held at a time."""


def other_model(given: Any, meaning: str) -> Callable[[Loss, Dataset, NDArray[np.bool_]], NDArray[np.float64]]:
    """A function `(loss, dataset, counted) -> [n, positions]` with the losses of a model, 0 where nothing counts.

    Args:
        given: see `Baseline.of_model`.
        meaning: for messages.

    Raises:
        UsageError: SCR-BASELINE, it is no model.
    """
    predicts = hasattr(given, "own_output") or hasattr(given, "losses")
    if not predicts and not callable(given):
        problem = f"it is of type {class_of(given).__name__}, which predicts nothing."
        remedy = "Give a model, an n-gram such as Bigram, or a function dataset -> outputs [n, positions, outputs]."
        fail(UsageError, "SCR-BASELINE", problem, remedy, f"baseline {meaning!r}")
    loads = not predicts and not signature(given).parameters
    made: list[Any] = [] if loads else [given]

    def losses(loss: Loss, data: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        with running(f"baseline {meaning!r}"):
            if not made:
                made.append(given())
            model = made[0]
            if hasattr(model, "losses"):
                return np.where(counted, model.losses(data), 0.0)
            found = data.remember(("losses of", model, loss), lambda: _losses(model, loss, data, counted.shape[1]))
        return np.where(counted, found, 0.0)

    return losses


def _losses(model: Any, loss: Loss, data: Dataset, length: int) -> NDArray[np.float64]:
    """Of every prediction that has a loss."""
    import torch

    from scrubbing.metrics.losses import checked

    possible = loss.possible(data, length)
    found = np.zeros(possible.shape)
    with torch.inference_mode():
        for start in range(0, len(data), AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, len(data)))
            outputs = _outputs(model, data, rows)
            row, position = np.nonzero(possible[rows])
            flat = outputs[torch.as_tensor(row), torch.as_tensor(position)]
            each = checked(loss, loss.per_token(flat, data, rows[row], position), len(row))
            found[rows[row], position] = each.cpu().numpy()
    return found


def _outputs(model: Any, data: Dataset, rows: NDArray[np.int64]) -> Tensor:
    """What a model gives for these inputs, `[rows, positions, outputs]`."""
    import torch

    if hasattr(model, "own_output"):
        inputs = model.inputs(data)
        return model.own_output(inputs, torch.as_tensor(rows, device=model.device)).cpu()
    found = model(data.take(rows))
    return found.detach().cpu() if isinstance(found, torch.Tensor) else torch.as_tensor(np.asarray(found))
