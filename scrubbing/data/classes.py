"""Classes of values that count as equal: as they are given, and which class each input is in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.errors import UsageError, fail

if TYPE_CHECKING:
    from scrubbing.data.features import Feature


def plain_classes(feature: Feature, classes: Iterable[Iterable[Any]]) -> tuple[tuple[Any, ...], ...]:
    """Classes of a feature's values in plain Python, so that they can be hashed and stored.

    Raises:
        UsageError: SCR-FEATURE, one is no class, or has what is no value of this feature.
    """
    told = [*classes] if isinstance(classes, Iterable) and not isinstance(classes, str) else [classes]
    for one in told:
        if not isinstance(one, Iterable) or isinstance(one, str):
            problem = f"{one!r} is no class of values of {feature.name}."
            fail(UsageError, "SCR-FEATURE", problem, "Give each class as a list: merged([[0, 1], [2]]).")
    given = tuple(tuple(_plain(value) for value in one) for one in told)
    for value in (value for one in given for value in one):
        if not _may_be(feature, value):
            problem = f"{value!r} is no value of {feature.name}, of {len(feature.of)} parts."
            fail(UsageError, "SCR-FEATURE", problem, "Give a value for each part, as a tuple.")
    return given


def number_of_class(feature: Feature, classes: Iterable[Iterable[Any]], data: Dataset) -> NDArray[np.int64]:
    """Number of the class of each input's value, from 1; 0 for values in none. `[n]` or `[n, positions]`;
    a number means the same in every dataset.
    """
    of_value = {value: i + 1 for i, values in enumerate(classes) for value in values}
    code, first = numbered(feature, data)
    return np.array([of_value.get(_plain(value_of(feature, data, at)), 0) for at in first], dtype=np.int64)[code]


def numbered(feature: Feature, data: Dataset) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Every value of a feature as a number, one numbering for all positions, `[n]` or `[n, positions]`; and where each
    value is first, counted along the rows, `[values]`.
    """

    def compute() -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        values = feature(data)
        flat = values.reshape(-1) if feature.per == "position" else values
        present, code = distinct(flat)
        first = np.empty(len(present), dtype=np.int64)
        first[code[::-1]] = np.arange(len(code))[::-1]  # of several that are written to one place, the last stays
        return code.reshape(values.shape if feature.per == "position" else values.shape[:1]), first

    return data.remember(("numbered", feature), compute)


def value_of(feature: Feature, data: Dataset, at: int) -> Any:
    """The value at a place of `numbered`, in plain Python."""
    row, position = divmod(int(at), feature(data).shape[1]) if feature.per == "position" else (int(at), None)
    return feature.value_at(data, row, position)


def _may_be(feature: Feature, value: Any) -> bool:
    """Whether a value has the form of a feature's: of a joint one, a value for each part."""
    if feature.op != "joint":
        return True
    if not isinstance(value, tuple):
        return False
    parts = cast("tuple[Any, ...]", value)
    return len(parts) == len(feature.of) and all(map(_may_be, feature.of, parts))


def _plain(value: Any) -> Any:
    """A value in plain Python: tuples for rows, no numbers of numpy."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(map(_plain, cast("list[Any]", value))) if isinstance(value, list | tuple) else value


def distinct(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The distinct values (rows, where `[n, k]`) in order, and for each input the number of its value."""
    if values.dtype.kind in "biu" and values.ndim == 1 and values.size:
        low, high = int(values.min()), int(values.max())
        if high - low < 4 * values.size + 1024:  # a table is far cheaper than np.unique's sort
            shifted = values.astype(np.int64) - low
            present = np.zeros(high - low + 1, dtype=bool)
            present[shifted] = True
            number = (np.cumsum(present) - 1).astype(np.int32)
            return (np.flatnonzero(present) + low).astype(values.dtype), number[shifted]
    found, code = np.unique(values, axis=0 if values.ndim == 2 else None, return_inverse=True)
    return found, code.reshape(-1).astype(np.int32)
