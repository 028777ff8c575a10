"""The JSON schema of stored hypotheses, made from the classes of the language: what a program may write."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields
from inspect import getdoc
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from scrubbing.data.features import Feature
from scrubbing.graph.nodes import Node
from scrubbing.hypothesis.json_form import FORMAT
from scrubbing.hypothesis.variables import Variable
from scrubbing.parts.dictionary import Features
from scrubbing.routes import Along
from scrubbing.samplers.trusted import Trusted
from scrubbing.storable import Storable, kinds, short_name

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_ADDRESS: Schema = {
    "type": "object",
    "description": "A function, by its address: my.module:name, or path/to/file.py::name.",
    "properties": {"at": {"type": "string", "pattern": "^[^:]+::?[^:]+$"}},
    "required": ["at"],
    "additionalProperties": False,
}
_BY_NAME: Schema = {
    "type": "object",
    "description": "A variable of the table `variables`, by its name.",
    "properties": {"variable": {"type": "string"}},
    "required": ["variable"],
    "additionalProperties": False,
}
_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}
_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}


def hypothesis_schema() -> Schema:
    """The schema of what `Hypothesis.to_json` returns and `Hypothesis.from_json` takes, of the present format."""
    assert short_name(Features) and short_name(Trusted)  # imported, and with them all kinds of their rooms
    return {
        "$schema": DRAFT,
        "title": "A hypothesis of causal scrubbing",
        "type": "object",
        "properties": {
            "format": {"const": FORMAT},
            "name": {"type": "string", "minLength": 1, "description": "Such as parens/two-tests."},
            "claim": {"type": "string", "description": "What it says, as a sentence."},
            "scope": {"description": "On which inputs it holds; null is all.", "anyOf": [_ref("feature"), _null()]},
            "variables": {
                "type": "object",
                "description": "The interpretation: every variable by its name.",
                "additionalProperties": _ref("variable"),
            },
            "correspondence": _ref("claim"),
            "unclaimed": _ref("unclaimed"),
        },
        "required": ["format", "name", "claim", "scope", "variables", "correspondence"],
        "additionalProperties": False,
        "$defs": {name: _kind(name, kinds[name]) for name in sorted(kinds)},
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _null() -> Schema:
    return dict(_PLAIN[type(None)])


def _kind(name: str, kind: type) -> Schema:
    if kind is Feature:
        return _feature()
    if kind is Node:
        named = {"type": "string", "examples": ["a1.h0", "m2", "embed", "logits"]}
        return _object(name, kind, {"name": named}, ["name"])
    if kind is Along:
        return _object(name, kind, {"edges": _TEXTS}, ["edges"])
    hints = get_type_hints(kind)
    made = {field.name: _of(hints[field.name]) for field in fields(kind)}
    return _object(name, kind, made, [field.name for field in fields(kind) if not _has_default(field)])


def _feature() -> Schema:
    """By the address of its function, or as an operation on others."""
    combined = {
        "name": _PLAIN[str],
        "op": _PLAIN[str],
        "of": {"type": "array", "items": _ref("feature")},
        "numbers": {"type": "array", "items": _PLAIN[float]},
        "per": {"enum": ["input", "position"]},
        "classes": {"type": "array", "items": {"type": "array"}},
    }
    leaf = _object("feature", Feature, {"compute": _ADDRESS}, ["compute"])
    return {"anyOf": [leaf, _object("feature", Feature, combined, ["name", "op", "of", "numbers", "per"])]}


def _object(name: str, kind: type, properties: Schema, required: list[str]) -> Schema:
    return {
        "type": "object",
        "description": (getdoc(kind) or "").split("\n\n")[0].replace("\n", " "),
        "properties": {"class": {"const": name}, **properties},
        "required": ["class", *required],
        "additionalProperties": False,
    }


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _of(hint: Any) -> Schema:
    """What stands in JSON for a value of this type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of(one) for one in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return _tuple(arguments)
    if origin is frozenset:
        items = {"type": "array", "items": _of(arguments[0])}
        return {"type": "object", "properties": {"set": items}, "required": ["set"], "additionalProperties": False}
    if origin is Callable or hint is Callable or not isinstance(hint, type):
        return _ADDRESS
    if hint is Variable:
        return _BY_NAME
    if name := short_name(hint):
        return _ref(name)
    return {"anyOf": [*(_ref(name) for name in _subclasses(hint)), _own(hint)]}


def _tuple(arguments: tuple[Any, ...]) -> Schema:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return {"type": "array", "items": _of(arguments[0])}
    same = [one for i, one in enumerate(arguments) if one not in arguments[:i]]
    items = _of(same[0]) if len(same) == 1 else {"anyOf": [_of(one) for one in same]}
    return {"type": "array", "items": items, "minItems": len(arguments), "maxItems": len(arguments)}


def _subclasses(base: type) -> Iterator[str]:
    return (name for name in sorted(kinds) if issubclass(kinds[name], base))


def _own(base: type) -> Schema:
    """A part, sampler or route that somebody else defined, which goes by its address."""
    assert issubclass(base, Storable)
    return {
        "type": "object",
        "description": f"Of a class of your own, a {base.__name__.lower()}: its address, and its fields.",
        "properties": {"class": {"type": "string", "pattern": "^[^:]+::?[^:]+$"}},
        "required": ["class"],
    }
