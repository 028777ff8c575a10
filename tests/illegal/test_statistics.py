"""Losses that cannot be compared, and plans that cannot be made."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import BadData, NoFraction, UsageError
from scrubbing.metrics.recovered import recovered
from scrubbing.stats.influence import Losses
from scrubbing.stats.paired import compare
from scrubbing.stats.power import references_needed, smallest_change


def losses(ids=(1, 2, 3), scrubbed=(1.0, 2.0, 3.0), **more):
    return Losses(np.array(ids), {"scrubbed": scrubbed}, **more)


BAD = {
    "id given twice": ("SCR-REFERENCES", lambda: losses(ids=(1, 2, 1))),
    "loss for some inputs only": ("SCR-DATA", lambda: losses(scrubbed=(1.0, 2.0))),
    "cluster for some inputs only": ("SCR-DATA", lambda: losses(clusters=np.array([1, 1]))),
    "infinite loss": ("SCR-NAN", lambda: losses(scrubbed=(1.0, np.inf, np.nan))),
    "negative weight": ("SCR-DATA", lambda: losses(weights=np.array([1.0, -1.0, 1.0]))),
    "no weight": ("SCR-DATA", lambda: losses(weights=np.zeros(3))),
    "weight that is no number": ("SCR-DATA", lambda: losses(weights=np.array([1.0, np.nan, 1.0]))),
    "nothing in common": ("SCR-REFERENCES", lambda: compare(losses(), losses(ids=(4, 5, 6)))),
}


@pytest.mark.parametrize("case", BAD)
def test_losses(case, refused):
    codes, call = BAD[case]
    refused(BadData, codes, call)


def test_nothing_to_recover(refused):
    same = Losses(np.arange(3), {name: [1.0, 2.0, 3.0] for name in ("model", "scrubbed", "null")})
    refused(NoFraction, "SCR-FRACTION", lambda: recovered(same))


PLANS = {
    "change at the margin": lambda: references_needed(1.0, 0.1, margin=0.1),
    "certainty": lambda: references_needed(1.0, 0.1, wanted=1.0),
    "less power than chance": lambda: smallest_change(100, 1.0, wanted=0.01),
}


@pytest.mark.parametrize("case", PLANS)
def test_plans(case, refused):
    refused(UsageError, "SCR-POWER", PLANS[case])
