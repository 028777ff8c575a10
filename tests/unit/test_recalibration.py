"""The affine recalibration finds what was done to logits, and is scored on references it did not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.parens.task import our_data, task
from scrubbing import Experiment
from scrubbing.errors import FileError
from scrubbing.experiment import beyond
from scrubbing.experiment.kept import KeptLogits, room_for_logits
from scrubbing.metrics.recalibration import Sample, recalibrate


def kept(logits, targets):
    """Logits, a reference each."""
    found = KeptLogits()
    found.add(torch.as_tensor(logits, dtype=torch.float32), targets, np.arange(len(targets)))
    return found


def sample(scale, weight, prior, n=6000, seed=0):
    """Logits, and targets drawn once scale and prior were applied to them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, len(prior))) * 2
    scores = logits / scale + weight * np.log(prior)
    p = np.exp(scores - scores.max(1, keepdims=True))
    targets = (p.cumsum(1) > rng.random(n)[:, None] * p.sum(1, keepdims=True)).argmax(1)
    return Sample(kept(logits, targets), np.array(prior), np.arange(n) % 2 == 1), logits


@given(scale=st.floats(0.5, 8), weight=st.floats(-0.5, 1.5))
def test_temperature_and_prior_are_found_again(scale, weight):
    prior = np.array([0.7, 0.2, 0.1])
    given, logits = sample(scale, weight, prior)
    held_out = given.held_out
    temperature, found, after, before = recalibrate(given)
    scores = logits[held_out] / scale + weight * np.log(prior)
    best = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(scores)), given.kept.targets[held_out]]
    assert after.mean() <= best.mean() + 0.005  # as good as the parameters the targets were drawn with
    assert after.mean() <= before.mean() + 0.005
    assert 1 / temperature == pytest.approx(1 / scale, rel=0.25, abs=0.1)
    assert found == pytest.approx(weight, abs=0.35)
    assert len(after) == len(before) == held_out.sum()


def test_logits_that_tell_nothing_count_for_nothing():
    rng = np.random.default_rng(1)
    told = kept(rng.normal(size=(400, 2)) * 30, np.arange(400) % 4 // 3)
    temperature, _, after, before = recalibrate(Sample(told, np.array([0.75, 0.25]), np.arange(400) % 8 < 4))
    assert temperature > 100
    assert after.mean() == pytest.approx(0.5623, abs=0.02)  # the entropy of one in four
    assert before.mean() > 5


def test_upside_down_logits_are_not_turned():
    given, logits = sample(1.0, 0.0, np.array([0.5, 0.5]))
    assert recalibrate(replace(given, kept=kept(-logits, given.kept.targets)))[0] == float("inf")


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    width=st.sampled_from([2, 17, 50_000]),
    memory=st.sampled_from([0, 2**26, 2**27, 2**30]),
    share=st.floats(0, 1),
)
def test_logits_are_the_same_in_memory_and_in_files(sizes, width, memory, share):
    """Whatever the budget and the pieces, and after a journal's or a shard's arrays."""
    n = sum(sizes)
    rng = np.random.default_rng(n)
    logits = torch.from_numpy(rng.normal(size=(n, width)).astype(np.float32))
    targets, reference = rng.integers(0, width, n), rng.integers(0, n + 1, n)
    found = KeptLogits(room_for_logits(memory, None))
    for piece in np.split(np.arange(n), np.cumsum(sizes)[:-1]):
        found.add(logits[piece], targets[piece], reference[piece])
    again = KeptLogits(room_for_logits(memory, None))
    again.add_arrays(found.as_arrays())
    some = np.flatnonzero(rng.random(n) < share)
    for one in (found, again):
        assert len(one) == n
        assert one.width == (width if n else 0)
        assert torch.equal(one.take(some), logits[some]) or not len(some)
        assert (one.targets == targets).all() and (one.reference == reference).all()


def test_logits_beyond_the_budget_are_in_files():
    """Of blocks of 4 MiB, as many as a sixteenth of the budget holds are in memory."""
    for mebibytes, in_memory in ((0, 0), (1, 0), (64, 1), (128, 2), (1024, 16), (4096, 16)):
        room = room_for_logits(mebibytes * 2**20, None)
        found = KeptLogits(room)
        for _ in range(16):
            found.add(torch.zeros(8, 2**17), np.zeros(8, np.int64), np.zeros(8, np.int64))
        assert room.used == in_memory * 2**22


def test_a_few_logits_need_no_file():
    """Whatever the budget, unless they are more than it allows by themselves."""
    room = room_for_logits(2**16, "/a folder that does not exist")
    found = KeptLogits(room)
    found.add(torch.zeros(100, 2), np.zeros(100, np.int64), np.zeros(100, np.int64))
    assert 800 <= room.used <= 2**12
    with pytest.raises(FileError, match="SCR-MEMORY"):
        found.add(torch.zeros(1000, 2), np.zeros(1000, np.int64), np.zeros(1000, np.int64))


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
    ((given,),) = seen
    of, held_out = given.kept.reference, given.held_out
    assert not set(of[held_out]) & set(of[~held_out])
    assert len(set(of)) == 60


def test_few_references_are_not_recalibrated():
    experiment = Experiment(task.model(), our_data(500), task.loss(), references=12, baselines=False)
    assert experiment.run(task.rung("signs")).record().recalibrated is None
