"""Transformers as weights and a family spec, their nodes evaluated one at a time."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
