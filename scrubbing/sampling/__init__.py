"""Contexts, which say which input every claim holds, and draws: pure functions of seed, claim and reference."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
