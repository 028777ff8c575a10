"""Structure without weights: names of nodes, the model graph, sets of positions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
