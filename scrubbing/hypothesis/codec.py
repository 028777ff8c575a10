"""Values of the language as JSON and back: frozen dataclasses field by field, functions and users' classes by address.

    {"class": "project", "vectors": {"class": "direction", "compute": {"at": "my.module:v"}}}

A field at its default is left out, so that a new field changes nothing that is stored. A class of this package goes by
a short name, any other by its address; either is looked up before anything is imported or built.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from scrubbing.errors import Fault, UsageError, fail, nearest
from scrubbing.guards import is_dict, is_frozenset, is_list, is_scalar, is_sequence
from scrubbing.hypothesis.addresses import is_installed, reference, resolve, split
from scrubbing.storable import Storable, kinds, short_name

Json = Any
Special = Callable[[Any], Json | None]
"""What stands for a value (or, on the way back, for a JSON object); None where nothing special does."""


def encode(value: Any, special: Special = lambda value: None, what: str = "the hypothesis") -> Json:
    """A value as JSON.

    Args:
        value: a frozen dataclass of the language, a function, or plain numbers, text, tuples and frozensets of these.
        special: what is put in the place of some values.
        what: how to call what holds the value, in an error.

    Raises:
        UsageError: SCR-JSON, a function or class cannot be found again by name, or the value is of no such type.
    """
    instead = special(value)
    if instead is not None:
        return instead
    if is_scalar(value):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if is_sequence(value):
        return [encode(one, special, what) for one in value]
    if is_frozenset(value):
        return {"set": sorted((encode(one, special, what) for one in value), key=_text)}
    if is_dataclass(value) and not isinstance(value, type):
        name = name_of(type(value))
        told = f"{name} {value}" if name in ("feature", "variable", "positions") else str(value)
        return {"class": name} | {field: encode(inner, special, told) for field, inner in parts_of(value).items()}
    if callable(value):
        return {"at": reference(value, what if what.startswith("feature ") else f"a function of {what}")}
    problem = f"{what} holds a {type(value).__name__}, which has no place in JSON."
    fail(UsageError, "SCR-JSON", problem, "Use numbers, text, tuples, frozensets, or Vectors.of(array).")


def decode(stored: Json, special: Special = lambda stored: None) -> Any:
    """The inverse of `encode`, of JSON that was checked.

    Raises:
        UsageError: SCR-JSON, a class is none of the language's; SCR-ADDRESS, a function or class is not there.
    """
    if is_list(stored):
        return tuple(decode(one, special) for one in stored)
    if not is_dict(stored):
        return stored
    instead = special(stored)
    if instead is not None:
        return instead
    if "at" in stored:
        return resolve(stored["at"])
    if "set" in stored:
        return frozenset(decode(one, special) for one in stored["set"])
    made = class_called(stored["class"])
    inner = {name: decode(one, special) for name, one in stored.items() if name != "class"}
    return made.restored(inner) if hasattr(made, "restored") else made(**inner)  # pyright: ignore


def check(stored: Json, run_files: bool = True) -> None:
    """Refuse JSON that names a class which is neither ours nor an address, or code that may not run. Nothing is
    imported, nothing is built.

    Args:
        stored: what is to be decoded.
        run_files: whether code that is neither installed nor imported may run.

    Raises:
        UsageError: SCR-JSON, with every such name.
    """
    remedy = "Did you mean: {}? A class of your own is stored by its address, module:Name."
    classes = dict.fromkeys(_named(stored, "class"))
    found = [
        Fault("SCR-JSON", "", f"there is no {name!r} in the hypothesis language.", remedy.format(_like(name)))
        for name in classes
        if not _is_known(name)
    ]
    if not found and not run_files:
        own = [name for name in [*classes, *_named(stored, "at")] if name not in kinds]
        remedy = "Import it first, or pass run_files=True if you trust its code."
        found = [
            Fault("SCR-JSON", "", f"it names {place}, which is neither installed nor imported.", remedy)
            for place in dict.fromkeys(split(name)[0] for name in own)
            if not is_installed(place)
        ]
    if found:
        raise UsageError(found)


def name_of(kind: type) -> str:
    """The name of a class in JSON.

    Raises:
        UsageError: SCR-JSON, it is defined inside of a function.
    """
    return short_name(kind) or reference(kind, f"class {kind.__name__}")


def class_called(name: str) -> type:
    """The class of this name.

    Raises:
        UsageError: SCR-JSON, it is no frozen dataclass that subclasses a part, a sampler or a route; SCR-ADDRESS.
    """
    if name in kinds:
        return kinds[name]
    found = resolve(name)
    if not (isinstance(found, type) and issubclass(found, Storable) and is_dataclass(found)):
        remedy = "Only dataclasses that subclass a part, a sampler or a route are made from JSON."
        fail(UsageError, "SCR-JSON", f"{name} is no value of the hypothesis language.", remedy)
    return found


def parts_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that say something: all but those at their default."""
    if hasattr(value, "stored"):
        return value.stored()
    named = {field.name: (field, getattr(value, field.name)) for field in fields(value)}
    return {name: inner for name, (field, inner) in named.items() if not _is_default(field, inner)}


def _is_default(field: Field[Any], value: Any) -> bool:
    if field.default is not MISSING:
        return type(field.default) is type(value) and field.default == value
    return field.default_factory is not MISSING and field.default_factory() == value


def _named(stored: Json, field: str) -> Iterator[Any]:
    if is_dict(stored):
        if field in stored:
            yield stored[field]
        for inner in stored.values():
            yield from _named(inner, field)
    elif is_list(stored):
        for inner in stored:
            yield from _named(inner, field)


def _is_known(name: Any) -> bool:
    return isinstance(name, str) and (name in kinds or all(name.rpartition(":")[::2]))


def _like(name: Any) -> str:
    return nearest(str(name), sorted(kinds))  # they are registered in the order in which modules were imported


def _text(stored: Json) -> str:
    return json.dumps(stored, sort_keys=True)
