"""A gate's false verdicts are as rare as it says, and its power is what was planned.

Tolerances are binomial: a gate that keeps its promise fails a test here once in a thousand seeds, and seeds are fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scrubbing.metrics.recovered import recovered
from scrubbing.stats.critical import fixed_size, per_gate
from scrubbing.stats.influence import Losses, mean_loss
from scrubbing.stats.paired import compare
from scrubbing.stats.power import power, references_needed, smallest_change
from scrubbing.stats.verdict import at_least, at_most

from .simulated import ALPHA, CHANGE, MEASURES, changes, least, most, runs

REFERENCES, RUNS = 200, 400


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if i else n for i, n in enumerate(MEASURES)])
def test_false_alarms_at_the_margin(name: str) -> None:
    """With the change at the margin, a fail is false and a pass is too; each comes at most with probability alpha. Far
    from it, a gate decides.
    """
    measure, truth = MEASURES[name]
    found = list(changes(RUNS, REFERENCES, measure, seed=1))
    verdicts = [at_most(x, truth).outcome for x in found]
    assert verdicts.count("fail") <= most(RUNS, ALPHA)
    assert verdicts.count("pass") <= most(RUNS, ALPHA)
    assert sum(at_most(x, truth + 1.0).outcome == "pass" for x in found) > 0.9 * RUNS
    assert sum(at_least(x, truth + 1.0).outcome == "fail" for x in found) > 0.9 * RUNS


def test_draws_are_not_inputs() -> None:
    """A change that an input has in all its draws, at the margin: with draws counted as inputs, false alarms beyond the
    bound.
    """
    rng = np.random.default_rng(2)
    averaged = flat = 0
    for _ in range(RUNS):
        change = rng.normal(1.0, 1.0, size=(REFERENCES, 1)) + 0.5 * rng.normal(size=(REFERENCES, 4))
        averaged += at_most(mean_loss(losses_of(change)), 1.0).outcome == "fail"
        flat += at_most(mean_loss(losses_of(change.ravel())), 1.0).outcome == "fail"
    assert averaged <= most(RUNS, ALPHA) < flat


def losses_of(values: np.ndarray, **more: Any) -> Losses:
    """One column."""
    return Losses(np.arange(len(values)), {"scrubbed": values}, **more)


def test_students_bound_is_too_often_wrong_on_skewed_losses() -> None:
    """On exponential damage to one input in ten, estimate ± t SE gives false passes beyond the bound, and ours does
    not.
    """
    rng = np.random.default_rng(3)
    ours = student = 0
    for _ in range(RUNS):
        x = np.where(rng.random(REFERENCES) < 0.1, rng.exponential(10.0, REFERENCES), 0.0)  # mean 1
        found = mean_loss(losses_of(x))
        ours += at_most(found, 1.0).outcome == "pass"
        student += found.estimate + 1.653 * found.se <= 1.0
    assert ours <= most(RUNS, ALPHA) < student


def test_clusters() -> None:
    """Inputs from 100 templates whose change is the template's: without clusters, false alarms beyond the bound."""
    rng = np.random.default_rng(4)
    aware = naive = 0
    for _ in range(RUNS):
        of = rng.integers(100, size=400)
        worse = rng.exponential(1.0, size=100)[of] * rng.exponential(1.0, size=400)
        weights = rng.integers(1, 4, size=400).astype(float)
        losses, clustered = losses_of(worse, weights=weights), losses_of(worse, weights=weights, clusters=of)
        naive += at_most(mean_loss(losses), 1.0).outcome != "inconclusive"
        aware += at_most(mean_loss(clustered), 1.0).outcome != "inconclusive"
    assert aware <= most(RUNS, 2 * ALPHA) < naive


def test_family() -> None:
    """Twenty gates, all at their margin: any false fail."""
    gates, times, rng = 20, 150, np.random.default_rng(5)
    any_at_once = any_alone = 0
    for _ in range(times):
        found = [mean_loss(losses_of(x, ceiling=4.0)) for x in rng.normal(size=(gates, REFERENCES))]
        any_at_once += any(x.bounds(fixed_size, per_gate(ALPHA, gates))[0] > 0 for x in found)
        any_alone += any(x.bounds(fixed_size, ALPHA)[0] > 0 for x in found)
    assert any_at_once <= most(times, ALPHA) < any_alone


@pytest.mark.parametrize(("margin", "wanted"), [(0.1, "fail"), (0.5, "pass")])
def test_power_at_the_planned_n(margin: float, wanted: str) -> None:
    """A pilot run's standard deviation, the planned number of references, and at least the planned power.

    The number at which the interval is as wide as the distance is often taken for enough; it has a power of one half.
    """
    pilot, times = compare(*runs(np.random.default_rng(6), 2000)).change, 200
    planned = references_needed(pilot.sd, CHANGE, margin, reach=pilot.reach)
    as_wide = next(n for n in range(2, planned) if power(n, pilot.sd, CHANGE, margin, reach=pilot.reach) >= 0.5)
    told = {
        n: sum(at_most(x, margin).outcome == wanted for x in changes(times, n, mean_loss, seed=7))
        for n in (planned, as_wide)
    }
    assert told[planned] >= least(times, 0.8)
    assert told[as_wide] < least(times, 0.8)
    least_change = smallest_change(planned, pilot.sd, reach=pilot.reach)
    assert least_change == pytest.approx(abs(CHANGE - margin), rel=0.01)


def test_what_is_needed_settles_it() -> None:
    """With as many references as an inconclusive verdict asks for, about half are settled where it is right."""
    rng, times = np.random.default_rng(8), 200
    pilot = next(x for x in changes(100, 300, mean_loss, seed=9) if abs(x.estimate - CHANGE) < 0.005)
    needed = at_most(pilot, 0.1).needed
    assert needed is not None
    assert needed > 300
    settled = sum(at_most(compare(*runs(rng, needed)).change, 0.1).outcome == "fail" for _ in range(times))
    assert least(times, 0.25) <= settled <= most(times, 0.75)


def test_a_perfect_score_passes_a_floor_that_so_many_references_can_hold() -> None:
    """Scrubbed equals model on all of them: no spread, where other intervals break or have no width."""
    rng = np.random.default_rng(10)
    model = rng.exponential(0.1, size=2000)
    columns = {"model": model, "scrubbed": np.repeat(model[:, None], 4, axis=1), "null": model + 8 * rng.random(2000)}
    losses = Losses(np.arange(2000), columns)
    score = recovered(losses)
    assert (score.estimate, score.se) == (1.0, pytest.approx(0.0, abs=1e-12))
    assert at_least(score, 0.99).outcome == "pass"
    assert at_least(score, 0.999).outcome == "inconclusive"
    assert at_least(score, 1.1).outcome == "fail"
    few = recovered(losses.rows(np.arange(50)))
    assert at_least(few, 0.99).outcome == "inconclusive"
    same = compare(losses, losses).change
    assert at_most(same, 0.05).outcome == at_least(same, -0.05).outcome == "pass"
