"""What a function computes, as a hash: its code, and everything the code reads that is not an argument."""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import importlib.metadata
import sys
import sysconfig
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from scrubbing.guards import class_of, is_array, is_frozenset, is_mapping, is_scalar, is_sequence, is_set


class NoContent(Exception):
    """Something whose content cannot be read: a generator, a file, an object of a compiled library."""


def content_hash(value: Any) -> str:
    """Hash of a callable, or of anything else: equal content, equal hash, in every process of one Python version that
    optimises alike.

    Covered are bytecode and constants, defaults, closures, the globals that the code names, arguments of a partial,
    attributes, parameters and buffers of objects and modules, and the methods of their classes. What Python or an
    installed package defines counts by its name and version.

    Raises:
        NoContent: some of it cannot be read.
    """
    try:
        return _Hasher().of(value)
    except RecursionError as error:
        raise NoContent("it is nested too deeply") from error


class _Hasher:
    """Hashes one value, each thing in it once."""

    def __init__(self) -> None:
        self.done: dict[int, str] = {}
        self.begun: dict[int, int] = {}
        self.kept: list[Any] = []
        """Everything met, so that no id is given to something else meanwhile."""

    def of(self, value: Any) -> str:
        if id(value) in self.begun:
            return f"what holds it, {len(self.begun) - self.begun[id(value)]} up"
        if id(value) not in self.done:
            self.kept.append(value)
            self.begun[id(value)] = len(self.begun)
            made = hashlib.blake2b(digest_size=16)
            for piece in self._pieces(value):
                made.update(piece if isinstance(piece, bytes) else repr(piece).encode())
                made.update(b"\x00")
            del self.begun[id(value)]
            self.done[id(value)] = made.hexdigest()
        return self.done[id(value)]

    def _pieces(self, value: Any) -> Iterator[Any]:
        """The contents of a value, as bytes and as objects whose `repr` determines them."""
        yield type(value).__name__
        if value is None or isinstance(value, _PLAIN):
            yield value
        elif isinstance(value, enum.Enum):
            yield value.name
        elif isinstance(value, Tensor) or is_array(value) or is_scalar(value):
            yield from self._numbers(value)
        elif is_sequence(value):
            yield from map(self.of, value)
        elif is_set(value) or is_frozenset(value):
            yield from sorted(map(self.of, value))
        elif is_mapping(value):
            yield from (self.of(one) for pair in value.items() for one in pair)
        elif isinstance(value, types.ModuleType):
            yield from (value.__name__, _version(value.__name__))
        elif isinstance(value, types.FunctionType) and _is_file_installed(value.__code__.co_filename):
            yield from (value.__module__, value.__qualname__, _version(value.__module__))
        elif isinstance(value, (*_COMPILED, type)) and _is_installed(_module_of(value)):
            yield from (_module_of(value), value.__qualname__, _version(_module_of(value)))
            owner = getattr(value, "__self__", None)
            yield "" if owner is None or isinstance(owner, (type, types.ModuleType)) else self.of(owner)
        else:
            yield from self._written_by_user(value)

    def _written_by_user(self, value: Any) -> Iterator[Any]:
        kind = class_of(value)
        match value:
            case types.CodeType():
                taken = value.co_argcount + value.co_kwonlyargcount
                yield from (value.co_code, value.co_names, value.co_varnames[:taken], value.co_flags)
                yield from (value.co_argcount, value.co_posonlyargcount, self.of(value.co_consts))
            case types.FunctionType():
                yield from map(self.of, (value.__code__, value.__defaults__, value.__kwdefaults__))
                yield from map(self.of, (_cells(value), _globals(value)))
            case types.MethodType():
                yield from map(self.of, (value.__func__, value.__self__))
            case functools.partial():
                yield from map(self.of, (value.func, value.args, value.keywords))
            case _ if _is_wrapped(value):
                yield self.of(value.__func__)
            case property():
                yield from map(self.of, (value.fget, value.fset))
            case types.MemberDescriptorType() | types.GetSetDescriptorType():
                yield value.__name__
            case type():
                own = {name: one for name, one in vars(value).items() if name not in _SAYS_NOTHING}
                yield from map(self.of, (value.__bases__, own))
            case _:
                slots = [name for base in kind.__mro__ for name in _slots(base) if hasattr(value, name)]
                hides = not all(map(_is_in_python, kind.__mro__[:-1]))
                if hides or (not hasattr(value, "__dict__") and not slots):
                    raise NoContent(f"the content of a {kind.__name__} cannot be read")
                held = getattr(value, "__dict__", {}) | {name: getattr(value, name) for name in slots}
                yield from map(self.of, (kind, held))

    def _numbers(self, value: Tensor | np.ndarray[Any, Any] | np.generic) -> Iterator[Any]:
        yield from (str(value.dtype), tuple(value.shape))
        if isinstance(value, Tensor):
            try:
                yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            except (RuntimeError, NotImplementedError) as error:
                raise NoContent(f"a tensor of layout {value.layout} cannot be read") from error
        elif value.dtype.kind == "O":
            yield from map(self.of, np.ravel(value).tolist())
        else:
            yield np.ascontiguousarray(value).tobytes()


