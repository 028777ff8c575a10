"""The content of a circuit's file: text, JSON, or tensors and tuples that were pickled, none of whose code is run."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scrubbing.errors import FileError, brief, fail
from scrubbing.user_code import content_of


@dataclass(frozen=True)
class Source:
    """A file, or what a tool holds in memory."""

    name: str
    content: bytes | None
    """Of the file."""
    held: Any = None
    """What was given instead of a path."""
    path: Path | None = None

    @classmethod
    def of(cls, given: Any) -> Source:
        """Convert an argument.

        Raises:
            FileError: SCR-FILE, the file cannot be read.
        """
        if not isinstance(given, (str, Path)):
            return cls(f"a {type(given).__name__}", None, given)
        place = Path(given)
        try:
            if place.is_dir():
                place /= "config.json"
            return cls(str(place), content_of(place), path=place)
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", error)
            fail(FileError, "SCR-FILE", f"it cannot be read ({told}).", "Check the path.", str(place))

    @property
    def title(self) -> str:
        """The name without folders, which is what a hypothesis may depend on."""
        return self.name if self.path is None else self.path.name

    def text(self) -> str:
        """The file as text.

        Raises:
            FileError: SCR-FILE, it is none.
        """
        try:
            return (self.content or b"").decode("utf-8")
        except UnicodeDecodeError as error:
            fail(FileError, "SCR-FILE", f"it is no text ({brief(error)}).", "Check the format.", self.name)

    def json(self) -> Any:
        """The file as JSON, or what was given.

        Raises:
            FileError: SCR-FILE, it is none.
        """
        if self.content is None:
            return self.held
        try:
            return json.loads(self.text())
        except (ValueError, RecursionError) as error:
            fail(FileError, "SCR-FILE", f"it is no JSON ({brief(error)}).", "Check the format.", self.name)

    def pickled(self) -> Any:
        """The file as what was pickled or saved with torch, or what was given. Classes that hold data alone are read as
        `Held`; any other makes it unreadable, so that no code runs.

        Raises:
            FileError: SCR-FILE, it is none, or needs code to be read.
        """
        if self.content is None:
            return self.held
        remedy = "Write it again with the tool, as tensors or plain values."
        try:
            if self.content[:2] == b"PK":
                import torch

                return torch.load(io.BytesIO(self.content), map_location="cpu", weights_only=True)
            return _Plain(io.BytesIO(self.content)).load()
        except (pickle.UnpicklingError, ValueError, EOFError, AttributeError, IndexError, KeyError) as error:
            fail(FileError, "SCR-FILE", f"it cannot be read without running code ({brief(error)}).", remedy, self.name)
        except Exception as error:  # whatever torch raises for a damaged archive
            fail(FileError, "SCR-FILE", f"it cannot be read ({brief(error)}).", remedy, self.name)


class Held:
    """An object of a class that is not here: its attributes."""


class _Plain(pickle.Unpickler):
    """A pickle of plain values, and of objects of some classes that hold data alone."""

    _DATA = ("acdc.TLACDCEdge", "TLACDCEdge", "acdc.TLACDCCorrespondence")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if (module, name) == ("builtins", "slice"):
            return slice
        if module in self._DATA or module.endswith(".TLACDCEdge"):
            return Held
        raise pickle.UnpicklingError(f"it holds a {module}.{name}")
