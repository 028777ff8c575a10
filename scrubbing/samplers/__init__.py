"""Samplers: which inputs may stand in for the one a claim holds. For `sampler=` and `unclaimed=`.

`uniform`, `agree`, `paired`, `fixed` and `exact` draw from the dataset inputs that may stand in, `cross` one that may
not, `generated` makes new inputs, `refill` new prompts of templates, `separate` gives every unclaimed node a draw of
its own. For a sampler of your own, subclass `Among` (it draws from the dataset) or `Generator` (it makes inputs).
"""

from scrubbing.samplers.base import Among, Asked, Drawn, Generator, Held, Sampler
from scrubbing.samplers.crossing import Cross, cross
from scrubbing.samplers.ours import (
    Agree,
    Exact,
    Fixed,
    Generated,
    Paired,
    Unclaimed,
    agree,
    exact,
    fixed,
    generated,
    paired,
    separate,
    uniform,
)
from scrubbing.samplers.refilling import Refill, refill

__all__ = [
    "Agree",
    "Among",
    "Asked",
    "Cross",
    "Drawn",
    "Exact",
    "Fixed",
    "Generated",
    "Generator",
    "Held",
    "Paired",
    "Refill",
    "Sampler",
    "Unclaimed",
    "agree",
    "cross",
    "exact",
    "fixed",
    "generated",
    "paired",
    "refill",
    "separate",
    "uniform",
]
