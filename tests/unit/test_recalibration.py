"""The affine recalibration finds what was done to logits, and is scored on references it did not see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.parens.task import our_data, task
from scrubbing import Experiment
from scrubbing.experiment import beyond
from scrubbing.metrics.recalibration import Kept, recalibrate


def sample(scale, weight, prior, n=6000, seed=0):
    """Logits, and targets drawn once scale and prior were applied to them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, len(prior))) * 2
    scores = logits / scale + weight * np.log(prior)
    p = np.exp(scores - scores.max(1, keepdims=True))
    targets = (p.cumsum(1) > rng.random(n)[:, None] * p.sum(1, keepdims=True)).argmax(1)
    return Kept(logits.astype(np.float32), targets, np.arange(n)), np.arange(n) % 2 == 1


@given(scale=st.floats(0.5, 8), weight=st.floats(-0.5, 1.5))
def test_temperature_and_prior_are_found_again(scale, weight):
    prior = np.array([0.7, 0.2, 0.1])
    kept, held_out = sample(scale, weight, prior)
    temperature, found, after, before = recalibrate(kept, prior, held_out)
    scores = kept.logits[held_out] / scale + weight * np.log(prior)
    best = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(scores)), kept.targets[held_out]]
    assert after.mean() <= best.mean() + 0.005  # as good as the parameters the targets were drawn with
    assert after.mean() <= before.mean() + 0.005
    assert 1 / temperature == pytest.approx(1 / scale, rel=0.25, abs=0.1)
    assert found == pytest.approx(weight, abs=0.35)
    assert len(after) == len(before) == held_out.sum()


def test_logits_that_tell_nothing_count_for_nothing():
    rng = np.random.default_rng(1)
    kept = Kept(rng.normal(size=(400, 2)).astype(np.float32) * 30, np.arange(400) % 4 // 3, np.arange(400))
    temperature, _, after, before = recalibrate(kept, np.array([0.75, 0.25]), np.arange(400) % 8 < 4)
    assert temperature > 100
    assert after.mean() == pytest.approx(0.5623, abs=0.02)  # the entropy of one in four
    assert before.mean() > 5


def test_upside_down_logits_are_not_turned():
    kept, held_out = sample(1.0, 0.0, np.array([0.5, 0.5]))
    turned = Kept(-kept.logits, kept.targets, kept.reference)
    assert recalibrate(turned, np.array([0.5, 0.5]), held_out)[0] == float("inf")


def test_a_scrubbed_model_that_is_overconfident_is_told():
    """Two tests: worse than the constant as it is, better than it once it is less sure."""
    experiment = Experiment(task.model(), our_data(2_000), task.loss(), references=200, baselines=False)
    record = experiment.run(task.rung("two-tests")).record()
    assert record.recalibrated is not None and record.recalibrated.temperature is not None
    assert record.recalibrated.temperature > 3
    constant = record.losses["constant"].value
    assert record.recalibrated.loss.value < constant < record.recalibrated.before.value
    assert record.recalibrated.references == 100


def test_fitted_and_scored_on_halves_that_share_no_reference(monkeypatch):
    seen = []
    real = beyond.recalibrate
    monkeypatch.setattr(beyond, "recalibrate", lambda *given: seen.append(given) or real(*given))
    experiment = Experiment(task.model(), our_data(500), task.loss(), references=60, baselines=False)
    experiment.run(task.rung("two-tests"))
    ((kept, _, held_out),) = seen
    assert not set(kept.reference[held_out]) & set(kept.reference[~held_out])
    assert len(set(kept.reference)) == 60


def test_few_references_are_not_recalibrated():
    experiment = Experiment(task.model(), our_data(500), task.loss(), references=12, baselines=False)
    assert experiment.run(task.rung("signs")).record().recalibrated is None
