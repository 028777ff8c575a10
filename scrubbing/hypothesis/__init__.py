"""The claim: variables, targets, samplers and rewrites, their legality, and their JSON form."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
