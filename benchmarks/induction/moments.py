"""The shipped models at moments of their training: what a loss is worth in training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.induction.network import AttentionOnly, Shape
from benchmarks.moments import Moments, stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scrubbing import Dataset, Series
    from scrubbing.models.transformer import Transformer

HERE = Path(__file__).parent
_SEQUENCES_AT_ONCE = 64


def series(which: str, trained: Callable[[], Transformer]) -> Series:
    """Losses of one shipped model at 0.3, 1, 3, 10, 30, 60 and 100 % of its training, on the references themselves.

    The moments are stored in half precision, which moves no single loss of the trained models by more than 0.03 nats.

    Args:
        which: of the models.
        trained: loads it as it is at the end.
    """
    from scrubbing import Series

    moments = _stored(which)

    def losses(data: Dataset) -> list[NDArray[np.float64]]:
        whole = trained()
        earlier = [_losses(at(which, step), data) for step in moments.weights]
        return [*earlier, _losses(lambda ids: whole.forward(ids, None), data)]

    shares = tuple(100 * step / moments.steps for step in [*moments.weights, moments.steps])
    return Series("this model", "% of its training", shares, losses)


def at(which: str, step: int) -> AttentionOnly:
    """The model as it was after this many steps."""
    state = _stored(which).weights[step]
    shape = Shape(len(state["embed.weight"]), len(state["position"]), width=state["embed.weight"].shape[1])
    model = AttentionOnly(shape)
    model.load_state_dict(state)
    return model.eval()


def _stored(which: str) -> Moments:
    return stored(HERE / f"{which}_training.safetensors.xz")


def _losses(model: Callable[[torch.Tensor], torch.Tensor], data: Dataset) -> NDArray[np.float64]:
    """Loss of every prediction, `[n, positions]`; 0 at the last."""
    found = []
    for ids in torch.from_numpy(data["tokens"].astype(np.int64)).split(_SEQUENCES_AT_ONCE):
        with torch.inference_mode():
            logits = model(ids)[:, :-1]
        loss = F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
        found.append(F.pad(loss.view(len(ids), -1), (0, 1)))
    return torch.cat(found).double().numpy()
