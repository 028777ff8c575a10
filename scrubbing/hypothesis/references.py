"""Python objects by address: `module:name` for importable ones, `path/to/file.py:name` for those in a file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from scrubbing.errors import UsageError, fail, nearest


def reference(thing: Any, what: str) -> str:
    """The address of a function.

    Args:
        thing: the function.
        what: how to call it in the error.

    Raises:
        UsageError: SCR-JSON, it has no address: a lambda, a nested function, a bound method.
    """
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    if not module or not name or "<" in name or hasattr(thing, "__self__"):
        fail(
            UsageError,
            "SCR-JSON",
            f"{what} is {name or thing!r}, which cannot be found again by name.",
            "Define it with def at the top level of a module or of the hypothesis file.",
        )
    return f"{module}:{name}"


def resolve(address: str) -> Any:
    """The object at an address.

    Raises:
        UsageError: SCR-ADDRESS, no such module, file or name.
    """
    place, name = split(address)
    found: Any = module_at(place)
    for step in name.split("."):
        if not hasattr(found, step):
            known = [word for word in vars(found) if not word.startswith("_")] if hasattr(found, "__dict__") else []
            remedy = f"Did you mean: {nearest(step, known)}?" if known else "It defines no name."
            fail(UsageError, "SCR-ADDRESS", f"{place} has no {name!r}.", remedy)
        found = getattr(found, step)
    return found


def split(address: str) -> tuple[str, str]:
    """The file or module of an address, and the name in it.

    Raises:
        UsageError: SCR-ADDRESS, it does not have both.
    """
    place, _, name = address.replace("::", ":").rpartition(":")
    if not place or not name:
        fail(UsageError, "SCR-ADDRESS", f"{address!r} is not an address.", "Write FILE.py::name or module:name.")
    return place, name


def module_at(place: str) -> ModuleType:
    """The module of this name, or in this file.

    Raises:
        UsageError: SCR-ADDRESS, there is none.
    """
    return load_file(place) if place.endswith(".py") else _import(place)


def load_file(path: str | Path) -> ModuleType:
    """Run a Python file as a module, once; its name is the path as written, so that addresses stay valid.

    Raises:
        UsageError: SCR-ADDRESS, the file does not exist.
    """
    name = str(path)
    if name in sys.modules:
        return sys.modules[name]
    file = Path(path)
    if not file.is_file():
        fail(UsageError, "SCR-ADDRESS", f"there is no file {name}.", "Check the path; it is relative to this folder.")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise  # the module exists and fails inside: its own traceback says more
        fail(
            UsageError, "SCR-ADDRESS", f"there is no module {name!r}.", "Check the name, or give a path ending in .py."
        )
