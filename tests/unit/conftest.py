"""A toy experiment that takes milliseconds: the sum of two bits, and claims about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Dataset,
    Experiment,
    Hypothesis,
    SquaredError,
    ToyModel,
    Variable,
    everything,
    feature,
    node,
)


@feature
def x_bit(data: Dataset) -> Any:
    """The first bit."""
    return data["x"] == 1


@feature
def y_bit(data: Dataset) -> Any:
    """The second bit."""
    return data["y"] == 1


class Toy:
    """output = x + y."""

    x, y, out = Variable("x", x_bit), Variable("y", y_bit), Variable("output", everything)

    def __init__(self) -> None:
        x, y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 50).astype(float)
        self.data = Dataset({"x": x, "y": y, "label": x + y}, name="bits")
        self.model = ToyModel({"x": "x", "y": "y"}, {"logits": (lambda a, b: a + b, {"a": ["x"], "b": ["y"]})})

    def hypothesis(self, *names: str, name: str = "toy/some") -> Hypothesis:
        """Each of these bits matters, and nothing else."""
        claims = (node(one).direct().carries(getattr(self, one)) for one in names)
        return Hypothesis(name, "Some bits matter.", OUTPUT.carries(self.out, *claims))

    def run(self, *names: str, **options: Any) -> Any:
        """The result of scrubbing it."""
        return Experiment(self.model, self.data, SquaredError(), **options).run(self.hypothesis(*names))


@pytest.fixture(scope="session")
def toy() -> Toy:
    """See `Toy`."""
    return Toy()
