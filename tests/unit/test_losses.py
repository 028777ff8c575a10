"""Losses and divergences against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scrubbing import Classification, Dataset, SquaredError
from scrubbing.metrics.losses import divergence

LOG3 = float(np.log(3))
DATA = Dataset({"label": [1, 0, 0, 0], "target": [[1.0, 2.0], [0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]})
ONE = np.ones((4, 1), dtype=bool)
ROWS, POSITIONS = np.array([0, 1]), np.array([0, 0])


def test_cross_entropy():
    """Logits 0 and log 3 are probabilities 1/4 and 3/4."""
    output = torch.tensor([[0.0, LOG3], [0.0, LOG3]])
    loss = Classification()
    found = loss.per_token(output, DATA, ROWS, POSITIONS)
    assert found.tolist() == pytest.approx([-np.log(3 / 4), -np.log(1 / 4)])
    assert found.dtype == torch.float64
    assert loss.correct(output, DATA, ROWS, POSITIONS).tolist() == [True, False]
    assert loss.counted(DATA, 3).tolist() == [[True, False, False]] * 4
    assert loss.weights(loss.counted(DATA, 3), DATA).tolist() == [1.0] * 4


def test_labels_are_those_of_the_rows():
    output = torch.tensor([[0.0, LOG3]] * 2)
    found = Classification().per_token(output, DATA, np.array([3, 0]), POSITIONS)
    assert found.tolist() == pytest.approx([-np.log(1 / 4), -np.log(3 / 4)])


def test_confident_float32_logits_lose_nothing():
    """In float32 a difference of 100 nats would round the small loss to zero."""
    output = torch.tensor([[0.0, 40.0]])
    assert Classification().per_token(output, DATA, ROWS[:1], POSITIONS[:1]).item() == pytest.approx(np.exp(-40.0))


def test_the_constant_model_of_a_classification():
    """One label in four is 1: its loss is log 4, the others' log 4/3, the mean the entropy."""
    found = Classification().constant(DATA, ONE)[:, 0]
    assert found.tolist() == pytest.approx([np.log(4), *[np.log(4 / 3)] * 3])
    assert found.mean() == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))


def test_no_constant_is_better():
    rng = np.random.default_rng(0)
    data = Dataset({"label": rng.integers(0, 3, 200), "x": rng.normal(size=200)})
    best = Classification().constant(data, np.ones((200, 1), dtype=bool)).mean()
    for _ in range(20):
        other = torch.from_numpy(np.tile(rng.normal(size=3), (200, 1)))
        loss = Classification().per_token(other, data, np.arange(200), np.zeros(200, dtype=int))
        assert best <= float(loss.mean())


def test_squared_error():
    loss = SquaredError("target")
    output = torch.tensor([[1.0, 2.25], [1.0, 2.0]])
    assert loss.per_token(output, DATA, ROWS, POSITIONS).tolist() == [0.0625, 5.0]
    assert loss.correct(output, DATA, ROWS, POSITIONS).tolist() == [True, False]


def test_the_constant_model_of_a_squared_error():
    """The mean target is (1, 2)."""
    assert SquaredError("target").constant(DATA, ONE)[:, 0].tolist() == [0.0, 5.0, 0.0, 5.0]


def test_divergence():
    """Of (1/4, 3/4) from (1/2, 1/2), and not the other way round."""
    p, q = torch.tensor([[0.0, LOG3]]), torch.tensor([[1.0, 1.0]])
    there = 0.25 * np.log(0.5) + 0.75 * np.log(1.5)
    back = 0.5 * np.log(2) + 0.5 * np.log(2 / 3)
    assert divergence(p, q).item() == pytest.approx(there)
    assert divergence(q, p).item() == pytest.approx(back)
    assert divergence(p, p + 7).item() == pytest.approx(0.0)
    assert divergence(p, p).item() >= 0
