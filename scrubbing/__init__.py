"""Causal scrubbing: state how a model computes something, and let a machine try to break it.

Names are resolved when first used: importing this package loads neither torch nor transformer_lens, and writing and
checking a hypothesis needs neither. What is public stands in `__init__.pyi`, here and in the folders below.
"""

from typing import Any

import lazy_loader

_MOVED = {
    "parts": (
        "Direction",
        "Part",
        "activation",
        "attending_to",
        "direction",
        "function",
        "neurons",
        "offsets",
        "pairs",
    ),
    "samplers": ("Sampler", "agree", "exact", "fixed", "generated", "separate", "uniform"),
}
"""Names that version 0.1 had here, by the public module that has them now."""
_NEW_HOME = {name: module for module, names in _MOVED.items() for name in names}

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name in _NEW_HOME:
        from scrubbing.renamed import old_names

        return old_names(__name__, {name: f"{__name__}.{_NEW_HOME[name]}.{name}"})(name)
    return _public(name)
