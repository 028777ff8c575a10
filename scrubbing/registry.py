"""Named things that a package outside of this one may add: one decorator, or one entry point, each."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from scrubbing.errors import UsageError, fail, nearest
from scrubbing.user_code import bind_ours, running

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Registry(Generic[T]):
    """Objects of one kind by name: those of this package, and those that other packages or the user's files add.

    A file that is loaded anyway registers an object with `add`, or with the registry as a decorator. An installed
    package declares its objects as entry points of the group, which are loaded when they are first asked for.

    Args:
        kind: what the objects are called in messages, such as `measure`.
        group: of entry points; None where only `add` adds.
        code: code of the fault that is raised for an unknown name.

    Example:
        >>> shapes: Registry[str] = Registry("shape", None)
        >>> shapes.add("round", "a disc")
        'a disc'
        >>> shapes["round"]
        'a disc'
    """

    def __init__(self, kind: str, group: str | None, code: str = "SCR-PLUGIN") -> None:
        self.kind, self.group, self.code = kind, group, code
        self._added: dict[str, T] = {}
        self._lines: dict[str, str] = {}
        """File and line at which each object was added."""

    def add(self, name: str, value: T) -> T:
        """Register `value` under a name.

        Raises:
            UsageError: another object has this name. An object that the same line of the same file adds again replaces
                the earlier one, so that a file can be loaded twice, as a module and by its path.
        """
        line = _asked_from()
        if name in self._added and self._added[name] != value and self._lines[name] != line:
            problem = f"there is a {self.kind} called {name!r} already, from {self._lines[name]}."
            fail(UsageError, self.code, problem, "Choose another name.")
        self._added[name], self._lines[name] = value, line
        return value

    def __call__(self, name: str) -> Callable[[T], T]:
        """Register with a decorator, such as `@measures("entropy")`."""
        return lambda value: self.add(name, value)  # the caller is then where the decorated thing is

    def __getitem__(self, name: str) -> T:
        if name in self._added:
            return self._added[name]
        point = next((point for point in self._points() if point.name == name), None)
        if point is None:
            problem = f"there is no {self.kind} {name!r}."
            fail(UsageError, self.code, problem, f"There are: {nearest(name, self) or 'none'}.")
        with running(f"{self.kind} {name!r}"):
            bind_ours()
            return point.load()

    def __contains__(self, name: str) -> bool:
        return name in set(self)

    def __iter__(self) -> Iterator[str]:
        """All names, those added first."""
        yield from dict.fromkeys([*self._added, *(point.name for point in self._points())])

    def _points(self) -> list[EntryPoint]:
        return [] if self.group is None else _installed(str(Path.cwd().resolve()), tuple(sys.path)).get(self.group, [])


@cache
def _installed(here: str, path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """Entry points of installed packages, by group. `python -m` and `scrub` look for modules in the current folder too,
    but a file in it, which anybody may have put there, installs nothing. Reading them takes longer than a small scrub.
    """
    from importlib.metadata import distributions

    places = [place for place in path if place and str(Path(place).resolve()) != here]
    found: dict[str, Any] = {}
    for one in distributions(path=places):
        found.setdefault(one.metadata["Name"], one)
    groups: dict[str, list[EntryPoint]] = {}
    for point in (point for one in found.values() for point in one.entry_points):
        groups.setdefault(point.group, []).append(point)
    return groups


def _asked_from() -> str:
    """`FILE:LINE` of the nearest caller that is not in this file."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
