"""A fingerprint of values: numbers, arrays, weights, and what functions compute."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def fingerprint_of(*values: Any) -> str:
    """Thirty-two hexadecimal digits that other values would not have.

    Arrays count with their type, shape and numbers, modules with their weights, functions with their code, defaults,
    closures and the globals they use, other objects with their public attributes; where something is in a file, and
    what it is called there, does not count. Code is that of the running Python: another release gives other digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in _parts(values, set()):
        digest.update(f"{len(part)}:".encode())
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any, inside: set[int]) -> Iterator[bytes]:
    """What makes a value up, as bytes, in a fixed order; a value inside itself is left out there."""
    match value:
        case Tensor():
            flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)  # numpy has no bfloat16
            yield f"tensor {value.dtype} {tuple(value.shape)}".encode()
            yield flat.numpy().tobytes()
            return
        case np.ndarray() if value.dtype.kind != "O":
            yield f"array {value.dtype.str} {value.shape}".encode()
            yield np.ascontiguousarray(value).tobytes()
            return
        case bytes():
            yield value
            return
        case None | bool() | int() | float() | complex() | str() | torch.dtype() | torch.device() | np.generic():
            yield f"{type(value).__name__} {value!r}".encode()
            return
    if id(value) in inside:
        return
    yield type(value).__qualname__.encode()
    for part in _inner(value):
        yield from _parts(part, inside | {id(value)})


def _inner(value: Any) -> Iterator[Any]:
    match value:
        case Mapping():
            yield from (one for item in value.items() for one in item)
        case list() | tuple():
            yield from value
        case set() | frozenset():
            yield from sorted(map(fingerprint_of, value))
        case np.ndarray():
            yield value.tolist()
        case nn.Module():
            yield value.state_dict()
        case functools.partial():
            yield from (value.func, value.args, value.keywords)
        case types.MethodType():
            yield from (value.__func__, value.__self__)
        case types.FunctionType():
            used = (value.__globals__.get(name) for name in value.__code__.co_names)
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            yield from (value.__code__, value.__defaults__, value.__kwdefaults__, cells, list(used))
        case types.CodeType():
            yield from (value.co_code, value.co_consts, value.co_names, value.co_varnames)
        case types.ModuleType():
            yield value.__name__
        case type() | types.BuiltinFunctionType():
            yield value.__qualname__
        case _ if dataclasses.is_dataclass(value):
            yield from (getattr(value, one.name) for one in dataclasses.fields(value))
        case _:
            public = {name: one for name, one in getattr(value, "__dict__", {}).items() if not name.startswith("_")}
            yield public or repr(value).partition(" at 0x")[0]
