"""Everything that is wrong with a file, gathered while it is read."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from scrubbing.errors import Fault, FileError

NO_PLACE = "Import it for the model that it was found in."
_MOST = 20
"""Faults told one by one; a file of another model has thousands."""


class Problems:
    """The faults of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[Fault] = []

    def add(self, problem: str, remedy: str, where: str = "") -> None:
        """Note a fault at a line or key of the file."""
        place = f"{self.file}, {where}" if where else self.file
        self._found.append(Fault("SCR-CIRCUIT", place, problem, remedy))

    def stop_if_any(self) -> None:
        """Raise if a fault was noted.

        Raises:
            FileError: SCR-CIRCUIT, with all of them.
        """
        if not self._found:
            return
        told, more = self._found[:_MOST], len(self._found) - _MOST
        if more > 0:
            told.append(Fault("SCR-CIRCUIT", self.file, f"there are {more} more faults like these.", NO_PLACE))
        raise FileError(told)

    @contextmanager
    def noted(self) -> Generator[None]:
        """Code after which reading cannot go on where something was noted."""
        yield
        self.stop_if_any()
