"""Logits as probabilities: their normalisers and largest entries, found once for the loss and all measures that ask.

Turning whole batches into float64 log-probabilities took longer than computing the logits. Here exponentials are in the
precision of the logits (at least float32) relative to the largest of their row, and sums in float64, piece by piece, so
that a piece stays in the caches of a CPU. A loss is within 1e-6 nats of the one in float64, and a mean much closer,
since these are roundings.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from scrubbing.device import waits
from scrubbing.models.precision import wide

_PIECE, _PIECE_ON_A_DEVICE = 2**17, 2**26
"""Numbers at a time."""
_FEW_CLASSES = 32


@dataclass(eq=False)
class _Known:
    log_sum: Tensor | None = None
    best: Tensor | None = None


_known: MutableMapping[Tensor, _Known] = WeakIdKeyDictionary()
"""What was found of tensors that are still there. Whoever changes logits in place must copy them first."""


def log_sum(logits: Tensor) -> Tensor:
    """Logarithm of the sum of the exponentials of each row of `[tokens, classes]`, float64 `[tokens]`."""
    known = _of(logits)
    if known.log_sum is None:
        found = [largest.double() + powers.sum(1, dtype=torch.float64).log() for _, largest, powers in _powers(logits)]
        known.log_sum = torch.cat(found) if found else logits.new_zeros(0, dtype=torch.float64)
    return known.log_sum


def most_likely(logits: Tensor) -> Tensor:
    """The class with the largest logit, the first of equal ones, int64 `[tokens]`."""
    known = _of(logits)
    if known.best is None:
        # numpy looks at eight numbers at a time, which torch does not.
        quick = not waits(logits.device) and logits.dtype in (torch.float32, torch.float64) and logits.numel() > 0
        known.best = torch.as_tensor(logits.detach().numpy().argmax(1)) if quick else logits.argmax(1)
    return known.best


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Minus the log-probability of each target, in nats, float64 `[tokens]`."""
    return log_sum(logits) - logits.gather(1, targets[:, None])[:, 0].double()


def divergence(model: Tensor, scrubbed: Tensor) -> Tensor:
    """KL(model || scrubbed) of two rows of logits `[tokens, classes]`, in nats, float64 `[tokens]`."""
    gained, log_sums = [model.new_zeros(0, dtype=torch.float64)], [model.new_zeros(0, dtype=torch.float64)]
    for here, largest, powers in _powers(model):
        total = powers.sum(1, dtype=torch.float64)
        log_sums.append(largest.double() + total.log())
        apart = _precise(model[here]) - _precise(scrubbed[here])
        gained.append(powers.mul_(apart).sum(1, dtype=torch.float64) / total)
    _of(model).log_sum = torch.cat(log_sums)
    return (torch.cat(gained) - log_sum(model) + log_sum(scrubbed)).clamp(min=0)


def _powers(logits: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Some rows, the largest logit of each, and the exponentials of all relative to it."""
    most = _PIECE_ON_A_DEVICE if waits(logits.device) else _PIECE
    step = max(1, most // max(1, logits.shape[1]))
    for start in range(0, len(logits), step):
        here = slice(start, start + step)
        x = _precise(logits[here])
        largest = x.amax(1)
        yield here, largest, (x - largest[:, None]).exp_()


def _precise(logits: Tensor) -> Tensor:
    """With few classes float64 costs nothing that one would notice."""
    return logits.double() if logits.shape[1] <= _FEW_CLASSES else wide(logits)


def _of(logits: Tensor) -> _Known:
    if logits not in _known:
        _known[logits] = _Known()
    return _known[logits]
