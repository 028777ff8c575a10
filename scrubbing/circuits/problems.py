"""Everything that is wrong with a file, gathered while it is read."""

from __future__ import annotations

from scrubbing.errors import Fault, FileError

NO_PLACE = "Import it for the model that it was found in."
_MOST = 20
"""Faults told one by one; a file of another model has thousands."""


class Problems:
    """The faults of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[Fault] = []

    @property
    def any(self) -> bool:
        """Whether a fault was noted."""
        return bool(self._found)

    def add(self, problem: str, remedy: str, where: str = "") -> None:
        """Note a fault at a line or key of the file."""
        place = f"{self.file}, {where}" if where else self.file
        fault = Fault("SCR-CIRCUIT", place, problem, remedy)
        if fault not in self._found:  # `input` is two nodes here
            self._found.append(fault)

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
