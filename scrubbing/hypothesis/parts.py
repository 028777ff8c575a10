"""The old place of `scrubbing.parts`; it keeps working in this version."""

from __future__ import annotations

from scrubbing import parts
from scrubbing.renamed import old_names

_MOVED = [name for name in dir(parts) if not name.startswith("_")]
__getattr__ = old_names(__name__, {name: f"scrubbing.parts.{name}" for name in _MOVED})
