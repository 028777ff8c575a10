"""Searches that cannot be made."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import Classification, Dataset, Experiment, SquaredError, ToyModel, UsageError
from scrubbing.search import search


def searched(w, *features, **changed):
    return search(Experiment(w.models("native classifier"), w.data, Classification("label")), features, **changed)


def in_steps(w):
    """A model that torch cannot differentiate."""
    model = ToyModel({"x": "x"}, {"logits": (lambda x: (x > 0).double(), {"x": ["x"]})})
    x = np.arange(200) % 2
    experiment = Experiment(model, Dataset({"x": x, "label": x}), SquaredError("label"))
    return search(experiment, (), by="gradient", random=0, controls=())


REFUSED = {
    "every choice": (
        " ".join(["SCR-SEARCH"] * 13),
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
            by="luck",
            adversarial=True,
        ),
    ),
    "too few inputs": ("SCR-SEARCH", searched),
    "no gradient": ("SCR-GRADIENT", in_steps),
}


@pytest.mark.parametrize("case", REFUSED)
def test_searches(case, world, refused):
    codes, call = REFUSED[case]
    refused(UsageError, codes, lambda: call(world))
