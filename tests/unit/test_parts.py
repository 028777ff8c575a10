"""Parts by their formulas: the oracle asks a part for its own definition, so that is checked here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import Dataset, IllegalHypothesis, project
from scrubbing.parts import (
    AttendingTo,
    Direction,
    Neurons,
    Offsets,
    Pairs,
    activation,
    attending_to,
    direction,
    function,
    neurons,
    offsets,
    pairs,
)

RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.normal(size=(7, 5)))
ONE = RNG.normal(size=5)
SPAN = RNG.normal(size=(2, 5))


def pinv(vectors: Any) -> torch.Tensor:
    span = torch.from_numpy(np.atleast_2d(vectors))
    return X @ torch.linalg.pinv(span) @ span


@pytest.mark.parametrize(
    "vectors",
    [ONE, 3.7 * ONE, SPAN, np.vstack([SPAN, SPAN.sum(0)]), np.eye(5)],
    ids=["a vector", "a longer one", "a plane", "dependent vectors", "everything"],
)
def test_project_is_the_orthogonal_projection(vectors: Any) -> None:
    found = project(vectors).function(None)(X)
    assert torch.allclose(found, pinv(vectors), atol=1e-12)
    assert torch.allclose(project(vectors).function(None)(found), found, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_project_keeps_the_precision(dtype: torch.dtype) -> None:
    assert project(ONE).function(None)(X.to(dtype)).dtype == dtype


def test_a_direction_is_found_in_the_model() -> None:
    made = direction(lambda model: model["w"])
    assert isinstance(made, Direction)
    assert torch.allclose(project(made).function({"w": ONE})(X), pinv(ONE), atol=1e-12)
    with pytest.raises(IllegalHypothesis, match="its vectors have 3 numbers; the residual stream has 5"):
        project(made).function({"w": np.ones(3)})(X)


def test_a_function_of_the_input() -> None:
    data = Dataset({"a": np.arange(4.0)})
    made = function(lambda data: 2 * data["a"], along=ONE)
    assert np.asarray(made.values(data)).tolist() == [0, 2, 4, 6]
    assert made.along(None) is not None and np.allclose(made.along(None), ONE)  # pyright: ignore
    assert function(lambda data: np.ones((4, 5))).along(None) is None


def test_an_activation_is_the_function_itself() -> None:
    assert activation(torch.relu).function(None) is torch.relu


def test_pairs_of_attention() -> None:
    assert np.argwhere(offsets(0, -1).between(3)).tolist() == [[0, 0], [1, 0], [1, 1], [2, 1], [2, 2]]
    assert np.argwhere(attending_to(-2).between(3)).tolist() == [[2, 0]]
    mask = np.tril(RNG.random((4, 4)) < 0.5)
    mask[0, 0] = True
    assert (pairs(mask).between(4) == mask).all()


def test_equal_parts_are_equal_and_others_are_not() -> None:
    assert neurons([3, 1, 1]) == Neurons((1, 3))
    assert offsets(-1, 0, -1) == Offsets((-1, 0))
    assert attending_to(-1) == AttendingTo(-1)
    assert pairs(np.eye(2, dtype=bool)) == Pairs(((0,), (1,)))
    different = [
        offsets(0),
        attending_to(0),
        pairs(np.eye(1, dtype=bool)),
        neurons([0]),
        project([1.0]),
        project([2.0]),
    ]
    assert len(set(different)) == len(different)


def test_what_is_asked_of_the_cost() -> None:
    assert project(SPAN).flops(5) == 2 * project(ONE).flops(5) == 40
