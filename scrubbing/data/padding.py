"""What padding becomes: one boolean mask, real positions first, and the same token at every masked cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import Fault, counted
from scrubbing.guards import is_whole

MASK = "mask"
ATTENTION_MASK = "attention_mask"
"""Another name of the same column, as tokenizers give it."""
TOKENS = "tokens"

_TO_THE_RIGHT = (
    'Positions are counted from the left, so pad on the right: padding_side="right" of a tokenizer, or order = '
    'np.argsort(~mask, axis=1, kind="stable"), and np.take_along_axis(column, order, axis=1) of tokens and mask.'
)

Columns = dict[str, NDArray[Any]]


def padded(columns: Mapping[str, NDArray[Any]], pad: int, name: str) -> tuple[Columns, list[Fault]]:
    """Columns with their mask as booleans and `pad` at its masked cells, and what is wrong with the mask.

    Without a mask, columns are as given. A column called `mask` that is not about positions, in a dataset without
    tokens, is a column like any other.

    Args:
        columns: name to array `[n, ...]`, all of one length.
        pad: the token at masked cells.
        name: of the dataset, for messages.
    """
    found = dict(columns)
    faults = list(_renamed(found, name))
    tokens, mask = found.get(TOKENS), found.get(MASK)
    if faults or mask is None or (tokens is None and mask.ndim != 2):
        return found, faults
    faults = list(_faults(mask, tokens, pad, name))
    if faults:
        return found, faults
    found[MASK] = _frozen(mask.astype(bool))
    if tokens is not None and _are_ids(tokens):
        found[TOKENS] = _frozen(np.where(found[MASK], tokens, np.asarray(pad, dtype=tokens.dtype)))
    return found, []


def _renamed(columns: Columns, name: str) -> Iterator[Fault]:
    given = columns.pop(ATTENTION_MASK, None)
    if given is None:
        return
    if MASK in columns and not np.array_equal(columns[MASK], given):
        problem = f"columns {MASK!r} and {ATTENTION_MASK!r} are both the padding mask, and they differ."
        yield Fault("SCR-PADDING", name, problem, "Keep one of them.")
    columns.setdefault(MASK, given)


def _faults(mask: NDArray[Any], tokens: NDArray[Any] | None, pad: int, name: str) -> Iterator[Fault]:
    shape = mask.shape if tokens is None else tokens.shape
    # An additive mask, 0 where a token is real and -inf elsewhere, would come out inverted.
    one_or_zero = mask.dtype.kind == "b" or (mask.dtype.kind in "iuf" and bool(np.isin(mask, (0, 1)).all()))
    if mask.ndim != 2 or mask.shape != shape or not one_or_zero:
        problem = f"its mask is {mask.dtype} of shape {list(mask.shape)}"
        problem += "." if tokens is None else f", for tokens of shape {list(shape)}."
        remedy = "Give one boolean per token, true where it is real; an additive mask becomes one with `mask == 0`."
        yield Fault("SCR-PADDING", name, problem, remedy)
        return
    if tokens is not None and _are_ids(tokens) and not _holds(tokens.dtype, pad):
        problem = f"pad={pad!r} is no token that a column of {tokens.dtype} can hold."
        yield Fault("SCR-PADDING", name, problem, "Give the id of the token that stands at masked positions.")
    real = mask.astype(bool)
    if (empty := ~real.any(axis=1)).any():
        problem = f"{counted(int(empty.sum()), 'input')} without a real position, first in row {empty.argmax()}."
        yield Fault("SCR-PADDING", name, problem, "Leave empty inputs out.")
    late = (real[:, 1:] & ~real[:, :-1]).any(axis=1)
    left = late & ~(real[:, :-1] & ~real[:, 1:]).any(axis=1)
    for which, what in ((left, "padded on the left"), (late & ~left, "with padding between real positions")):
        if which.any():
            problem = f"{counted(int(which.sum()), 'input')} {what}, first in row {which.argmax()}."
            yield Fault("SCR-PADDING", name, problem, _TO_THE_RIGHT)


def _are_ids(tokens: NDArray[Any]) -> bool:
    """Whether these are tokens at all; a model refuses what is not."""
    return tokens.dtype.kind in "iu"


def _holds(dtype: np.dtype[Any], pad: Any) -> bool:
    return is_whole(pad) and 0 <= int(pad) <= np.iinfo(dtype).max


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
