"""Influence values and comparisons of runs against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing.metrics.recovered import recovered
from scrubbing.stats.influence import Losses, mean_loss
from scrubbing.stats.intervals import Means
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
        expected = Means(given.columns, **more).mean("scrubbed")
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
    assert (found.estimate, found.se, found.n, found.inputs) == (2.0, pytest.approx(1.0), 2, 4)


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


def test_fraction_has_the_standard_error_of_its_resamples():
    given = losses(400)
    found, rng = recovered(given), np.random.default_rng(3)
    chosen = rng.integers(400, size=(2000, 400))
    model, scrubbed, null = (given.columns[name][chosen].mean(axis=1) for name in ("model", "scrubbed", "null"))
    assert found.se == pytest.approx((1 - (scrubbed - model) / (null - model)).std(), rel=0.1)


def test_a_further_input_loses_what_the_null_lost_and_no_more():
    """Nothing lost on 50 inputs: the bound is that of 0 of 50, times the largest null loss."""
    columns = {
        "model": np.zeros(50),
        "scrubbed": np.zeros(50),
        "null": np.where(np.arange(100) < 30, 8.0, 0.0).reshape(50, 2),
    }
    share = 1 - 0.025 ** (1 / 50)
    high = Means(columns).mean("scrubbed").high
    assert high == pytest.approx(8 * share, rel=0.06)  # Student's quantile in place of the normal one
    assert Means(columns, ceiling=4.0).mean("scrubbed").high == pytest.approx(high / 2)
    assert mean_loss(Losses(np.arange(50), columns)).reach == 8.0
    assert Losses(np.arange(50), columns).rows(np.arange(5)).means.ceilings["scrubbed"] == 8.0


def test_a_change_may_be_as_large_as_a_loss_either_way():
    given = losses()
    change = compare(given, losses(seed=1)).change
    assert change.reach == pytest.approx(given.means.ceilings["scrubbed"], rel=0.5)
    low, high = compare(given, given).change.bounds(lambda n, alpha: 2.0, 0.05)
    assert low == pytest.approx(-high)
    assert low < 0 < high


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
