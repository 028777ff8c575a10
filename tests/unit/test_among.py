"""The loss over some tokens is that of a model that has no others, and its constant is the best one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubbing import Classification, Dataset, Predictions
from scrubbing.metrics import AmongTokens, LogitDifference, ProbabilityDifference

TOKENS = (7, 2, 5)


def made(seed, several):
    rng = np.random.default_rng(seed)
    right = rng.random((20, 3)) < 0.5
    right[np.arange(20), rng.integers(3, size=20)] = True
    label = right if several else np.array(TOKENS)[right.argmax(axis=1)]
    columns = {"tokens": rng.integers(9, size=(20, 4)), "label": label, "other": rng.integers(9, size=20)}
    return Dataset(columns), torch.tensor(rng.normal(size=(20, 9)), dtype=torch.float32), right


ROWS, LAST = np.arange(20), np.full(20, 3)


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_one_right_token_is_classification_among_the_tokens_alone(seed):
    data, output, _ = made(seed, several=False)
    loss = AmongTokens(TOKENS)
    place = data.with_columns(label=[TOKENS.index(one) for one in data["label"]])
    plain = Classification("label", position="last")
    alone = output[:, list(TOKENS)]
    assert torch.allclose(
        loss.per_token(output, data, ROWS, LAST), plain.per_token(alone, place, ROWS, LAST), atol=1e-6
    )
    assert (loss.correct(output, data, ROWS, LAST) == plain.correct(alone, place, ROWS, LAST)).all()
    assert np.allclose(loss.constant(data, loss.counted(data, 4)), plain.constant(place, plain.counted(place, 4)))
    assert (loss.counted(data, 4) == plain.counted(data, 4)).all()


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_of_several_right_tokens_each_is_as_likely_to_be_asked_for(seed):
    data, output, right = made(seed, several=True)
    loss = AmongTokens(TOKENS)
    found = loss.per_token(output, data, ROWS, LAST).numpy()
    p = output[:, list(TOKENS)].double().softmax(1).numpy()
    for row in range(20):
        assert found[row] == pytest.approx(np.mean([-np.log(p[row, k]) for k in np.flatnonzero(right[row])]))
    constant = loss.constant(data, loss.counted(data, 4)).sum() / 20
    for guess in np.random.default_rng(seed).dirichlet(np.ones(3), size=50):
        asked = -(right / right.sum(1, keepdims=True) * np.log(guess)).sum(1).mean()
        assert constant <= asked + 1e-9


def test_published_metrics_are_what_they_are_called():
    data, output, right = made(1, several=False)
    loss, other = AmongTokens(TOKENS), output.flip(1)
    given = Predictions(output, other, loss, data, ROWS, LAST)
    for of, logits in (("scrubbed", other), ("model", output)):
        difference = LogitDifference(of=of).per_token(given)
        assert difference.numpy() == pytest.approx(
            logits.numpy()[ROWS, data["label"]] - logits.numpy()[ROWS, data["other"]]
        )
        p = logits[:, list(TOKENS)].double().softmax(1).numpy()
        first = np.eye(3, dtype=bool)[right.argmax(axis=1)]
        expected = (p * first).sum(1) - (p * ~first).sum(1)
        assert ProbabilityDifference(of=of).per_token(given).numpy() == pytest.approx(expected)
    assert not ProbabilityDifference().defined(Classification("label"))
    assert LogitDifference().name != LogitDifference(of="model").name
