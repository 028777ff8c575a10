"""Means and intervals of columns against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing.stats.intervals import Means, ceilings, per_input


def test_draws_are_averaged_inside_an_input():
    assert per_input([[1.0, 3.0], [5.0, 5.0]]).tolist() == [2.0, 5.0]
    assert per_input([1, 2]).tolist() == [1.0, 2.0]


def test_mean_and_standard_error():
    """1, 2, 3, 4: mean 2.5, sample standard deviation sqrt(5/3), divided by sqrt(4)."""
    estimate = Means({"x": [1.0, 2.0, 3.0, 4.0]}).mean("x")
    assert (estimate.value, estimate.n) == (2.5, 4)
    assert estimate.se == pytest.approx(np.sqrt(5 / 3) / 2)


def test_more_draws_are_not_more_inputs():
    """Copies of a draw change neither standard error nor interval."""
    once = np.random.default_rng(0).normal(size=50)
    a, b = (Means({"x": values}).mean("x") for values in (once, np.repeat(once[:, None], 9, axis=1)))
    assert (a.se, a.low, a.high, b.n) == (pytest.approx(b.se), pytest.approx(b.low), pytest.approx(b.high), 50)


def test_interval_of_two_inputs():
    """Nothing is known of a share of which one in two was seen, and the largest value is taken for twice that seen."""
    estimate = Means({"x": [0.0, 1.0]}).mean("x")
    assert (estimate.low, estimate.high) == (pytest.approx(0.0, abs=1e-3), pytest.approx(2.0, abs=1e-3))
    assert Means({"x": [0.0, 1.0]}, ceiling=1.0).mean("x").high == pytest.approx(1.0)


def test_interval_of_many_inputs_is_the_normal_one():
    values = np.random.default_rng(1).random(40_000)
    estimate = Means({"x": values}).mean("x")
    assert estimate.se is not None
    assert estimate.low == pytest.approx(estimate.value - 1.96 * estimate.se, abs=0.1 * estimate.se)
    assert estimate.high == pytest.approx(estimate.value + 1.96 * estimate.se, abs=0.1 * estimate.se)


def test_columns_share_their_sampling_error():
    """A difference of a column and itself varies by what one further input may add, a ratio of equal columns too."""
    x = np.random.default_rng(2).exponential(size=3000)
    losses = Means({"x": x, "y": x + 1})
    apart = losses.of(lambda means: means["y"] - means["x"])
    further = 2 * (x.max() + 1) * 5.5 / 3000  # twice the largest seen, at most about 5.5 times as heavy as others
    assert apart.value == pytest.approx(1.0)
    assert 1 - further < apart.low < 1 < apart.high < 1 + further
    assert losses.mean("y").high - losses.mean("y").low > 1.5 * (apart.high - apart.low)


def test_only_the_scrubbed_loss_goes_beyond_what_was_seen():
    """In a function of several columns; the mean of a column asks about that column."""
    rng = np.random.default_rng(3)
    columns = {"model": rng.random(80) / 100, "scrubbed": rng.random(80), "null": 5 + rng.random(80)}
    gap = Means(columns).influence(lambda means: means["null"] - means["model"])
    assert gap.highest[0] == columns["model"].max()
    rise = Means(columns).influence(lambda means: means["scrubbed"] - means["model"])
    assert (rise.lowest[1], rise.highest[1]) == (0.0, columns["null"].max())
    assert Means(columns).mean("model").high > 0.1


CEILINGS = {
    "the null's largest draw": ({"scrubbed": [1.0, 2.0], "null": [[0.0, 7.0], [1.0, 1.0]]}, None, 7.0),
    "as far beyond once more": ({"scrubbed": [1.0, 9.0], "null": [7.0, 0.0]}, None, 11.0),
    "twice what was seen": ({"scrubbed": [1.0, 9.0]}, None, 18.0),
    "given": ({"scrubbed": [1.0, 2.0], "null": [7.0, 0.0]}, 20.0, 20.0),
    "given by name": ({"scrubbed": [1.0, 2.0], "null": [7.0, 0.0]}, {"scrubbed": 3.0}, 3.0),
    "given for another": ({"scrubbed": [1.0, 2.0], "null": [7.0, 0.0]}, {"other": 3.0}, 7.0),
}


@pytest.mark.parametrize("case", CEILINGS)
def test_ceilings(case):
    columns, given, wanted = CEILINGS[case]
    assert ceilings(columns, given)["scrubbed"] == wanted


def test_a_constant_loss_is_bounded_by_itself():
    assert ceilings({"constant": [0.3, 1.4], "null": [9.0, 0.0]})["constant"] == 1.4


def test_losses_of_both_signs_may_be_as_far_below_zero():
    found = Means({"cost": [-1.0, 2.0, 0.5]}, ceiling=7.0).influence(lambda means: means["cost"])
    assert (found.lowest[0], found.highest[0]) == (-7.0, 7.0)


def test_a_ratio_is_of_means_not_a_mean_of_ratios():
    """(1 + 9) / (1 + 3) = 2.5, where the mean of ratios would be 2."""
    losses = Means({"a": [1.0, 9.0], "b": [1.0, 3.0]})
    assert losses.of(lambda means: means["a"] / means["b"]).value == 2.5


def test_standard_error_of_a_function():
    losses = Means({"x": np.random.default_rng(3).exponential(size=400)})
    assert losses.of(lambda means: 3 * means["x"]).se == pytest.approx(3 * losses.mean("x").se)
    assert losses.of(lambda means: np.log(means["x"])).se == pytest.approx(losses.mean("x").se / losses.value("x"))


def test_a_single_input_has_no_interval():
    estimate = Means({"x": [[1.0, 2.0]]}).mean("x")
    assert (estimate.value, estimate.se, estimate.low, estimate.high, estimate.n) == (1.5, None, None, None, 1)
    assert str(estimate) == "1.500"
    assert Means({"x": [1.0]}).of(lambda means: means["x"] * 2).se is None


def test_a_ratio_whose_denominator_may_be_zero_has_no_interval():
    estimate = Means({"a": [0.0, 2.0], "b": [0.0, 1.0]}).of(lambda means: means["a"] / means["b"])
    assert (estimate.value, estimate.low, estimate.high) == (2.0, None, None)


def test_a_constant_function_has_no_interval():
    """One of no width would say that it is known without error; it is not estimated."""
    estimate = Means({"x": [1.0, 2.0]}).of(lambda means: 7.0)
    assert (estimate.value, estimate.se, estimate.low, estimate.high) == (7.0, 0.0, None, None)


@pytest.mark.parametrize("value", [0.0, 1e-7, 3.0])
def test_equal_losses_have_an_interval_of_some_width(value):
    """Also in print."""
    estimate = Means({"scrubbed": np.full(5000, value), "null": np.arange(5000) % 2}).mean("scrubbed")
    assert estimate.low < estimate.high
    low, high = str(estimate).partition("[")[2].strip("]").split(", ")
    assert low != high


def test_nothing_is_drawn():
    x = np.random.default_rng(4).normal(size=20)
    order = np.random.default_rng(5).permutation(20)
    assert Means({"x": x[order]}).mean("x").low == pytest.approx(Means({"x": x}).mean("x").low)


def test_a_further_unit_weighs_as_much_as_weight_is_found_in():
    """Of clusters of 1, 1 and 4 inputs, two of three inputs are in that of 4: (1 + 1 + 16) / 6 = 3 inputs, 3/2 of the
    mean.
    """
    of = np.array([0, 1, 2, 2, 2, 2])
    found = Means({"x": np.arange(6.0)}, clusters=of).influence(lambda means: means["x"])
    assert (found.n, found.inputs, found.highest[-1]) == (3, 6, pytest.approx(1.5))
    weighted = Means({"x": np.arange(3.0)}, weights=np.array([1.0, 1.0, 4.0])).influence(lambda means: means["x"])
    assert weighted.highest[-1] == pytest.approx(1.5)


def test_printing():
    estimate = Means({"x": np.arange(10.0)}).mean("x")
    assert float(estimate) == 4.5
    assert str(estimate) == f"4.500 [{estimate.low:.3f}, {estimate.high:.3f}]"
