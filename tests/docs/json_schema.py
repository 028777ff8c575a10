"""As much of JSON Schema as the published schemas use; a keyword that is not known here fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
    "number": (int, float),
}  # fmt: skip
SAID = {"$schema", "$defs", "title", "description", "default", "examples"}
KNOWN = SAID | {
    "$ref", "type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "anyOf", "enum",
    "const", "pattern", "minLength", "minimum", "maximum",
}  # fmt: skip


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> Iterator[str]:
    """Everything in which a value is not what a schema asks for."""
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    if "$ref" in schema:
        yield from faults(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in schema and all(list(faults(value, one, root, at)) for one in schema["anyOf"]):
        yield f"{at}: {value!r} is none of what it may be"
    if "type" in schema and not _is_of(value, schema["type"]):
        yield f"{at}: {value!r} is no {schema['type']}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{at}: {value!r} is not allowed"
    if isinstance(value, dict):
        yield from _object(value, schema, root, at)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{at}: {len(value)} items"
        for i, one in enumerate(value):
            yield from faults(one, schema.get("items", {}), root, f"{at}/{i}")
    if isinstance(value, str) and (
        len(value) < schema.get("minLength", 0) or not re.search(schema.get("pattern", ""), value)
    ):
        yield f"{at}: {value!r} is not written as it should be"
    if isinstance(value, (int, float)) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{at}: {value} is out of range"


def _object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], at: str) -> Iterator[str]:
    named = schema.get("properties", {})
    yield from (f"{at}: no {name}" for name in schema.get("required", []) if name not in value)
    for name, one in value.items():
        others = schema.get("additionalProperties", True)
        if name in named:
            yield from faults(one, named[name], root, f"{at}/{name}")
        elif others is False:
            yield f"{at}: there is no {name}"
        elif others is not True:
            yield from faults(one, others, root, f"{at}/{name}")


def _is_of(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
