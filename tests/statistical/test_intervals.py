"""Nominal 95 % intervals cover 95 % in a simulation with the shape of a scrub: few draws per reference, heavy tails."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from scrubbing.metrics.recovered import fraction, loss_recovered
from scrubbing.stats.intervals import Bootstrap

REFERENCES, DRAWS, RUNS = 200, 4, 1000
TRUE = {"model": 0.1, "scrubbed": 1.1, "null": 4.1, "accuracy": 0.8}


def simulated(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Losses of one run. Draws of one reference are alike: some references are hard, and all their draws suffer."""
    hard = rng.gamma(0.5, 2.0, size=REFERENCES)  # mean 1
    model = rng.exponential(0.1, size=REFERENCES)
    scrubbed = model[:, None] + hard[:, None] * rng.exponential(1.0, size=(REFERENCES, DRAWS))
    null = model[:, None] + 8 * (rng.random((REFERENCES, DRAWS)) < 0.5)
    right = rng.random((REFERENCES, DRAWS)) < rng.beta(2.0, 0.5, size=REFERENCES)[:, None]  # mean 0.8
    return {"model": model, "scrubbed": scrubbed, "null": null, "accuracy": right}


@cache
def covered() -> dict[str, float]:
    """How often each interval contains the truth."""
    rng = np.random.default_rng(1)
    truth = {**TRUE, "recovered": fraction(TRUE, "null")}
    times = dict.fromkeys([*truth, "treating draws as inputs"], 0)
    for run in range(RUNS):
        columns = simulated(rng)
        losses = Bootstrap(columns, seed=run)
        found = {name: losses.mean(name) for name in TRUE}
        found["recovered"] = loss_recovered(losses, "null")
        for name, estimate in found.items():
            assert estimate.low is not None
            assert estimate.high is not None
            times[name] += estimate.low <= truth[name] <= estimate.high
        flat = columns["scrubbed"].ravel()
        half = 1.96 * flat.std(ddof=1) / np.sqrt(flat.size)
        times["treating draws as inputs"] += abs(flat.mean() - TRUE["scrubbed"]) <= half
    return {name: count / RUNS for name, count in times.items()}


@pytest.mark.parametrize("name", [*TRUE, "recovered"])
def test_coverage(name: str) -> None:
    """97 % and 93 %: a simulation of 1,000 runs has a standard error of 0.7 points."""
    assert 0.93 <= covered()[name] <= 0.97


def test_draws_are_not_inputs() -> None:
    """The naive interval, which counts every draw, covers far less; it is what averaging inside an input prevents."""
    assert covered()["treating draws as inputs"] < 0.9


def test_standard_errors_are_the_spread_over_runs() -> None:
    rng = np.random.default_rng(2)
    runs = [Bootstrap(simulated(rng), seed=i) for i in range(100)]
    for name in TRUE:
        estimates = [run.mean(name) for run in runs]
        spread = np.std([estimate.value for estimate in estimates], ddof=1)
        assert np.mean([estimate.se for estimate in estimates]) == pytest.approx(spread, rel=0.2)


@cache
def covered_in_clusters() -> dict[str, float]:
    """The same for 200 templates of two inputs each, where hard is the template."""
    rng = np.random.default_rng(3)
    truth = {"scrubbed": 1.1, "recovered": 0.75}
    times = dict.fromkeys([*truth, "without clusters"], 0)
    clusters = np.repeat(np.arange(REFERENCES), 2)
    n = len(clusters)
    for run in range(RUNS):
        hard = rng.gamma(0.5, 2.0, size=REFERENCES)[clusters]
        model = rng.exponential(0.1, size=n)
        scrubbed = model[:, None] + hard[:, None] * rng.exponential(1.0, size=(n, DRAWS))
        null = model[:, None] + 8 * (rng.random((n, DRAWS)) < 0.5)
        aware = Bootstrap({"model": model, "scrubbed": scrubbed, "null": null}, seed=run, clusters=clusters)
        found = {"scrubbed": aware.mean("scrubbed"), "recovered": loss_recovered(aware, "null")}
        for name, estimate in found.items():
            assert estimate.low is not None
            assert estimate.high is not None
            times[name] += estimate.low <= truth[name] <= estimate.high
        naive = scrubbed.mean(axis=1)
        times["without clusters"] += abs(naive.mean() - 1.1) <= 1.96 * naive.std(ddof=1) / np.sqrt(n)
    return {name: count / RUNS for name, count in times.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scrubbed", "recovered"])
def test_coverage_in_clusters(name: str) -> None:
    assert 0.93 <= covered_in_clusters()[name] <= 0.97


def test_clusters_are_not_inputs() -> None:
    assert covered_in_clusters()["without clusters"] < 0.9
