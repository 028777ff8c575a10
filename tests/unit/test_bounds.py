"""Bounds against exact ones: Clopper and Pearson's, the Bayesian bootstrap drawn, and numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scrubbing.stats.bounds import Influence, tilt
from scrubbing.stats.critical import fixed_size


def influence(values, value: float = 0.0, reach: float = 0.0, inputs: int | None = None) -> Influence:
    """`value` plus the mean of these, of which a further one may be as far as `reach` from 0 either way."""
    column = np.asarray(values, dtype=np.float64)[:, None]
    low, high = np.array([min(column.min(), -reach)]), np.array([max(column.max(), reach)])
    return Influence(lambda means: value + means[0], column, low, high, len(column) if inputs is None else inputs)


def upper(values, further: float, z: float) -> float:
    """The mean at the weights."""
    return float(tilt(np.asarray(values, dtype=np.float64), further, z) @ np.append(values, further))


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.001])
@pytest.mark.parametrize(("n", "ones"), [(2, 0), (2, 1), (10, 0), (10, 3), (10, 9), (200, 0), (200, 1), (200, 100)])
def test_shares_have_the_exact_bound(n, ones, alpha):
    """Of zeros and ones, with a further one: the level reached is the wanted one, or up to 6 % of it less."""
    bound = upper(np.arange(n) < ones, 1.0, stats.norm.isf(alpha))
    assert 0.94 * alpha <= stats.beta.sf(bound, ones + 1, n - ones) <= 1.001 * alpha


@pytest.mark.parametrize("kind", ["exponential", "lognormal", "few", "left"])
def test_other_losses_have_the_bound_of_the_bayesian_bootstrap(kind):
    """Drawn: 200,000 Dirichlet weights on 40 losses and one more at 12."""
    rng = np.random.default_rng(0)
    values = {
        "exponential": rng.exponential(size=40),
        "lognormal": rng.lognormal(sigma=1.5, size=40),
        "few": np.where(np.arange(40) < 2, 6.0, 0.01),
        "left": 12 - rng.exponential(size=40),
    }[kind]
    drawn = rng.dirichlet(np.ones(41), size=200_000) @ np.append(values, 12.0)
    for alpha in (0.05, 0.005):
        reached = (drawn > upper(values, 12.0, stats.norm.isf(alpha))).mean()
        assert reached == pytest.approx(alpha, rel=0.04 + 4 * np.sqrt(1 / (alpha * 200_000)))


def test_nothing_seen_is_the_rule_of_three():
    assert upper(np.zeros(1000), 1.0, stats.norm.isf(0.05)) == pytest.approx(3 / 1000, rel=0.02)


def test_many_light_losses_have_the_normal_bound():
    values = np.random.default_rng(1).random(20_000)
    assert upper(values, 1.0, 1.96) == pytest.approx(values.mean() + 1.96 * values.std() / np.sqrt(20_000), abs=1e-4)


values_ = st.lists(st.floats(0, 10), min_size=2, max_size=60)


@given(values=values_, further=st.floats(0, 20), z=st.floats(0.5, 8))
def test_bounds_are_ordered(values, further, z):
    """Weights are weights; a bound lies between mean and largest value, and further out for a larger z or value."""
    weights = tilt(np.array(values), further, z)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    largest, mean = max(*values, further), np.mean([*values, further])
    assert mean - 1e-6 <= upper(values, further, z) <= largest + 1e-6
    assert upper(values, further, z) <= upper(values, further, z + 0.5) + 1e-4 * largest
    assert upper(values, further, z) <= upper(values, further + 1, z) + 1e-4 * largest


@given(values=values_, shift=st.floats(-5, 5), scale=st.floats(0.01, 100))
def test_bounds_know_no_unit(values, shift, scale):
    moved = upper(np.array(values) * scale + shift, 12 * scale + shift, 2.0)
    assert moved == pytest.approx(upper(values, 12.0, 2.0) * scale + shift, rel=1e-4, abs=1e-4 * scale)


def test_more_units_like_these():
    """As if each value stood for `times` units: as with so many copies."""
    values = np.random.default_rng(2).exponential(size=30)
    copied = influence(np.repeat(values, 7), reach=9.0)
    assert influence(values, reach=9.0).bounds(fixed_size, 0.05, 210) == pytest.approx(copied.bounds(fixed_size, 0.05))


def test_below_two_units_there_are_no_bounds():
    assert influence([3.0]).bounds(fixed_size, 0.05) == (-np.inf, np.inf)
    assert influence([np.nan, 1.0]).bounds(fixed_size, 0.05) == (-np.inf, np.inf)


def test_what_cannot_vary_has_bounds_of_no_width():
    assert influence(np.zeros(5), value=1.5).bounds(fixed_size, 0.05) == (1.5, 1.5)


def test_the_other_sign_is_the_mirror_image():
    one = influence(np.random.default_rng(3).exponential(size=50), reach=9.0)
    low, high = one.bounds(fixed_size, 0.05)
    assert (-one).bounds(fixed_size, 0.05) == pytest.approx((-high, -low))
    assert ((-one).estimate, (-one).se) == (-one.estimate, one.se)


def test_a_ratio_has_the_bounds_of_fieller():
    """The bound is the ratio r at which the bound of the mean of `numerator - r denominator` is 0."""
    rng = np.random.default_rng(4)
    b = 4 + rng.normal(size=60)
    a = 0.5 * b + rng.exponential(size=60)
    table, further = np.stack([a, b], axis=1), np.array([9.0, 2.0])
    ratio = Influence(lambda means: means[0] / means[1], table, np.array([0.0, 2.0]), np.array([9.0, 6.0]), 60)
    found = ratio.upper(fixed_size, 0.05)
    at_zero = upper(a - found * b, further[0] - found * further[1], fixed_size(60, 0.05))
    assert at_zero == pytest.approx(0.0, abs=1e-3)


def test_a_ratio_whose_denominator_may_be_zero_has_no_bound():
    rng = np.random.default_rng(5)
    table = rng.normal(0.05, 1.0, size=(20, 2))
    low, high = table.min(axis=0), table.max(axis=0)
    ratio = Influence(lambda means: means[0] / means[1], table, low, high, 20)
    assert not np.isfinite(ratio.bounds(fixed_size, 0.05)).all()
