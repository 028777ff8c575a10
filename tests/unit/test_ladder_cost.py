"""What a scrubbed sequence of the induction ladder costs, and the short cut that keeps free patterns cheap."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.induction.task import LENGTH, model, rungs
from scrubbing import Dataset
from scrubbing.engine.cost import cost
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine

LIMIT = 1.5
"""Plain forward passes. No rung is exempt."""


def _engine(which: str) -> Engine:
    tokens = np.random.default_rng(0).integers(0, 200, (8, LENGTH))
    return Engine(model(which), Dataset({"tokens": tokens}), fixed(tuple(range(LENGTH - 1))))


@pytest.mark.parametrize("which", ["language", "python"])
def test_no_rung_takes_more_than_one_and_a_half_plain_passes(which):
    engine = _engine(which)
    ratios = {rung.name: cost(engine.compile(rung).plan).ratio for rung in rungs(which)}
    assert len(ratios) == 13
    assert {name: ratio for name, ratio in ratios.items() if ratio > LIMIT} == {}


@pytest.mark.parametrize("rung", ["naive", "free-pattern"])
def test_weights_of_a_pattern_move_what_the_whole_pattern_would(rung, monkeypatch):
    short = _engine("python")
    (hypothesis,) = [one for one in rungs("python") if one.name == f"induction/{rung}"]
    compiled = short.compile(hypothesis)
    assert any(item.kind == "weights" for item in compiled.plan.items())
    rows = np.arange(4)
    found = short.outputs(compiled, rows, 1, 0)
    whole = _engine("python")
    monkeypatch.setattr(whole.model, "splits_attention", False)
    plain = whole.compile(hypothesis)
    assert not any(item.kind == "weights" for item in plain.plan.items())
    assert cost(plain.plan).flops > 1.3 * cost(compiled.plan).flops
    torch.testing.assert_close(found, whole.outputs(plain, rows, 1, 0), rtol=1e-4, atol=1e-4)
