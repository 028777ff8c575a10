"""A loss as an amount of training: interpolation by hand, and what lies outside the series."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubbing import Series
from scrubbing.metrics.equivalent import equivalent

ONES = np.ones(4)


def test_halfway_in_loss_is_halfway_in_log_amount():
    amount, beyond = equivalent((1.0, 100.0), (4.0, 2.0), np.full(4, 3.0), ONES)
    assert (amount.value, beyond) == (pytest.approx(10.0), "")
    assert (amount.low, amount.high) == (pytest.approx(1.0), pytest.approx(100.0))  # of four inputs, nothing is known


def test_a_point_that_got_worse_counts_as_the_one_before():
    amount, _ = equivalent((1.0, 10.0, 100.0), (4.0, 5.0, 2.0), np.full(4, 4.0), ONES)
    assert 1.0 <= amount.value <= 10.0


@pytest.mark.parametrize(("loss", "beyond"), [(5.0, "less"), (1.0, "more")])
def test_outside_the_series(loss, beyond):
    assert equivalent((1.0, 10.0), (4.0, 2.0), np.full(4, loss), ONES) == (None, beyond)


def test_losses_per_reference_share_their_sampling_error():
    """A scrubbed model that is a point of the series, input by input, is that amount up to what was not drawn."""
    rng = np.random.default_rng(0)
    hard = rng.exponential(size=5000)
    points = [3 * hard, 2 * hard, hard]
    shared, _ = equivalent((1.0, 10.0, 100.0), points, 2 * hard, np.ones(5000))
    apart, _ = equivalent((1.0, 10.0, 100.0), [p.mean() for p in points], 2 * hard, np.ones(5000))
    assert (shared.value, apart.value) == (pytest.approx(10.0), pytest.approx(10.0))
    assert shared.se < 1e-3 < apart.se
    assert 0 < shared.high - shared.low < 0.8 * (apart.high - apart.low)


@given(losses=st.lists(st.floats(0.1, 10), min_size=2, max_size=6), scrubbed=st.floats(0.1, 10))
def test_the_amount_is_within_the_series(losses, scrubbed):
    amounts = [2.0**i for i in range(len(losses))]
    amount, beyond = equivalent(amounts, losses, np.full(3, scrubbed), np.ones(3))
    if amount is None:
        assert scrubbed > losses[0] if beyond == "less" else scrubbed < min(losses)
    else:
        assert amounts[0] <= amount.value * (1 + 1e-9) and amount.value <= amounts[-1] * (1 + 1e-9)


def test_series_of_any_kind_in_a_result():
    from benchmarks.parens.task import our_data, task
    from scrubbing import Experiment

    told = {}
    for top in (9.0, 1e-9):
        series = Series("other models", "layers", (1.0, 4.0), (top, top / 2))
        experiment = Experiment(task.model(), our_data(500), task.loss(), references=40, baselines=False, series=series)
        told[top] = experiment.run(task.rung("two-tests")).record()
    assert [(one.equivalent.beyond, one.equivalent.end) for one in told.values()] == [("last", 4.0), ("first", 1.0)]
    assert {one.equivalent.amount for one in told.values()} == {None}
    assert math.isfinite(told[9.0].losses["scrubbed"].value)
