"""The gate, which holds hypotheses to accepted results: policy, snapshots, verdicts, and what changed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
