"""Losses and divergences against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scrubbing import Classification, Dataset, Loss, SquaredError
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


PADDED = Dataset(
    {
        "tokens": [[1, 2, 3, 4], [1, 2, 3, 0], [1, 2, 0, 0]],
        "mask": [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]],
        "label": [0, 1, 1],
        "several": [[0, 1], [1, 1], [1, 0]],
        "numbers": [[[0.0], [1.0]], [[2.0], [1.0]], [[4.0], [4.0]]],
    }
)
LAST = [[False, False, False, True], [False, False, True, False], [False, True, False, False]]


def test_the_last_position_is_the_last_real_one():
    assert Classification(position="last").counted(PADDED, 4).tolist() == LAST
    whole = Dataset({"tokens": PADDED["tokens"], "label": [0, 1, 1]})
    for position in ("last", -1, 3):
        assert Classification(position=position).counted(whole, 4).tolist() == [[False] * 3 + [True]] * 3
    assert Classification(position=-3).counted(whole, 4)[:, 1].all()


def test_several_positions_each_have_their_label():
    """Labels are in the order of the positions as written, here the last one first."""
    loss = Classification("several", positions=["last", 0])
    counted = loss.counted(PADDED, 4)
    assert counted.tolist() == (np.array(LAST) | (np.arange(4) == 0)).tolist()
    assert loss.weights(counted, PADDED).tolist() == [2.0, 2.0, 2.0]
    rows, positions = np.nonzero(counted)
    assert positions.tolist() == [0, 3, 0, 2, 0, 1]
    output = torch.tensor([[0.0, LOG3]]).expand(6, 2)
    assert loss.targets(PADDED, rows, positions, output).tolist() == [1, 0, 1, 1, 0, 1]
    wanted = [-np.log(3 / 4) if label else -np.log(1 / 4) for label in (1, 0, 1, 1, 0, 1)]
    assert loss.per_token(output, PADDED, rows, positions).tolist() == pytest.approx(wanted)
    assert loss.correct(output, PADDED, rows, positions).tolist() == [True, False, True, True, False, True]


def test_the_constant_model_of_several_positions():
    """At the last position labels are 0, 1, 1; at the first 1, 1, 0: each position has base rates of its own."""
    loss = Classification("several", positions=["last", 0])
    found = loss.constant(PADDED, loss.counted(PADDED, 4))
    rare, common = np.log(3), np.log(3 / 2)
    assert found == pytest.approx(np.array([[common, 0, 0, rare], [common, 0, common, 0], [rare, common, 0, 0]]))


def test_the_constant_model_of_a_slice_knows_only_the_slice():
    """Of the last two inputs all labels at the last position are 1."""
    loss = Classification("several", positions=["last", 0])
    some = loss.counted(PADDED, 4) & (np.arange(3) > 0)[:, None] & (np.arange(4) > 0)
    assert loss.constant(PADDED, some) == pytest.approx(np.zeros((3, 4)))


def test_squared_errors_at_several_positions():
    loss = SquaredError("numbers", positions=[0, -3])
    rows, positions = np.nonzero(loss.counted(PADDED, 4))
    assert positions.tolist() == [0, 1] * 3
    found = loss.per_token(torch.full((6, 1), 1.0), PADDED, rows, positions)
    assert found.tolist() == [1.0, 0.0, 1.0, 0.0, 9.0, 9.0]
    constant = loss.constant(PADDED, loss.counted(PADDED, 4))
    assert constant[:, 0].tolist() == [4.0, 0.0, 4.0]
    assert constant[:, 1].tolist() == [1.0, 1.0, 4.0]


def test_positions_of_a_graph_without_tokens():
    """Nothing but what was asked for says how many positions there are."""
    data = Dataset({"x": np.zeros((2, 3, 1)), "label": [[0, 1], [1, 1]]})
    loss = Classification(positions=[-1, 1])
    rows, positions = np.nonzero(loss.counted(data, 3))
    assert loss.targets(data, rows, positions, torch.zeros(4, 2)).tolist() == [1, 0, 1, 1]


def test_padding_is_part_of_the_input_where_all_inputs_are_read_at_the_same_positions():
    assert Classification().padding_is_input
    assert Classification(positions=[0, -1]).padding_is_input
    assert not Classification(position="last").padding_is_input
    assert not Classification(positions=[0, "last"]).padding_is_input
    assert not Classification(padding_is_input=False).padding_is_input


def test_what_a_loss_of_ones_own_need_not_say():
    class Half(Loss):
        def counted(self, data, length):
            return np.ones((len(data), length), dtype=bool)

        def per_token(self, output, data, rows, positions):
            return output.double().sum(1) / 2

        def constant(self, data, counted):
            return np.zeros(counted.shape)

    loss = Half()
    assert (loss.name, loss.unit, loss.padding_is_input) == ("Half", "nats", False)
    assert loss.weights(loss.counted(DATA, 3), DATA).tolist() == [3.0] * 4
    assert loss.possible(DATA, 3).all()
    output = torch.zeros(2, 2)
    assert loss.targets(DATA, ROWS, POSITIONS, output) is None
    assert loss.correct(output, DATA, ROWS, POSITIONS).tolist() == [False, False]
