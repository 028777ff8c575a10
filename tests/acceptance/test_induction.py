"""The shipped language models induct, by the heads that are said to, and the ladder tells the original's story."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.induction.task import CORPORA, LENGTH, dataset, model, python_task, roles, task
from hypotheses.induction.features import last_copy
from hypotheses.induction.ladder import without_heads
from hypotheses.induction.roles import find_roles

TASKS = {"language": task, "python": python_task}
REFERENCES = 120
REPEATED = "second token of a repeated bigram"


@pytest.fixture(scope="module", params=["language", pytest.param("python", marks=pytest.mark.slow)])
def which(request):
    return request.param


@pytest.fixture(scope="module")
def recovered(which):
    """Fraction recovered against the heads-only null on candidates, by rung."""
    experiment = TASKS[which].experiment(references=REFERENCES, draws=1, baselines=False)
    results = experiment.run_all([*TASKS[which].ladder(), without_heads(roles(which))])
    return {one.hypothesis.name.rpartition("/")[2]: one for one in results}


def fraction(recovered, rung):
    return recovered[rung].loss_recovered("heads only").value


def test_roles_are_found_again(which):
    found = find_roles(model(which), CORPORA[which].written_on(300, LENGTH, 13))
    kept = roles(which)
    for role, scores in kept.scores.items():
        assert np.allclose(found.scores[role], scores, atol=1e-3)
    assert (found.previous, found.copies, found.induction) == (kept.previous, kept.copies, kept.induction)
    assert found.strict == pytest.approx(kept.strict, abs=1e-3)


def test_loss_falls_where_tokens_repeat(which):
    """After a token that occurred before, and is followed by what followed it then, the loss is far below average."""
    data = dataset(which)
    tokens = torch.from_numpy(np.array(data["tokens"][:100]))
    with torch.inference_mode():
        logits = model(which).forward(tokens, None)
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none").view(100, -1)
    copies, following = last_copy(tokens.numpy())[:, :-1], tokens[:, 1:].numpy()
    again = (
        (np.take_along_axis(following, copies.clip(0), axis=1) == following)
        & (copies >= 0)
        & data["candidate"][:100, :-1]
    )
    assert float(loss[torch.from_numpy(again)].mean()) < 0.5 * float(loss.mean())


def test_single_paths_are_far_above_the_three_together(recovered):
    for path in ("value", "query", "key"):
        assert fraction(recovered, path) > fraction(recovered, "naive") + 0.1


def test_naive_is_below_60_percent_and_refined_above_80(recovered):
    assert fraction(recovered, "naive") < 0.6
    assert fraction(recovered, "refined") > 0.8
    assert fraction(recovered, "three-tokens") > fraction(recovered, "naive") + 0.15


def test_the_wrong_key_is_worse(recovered):
    assert fraction(recovered, "two-back") < fraction(recovered, "naive")


def test_the_zero_is_zero_and_the_heads_are_worth_something(which, recovered):
    assert abs(fraction(recovered, "heads-only")) < 0.05
    assert abs(fraction(recovered, "without-heads")) < 0.1
    one = recovered["without-heads"]
    assert one.loss().value - one.loss("model").value > {"language": 0.4, "python": 0.3}[which]
    weights, losses = one.slices[REPEATED]
    lost = [losses[name].reshape(len(weights), -1).mean(axis=1) for name in ("scrubbed", "model")]
    assert (weights * (lost[0] - lost[1])).sum() / weights.sum() > 1


def test_baselines_are_in_order(recovered):
    one = recovered["refined"]
    losses = {name: one.loss(name).value for name in one.losses}
    assert losses["model"] < losses["bigram"] < losses["constant"] < losses["null"]
    for weights, by_slice in one.slices.values():
        assert weights.sum() and set(by_slice) == set(one.losses)
