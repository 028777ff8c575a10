"""Where the rest is lost: shares that are known, and shares that sum to what is lost whatever they are."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from scrubbing import (
    OUTPUT,
    Claim,
    Dataset,
    Experiment,
    Hypothesis,
    NoFraction,
    RunRecord,
    SquaredError,
    ToyModel,
    Variable,
    anything,
    everything,
    feature,
    node,
)
from scrubbing.experiment.verdict import attribution as shares_of
from scrubbing.experiment.verdict.attribution import attribute, players
from scrubbing.experiment.verdict.runs import Runs
from scrubbing.records.attribution import Attribution
from scrubbing.report.terminal import verdict_view

BITS = np.random.default_rng(0).integers(0, 2, (4000, 8)).astype(np.float64)
NAMES = "abcdefgh"
OUT, ANY = Variable("output", everything), Variable("anything", anything)


def inputs(weights: dict[str, float]) -> Dataset:
    columns = dict(zip(NAMES, BITS.T, strict=True))
    return Dataset({**columns, "label": sum(w * columns[name] for name, w in weights.items())}, name="bits")


def summed(weights: dict[str, float]) -> ToyModel:
    """The label itself, of one node for each column."""

    def total(**read: torch.Tensor) -> torch.Tensor:
        return sum(weights[name] * value for name, value in read.items())  # type: ignore[return-value]

    return ToyModel({name: name for name in NAMES}, {"out": (total, {name: [name] for name in weights})})


def attributed(weights: dict[str, float], *claims: Claim, **changed: Any) -> tuple[Attribution, Runs, float]:
    experiment = Experiment(summed(weights), inputs(weights), SquaredError("label"), references=1000)
    result = experiment.run(Hypothesis("toy", "As claimed.", OUTPUT.carries(OUT, *claims)))
    gap = float(result.loss("null").value - result.loss("model").value)
    runs = Runs(result.job, experiment.executor, **changed)
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


@pytest.mark.parametrize("claimed", [2, 6])
def test_shares_sum_to_what_is_lost_on_the_same_references(claimed):
    weights = dict.fromkeys(NAMES, 1.0)
    found, runs, gap = attributed(weights, *(free(name) for name in NAMES[:claimed]))
    assert found.method == ("all subsets" if claimed == 2 else "sampled orders")
    samples = list(runs._samples.values())
    losses = runs.losses_of([(sample, runs.scrub.mode) for sample in samples])  # all known: nothing is run again
    lost = np.mean([one.mean() for one in losses]) / gap  # the model itself has none
    assert sum(one.share.value for one in found.shares) == pytest.approx(lost, abs=1e-9)
    assert found.lost.value == pytest.approx(lost, abs=1e-9)


def test_runs_stay_within_the_budget():
    for claimed in (4, 7):
        _, runs, _ = attributed(dict.fromkeys(NAMES, 1.0), *(free(name) for name in NAMES[:claimed]))
        assert runs.count <= 40 * runs.references * runs.draws


@feature
def bit_a(data: Dataset) -> Any:
    return data["a"] == 1


@feature
def bit_b(data: Dataset) -> Any:
    return data["b"] == 1


def chain() -> tuple[ToyModel, Dataset]:
    """The output is `late`, which copies `early`, which copies a; z is read beside it and does nothing."""

    def same(early: torch.Tensor) -> torch.Tensor:
        return early

    nodes = {
        "early": (lambda a: a, {"a": ["a"]}),
        "late": (same, {"early": ["early"]}),
        "out": (lambda late, b: late + 0.0 * b, {"late": ["late"], "b": ["b"]}),
    }
    model = ToyModel({name: name for name in NAMES}, nodes)
    columns = dict(zip(NAMES, BITS.T, strict=True))
    return model, Dataset({**columns, "label": columns["a"]}, name="bits")


@pytest.mark.parametrize("wrong", ["late", "early"])
def test_the_claim_with_the_wrong_feature_has_all_of_it(wrong):
    """Also below another claim, and above one: a claim that is restored passes on what lies above it."""
    model, data = chain()
    late, early = (Variable(name, bit_b if name == wrong else bit_a) for name in ("late", "early"))
    hypothesis = Hypothesis(
        "chain",
        "As claimed.",
        OUTPUT.carries(OUT, node("late").direct().carries(late, node("early").direct().carries(early))),
    )
    experiment = Experiment(model, data, SquaredError("label"), references=1000)
    found = experiment.attribute(experiment.run(hypothesis))
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
    data = inputs({"a": 1.0})
    data = data.with_columns(label=data["b"])
    experiment = Experiment(summed({"a": 1.0}), data, SquaredError("label"), references=500)
    with pytest.raises(NoFraction, match="SCR-FRACTION"):
        experiment.attribute(experiment.run(Hypothesis("toy", "As claimed.", OUTPUT.carries(OUT, free("a")))))


def test_an_insufficient_verdict_says_where_the_rest_is_lost():
    weights = {"a": 2.0, "b": 1.0}
    experiment = Experiment(summed(weights), inputs(weights), SquaredError("label"), references=1000)
    a = node("a").direct().carries(Variable("a", bit_a))
    one, both = (
        experiment.verdict(Hypothesis("toy", "As claimed.", OUTPUT.carries(OUT, *claims)))
        for claims in ((a,), (a, node("b").direct().carries(Variable("b", bit_b))))
    )
    assert both.tested is not None and both.tested.attribution is None
    record = RunRecord.model_validate_json(one.record().model_dump_json())
    assert record.tested is not None and record.tested.attribution is not None
    assert record.tested.attribution.shares[0].what == ""
    console = Console(file=io.StringIO(), width=100)
    console.print(verdict_view(record))
    said = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "Where the rest is lost" in said and "goes back to what is unclaimed" in said
