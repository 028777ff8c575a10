"""Templates read and filled: texts with slots in braces, as `str.format` has them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from string import Formatter
from typing import Any

Span = tuple[int, int]


def slots_of(text: str) -> list[str]:
    """The slots of a template in order, each as often as it occurs."""
    return [name for _, name, _, _ in _parsed(text) if name is not None]


@lru_cache
def _parsed(text: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return list(Formatter().parse(text))


def filled(text: str, values: Mapping[str, Any]) -> tuple[str, list[tuple[str, Span]]]:
    """A template with its values, and the characters of every slot."""
    made, spans = "", list[tuple[str, Span]]()
    for before, name, form, conversion in _parsed(text):
        made += before
        if name is not None:
            value = values[name]
            told = format(str(value) if conversion == "s" else value, form or "")
            spans.append((name, (len(made), len(made) + len(told))))
            made += told
    return made, spans
