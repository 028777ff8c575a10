"""Columns as a dataset keeps them: copies of numbers or text that nobody can write to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.errors import BadData, Fault, brief, counted, fail


def arrays(columns: Mapping[str, ArrayLike], name: str) -> tuple[dict[str, NDArray[Any]], list[Fault]]:
    """The columns, copied, and what is wrong with them one by one."""
    if not isinstance(columns, Mapping):
        problem = f"a {type(columns).__name__} was given, and a dataset is made of named columns."
        fail(BadData, "SCR-DATA", problem, 'Write Dataset({"tokens": tokens}).', name)
    arrays: dict[str, NDArray[Any]] = {}
    faults: list[Fault] = []
    for key, values in columns.items():
        if not isinstance(key, str) or not key:
            faults.append(Fault("SCR-DATA", name, f"a column is called {key!r}.", "Name columns by text."))
            continue
        try:
            arrays[key] = frozen(values)
        except Unusable as error:
            faults.append(Fault("SCR-DATA", name, f"column {key!r} {error}.", error.remedy))
        except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors elsewhere or with gradients
            problem = f"column {key!r} cannot be made an array ({brief(error)})."
            remedy = "Give all inputs entries of one shape, padded and with a `mask` column if they differ in length."
            faults.append(Fault("SCR-DATA", name, problem, remedy))
    return arrays, faults


class Unusable(ValueError):
    """An array that cannot be a column, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


def frozen(values: ArrayLike) -> NDArray[Any]:
    """A copy that nobody can write to: its memory is that of a `bytes`, not of an array whose flag could be turned.

    Raises:
        ValueError: masked, or neither numbers nor text.
    """
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        rows = np.unique(np.argwhere(np.ma.getmaskarray(values))[:, :1])
        problem = f"has masked entries in {counted(len(rows), 'input')}" + (
            f", first in row {rows[0]}" if len(rows) else ""
        )
        raise Unusable(problem, "Fill them, and say which are real in a column of their own, such as `mask`.")
    array = np.asarray(values)
    if array.dtype.kind == "O":
        array = _of_one_type(array)
    if array.dtype.kind not in "biufUSMm" or (array.dtype.kind == "f" and array.dtype.itemsize > 8):
        raise Unusable(f"is of type {array.dtype}", "Give integers, booleans, floats up to 64 bits, or text.")
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, bytes):
        return array
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)
    if not array.size:
        array = array.copy()
        array.flags.writeable = False
        return array
    return np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)


def _of_one_type(array: NDArray[Any]) -> NDArray[Any]:
    """Python objects as an array of numbers or text, which they are if all of them are of one such type."""
    kinds = sorted({type(value).__name__ for value in array.flat})
    if len(kinds) == 1 and isinstance(array.flat[0], (str, bool, int, float, np.generic)):
        return np.array(array.tolist())
    raise Unusable(f"holds Python objects ({', '.join(kinds[:5])})", "Give all inputs a number, or all of them text.")
