"""Columns of a program's data as features: `columns.NAME` reads the column NAME, so that any of them can be stored.

A name that begins with `each_` has a value per position, all others have one per input.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from scrubbing import Dataset, Feature


@cache
def column(name: str) -> Feature:
    """The feature that is this column of the data."""

    def read(data: Dataset) -> Any:
        return data[name]

    # `to_json` stores a function by module and name, and finds the feature there again through `__getattr__` below.
    read.__module__, read.__qualname__, read.__name__ = __name__, name, name
    return Feature(name, compute=read, per="position" if name.startswith("each_") else "input")


def __getattr__(name: str) -> Feature:
    if name.startswith("__"):
        raise AttributeError(name)
    return column(name)
