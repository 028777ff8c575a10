"""`isinstance` in terms a type checker can follow, for containers whose contents nobody has checked, such as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray


def is_dict(value: object) -> TypeGuard[dict[Any, Any]]:
    """Whether a value is a dict, such as a JSON object."""
    return isinstance(value, dict)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether a value is a mapping of any kind."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a list, such as a JSON array."""
    return isinstance(value, list)


def is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    """Whether a value is a tuple."""
    return isinstance(value, tuple)


def is_sequence(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether a value is a list or a tuple."""
    return isinstance(value, (list, tuple))


def is_set(value: object) -> TypeGuard[set[Any]]:
    """Whether a value is a set that can be changed."""
    return isinstance(value, set)


def is_frozenset(value: object) -> TypeGuard[frozenset[Any]]:
    """Whether a value is a frozenset."""
    return isinstance(value, frozenset)


def is_array(value: object) -> TypeGuard[NDArray[Any]]:
    """Whether a value is a NumPy array."""
    return isinstance(value, np.ndarray)


def is_scalar(value: object) -> TypeGuard[np.generic[Any]]:
    """Whether a value is a single number (or text) of NumPy's."""
    return isinstance(value, np.generic)


def is_whole(value: object) -> TypeGuard[int | np.integer[Any]]:
    """Whether a value is an integer, of Python or of NumPy. A bool is none, although Python counts it as one."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


_NUMBERS: tuple[type[Any], ...] = (int, float, np.integer, np.floating)


def is_finite(value: Any) -> bool:
    """Whether a value is a finite real number, of Python or of NumPy."""
    try:
        return isinstance(value, _NUMBERS) and bool(np.isfinite(float(value)))
    except OverflowError:
        return False


def class_of(value: object) -> type[Any]:
    """The class of a value of which nothing is known."""
    return type(value)
