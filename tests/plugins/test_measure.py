"""A measure from outside: how unsure the scrubbed model is. One file, public names only, from settings to the page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Hypothesis,
    Loss,
    Predictions,
    SquaredError,
    ToyModel,
    Variable,
    everything,
    feature,
    measures,
    node,
    scrub,
)


@measures("entropy")
class Entropy:
    """Of the scrubbed prediction."""

    name, meaning, unit = "entropy", "how unsure the scrubbed model is", "nats"

    def defined(self, loss: Loss) -> bool:
        return loss.outputs == "classes"

    def per_token(self, predictions: Predictions) -> torch.Tensor:
        return torch.distributions.Categorical(logits=predictions.scrubbed).entropy()


class Larger:
    """How often scrubbing makes a number larger; defined everywhere, and given as it is."""

    name, meaning, unit = "larger", "the scrubbed output is larger", "share"

    def defined(self, loss: Loss) -> bool:
        return True

    def per_token(self, predictions: Predictions) -> torch.Tensor:
        return (predictions.scrubbed > predictions.model).any(1)


@feature
def x_bit(data: Dataset) -> Any:
    return data["x"] == 1


X, Y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 25).astype(float)
DATA = Dataset({"x": X, "y": Y, "label": X.astype(int)}, name="bits")
LOGITS = {"logits": (lambda x, y: torch.cat([1 - x, x], 1) * (1 + 2 * y), {"x": ["x"], "y": ["y"]})}
MODEL = ToyModel({"x": "x", "y": "y"}, LOGITS)
"""Surer of x where y is 1."""
ONLY_X = Hypothesis(
    "x", "x matters.", OUTPUT.carries(Variable("out", everything), node("x").direct().carries(Variable("x", x_bit)))
)


def run(**changed: Any) -> Any:
    return scrub(ONLY_X, MODEL, DATA, Classification(), draws=20, **changed)


def entropy(sure: float) -> float:
    p = np.exp([0.0, sure]) / np.exp([0.0, sure]).sum()
    return float(-(p * np.log(p)).sum())


def test_in_the_record_and_the_table() -> None:
    """y comes from another input, so half of the predictions are less sure than they should be: it is a mean of two."""
    result = run(measures=["accuracy", "entropy"])
    wanted = np.array([entropy(1.0), entropy(3.0)])
    assert np.isclose(result.measure("entropy")[..., None], wanted).any(-1).all()
    found = {one.name: one for one in result.record().measures}
    assert list(found) == ["accuracy", "entropy"]
    assert found["entropy"].value.value == pytest.approx(wanted.mean(), abs=0.02)
    assert (found["entropy"].meaning, found["entropy"].unit) == ("how unsure the scrubbed model is", "nats")
    assert result.inputs()["measure.entropy"] == pytest.approx(result.measure("entropy").mean(1))


@pytest.mark.parametrize("outlet", ["terminal", "page", "Markdown"])
def test_in_every_outlet(outlet: str, outlets: Any) -> None:
    told = outlets(run(measures=["entropy", Larger()]))[outlet]
    assert "how unsure the scrubbed model is" in told
    assert "the scrubbed output is larger" in told
    assert "most likely scrubbed prediction" not in told  # which nobody asked for


def test_absent_where_it_is_not_defined() -> None:
    """Of numbers there are no classes: what needs them is absent, and what does not is there."""
    toy = ToyModel({"x": "x", "y": "y"}, {"logits": (lambda x, y: x + y, {"x": ["x"], "y": ["y"]})})
    result = scrub(ONLY_X, toy, DATA, SquaredError(), measures=["accuracy", "kl", "changed", "entropy", Larger()])
    record = result.record()
    assert [one.name for one in record.measures] == ["larger"]
    assert [name for name in result.inputs().columns if name.startswith("measure.")] == ["measure.larger"]
    assert record.choices.unit == "squared error"
    assert not {"model_right", "prediction"} & set(result.inputs().columns)


def test_the_loss_is_a_measure_too() -> None:
    result = run(measures=["loss"])
    assert result.measure("loss") == pytest.approx(result.losses["scrubbed"])
    assert [one.unit for one in result.record().measures] == ["nats"]
