"""Inputs nobody should give: values of the wrong kind, words, and damaged bytes, the same ones every time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def boom(*arguments: Any, **named: Any) -> Any:
    """Raises, whatever it is given."""
    raise RuntimeError("boom")


def values() -> dict[str, Any]:
    """By what they are; made anew each time, since some can be used up."""
    endless: list[Any] = []
    endless.append(endless)
    return {
        "None": None, "True": True, "-1": -1, "0": 0, "5": 5, "2**40": 2**40, "-2**63": -(2**63), "10**30": 10**30,
        "1.5": 1.5, "nan": float("nan"), "inf": float("inf"), "-0.0": -0.0, "1j": 1j,
        "empty text": "", "blank": " ", "a word": "x", "a node": "a1.h0", "a place": "last", "ESC": "\x1b[2J",
        "half a surrogate": "\ud800", "NUL": "a\0b", "right to left": "\u202eabc", "long text": "x" * 10_000,
        "a path": "../../etc/passwd", "bytes": b"x",
        "empty list": [], "[None]": [None], "ragged": [[1], [2, 3]], "nested in itself": endless, "empty dict": {},
        "dict": {"a": 1}, "dict of None": {None: None}, "set": {1, "a"}, "object": object(), "a class": int,
        "function of nothing": lambda: 0, "function that gives None": lambda *_: None, "function that raises": boom,
        "generator": (one for one in "ab"), "Ellipsis": ..., "slice": slice(None), "empty slice": slice(3, 1),
        "slice of text": slice("a", "b"), "range": range(2), "endless range": range(2**62),
        "no numbers": np.array([]), "0-d nan": np.array(np.nan), "floats": np.linspace(0, 1, 12),
        "with nan": np.array([np.nan] * 12), "3-d": np.zeros((2, 2, 2)), "strings": np.array(["a", "b"]),
        "objects": np.array([object(), None]), "uint64": np.full(12, 2**64 - 1, dtype=np.uint64),
        "complex": np.ones(12, complex), "dates": np.array(["2020-01-01"] * 12, dtype="datetime64[D]"),
        "booleans": np.arange(12) % 2 == 0, "integers": np.arange(12), "tensor": torch.ones(3),
        "tensor with gradient": torch.ones(3, requires_grad=True), "np.float16 nan": np.float16("nan"),
    }  # fmt: skip


WORDS = [
    "", " ", "-", "--", "-1", "0", "1", "2", "1e9", "1.5", "nan", "inf", "-inf", "١٢", "²", "0x10", "1_000",
    "99999999999999999999",
    "2147483648", "9223372036854775808", "true", "None", "null", "[]", "{}", "*", "?", "~", ".", "..", "/", "//",
    "a/b", "../x",
    "/dev/null", "/dev/full", "/proc/self/mem", "con", "x" * 300, "x" * 5000, "\x1b[2J", "\x07", "a\nb", "\r",
    "\u202e", "é", "e\u0301",
    "\udcff", "[/INST]", ":smile:", "::error::x", "%s", "$(id)", "`id`", "';--", "1/0", "0/1", "1/2", "2/1", "1/1/1",
    "a=b", "::", ":x",
    "x:", "toy.py::", "::half", "toy.py::half", "toy.py::model", "toy.py::__doc__", "toy.py::half.nothing",
    "toy.py::half\n", "toy/half",
    "toy/", "/half", "toy.py/half", "json:loads", "os:system", "sys:exit", "builtins:exit", "sys:modules",
    "this.is.no:module", "..os:x",
    "a b:c", "broken.py::x", "leaves.py::x", "raises.py::x", "empty.py::x", "binary.py::x", "folder.py::x",
    "missing.py::x", "secret.txt",
]  # fmt: skip
"""For every place on a command line where a word can stand."""

_LEAVES: list[Any] = [
    None,
    True,
    -1,
    0,
    10**30,
    1e308,
    float("nan"),
    "",
    "x\x1b[2J",
    "\ud800",
    [],
    [[]],
    {},
    {"x": {"y": []}},
]


def damaged(content: bytes, n: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Bytes cut off, turned over, repeated, exchanged, and put in."""
    chance = random.Random(seed)
    yield "empty", b""
    yield "zeros", bytes(len(content))
    yield "twice", content + content
    for _ in range(n - 3):
        at = chance.randrange(len(content))
        match chance.randrange(5):
            case 0:
                yield f"cut at {at}", content[:at]
            case 1:
                bit = 1 << chance.randrange(8)
                yield f"bit {bit} of {at}", content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
            case 2:
                yield f"without {at}", content[:at] + content[at + chance.randrange(1, 9) :]
            case 3:
                yield f"0xff at {at}", content[:at] + b"\xff" * 4 + content[at + 4 :]
            case _:
                put = chance.choice([b"\0", b"\xed\xa0\x80", b"NaN", b"[" * 3000, b'"', b"1e999", b"9" * 400])
                yield f"{put[:4]!r} put in at {at}", content[:at] + put + content[at:]


def altered(value: Any, n: int, seed: int = 0) -> Iterator[tuple[str, Any]]:
    """JSON values with one field of another kind, missing, or with a neighbour that nobody knows."""
    chance = random.Random(seed)
    text, places = json.dumps(value), list(_places(value))
    for _ in range(n):
        made = json.loads(text)
        *way, last = chance.choice(places)
        inner = made
        for step in way:
            inner = inner[step]
        told = ".".join(map(str, [*way, last]))
        match chance.randrange(6):
            case 0:
                del inner[last]
                told += " is missing"
            case 1 if isinstance(inner, dict):
                inner["nobody\u202eknows"] = 1
                told += " has a strange neighbour"
            case _:
                inner[last] = chance.choice(_LEAVES)
                told += f" is {inner[last]!r}"
        yield told, made


def _places(value: Any, *way: Any) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*way, key)
        yield from _places(one, *way, key)
