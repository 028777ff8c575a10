"""Where the rest is lost: shares that are known, and shares that sum to what is lost whatever they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import Claim, Experiment, NoFraction, RunRecord, Variable, anything, node
from scrubbing.experiment.verdict import attribution as shares_of
from scrubbing.experiment.verdict.attribution import attribute, players
from scrubbing.experiment.verdict.runs import Runs
from scrubbing.records.attribution import Attribution
from scrubbing.report.terminal import verdict_view
from tests.verdict.toys import bits, claimed, column, copy, experiment, same, shown, variable

NAMES = "abcdefgh"
BITS = bits(0, 4000, NAMES)


def summed(weights: dict[str, float], label: Any = None, **settings: Any) -> Experiment:
    """A weighted sum of columns, which is the label unless another is given."""

    def total(**read: torch.Tensor) -> torch.Tensor:
        return sum(weights[name] * value for name, value in read.items())  # type: ignore[return-value]

    if label is None:
        label = sum(w * BITS[name] for name, w in weights.items())
    return experiment({"out": (total, {name: [name] for name in weights})}, BITS, label, **settings)


def attributed(weights: dict[str, float], *claims: Claim, **changed: Any) -> tuple[Attribution, Runs, float]:
    made = summed(weights)
    result = made.run(claimed(*claims))
    gap = float(result.loss("null").value - result.loss("model").value)
    runs = Runs(result.job, made.executor, **changed)
    return attribute(runs, gap), runs, gap


def of(found: Attribution, variable: str) -> Any:
    return next(one.share for one in found.shares if one.variable == variable)


def free(name: str) -> Claim:
    """A claim that the node carries nothing."""
    return node(name).direct().carries(Variable(f"not {name}", anything))


@pytest.mark.parametrize("method", ["all subsets", "sampled orders"])
def test_independent_errors_have_the_shares_of_their_squares(method, monkeypatch):
    """Two bits drawn independently differ half of the time, so an error of weight w costs w^2 / 2, in every order."""
    if method == "sampled orders":
        monkeypatch.setattr(shares_of, "MOST_EXACT", 0)
    weights = {"a": 1.0, "b": 2.0, "c": 2.0}
    found, _, gap = attributed(weights, free("a"), free("b"), draws=20)
    assert found.method == method
    for name, cost in (("not a", 0.5), ("not b", 2.0), ("", 2.0)):
        share = of(found, name)
        assert share.low is not None and share.high is not None
        assert share.low * gap < cost < share.high * gap
        assert share.high - share.low < 0.2
    assert found.lost.low is not None and found.lost.high is not None
    assert found.lost.low * gap < 4.5 < found.lost.high * gap
    assert sum(one.share.value for one in found.shares) == pytest.approx(found.lost.value, abs=1e-12)


@pytest.mark.parametrize("number", [2, 6])
def test_shares_sum_to_what_is_lost_on_the_same_references(number):
    weights = dict.fromkeys(NAMES, 1.0)
    found, runs, gap = attributed(weights, *(free(name) for name in NAMES[:number]))
    assert found.method == ("all subsets" if number == 2 else "sampled orders")
    samples = list(runs._samples.values())
    losses = runs.losses_of([(sample, runs.scrub.mode) for sample in samples])  # all known: nothing is run again
    lost = np.mean([one.mean() for one in losses]) / gap  # the model itself has none
    assert sum(one.share.value for one in found.shares) == pytest.approx(lost, abs=1e-9)
    assert found.lost.value == pytest.approx(lost, abs=1e-9)


def test_runs_stay_within_the_budget():
    for number in (4, 7):
        _, runs, _ = attributed(dict.fromkeys(NAMES, 1.0), *(free(name) for name in NAMES[:number]))
        assert runs.count <= 40 * runs.references * runs.draws


def chain() -> Experiment:
    """The output is `late`, which copies `early`, which copies a; b is read beside it and does nothing."""
    nodes = {
        "early": copy("a"),
        "late": (same, {"early": ["early"]}),
        "out": (lambda late, b: late + 0.0 * b, {"late": ["late"], "b": ["b"]}),
    }
    return experiment(nodes, BITS, BITS["a"])


@pytest.mark.parametrize("wrong", ["late", "early"])
def test_the_claim_with_the_wrong_feature_has_all_of_it(wrong):
    """Also below another claim, and above one: a claim that is restored passes on what lies above it."""
    made = chain()
    late, early = (Variable(name, column("b" if name == wrong else "a")) for name in ("late", "early"))
    hypothesis = claimed(node("late").direct().carries(late, node("early").direct().carries(early)))
    found = made.attribute(made.run(hypothesis))
    assert found.shares[0].variable == wrong
    assert of(found, wrong).value == pytest.approx(found.lost.value, abs=0.02)
    assert found.lost.value > 0.8
    assert {one.variable: one.below for one in found.shares}["early"] == str(node("late").direct())


def test_claims_of_one_group_are_one_player():
    weights = {"a": 1.0, "b": 1.0}
    together = [node(name).direct().carries(Variable("either", anything), group="both") for name in "ab"]
    found, runs, _ = attributed(weights, *together)
    assert [one.regions for one in players(runs.scrub)] == [(1, 2), ()]
    assert found.shares[0].share.value == pytest.approx(found.lost.value, abs=1e-9)


def test_a_model_that_is_no_better_than_the_null_has_nothing_to_share_out():
    made = summed({"a": 1.0}, BITS["b"], references=500)
    with pytest.raises(NoFraction, match="SCR-FRACTION"):
        made.attribute(made.run(claimed(free("a"))))


def test_an_insufficient_verdict_says_where_the_rest_is_lost():
    weights = {"a": 2.0, "b": 1.0}
    a, b = (node(name).direct().carries(variable(name)) for name in "ab")
    one, both = (summed(weights).verdict(claimed(*claims)) for claims in ((a,), (a, b)))
    assert both.tested is not None and both.tested.attribution is None
    record = RunRecord.model_validate_json(one.record().model_dump_json())
    assert record.tested is not None and record.tested.attribution is not None
    assert record.tested.attribution.shares[0].what == ""
    said = shown(verdict_view(record))
    assert "Where the rest is lost" in said and "goes back to what is unclaimed" in said
