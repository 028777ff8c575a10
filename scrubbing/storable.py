"""Values of the hypothesis language: the base of those a user may add, and the short names of our own in JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

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
    for field in fields(value):
        inner: Any = getattr(value, field.name)
        try:
            hash(inner)
        except TypeError:
            problem = f"{kind.__name__} holds a {type(inner).__name__} in {field.name}, which cannot be compared."
            yield problem, "Give it a tuple, a frozenset, or Vectors.of(array)."
