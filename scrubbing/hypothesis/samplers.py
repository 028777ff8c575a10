"""The old place of `scrubbing.samplers`; it keeps working in this version."""

from __future__ import annotations

from scrubbing import samplers
from scrubbing.renamed import old_names

__getattr__ = old_names(
    __name__, {name: f"scrubbing.samplers.{name}" for name in dir(samplers) if not name.startswith("_")}
)