_COMPILED = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType,
             types.MethodWrapperType, types.ClassMethodDescriptorType)  # fmt: skip
_PLAIN = (bool, int, float, complex, str, bytes, range, slice, torch.dtype, torch.device)
_SAYS_NOTHING = {"__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__firstlineno__",
                 "__annotations__", "__static_attributes__", "__abstractmethods__", "_abc_impl", "__annotate__",
                 "__annotate_func__", "__annotations_cache__", "__dataclass_fields__", "__dataclass_params__",
                 "__match_args__"}  # fmt: skip
"""Attributes of a class that change nothing of what its methods compute."""


def _cells(function: types.FunctionType) -> list[Any]:
    found: list[Any] = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a name that is bound later, or never
            found.append(None)
    return found


def _globals(function: types.FunctionType) -> dict[str, Any]:
    """The globals that a function's code reads, and that of functions inside it."""
    names: set[str] = set()
    pending = [function.__code__]
    while pending:
        code = pending.pop()
        names |= {str(one.argval) for one in dis.get_instructions(code) if one.opname == "LOAD_GLOBAL"}
        pending += [inner for inner in code.co_consts if isinstance(inner, types.CodeType)]
    return {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}


def _is_wrapped(value: object) -> TypeGuard[staticmethod[..., Any] | classmethod[Any, ..., Any]]:
    return isinstance(value, (staticmethod, classmethod))


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    return [slots] if isinstance(slots, str) else [name for name in slots if name not in ("__dict__", "__weakref__")]


def _module_of(value: Any) -> str:
    owner = getattr(value, "__self__", None)
    if isinstance(owner, types.ModuleType) or getattr(value, "__module__", None):
        return str(getattr(value, "__module__", None) or getattr(owner, "__name__", ""))
    kind: type[Any] = owner if isinstance(owner, type) else getattr(value, "__objclass__", None) or type(owner)
    return kind.__module__


@functools.cache
def _is_installed(module: str) -> bool:
    """Whether Python, an installed package or this one defines a module."""
    top = module.partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None)
    known = (top in sys.stdlib_module_names and top != "__main__") or top == "scrubbing"
    return known or (file is not None and _is_file_installed(file))


@functools.cache
def _is_file_installed(file: str) -> bool:
    homes = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
    path, ours = Path(file), Path(__file__).parents[1]
    inside = any(home in path.parents for home in (*homes, ours))
    return inside or file.startswith("<frozen") or bool({"site-packages", "dist-packages"} & {*path.parts})


def _is_in_python(kind: type) -> bool:
    """Whether a class is defined in Python, so that its objects hold nothing but attributes."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    return file.endswith(".py") if file is not None else module is None or module.__name__ == "__main__"


@functools.cache
def _version(module: str) -> str:
    try:
        return importlib.metadata.version(module.partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return ""
