"""Records made from the schema itself, so that a field added to it later is in every test that uses them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel

from scrubbing.records.schema import Number, RunRecord

LOSSES = ("model", "scrubbed", "null", "constant")
_WORDS = st.text("abc (){}[]<>|*_`~$#&;:!/\\-+.0123456789\n\t\x1b\u202e☃", max_size=12)


def optional(model: type[BaseModel] = RunRecord, prefix: str = "") -> dict[str, Any]:
    """Every field at any depth that may be absent, and what stands there then: None, or an empty list or table."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        path, origin = f"{prefix}{name}", get_origin(field.annotation)
        if _can_be_none(field.annotation):
            found[path] = None
        elif origin in (list, dict):
            found[path] = origin()
        for inner in _models(field.annotation):
            if inner is not Number:
                found |= optional(inner, f"{path}.")
    found.pop("losses", None)  # a record has those of model and scrubbed model at least
    return found


def numbers(model: type[BaseModel] = RunRecord, prefix: str = "") -> Iterator[str]:
    """Every field at any depth that holds estimates."""
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            if inner is Number:
                yield f"{prefix}{name}"
            else:
                yield from numbers(inner, f"{prefix}{name}.")


def without(value: Any, path: str) -> Any:
    """A record, dumped, in which every field at a path is absent."""
    return _changed(value, path.split("."), lambda old: optional()[path])


def with_numbers(value: Any, path: str, ends: dict[str, float | None]) -> Any:
    """A record, dumped, in which every estimate at a path has these ends."""

    def change(old: Any) -> Any:
        if isinstance(old, dict) and "value" not in old:
            return {name: change(one) for name, one in old.items()}
        return old and old | ends

    return _changed(value, path.split("."), change)


def _changed(value: Any, steps: list[str], change: Any) -> Any:
    if isinstance(value, list):
        return [_changed(one, steps, change) for one in value]
    if isinstance(value, dict) and steps[0] not in value:  # a table of models by name
        return {name: _changed(one, steps, change) for name, one in value.items()}
    if value is None:
        return None
    first, *rest = steps
    return value | {first: _changed(value[first], rest, change) if rest else change(value[first])}


def example(model: type[BaseModel] = RunRecord) -> Any:
    """One of everything, dumped."""
    return {name: _example(field.annotation, name) for name, field in model.model_fields.items()}


def _example(annotation: Any, name: str) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return arguments[-1]
    if origin in (Union, types.UnionType):
        return _example(next(one for one in arguments if one is not type(None)), name)
    if origin is list:
        return [_example(arguments[0], name)]
    if origin is dict:
        keys = LOSSES if Number in arguments else ("key",)
        return {key: _example(arguments[1], name) for key in keys}
    if annotation is Number:
        return {"value": 0.25, "se": 0.01, "low": 0.2, "high": 0.3}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return example(annotation)
    plain = {bool: False, int: 3, float: 0.5, str: "null" if name in ("zero", "baseline") else f"the-{name}"}
    return 0 if name == "depth" else plain.get(annotation, "anything")


def records() -> st.SearchStrategy[RunRecord]:
    """Records of any shape that the schema allows, with the nastiest texts and numbers of any size."""
    return _strategy(RunRecord)


def _strategy(annotation: Any, name: str = "") -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*(_strategy(one, name) for one in arguments))
    if origin is list:
        return st.lists(_strategy(arguments[0], name), max_size=2)
    if origin is dict:
        more = st.dictionaries(_WORDS, _strategy(arguments[1], name), max_size=2)
        if name != "losses":
            return more
        both = st.fixed_dictionaries({one: _strategy(Number) for one in ("model", "scrubbed")})
        return st.builds(lambda a, b: a | b, more, both)
    if annotation is Number:
        floats = st.lists(_FLOATS, min_size=3, max_size=3).map(sorted)
        whole = floats.map(lambda x: Number(value=x[1], se=abs(x[2] - x[0]), low=x[0], high=x[2]))
        return st.one_of(whole, _FLOATS.map(lambda x: Number(value=x, se=None, low=None, high=None)))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {name: _strategy(field.annotation, name) for name, field in annotation.model_fields.items()}
        return st.fixed_dictionaries(fields).map(annotation.model_validate)
    numbers = {int: st.integers(0, 10**7), float: _FLOATS, bool: st.booleans(), str: _WORDS, type(None): st.none()}
    bounded = {"depth": st.integers(0, 3), "layer": st.integers(-1, 9999)}
    return bounded[name] if name in bounded else numbers.get(annotation, st.none())


_FLOATS = st.one_of(st.floats(-1e9, 1e9), st.sampled_from([0.0, -0.0, 1.0, 1e-9, -1e-9, 0.0004, 0.9996]))


def _can_be_none(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
