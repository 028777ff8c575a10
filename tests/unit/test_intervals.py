"""Means and bootstrap intervals against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing.stats.intervals import Bootstrap, per_input


def test_draws_are_averaged_inside_an_input():
    assert per_input([[1.0, 3.0], [5.0, 5.0]]).tolist() == [2.0, 5.0]
    assert per_input([1, 2]).tolist() == [1.0, 2.0]


def test_mean_and_standard_error():
    """1, 2, 3, 4: mean 2.5, sample standard deviation sqrt(5/3), divided by sqrt(4)."""
    estimate = Bootstrap({"x": [1.0, 2.0, 3.0, 4.0]}).mean("x")
    assert (estimate.value, estimate.n) == (2.5, 4)
    assert estimate.se == pytest.approx(np.sqrt(5 / 3) / 2)


def test_more_draws_are_not_more_inputs():
    """Copies of a draw change neither standard error nor interval."""
    once = np.random.default_rng(0).normal(size=50)
    a, b = (Bootstrap({"x": values}).mean("x") for values in (once, np.repeat(once[:, None], 9, axis=1)))
    assert (a.se, a.low, a.high, b.n) == (pytest.approx(b.se), pytest.approx(b.low), pytest.approx(b.high), 50)


def test_interval_of_two_inputs():
    """0 and 1: a resample has mean 0, 1/2 or 1 with probabilities 1/4, 1/2, 1/4, so both quantiles are extreme."""
    estimate = Bootstrap({"x": [0.0, 1.0]}).mean("x")
    assert (estimate.low, estimate.high) == (0.0, 1.0)
    half = Bootstrap({"x": [0.0, 1.0]}, level=0.4).mean("x")  # 30 % to 70 % lies within the middle half
    assert (half.low, half.high) == (0.5, 0.5)


def test_interval_of_many_inputs_is_the_normal_one():
    """So many inputs that their resamples are made in batches."""
    values = np.random.default_rng(1).exponential(size=4000)
    estimate = Bootstrap({"x": values}).mean("x")
    assert estimate.se is not None
    assert estimate.low == pytest.approx(estimate.value - 1.96 * estimate.se, abs=0.2 * estimate.se)
    assert estimate.high == pytest.approx(estimate.value + 1.96 * estimate.se, abs=0.2 * estimate.se)


def test_columns_are_resampled_together():
    """The difference of a column and itself plus one is one in every resample; so is a ratio of equal differences."""
    x = np.random.default_rng(2).normal(size=30)
    losses = Bootstrap({"x": x, "y": x + 1, "z": 2 * x})
    apart = losses.of(lambda means: means["y"] - means["x"])
    assert apart.low == pytest.approx(1.0)
    assert apart.high == pytest.approx(1.0)
    ratio = losses.of(lambda means: means["z"] / means["x"])
    assert (ratio.low, ratio.high) == (pytest.approx(2.0), pytest.approx(2.0))


def test_a_ratio_is_of_means_not_a_mean_of_ratios():
    """(1 + 9) / (1 + 3) = 2.5, where the mean of ratios would be 2."""
    losses = Bootstrap({"a": [1.0, 9.0], "b": [1.0, 3.0]})
    assert losses.of(lambda means: means["a"] / means["b"]).value == 2.5


def test_standard_error_of_a_function_is_the_spread_of_its_resamples():
    x = np.random.default_rng(3).normal(size=400)
    losses = Bootstrap({"x": x})
    assert losses.of(lambda means: 3 * means["x"]).se == pytest.approx(3 * losses.mean("x").se, rel=0.1)


def test_a_single_input_has_no_interval():
    estimate = Bootstrap({"x": [[1.0, 2.0]]}).mean("x")
    assert (estimate.value, estimate.se, estimate.low, estimate.high, estimate.n) == (1.5, None, None, None, 1)
    assert str(estimate) == "1.500"
    assert Bootstrap({"x": [1.0]}).of(lambda means: means["x"] * 2).se is None


def test_a_ratio_that_some_resamples_leave_undefined_has_no_interval():
    """Of 0 and 1, one resample in four is 0 and 0, and 0 / 0 is no number; the ratio itself is 2."""
    estimate = Bootstrap({"a": [0.0, 2.0], "b": [0.0, 1.0]}).of(lambda means: means["a"] / means["b"])
    assert (estimate.value, estimate.se, estimate.low, estimate.high) == (2.0, None, None, None)


def test_a_constant_function_has_an_interval_of_no_width():
    estimate = Bootstrap({"x": [1.0, 2.0]}).of(lambda means: 7.0)
    assert (estimate.value, estimate.se, estimate.low, estimate.high) == (7.0, 0.0, 7.0, 7.0)


def test_seed_decides_the_resamples():
    x = np.random.default_rng(4).normal(size=20)
    lows = [Bootstrap({"x": x}, seed=seed).mean("x").low for seed in (0, 0, 1)]
    assert lows[0] == lows[1] != lows[2]


def test_printing():
    estimate = Bootstrap({"x": np.arange(10.0)}).mean("x")
    assert float(estimate) == 4.5
    assert str(estimate) == f"4.500 [{estimate.low:.3f}, {estimate.high:.3f}]"
