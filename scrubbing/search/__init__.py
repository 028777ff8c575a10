"""Searching for hypotheses: what matters, and what it carries, by tests; and what a found hypothesis is worth."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
