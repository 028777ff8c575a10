"""Values of the hypothesis language: the base of those a user may add, and the short names of our own in JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from scrubbing.guards import class_of, is_frozenset, is_tuple
from scrubbing.registry import Registry

C = TypeVar("C", bound=type)

kinds: Registry[type] = Registry("kind of value", None, "SCR-JSON")
"""Classes of this package by the name they have in JSON. A class of anybody else is stored by its import address."""
_names: dict[type, str] = {}


def named(name: str) -> Callable[[C], C]:
    """Decorator that gives a class a short name in JSON."""

    def add(kind: C) -> C:
        kinds.add(name, kind)
        _names[kind] = name
        return kind

    return add


def short_name(kind: type) -> str | None:
    """The name of one of our classes; None for anybody else's."""
    return _names.get(kind)


Complaint = tuple[str, str]
"""What is wrong and what to do about it, a sentence each. The caller adds the code and the place."""


class Storable:
    """Base class of parts, samplers and routes: values that are compared, stored and printed by their fields.

    A subclass is a frozen dataclass at the top level of a module. Its fields hold numbers, text, functions that can be
    imported by name, tuples or frozensets of these, features, nodes, and other values of the language; arrays go in as
    `scrubbing.parts.Vectors` or as tuples. `str(value)` is what reports show, and changes no number.

    Two optional methods replace the fields in JSON: `stored()`, a dict from names to such values, and the class method
    `restored(fields)`, its inverse.
    """

    __slots__ = ()


def unusable(value: Storable) -> Iterator[Complaint]:
    """Everything that keeps a value from being compared with others, as (problem, remedy) pairs."""
    kind = type(value)
    frozen = getattr(kind, "__dataclass_params__", None)
    if "__dataclass_fields__" not in kind.__dict__ or frozen is None or not frozen.frozen:
        problem = f"{kind.__name__} is not a frozen dataclass, so it cannot be compared with others."
        yield problem, "Decorate the class itself with @dataclass(frozen=True)."
    if not is_dataclass(value):
        return
    hints = _hints(kind) if kind in _names else {}  # what users annotate is theirs
    for field in fields(value):
        inner: Any = getattr(value, field.name)
        try:
            hash(inner)
        except TypeError:
            problem = f"{kind.__name__} holds a {type(inner).__name__} in {field.name}, which cannot be compared."
            yield problem, "Give it a tuple, a frozenset, or Vectors.of(array)."
            continue
        if field.name in hints and not _fits(inner, hints[field.name]):
            problem = (
                f"{kind.__name__} holds {repr(inner)[:60]} in {field.name}, which is no {_words(hints[field.name])}."
            )
            yield problem, f"See help({'.'.join(kind.__module__.split('.')[:2])}.{kind.__name__})."


_hints = cache(get_type_hints)
"""Types of the fields of a class, read once: a hypothesis has many values of one."""


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type of its field, as far as that says anything."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is frozenset:
        return is_frozenset(value) and _all_fit(value, inner[0])
    if origin is tuple and inner[1:] == (...,):
        return is_tuple(value) and _all_fit(value, inner[0])
    if origin is tuple:
        return is_tuple(value) and len(value) == len(inner) and all(map(_fits, value, inner))
    if origin is Callable:
        return callable(value)
    return _is(class_of(value), hint)


def _all_fit(values: Iterable[Any], hint: Any) -> bool:
    """Numbers are looked at by their types, since there may be a million."""
    if hint in _ALSO:
        return all(_is(kind, hint) for kind in set(map(type, values)))
    return all(_fits(value, hint) for value in values)


def _is(kind: type, hint: Any) -> bool:
    if hint in (int, float) and issubclass(kind, bool):
        return False  # Python counts it as one
    return not isinstance(hint, type) or issubclass(kind, _ALSO.get(hint, (hint,)))


_ALSO: dict[Any, tuple[type[Any], ...]] = {
    int: (int, np.integer),
    float: (float, int, np.floating, np.integer),
    bool: (bool, np.bool_),
}
"""What else counts as a number."""


def _words(hint: Any) -> str:
    """A type as it is written, without modules."""
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else re.sub(r"[\w.]+\.(?=\w)", "", str(hint))
