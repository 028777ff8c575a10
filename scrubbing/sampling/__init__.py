"""Which input every claim holds: contexts, and draws that are functions of what they are for."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
