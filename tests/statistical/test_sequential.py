"""Looking after every batch and stopping at the first verdict gives no more false alarms than one look."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from scrubbing.stats.critical import AlwaysValid, Critical, fixed_size
from scrubbing.stats.influence import Influence, Losses, mean_loss
from scrubbing.stats.paired import compare
from scrubbing.stats.verdict import at_least, at_most

from .simulated import ALPHA, CHANGE, MEASURES, least, most, runs

BUDGET = 2000
LOOKS = range(200, BUDGET + 1, 200)


def settled(whole: Callable[[int], Influence], limit: float, critical: Critical, looks: Iterable[int] = LOOKS) -> str:
    """The first verdict other than inconclusive."""
    for n in looks:
        low, high = whole(n).bounds(critical, ALPHA)
        if low > limit or high <= limit:
            return "fail" if low > limit else "pass"
    return "inconclusive"


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if i else n for i, n in enumerate(MEASURES)])
def test_false_alarms_when_settling(name: str) -> None:
    """The change is at the margin, so that every fail is false, and so is every pass."""
    measure, truth = MEASURES[name]
    rng = np.random.default_rng(1)
    times, outcomes = 100, []
    for _ in range(times):
        before, after = runs(rng, BUDGET)

        def whole(n: int, before: Losses = before, after: Losses = after) -> Influence:
            return compare(before.rows(np.arange(n)), after.rows(np.arange(n)), measure).change

        outcomes.append(settled(whole, truth, AlwaysValid()))
    for outcome in ("fail", "pass"):
        assert outcomes.count(outcome) <= most(times, ALPHA)


def test_peeking_with_bounds_for_one_look() -> None:
    """On changes without a mean, where nothing is as large as to hide in a few inputs: beyond the bound, and the bounds
    for any number of looks are not.
    """
    rng, times = np.random.default_rng(6), 100
    outcomes, peeking = [], []
    for row in rng.normal(size=(times, BUDGET)):
        whole = {n: _mean(row[:n], ceiling=4.0) for n in LOOKS}
        outcomes.append(settled(whole.__getitem__, 0.0, AlwaysValid()))
        peeking.append(settled(whole.__getitem__, 0.0, fixed_size))
    for outcome in ("fail", "pass"):
        assert outcomes.count(outcome) <= most(times, ALPHA)
    assert peeking.count("inconclusive") < least(times, 1 - 2 * ALPHA)


def test_a_change_is_found_before_the_budget_is_spent() -> None:
    rng = np.random.default_rng(2)
    for margin, wanted in ((CHANGE - 0.2, "fail"), (CHANGE + 0.2, "pass")):
        looks = []
        for _ in range(50):
            before, after = runs(rng, BUDGET)
            used: list[int] = []

            def whole(n: int, used: list[int] = used, before: Losses = before, after: Losses = after) -> Influence:
                used.append(n)
                return compare(before.rows(np.arange(n)), after.rows(np.arange(n))).change

            assert settled(whole, margin, AlwaysValid()) == wanted
            looks.append(used[-1])
        assert np.mean(looks) < BUDGET / 2


SKEWED: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "exponential": lambda rng, size: rng.exponential(size=size) - 1,
    "hard inputs": lambda rng, size: rng.gamma(0.5, 2.0, size) * rng.gamma(4, 0.25, size) - 1,
    "lognormal": lambda rng, size: rng.lognormal(0, 1, size) - np.exp(0.5),
    "one in twenty": lambda rng, size: np.where(rng.random(size) < 0.05, rng.exponential(size=size), 0) - 0.05,
    "one in a hundred": lambda rng, size: np.where(rng.random(size) < 0.01, 5 + 2 * rng.random(size), 0) - 0.06,
}
"""Changes of mean 0 per input."""


@pytest.mark.slow
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("name", SKEWED)
def test_false_alarms_for_skewed_losses(name: str, mirrored: bool) -> None:
    """At one look and at any of many, every 200 up to 3,000."""
    times, most_inputs = 500, 3000
    x = SKEWED[name](np.random.default_rng(3), (times, most_inputs)) * (-1 if mirrored else 1)
    looks = range(200, most_inputs + 1, 200)
    settling = [settled(lambda n, row=row: _mean(row[:n], 8.0), 0.0, AlwaysValid(), looks) for row in x]
    one_look = [settled(lambda n, row=row: _mean(row[:n], 8.0), 0.0, fixed_size, [200]) for row in x]
    for outcome in ("fail", "pass"):
        assert settling.count(outcome) <= most(times, ALPHA)
        assert one_look.count(outcome) <= most(times, ALPHA + 0.01)


def test_mirror_image() -> None:
    x = _mean(np.random.default_rng(5).exponential(size=400))
    a, b = at_most(x, 0.8, critical=AlwaysValid()), at_least(-x, -0.8, critical=AlwaysValid())
    assert a.low is not None
    assert b.high is not None
    assert (a.outcome, a.estimate, a.low) == (b.outcome, -b.estimate, pytest.approx(-b.high))


def _mean(x: np.ndarray, ceiling: float | None = None) -> Influence:
    return mean_loss(Losses(np.arange(len(x)), {"scrubbed": x}, ceiling=ceiling))
