"""Searches that cannot be made."""

from __future__ import annotations

import pytest

from scrubbing import Classification, Experiment, UsageError
from scrubbing.search import search


def searched(w, *features, **changed):
    return search(Experiment(w.models("native classifier"), w.data, Classification("label")), features, **changed)


REFUSED = {
    "every choice": (
        " ".join(["SCR-SEARCH"] * 11),
        lambda w: searched(
            w,
            "parity",
            scope=3,
            alpha=0,
            margin=1.5,
            held_out="half",
            budget=0,
            random=-1,
            seed=0.5,
            controls=["all"],
            through=["mlps"],
            depth=0,
        ),
    ),
    "too few inputs": ("SCR-SEARCH", searched),
}


@pytest.mark.parametrize("case", REFUSED)
def test_searches(case, world, refused):
    codes, call = REFUSED[case]
    refused(UsageError, codes, lambda: call(world))
