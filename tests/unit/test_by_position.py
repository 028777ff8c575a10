"""(Sequence, position) pairs as inputs: which there are, what they hold, and that claims and losses find the place."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Dataset,
    Experiment,
    Hypothesis,
    IllegalHypothesis,
    NextToken,
    Variable,
    anything,
    at_position,
    by_position,
    everything,
    feature,
    head,
    same_position,
)
from scrubbing.samplers import exact, fixed

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, 50, size=(12, 6))
DATA = Dataset({"tokens": TOKENS, "kind": np.arange(12) % 3}, ids=np.arange(12) + 100)


@feature(per="position")
def even(data):
    return data["tokens"] % 2 == 0


@feature(per="position")
def second(data):
    return np.broadcast_to(np.arange(data["tokens"].shape[1]) == 1, data["tokens"].shape)


def test_a_claim_at_the_position_comes_back_from_json():
    claim = head(1, 0).direct().at(at_position).carries(Variable("position", same_position))
    h = Hypothesis("h", "c", OUTPUT.carries(Variable("output", everything), claim))
    assert Hypothesis.from_json(h.to_json()) == h


def test_one_input_per_pair():
    pairs = by_position(DATA, even)
    rows, positions = np.nonzero(TOKENS % 2 == 0)
    assert (pairs["position"] == positions).all() and (pairs["sequence"] == rows + 100).all()
    assert (pairs["tokens"] == TOKENS[rows]).all() and (pairs["kind"] == rows % 3).all()
    assert len(set(pairs.ids)) == len(rows)
    assert (pairs["tokens"][at_position(pairs)] == TOKENS[rows, positions]).all()
    assert (same_position(pairs) == positions).all()


def test_windows_end_at_the_position():
    pairs = by_position(DATA, even, context=3)
    expected = [(row, t) for row, t in zip(*np.nonzero(TOKENS % 2 == 0), strict=True) if 2 <= t < TOKENS.shape[1] - 1]
    assert pairs["tokens"].tolist() == [TOKENS[row, t - 2 : t + 2].tolist() for row, t in expected]
    assert set(pairs["position"]) == {2}
    assert (pairs["kind"] == [row % 3 for row, _ in expected]).all()


def test_padding_keeps_its_mask():
    mask = np.arange(6) < np.repeat([6, 4], 6)[:, None]
    pairs = by_position(DATA.with_columns(mask=mask), even, context=2)
    assert pairs["mask"].shape == pairs["tokens"].shape


def test_the_mean_over_pairs_is_the_mean_over_counted_positions(tiny_model):
    """Everything exact: scoring pairs at their positions is scoring the slice."""
    model = tiny_model("native attention-only")
    h = Hypothesis("exact", "All.", OUTPUT.carries(Variable("output", everything)))
    whole = Experiment(model, DATA, NextToken(even), baselines=False).run(h).loss()
    pairs = by_position(DATA, even)
    pairs = pairs.take(pairs["position"] < 5)
    each = Experiment(model, pairs, NextToken(at_position), baselines=False).run(h).loss()
    assert each.value == pytest.approx(whole.value, abs=1e-6)


def test_a_claim_at_the_position_is_one_at_that_index(tiny_model):
    """All pairs at position 1: `.at(at_position)` and `.at(1)` exchange the same."""
    model = tiny_model("native attention-only")
    pairs = by_position(DATA, second)

    def loss(where):
        claim = head(1, 0).direct().at(where).carries(Variable("nothing", anything), sampler=fixed(7))
        h = Hypothesis("h", "c", OUTPUT.carries(Variable("output", everything), claim, unclaimed=exact))
        result = Experiment(model, pairs, NextToken(at_position), baselines=False).run(h)
        return result.loss().value, result.loss("model").value

    (chosen, own), (by_index, _) = loss(at_position), loss(1)
    assert chosen == pytest.approx(by_index, abs=1e-6)
    assert chosen != pytest.approx(own, abs=1e-4)
    with pytest.raises(IllegalHypothesis, match="logits reads it at 1 only, and the claim is on 3"):
        loss(3)
