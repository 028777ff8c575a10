"""Looking after every batch and stopping at the first verdict gives no more false alarms than one look."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from scrubbing.stats.critical import AlwaysValid, Critical, fixed_size
from scrubbing.stats.influence import Influence, Losses, mean_loss
from scrubbing.stats.paired import compare
from scrubbing.stats.verdict import at_least, at_most

from .simulated import ALPHA, CHANGE, MEASURES, most, runs

BUDGET = 2000
LOOKS = range(200, BUDGET + 1, 200)


def settled(whole: Callable[[int], Influence], limit: float, critical: Critical, looks: Iterable[int] = LOOKS) -> str:
    """The first verdict other than inconclusive."""
    for n in looks:
        outcome = at_most(whole(n), limit, critical=critical).outcome
        if outcome != "inconclusive":
            return outcome
    return "inconclusive"


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if i else n for i, n in enumerate(MEASURES)])
def test_false_alarms_when_settling(name: str) -> None:
    """The change is at the margin, so that every fail is false, and so is every pass."""
    measure, truth = MEASURES[name]
    rng = np.random.default_rng(1)
    times, outcomes, peeking = 200, [], []
    for _ in range(times):
        before, after = runs(rng, BUDGET)
        found: dict[int, Influence] = {}

        def whole(n: int, before: Losses = before, after: Losses = after, found: dict = found) -> Influence:
            first = np.arange(n)
            if n not in found:
                found[n] = compare(before.rows(first), after.rows(first), measure).change
            return found[n]

        outcomes.append(settled(whole, truth, AlwaysValid()))
        peeking.append(settled(whole, truth, fixed_size))
    for outcome in ("fail", "pass"):
        assert outcomes.count(outcome) <= most(times, ALPHA) < peeking.count(outcome)


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
}
"""Changes of mean 0 per input."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SKEWED)
def test_false_alarms_for_skewed_losses(name: str) -> None:
    """The numbers of docs/reference/statistics.md: looks after every 200 up to 3,000."""
    times, most_inputs = 1000, 3000
    x = SKEWED[name](np.random.default_rng(3), (times, most_inputs))
    rates = {}
    for how, critical in (("always", AlwaysValid()), ("peeking", fixed_size)):
        outcomes = [
            settled(lambda n, row=row: _mean(row[:n]), 0.0, critical, range(200, most_inputs + 1, 200)) for row in x
        ]
        rates[how] = {outcome: outcomes.count(outcome) for outcome in ("fail", "pass")}
    for outcome in ("fail", "pass"):
        assert rates["always"][outcome] <= most(times, ALPHA) < rates["peeking"][outcome]


@pytest.mark.slow
@pytest.mark.parametrize("name", SKEWED)
def test_false_alarms_of_one_look_for_skewed_losses(name: str) -> None:
    """For lognormal losses 5 % is nearly kept, not quite; 7.5 % is."""
    times = 5000
    x = SKEWED[name](np.random.default_rng(4), (times, 200))
    found = {
        "fail": sum(at_most(_mean(row), 0.0).outcome == "fail" for row in x),
        "pass": sum(at_most(_mean(row), 0.0).outcome == "pass" for row in x),
    }
    assert max(found.values()) <= most(times, 0.075)
    assert min(found.values()) > 0  # not by never deciding


def test_mirror_image() -> None:
    x = _mean(np.random.default_rng(5).exponential(size=400))
    a, b = at_most(x, 0.8, critical=AlwaysValid()), at_least(-x, -0.8, critical=AlwaysValid())
    assert a.low is not None
    assert b.high is not None
    assert (a.outcome, a.estimate, a.low) == (b.outcome, -b.estimate, pytest.approx(-b.high))


def _mean(x: np.ndarray) -> Influence:
    return mean_loss(Losses(np.arange(len(x)), {"scrubbed": x}))
