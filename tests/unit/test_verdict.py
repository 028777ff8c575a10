"""Verdicts, critical values and planning against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from scrubbing.stats.critical import AlwaysValid, fixed_size, per_gate
from scrubbing.stats.influence import Influence
from scrubbing.stats.power import power, references_needed, smallest_change
from scrubbing.stats.verdict import at_least, at_most


def influence(values: np.ndarray, value: float = 0.0, reach: float = 0.0, inputs: int | None = None) -> Influence:
    """`value` plus the mean of these; a further one is at most `reach` from 0."""
    low, high = np.array([min(values.min(), -reach)]), np.array([max(values.max(), reach)])
    return Influence(lambda means: value + means[0], values[:, None], low, high, inputs or len(values))


def estimate(value: float, sd: float = 1.0, n: int = 400, inputs: int | None = None) -> Influence:
    """Normal, with this standard deviation."""
    values = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return influence(values / values.std(ddof=1) * sd, value, inputs=inputs)


@pytest.mark.parametrize(
    ("value", "outcome"),
    [(0.0, "pass"), (0.005, "pass"), (0.02, "inconclusive"), (0.18, "inconclusive"), (0.195, "fail")],
)
def test_three_verdicts(value, outcome):
    """Standard error 0.05, t(399) = 1.649: bounds 0.082 away, 0.092 with the further input, and a limit of 0.1."""
    verdict = at_most(estimate(value), 0.1)
    assert (verdict.outcome, verdict.n) == (outcome, 400)
    mirrored = at_least(estimate(-value), -0.1)
    assert (mirrored.outcome, mirrored.needed, mirrored.low) == (outcome, verdict.needed, pytest.approx(-verdict.high))
    assert (verdict.needed is None) == (outcome != "inconclusive") == (verdict.reason == "")


def test_needed_references():
    """n (half-width / distance)^2 = 400 (0.0824 / 0.04)^2 = 1699, and a few for the further one; three times as many in
    clusters of three.
    """
    needed = at_most(estimate(0.06), 0.1).needed
    assert needed == pytest.approx(1699, rel=0.1)
    assert at_most(estimate(0.06, inputs=1200), 0.1).needed == pytest.approx(3 * needed, rel=0.001)


def test_needed_references_settle_it():
    """As many references of the same spread are settled; 2 % fewer are not."""
    for critical in (fixed_size, AlwaysValid()):
        needed = at_most(estimate(0.06), 0.1, critical=critical).needed
        assert needed is not None
        high = [estimate(0.06).bounds(critical, 0.05, n)[1] for n in (int(0.98 * needed), needed)]
        assert high[0] > 0.1 >= high[1]


def test_losses_that_do_not_differ_leave_what_was_not_drawn():
    """Of 200 inputs without a change, at alpha = 5 % a share of 1.5 % may have one, of up to 4."""
    same = influence(np.zeros(200), reach=4.0)
    for critical, share in ((fixed_size, 0.015), (AlwaysValid(), 0.029)):
        verdict = at_most(same, 0.0, critical=critical)
        assert (verdict.outcome, verdict.needed) == ("inconclusive", None)
        assert verdict.high == pytest.approx(4 * share, rel=0.05)
        assert at_most(same, 4 * share * 1.1, critical=critical).outcome == "pass"
        assert at_least(same, -4 * share * 1.1, critical=critical).outcome == "pass"


def test_a_limit_hit_exactly_is_kept():
    same = influence(np.zeros(200), 0.5)
    assert at_most(same, 0.5).outcome == at_least(same, 0.5).outcome == "pass"
    assert at_most(same, 0.499).outcome == at_least(same, 0.501).outcome == "fail"
    assert at_most(estimate(0.5), 0.5).outcome == "inconclusive"
    assert at_most(estimate(0.5), 0.5).needed is None


def test_too_few_units():
    one = at_most(influence(np.zeros(1), 9.0), 0.1)
    assert (one.outcome, one.low, one.high, one.needed) == ("inconclusive", None, None, None)
    assert one.reason == "1 independent unit; bounds need 2"
    early = at_most(estimate(9.0, n=100), 0.1, critical=AlwaysValid())
    assert (early.outcome, early.low, early.needed) == ("inconclusive", None, 200)
    assert early.reason == "100 independent units; bounds need 200"


def test_what_is_not_a_number_is_no_verdict():
    assert at_most(influence(np.full(9, np.nan)), 0.1).outcome == "inconclusive"


def test_critical_values():
    assert fixed_size(10, 0.05) == pytest.approx(1.833, abs=1e-3)
    assert (fixed_size(1, 0.05), AlwaysValid()(199, 0.05)) == (np.inf, np.inf)
    assert per_gate(0.05, 10) == pytest.approx(0.005)
    assert per_gate(0.05, 0) == 0.05


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.05])
def test_always_valid_boundary(alpha):
    """There the mixture reaches 1 / alpha and a little more; the half-normal mixture is integrated numerically."""
    rule = AlwaysValid(tuned_for=300)
    r = 300 * prior_variance(rule, alpha)
    for n in (200, 300, 5000):
        z, scale = rule(n, alpha), np.sqrt(r / 300)
        reached, _ = integrate_over_half_normal(z, n, scale)
        assert 1 / alpha <= reached <= 1.04 / alpha
        assert z > stats.norm.isf(alpha)
    assert all(rule(300, alpha) <= AlwaysValid(tuned_for=other)(300, alpha) for other in (100, 200, 400, 1000))


def prior_variance(rule, alpha):
    """Solved from the boundary itself at n = 300."""
    from scipy import optimize

    def boundary(v):
        return np.sqrt(2 * (1 + 1 / v) * np.log(0.5 + np.sqrt(1 + v) / (2 * alpha)))

    best = optimize.minimize_scalar(boundary, bounds=(0.5, 100), method="bounded")
    assert boundary(best.x) == pytest.approx(rule(300, alpha), rel=1e-6)
    return best.x / 300


def integrate_over_half_normal(z, n, scale):
    """Mean over m ~ |N(0, scale^2)| of exp(m s - n m^2 / 2) with s = z sqrt(n)."""
    from scipy import integrate

    return integrate.quad(
        lambda m: np.exp(m * z * np.sqrt(n) - n * m * m / 2) * 2 * stats.norm.pdf(m, scale=scale),
        0,
        20 * scale,
        limit=500,
    )


def test_planning():
    """1.2 ((1.645 + 0.842) / 0.1)^2 = 742 for normal quantiles; t's are a little larger."""
    assert references_needed(1.0, 0.1) == pytest.approx(742, rel=0.01)
    assert (
        references_needed(1.0, 0.3, margin=0.2)
        == references_needed(1.0, 0.1)
        == references_needed(1.0, 0.0, margin=0.1)
    )
    assert references_needed(2.0, 0.2) == references_needed(1.0, 0.1)
    assert references_needed(1.0, 0.1, alpha=0.005) > references_needed(1.0, 0.1)
    assert references_needed(1.0, 0.1, critical=AlwaysValid()) > 1.5 * references_needed(1.0, 0.1)
    assert references_needed(0.0, 0.1) == 2
    # Nothing varies, but one further reference may change by 5: 5 * 3/n within 0.1.
    assert references_needed(0.0, 0.1, reach=5.0) == pytest.approx(150, rel=0.02)
    assert references_needed(1.0, 0.1) < references_needed(1.0, 0.1, reach=5.0) < references_needed(1.0, 0.1, reach=9.0)


def test_planning_back_and_forth():
    for critical in (fixed_size, AlwaysValid()):
        n = references_needed(1.3, 0.2, 0.05, wanted=0.9, critical=critical)
        assert smallest_change(n, 1.3, 0.05, wanted=0.9, critical=critical) == pytest.approx(0.2, rel=0.01)
        assert power(n - 1, 1.3, 0.2, 0.05, critical=critical) < 0.9 <= power(n, 1.3, 0.2, 0.05, critical=critical)
    assert smallest_change(1, 1.0) == smallest_change(100, 1.0, critical=AlwaysValid()) == np.inf
    assert smallest_change(10, 0.0, margin=0.1) == 0.1
    n = references_needed(1.3, 0.2, reach=8.0)
    assert smallest_change(n, 1.3, reach=8.0) == pytest.approx(0.2, rel=0.01)
    assert smallest_change(150, 0.0, reach=5.0) == pytest.approx(0.1, rel=0.02)
    assert power(1, 1.0, 5.0) == 0.0
