"""The old place of `scrubbing.parts`; it keeps working in this version."""

from __future__ import annotations

import warnings
from typing import Any

from scrubbing import parts


def __getattr__(name: str) -> Any:
    if name.startswith("_") or not hasattr(parts, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{__name__}.{name} is now scrubbing.parts.{name}", DeprecationWarning, stacklevel=2)
    return getattr(parts, name)
