"""The old place of `scrubbing.samplers`; it keeps working in this version."""

from __future__ import annotations

import warnings
from typing import Any

from scrubbing import samplers


def __getattr__(name: str) -> Any:
    if name.startswith("_") or not hasattr(samplers, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{__name__}.{name} is now scrubbing.samplers.{name}", DeprecationWarning, stacklevel=2)
    return getattr(samplers, name)
