"""What replaces an ablated sum: its mean over the dataset, or noise of its mean and covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset, choose
from scrubbing.device import has_double, upload
from scrubbing.engine import values as v
from scrubbing.engine.batches import rows_at_once
from scrubbing.engine.execute import Executor, Reader
from scrubbing.engine.fitting import Fitting
from scrubbing.engine.parts import PartOps
from scrubbing.engine.plan import StatisticPlan
from scrubbing.engine.rows import FrameRows
from scrubbing.models.tokens import Tokens
from scrubbing.rng import normal, stream_key
from scrubbing.sampling.frames import Frame

MOST_INPUTS = 10_000
"""Means are over at most this many inputs, chosen by hashed id; the choice is the same in every run."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean per position, and the square root of the covariance where noise is drawn."""

    mean: Tensor
    """`[positions, d]`; over inputs whose position is real, zero where none is."""
    root: Tensor | None
    """`[positions, d, d]`."""


def moments(
    value: v.Statistic,
    planned: StatisticPlan,
    data: Dataset,
    store: Reader | None,
    memory: int,
    parts: PartOps | None = None,
) -> Moments:
    """Evaluate a sum over the dataset, at real positions, as planned, in batches that fit into this many bytes."""
    graph, model, positions = planned.plan.graph, planned.plan.model, planned.positions
    executor = Executor(planned.plan, store, None, parts)
    size = rows_at_once(planned.plan, memory // 3, kept=True)  # the sum is there a second time, in double precision
    references = choose(data, planned.inputs, seed=0)
    device = model.device if has_double(model.device) else torch.device("cpu")
    count = torch.zeros(graph.positions, 1, dtype=torch.float64, device=device)
    total: Tensor | None = None
    square: Tensor | None = None

    def sums(batch: NDArray[np.int64]) -> tuple[Tensor, Tokens]:
        return executor.run(Frame.root(data, batch, np.zeros_like(batch), 0, {}))["sum"]

    fitting, starts = Fitting(model.device), range(0, len(references), size)
    batches = (found for start in starts for found, _ in fitting.each(references[start : start + size], sums))
    for found, tokens in batches:
        found, at = found.to(device).double(), upload(tokens.position, device)
        if total is None:
            total = count.new_zeros(graph.positions, found.shape[1])
            square = count.new_zeros(graph.positions, found.shape[1], found.shape[1]) if value.kind == "noise" else None
        _add(total, at, found)
        _add(count, at, torch.ones_like(found[:, :1]))
        if square is not None:
            for position in positions:
                here = found[upload(np.flatnonzero(tokens.position == position), device)]
                square[position] += here.T @ here
    assert total is not None
    mean = total / count.clamp(min=1)
    root = None
    if square is not None:
        covariance = square / count.clamp(min=1)[..., None] - mean[:, :, None] * mean[:, None, :]
        root = _root(covariance).to(model.dtype).to(model.device)
    return Moments(mean.to(model.dtype).to(model.device), root)


def _add(into: Tensor, index: Tensor, rows: Tensor) -> None:
    """Add each row to the one with its index, in the same order every time.

    On a GPU, `index_add_` adds floats in whatever order its threads come; accumulating `index_put_` sorts them first.
    """
    if into.device.type == "cpu":
        into.index_add_(0, index, rows)
    else:
        into.index_put_((index,), rows, accumulate=True)


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root, `[..., d, d]`.

    Any matrix whose product with its transpose is the covariance gives noise of the same distribution. But only this
    one is unique, so that the same seed draws the same noise on every device: signs of eigenvectors, and bases of
    equal eigenvalues, are whatever a library happens to find.
    """
    size, basis = _eigh(covariance)
    return (basis * size.clamp(min=0).sqrt()[..., None, :]) @ basis.mT


def _eigh(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues `[..., d]` in ascending order, and eigenvectors as columns `[..., d, d]`."""
    return torch.linalg.eigh(symmetric)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]; no types


def stand_in(value: v.Statistic, found: Moments, rows: FrameRows, tokens: Tokens) -> Tensor:
    """The mean at these tokens, plus noise if the statistic has any."""
    made = found.mean.index_select(0, tokens.positions)
    if found.root is None:
        return made
    frame, place = rows.frame, tokens.row
    counter = frame.counter if isinstance(frame.counter, int) else frame.counter[place]
    position = counter * (rows.positions + 1) + tokens.position + 1
    key = stream_key(frame.seed, f"{value.context.stream} noise {value.of.node.name}.{value.of.slot}")
    drawn = normal(key, frame.ids[place], frame.draw[place], position, made.shape[1])
    noise = upload(torch.as_tensor(drawn, dtype=made.dtype, device="cpu"), made.device)
    return made + torch.einsum("tij,tj->ti", found.root[tokens.positions], noise)
