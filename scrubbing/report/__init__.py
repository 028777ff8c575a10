"""Records made readable: terminal, page, Markdown, data frame and figures, with registries to extend them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
