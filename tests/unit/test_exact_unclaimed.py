"""What a hypothesis leaves exact is not ablated either."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import OUTPUT, Dataset, Hypothesis, SquaredError, ToyModel, Variable, anything, everything, node, scrub
from scrubbing.samplers import exact

X = np.array([0.0, 1.0, 2.0, 3.0])


def test_the_mean_of_the_rest_leaves_it_alone():
    """The output is x + y. Nothing is claimed of y, but it stays: at its mean the rest is the model, not worse."""
    data = Dataset({"x": X, "y": X[::-1].copy(), "label": np.full(4, 3.0)})
    model = ToyModel({"x": "x", "y": "y"}, {"logits": (lambda a: a, {"a": ["x", "y"]})})
    claim = node("x").direct().carries(Variable("nothing", anything))
    kept = Hypothesis("kept", "x does not matter.", OUTPUT.carries(Variable("all", everything), claim, unclaimed=exact))
    left = Hypothesis("left", "Nothing matters.", OUTPUT.carries(Variable("all", everything), claim))
    assert scrub(kept, model, data, SquaredError()).loss("mean rest").value == pytest.approx(0)
    assert scrub(left, model, data, SquaredError()).loss("mean rest").value == pytest.approx(1.25)
    assert scrub(kept, model, data, SquaredError(), ablation="mean").loss().value > 0
