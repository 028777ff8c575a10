"""Datasets of (sequence, position) pairs, built from sequences and a choice of positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, as_feature, feature
from scrubbing.errors import UsageError, fail, located


def by_position(data: Dataset, where: Feature, context: int | None = None) -> Dataset:
    """A dataset with one input for every (sequence, position) pair at which a feature is true, in order.

    Each input has the columns of its sequence, plus `position` and `sequence` (the id of the sequence). Score it at
    that position with `NextToken(at_position)`, and claim nodes there with `.at(at_position)`. An activation at
    position t can only be exchanged for one at position t. So either the claim's variable also agrees on
    `same_position`, or all pairs share one position: with `context`, each input is the window of `context` tokens
    that ends at its position, followed by the token to predict. Source: ours.

    Args:
        data: sequences; inputs with padding keep their mask.
        where: a boolean feature per position.
        context: length of the window in tokens; positions with fewer tokens before them are left out. The model sees
            neither the earlier tokens nor where in the sequence the window was.

    Raises:
        UsageError: SCR-SLICE, `where` is not one boolean per position, or selects nothing; SCR-POSITION, the context is
            not shorter than the sequences.
        BadData: SCR-COLUMN, there is no column `tokens`.
    """
    shape = data["tokens"].shape
    if context is not None and not 0 < context < shape[1]:
        problem = f"context={context} was asked for, and sequences have {shape[1]} positions."
        fail(UsageError, "SCR-POSITION", problem, f"Give 1 to {shape[1] - 1}; one token is needed to predict.")
    with located(f"slice {where}"):
        chosen = np.asarray(as_feature(where)(data))
        if chosen.shape != shape or chosen.dtype.kind != "b":
            problem = f"it is {chosen.dtype} of shape {list(chosen.shape)} on inputs of {shape[1]} positions."
            fail(UsageError, "SCR-SLICE", problem, f"Return booleans {list(shape)}.")
        rows, positions = np.nonzero(chosen)
        if context is not None:
            inside = (positions >= context - 1) & (positions < shape[1] - 1)
            rows, positions = rows[inside], positions[inside]
        if not len(rows):
            fail(UsageError, "SCR-SLICE", "it selects no position.", "Take more sequences, or a wider slice.")
    columns = {name: _cut(data[name], shape, rows, positions, context) for name in data}
    place = positions if context is None else np.full(len(rows), context - 1)
    pairs: dict[str, NDArray[Any]] = {"position": place, "sequence": data.ids[rows]}
    return data.like({**columns, **pairs}, name=f"{data.name} by position")


def _cut(
    values: NDArray[Any],
    shape: tuple[int, ...],
    rows: NDArray[np.int64],
    positions: NDArray[np.int64],
    context: int | None,
) -> NDArray[Any]:
    """A column for every pair; what has one entry per position is cut to the window."""
    if context is None or values.shape[:2] != shape:
        return values[rows]
    window = positions[:, None] - context + 1 + np.arange(context + 1)
    return values[rows[:, None], window]


@feature(per="position")
def at_position(data: Dataset) -> NDArray[np.bool_]:
    """Feature per position of a dataset from `by_position`: true at the position that each input is about."""
    length: int = data["tokens"].shape[1]
    return np.arange(length) == data["position"][:, None]


@feature
def same_position(data: Dataset) -> NDArray[Any]:
    """Feature per input of a dataset from `by_position`: the index of the position that each input is about."""
    return data["position"]
