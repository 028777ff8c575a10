"""Influence values, bounds, and comparisons of runs against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing.stats.critical import fixed_size
from scrubbing.metrics.recovered import recovered
from scrubbing.stats.influence import Influence, Losses, mean_loss
from scrubbing.stats.intervals import Bootstrap
from scrubbing.stats.paired import compare


def losses(n: int = 60, seed: int = 0, **more: np.ndarray) -> Losses:
    rng = np.random.default_rng(seed)
    model = rng.exponential(0.1, size=n)
    columns = {"model": model, "scrubbed": model[:, None] + rng.exponential(size=(n, 4)), "null": model + 3}
    return Losses(np.arange(n), columns, **more)


def test_mean_is_the_bootstraps_and_so_is_its_standard_error():
    rng = np.random.default_rng(1)
    weights, clusters = rng.integers(1, 5, size=60).astype(float), rng.integers(20, size=60)
    for more in ({}, {"weights": weights}, {"weights": weights, "clusters": clusters}):
        given = losses(**more)
        expected = Bootstrap(given.columns, **more).mean("scrubbed")
        found = mean_loss(given)
        assert (found.estimate, found.n) == (pytest.approx(expected.value), expected.n)
        assert found.se == pytest.approx(expected.se)
        assert found.values.mean() == pytest.approx(0, abs=1e-12)
        assert found.sd == pytest.approx(found.se * np.sqrt(60))


def test_clusters_of_one_change_nothing_and_copies_are_one_unit():
    """Of 1, 1, 3, 3 in two clusters, the standard error is that of 1 and 3: sqrt(2) / sqrt(2)."""
    assert mean_loss(losses(clusters=np.arange(60))).se == pytest.approx(mean_loss(losses()).se)
    twice = Losses(np.arange(4), {"scrubbed": [1.0, 1.0, 3.0, 3.0]}, clusters=np.array(["a", "a", "b", "b"]))
    found = mean_loss(twice)
    assert (found.estimate, found.se, found.n, found.inputs) == (2.0, 1.0, 2, 4)


@pytest.mark.parametrize("weighted", [False, True])
def test_influence_of_a_fraction_is_its_derivative(weighted):
    """Against the fraction with a little more weight on one input: d estimate / d share of input i."""
    weights = np.random.default_rng(2).integers(1, 5, size=60).astype(float) if weighted else np.ones(60)
    given, step = losses(weights=weights), 1e-5
    found = recovered(given)
    for i in (0, 7, 59):
        more = weights * (1 + 60 * step * (np.arange(60) == i))  # a share of 1/60 + step
        moved = recovered(losses(weights=more)).estimate
        assert (moved - found.estimate) / step == pytest.approx(found.values[i], rel=1e-3)


def test_fraction_has_the_bootstraps_standard_error():
    given = losses(400)
    drawn = Bootstrap(given.columns).of(lambda m: 1 - (m["scrubbed"] - m["model"]) / (m["null"] - m["model"]))
    found = recovered(given)
    assert found.estimate == pytest.approx(drawn.value)
    assert found.se == pytest.approx(drawn.se, rel=0.1)


def test_bounds_without_skewness_are_students():
    """-1, 0, 1: mean 0, standard error 1 / sqrt(3), t(2) at 5 % = 2.920."""
    low, high = Influence(5.0, np.array([-1.0, 0.0, 1.0]), 3).bounds(fixed_size, 0.05)
    assert (low, high) == (
        pytest.approx(5 - 2.920 / np.sqrt(3), abs=1e-3),
        pytest.approx(5 + 2.920 / np.sqrt(3), abs=1e-3),
    )


def test_bounds_of_skewed_values():
    """Nine times -1 and one 9: mean square 9, mean cube 72, skewness 8/3, standard error 3 / sqrt(9) = 1.

    With z = 1.833 and the skewness over sqrt(10), g = 0.8433, Hall's upper bound is at
    (1 - cbrt(1 + g (-z - g / 6))) 3 / g = (1 - cbrt(-0.6643)) 3 / 0.8433 = 6.661; the lower one would be at
    1.223 standard errors, nearer than Student's 1.833, and is not used.
    """
    skewed = Influence(0.0, np.array([-1.0] * 9 + [9.0]), 10)
    assert (skewed.se, skewed.skewness) == (pytest.approx(1.0), pytest.approx(8 / 3))
    low, high = skewed.bounds(fixed_size, 0.05)
    assert low == pytest.approx(-1.833, abs=1e-3)
    assert high == pytest.approx(6.661, abs=2e-3)
    assert tuple(-np.array((-skewed).bounds(fixed_size, 0.05))[::-1]) == pytest.approx((low, high))


def test_bounds_of_alike_values_have_no_width_and_of_one_value_no_end():
    assert Influence(1.5, np.zeros(2), 2).bounds(fixed_size, 0.05) == (1.5, 1.5)
    assert Influence(1.5, np.zeros(1), 1).bounds(fixed_size, 0.05) == (-np.inf, np.inf)


def test_comparison_pairs_by_id_and_keeps_the_order_of_the_later_run():
    before = Losses(np.array([1, 2, 3, 4]), {"scrubbed": [1.0, 2.0, 3.0, 4.0]})
    after = Losses(np.array([9, 4, 2, 3]), {"scrubbed": [50.0, 4.5, 2.5, 3.5]})
    found = compare(before, after)
    assert found.ids.tolist() == [4, 2, 3]
    assert (found.only_before, found.only_after) == (1, 1)
    assert (found.before.estimate, found.after.estimate, found.change.estimate) == (3.0, 3.5, 0.5)
    assert found.change.se == pytest.approx(0.0)  # the same change in every input, however they differ


def test_each_side_of_a_comparison_has_its_own_weights():
    """(1 * 1 + 3 * 3) / 4 = 2.5 after, (1 + 3) / 2 = 2 before."""
    before = Losses(np.array([1, 2]), {"scrubbed": [1.0, 3.0]})
    after = Losses(np.array([1, 2]), {"scrubbed": [1.0, 3.0]}, weights=np.array([1.0, 3.0]))
    assert compare(before, after).change.estimate == 0.5


def test_clusters_of_either_side_count():
    of = np.arange(60) // 2
    for sides in ((losses(clusters=of), losses(seed=1)), (losses(), losses(seed=1, clusters=of))):
        assert compare(*sides).change.n == 30


def test_comparison_is_of_any_measure():
    sides = losses(), losses(seed=1)
    change = compare(*sides, lambda run: recovered(run, "null")).change
    assert change.estimate == pytest.approx(recovered(sides[1]).estimate - recovered(sides[0]).estimate)
