"""The programs by name, and which of them thresholds may be chosen on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from benchmarks.groundtruth import counting, deciding, looking_up
from benchmarks.groundtruth.from_torchwright import larger
from benchmarks.groundtruth.planted import PLANS, planted
from benchmarks.groundtruth.truth import Truth

PROGRAMS: dict[str, Callable[[int], Truth]] = {
    "majority": counting.majority,
    "total": counting.total,
    "offset": counting.offset,
    "brackets": counting.brackets,
    "trigger": counting.trigger,
    "largest": looking_up.largest,
    "two-hops": looking_up.two_hops,
    "marker": looking_up.marker,
    "compare": deciding.compare,
    "copies": deciding.copies,
    "any-copy": deciding.any_copy,
    "masked": deciding.masked,
}
"""From a seed, the model and what is true of it. It draws sizes, the order of tokens, heads and neurons, and data."""

TRAINED: dict[str, Callable[[int], Truth]] = {name: partial(planted, name) for name in PLANS}
"""From a seed, inputs of a model in which a circuit was planted by training, and what is true of it."""

BY_TORCHWRIGHT: dict[str, Callable[[int], Truth]] = {"larger": larger}
"""From a seed, a program that `torchwright` compiles, where it is installed."""


@cache
def truth(program: str, seed: int) -> Truth:
    """The model that this program makes from a seed; of a trained one, the seed draws the inputs only."""
    return (PROGRAMS | TRAINED | BY_TORCHWRIGHT)[program](seed)
