"""Python objects by address: `module:name` for importable ones, `path/to/file.py:name` for those in a file."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from scrubbing.errors import UsageError, fail, nearest
from scrubbing.guards import class_of
from scrubbing.user_code import running


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
        with running(place):  # a module may compute what it is asked for
            there = hasattr(found, step)
        if not there:
            known = [word for word in getattr(found, "__dict__", {}) if _is_own(found, word)]
            remedy = f"Did you mean: {nearest(step, known)}?" if known else "It defines no name."
            fail(UsageError, "SCR-ADDRESS", f"{place} has no {name!r}.", remedy)
        found = getattr(found, step)
    return found


def _is_own(place: object, word: str) -> bool:
    """Whether a name is worth proposing: not imported, not private, and not left there by another tool."""
    value: Any = vars(place)[word]
    if not word.isidentifier() or word.startswith("_") or isinstance(value, ModuleType):
        return False
    if isinstance(value, (type, FunctionType)):
        return not isinstance(place, ModuleType) or value.__module__ == place.__name__
    return class_of(value).__module__ != "__future__"


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


def is_installed(place: str) -> bool:
    """Whether a module is imported already, or somebody installed it; a file in the current folder, which anybody may
    have put there, is not installed. Nothing is imported.
    """
    if place.endswith(".py"):
        return _loaded(place) is not None
    if place in sys.modules:
        return True
    top, here = place.partition(".")[0], Path.cwd().resolve()
    # A package that is installed to be edited has its folder in the path behind those of all others.
    behind = next((at for at, one in enumerate(sys.path) if one.endswith(("site-packages", "dist-packages"))), 0)
    places = [one for at, one in enumerate(sys.path) if one and (at > behind or Path(one).resolve() != here)]
    return top in sys.modules or any(finder.find_spec(top, places) for finder in sys.meta_path)


def load_file(path: str | Path) -> ModuleType:
    """Run a Python file as a module, once; its name is the path as written, so that addresses stay valid. The same path
    written in another folder is another file, which takes the name over.

    Raises:
        UsageError: SCR-ADDRESS, the file does not exist; SCR-CODE, it raises an exception.
    """
    name = str(path)
    file, known = Path(path), _loaded(name)
    if known is not None:
        return known
    if not file.is_file():
        fail(UsageError, "SCR-ADDRESS", f"there is no file {name}.", "Check the path; it is relative to this folder.")
    spec = importlib.util.spec_from_file_location(name, file.absolute())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with running(name):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _loaded(path: str) -> ModuleType | None:
    """The module of a file that was run: of this one, not of one that had the same path in another folder."""
    found = sys.modules.get(path)
    return found if found is not None and getattr(found, "__file__", None) == str(Path(path).absolute()) else None


def _import(name: str) -> ModuleType:
    if not all(step.isidentifier() for step in name.split(".")):
        problem = f"{name!r} is neither a module nor a file."
        fail(UsageError, "SCR-ADDRESS", problem, "Write FILE.py::name or module:name.")
    with running(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module exists and fails inside
            remedy = "Check the name, or give a path ending in .py."
            fail(UsageError, "SCR-ADDRESS", f"there is no module {name!r}.", remedy)


def defined(address: str, name: str) -> tuple[str | None, int | None]:
    """File and line where a hypothesis is defined: where its address's name is bound, or else where its own name is
    written in a module that has been imported; None where neither is found.
    """
    place, _, bound = address.replace("::", ":").rpartition(":")
    modules = [sys.modules[place]] if place in sys.modules else _own_modules()
    for module in modules:
        file = getattr(module, "__file__", None)
        try:
            text = Path(file).read_text(encoding="utf-8") if file else ""
        except (OSError, UnicodeDecodeError):
            continue
        if line := _line(text, bound if place else None, name):
            return _relative(str(file)), line
    return None, None


def _own_modules() -> list[ModuleType]:
    """Modules of somebody's project: not of the standard library, nor installed."""
    homes = ("site-packages", "dist-packages", str(Path(os.__file__).parent))
    files = {module: str(getattr(module, "__file__", None) or "") for module in sys.modules.values()}
    return [module for module, file in files.items() if file.endswith(".py") and not any(h in file for h in homes)]


def _line(text: str, bound: str | None, name: str) -> int | None:
    names = (name, name.rpartition("/")[2])
    if bound is None and not any(f'"{one}"' in text for one in names):
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None  # it changed since it was imported
    for step in ast.walk(tree):
        if bound is None:
            if _names_something(step, names):
                return getattr(step, "lineno", None)
        elif bound in _bound(step):
            return getattr(step, "lineno", None)
    return None


def _names_something(step: ast.AST, names: tuple[str, ...]) -> bool:
    """Whether this is a call like `Hypothesis("name", "A sentence.", ...)`."""
    if not isinstance(step, ast.Call) or len(step.args) + len(step.keywords) < 2 or not step.args:
        return False
    return isinstance(step.args[0], ast.Constant) and step.args[0].value in names


def _bound(step: ast.AST) -> list[str]:
    """Names that a statement binds."""
    if isinstance(step, ast.FunctionDef):
        return [step.name]
    targets = step.targets if isinstance(step, ast.Assign) else [step.target] if isinstance(step, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _relative(file: str) -> str:
    try:
        return str(Path(file).resolve().relative_to(Path.cwd()))
    except ValueError:
        return file
