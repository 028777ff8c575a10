"""Old spellings that keep working for one version, each with a warning that names the new one."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def deprecated(message: str) -> None:
    """Warn of an old spelling, at the nearest line outside of this package."""
    package, level, frame = str(Path(__file__).parent), 1, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, DeprecationWarning, stacklevel=level)


def old_names(module: str, moved: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a module whose names have moved.

    Args:
        module: its `__name__`.
        moved: old name to the new address, such as `{"Inputs": "scrubbing.models.protocol.ModelInputs"}`.
    """

    def moved_name(name: str) -> Any:
        if name not in moved:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, new = moved[name].rpartition(".")
        deprecated(f"{module}.{name} is now {moved[name]}")
        return getattr(importlib.import_module(home), new)

    return moved_name
