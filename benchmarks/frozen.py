"""A benchmark's data are the same on every machine: they are checked by hash before a number is made of them."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from scrubbing import BadData
from scrubbing.errors import fail


def digest(*parts: str | bytes | NDArray[np.integer] | NDArray[np.bool_]) -> str:
    """SHA-256 of texts and of whole numbers, whatever their width and byte order are on this machine."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.shape}\x00".encode() + np.ascontiguousarray(part, dtype="<i8").tobytes())
        else:
            raw = part.encode() if isinstance(part, str) else part
            found.update(f"{len(raw)}\x00".encode() + raw)
    return found.hexdigest()


def verify(what: str, found: str, expected: str, numbers: str, remedy: str) -> None:
    """Compare a digest with the one that belongs to the numbers we publish.

    Args:
        what: the data, as the start of a sentence.
        found: their digest here.
        expected: their digest where the numbers were measured.
        numbers: which of our numbers are about those data.
        remedy: how to get them.

    Raises:
        BadData: SCR-FROZEN, they differ.
    """
    if found != expected:
        problem = f"{what} is not what the benchmark is about (SHA-256 {found[:16]}, expected {expected[:16]})."
        problem += f" Of other data, these numbers say nothing: {numbers}."
        fail(BadData, "SCR-FROZEN", problem, remedy)
