"""A gate's false verdicts are as rare as it says, and its power is what was planned.

Tolerances are binomial: a gate that keeps its promise fails a test here once in a thousand seeds, and seeds are fixed.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from scrubbing.stats.critical import per_gate
from scrubbing.stats.influence import Influence, Losses, mean_loss
from scrubbing.stats.paired import compare
from scrubbing.stats.power import power, references_needed, smallest_change
from scrubbing.stats.verdict import at_least, at_most

from .simulated import ALPHA, CHANGE, MEASURES, changes, least, most, runs

REFERENCES, RUNS = 200, 1000


@pytest.mark.parametrize("judge", [at_most, at_least])
@pytest.mark.parametrize("name", MEASURES)
def test_false_alarms_at_the_margin(name: str, judge) -> None:
    """With the change at the margin, a fail is false and a pass is too; each comes at most with probability alpha."""
    measure, truth = MEASURES[name]
    verdicts = [judge(x, truth).outcome for x in changes(RUNS, REFERENCES, measure, seed=1)]
    assert verdicts.count("fail") <= most(RUNS, ALPHA)
    assert verdicts.count("pass") <= most(RUNS, ALPHA)
    assert verdicts.count("inconclusive") < RUNS  # a gate that never decides would pass the above


def test_draws_are_not_inputs() -> None:
    """A change that an input has in all its draws, at the margin: with draws counted as inputs, false alarms beyond the
    bound.
    """
    rng = np.random.default_rng(2)
    averaged = flat = 0
    for _ in range(RUNS):
        change = rng.exponential(1.0, size=(REFERENCES, 1)) + rng.normal(size=(REFERENCES, 4))
        averaged += at_most(mean_loss(losses_of(change)), 1.0).outcome == "fail"
        flat += at_most(mean_loss(losses_of(change.ravel())), 1.0).outcome == "fail"
    assert averaged <= most(RUNS, ALPHA) < flat


def losses_of(values: np.ndarray, **more: np.ndarray) -> Losses:
    """One column."""
    return Losses(np.arange(len(values)), {"scrubbed": values}, **more)


def test_students_bound_is_too_often_wrong_on_skewed_losses() -> None:
    """Why bounds are corrected for skewness: on exponential damage to one input in ten, estimate ± t SE gives false
    passes beyond the bound, and the corrected one does not.
    """
    rng = np.random.default_rng(3)
    corrected = student = 0
    for _ in range(RUNS):
        x = np.where(rng.random(REFERENCES) < 0.1, rng.exponential(10.0, REFERENCES), 0.0)  # mean 1
        found = mean_loss(losses_of(x))
        corrected += at_most(found, 1.0).outcome == "pass"
        student += found.estimate + 1.653 * found.se <= 1.0
    assert corrected <= most(RUNS, ALPHA) < student


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
    """Ten gates on the same references, all at their margin: any false fail."""
    gates, rng = 10, np.random.default_rng(5)
    any_at_once = any_alone = 0
    for _ in range(400):
        shared = rng.normal(size=REFERENCES)
        found = [mean_loss(losses_of(shared + rng.normal(size=REFERENCES))) for _ in range(gates)]
        any_at_once += any(at_most(x, 0.0, per_gate(ALPHA, gates)).outcome == "fail" for x in found)
        any_alone += any(at_most(x, 0.0).outcome == "fail" for x in found)
    assert any_at_once <= most(400, ALPHA) < any_alone


@pytest.mark.parametrize(("margin", "wanted"), [(0.1, "fail"), (0.5, "pass")])
def test_power_at_the_planned_n(margin: float, wanted: str) -> None:
    """A pilot run's standard deviation, the planned number of references, and at least the planned power.

    The number at which the interval is as wide as the distance is often taken for enough; it has a power of one half.
    """
    sd = compare(*runs(np.random.default_rng(6), 5000)).change.sd
    planned = references_needed(sd, CHANGE, margin)
    as_wide = next(n for n in range(2, planned) if power(n, sd, CHANGE, margin) >= 0.5)
    told = {
        n: sum(at_most(x, margin).outcome == wanted for x in changes(500, n, mean_loss, seed=7))
        for n in (planned, as_wide)
    }
    assert told[planned] >= least(500, 0.8)
    assert told[as_wide] < least(500, 0.8)
    assert smallest_change(planned, sd) == pytest.approx(abs(CHANGE - margin), rel=0.01)


def test_what_is_needed_settles_it() -> None:
    """With as many references as an inconclusive verdict asks for, and the estimate being right, half are settled."""
    sd = compare(*runs(np.random.default_rng(6), 5000)).change.sd
    rng = np.random.default_rng(8)
    values = rng.normal(size=50)
    pilot = Influence(CHANGE, (values - values.mean()) / values.std(ddof=1) * sd, 50)
    needed = at_most(pilot, 0.15).needed
    assert needed is not None
    settled = sum(at_most(x, 0.15).outcome == "fail" for x in changes(500, needed, mean_loss, seed=9))
    assert least(500, 0.45) <= settled <= most(500, 0.6)


def test_a_perfect_score_passes_every_floor_and_every_comparison() -> None:
    """Scrubbed equals model: no spread, where BCa intervals and ratios of noise break."""
    rng = np.random.default_rng(10)
    model = rng.exponential(size=REFERENCES)
    columns = {"model": model, "scrubbed": np.repeat(model[:, None], 4, axis=1), "null": model + rng.random(REFERENCES)}
    losses = Losses(np.arange(REFERENCES), columns)
    for measure in (partial(MEASURES["recovered"][0]), mean_loss):
        change = compare(losses, losses, measure).change
        assert at_most(change, 0.0).outcome == at_least(change, 0.0).outcome == "pass"
    score = MEASURES["recovered"][0](losses)
    assert (score.estimate, score.se) == (1.0, pytest.approx(0.0, abs=1e-12))
    assert at_least(score, 0.99).outcome == "pass"
    assert at_least(score, 1.01).outcome == "fail"
