"""Circuits that other tools found, as hypotheses: importers that read their files, and exporters that write them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
