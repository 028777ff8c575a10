"""A control from outside: the same hypothesis on another model. One file, public names only; and ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import (
    OUTPUT,
    Classification,
    Control,
    Dataset,
    Experiment,
    Hypothesis,
    NextToken,
    ToyModel,
    Trial,
    Variable,
    controls,
    everything,
    feature,
    head,
    node,
    scrub,
)
from scrubbing.samplers import agree, generated
from scrubbing.testing import check_hypothesis


@feature
def x_bit(data: Dataset) -> Any:
    return data["x"] == 1


@feature
def y_bit(data: Dataset) -> Any:
    return data["y"] == 1


def model(weight: float, name: str) -> ToyModel:
    """Reports x, with so much of y mixed in."""

    def logits(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        seen = (1 - weight) * x + weight * y
        return torch.cat([1 - seen, seen], 1) * 4

    return ToyModel({"x": "x", "y": "y"}, {"logits": (logits, {"x": ["x"], "y": ["y"]})}, name=name)


X, Y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 50).astype(float)
DATA = Dataset({"x": X, "y": Y, "label": X.astype(int)}, name="bits")
OURS, OTHER = model(0.0, "reports x"), model(1.0, "reports y")
ONLY_X = Hypothesis(
    "x", "x matters.", OUTPUT.carries(Variable("out", everything), node("x").direct().carries(Variable("x", x_bit)))
)


@controls("reports-y")
class ReportsY(Control):
    """A model that the hypothesis is false of, judged by what it does report."""

    def __init__(self) -> None:
        super().__init__("reports-y", "a model that reports y", "fails", self._changed)

    def _changed(self, trial: Trial) -> Trial:
        return replace(trial, model=OTHER, data=trial.data.with_columns(label=trial.data["y"].astype(int)))


AGAIN = Control("again", "the same once more", "holds", lambda trial: trial)


def run(*names: Any, **changed: Any) -> Any:
    return scrub(ONLY_X, OURS, DATA, Classification(), references=100, controls=names, **changed)


def recovered(record: Any, name: str) -> Any:
    found = next(one for one in record.controls if one.name == name)
    return next(one for one in found.recovered if one.baseline == "null").fraction


def test_on_another_model() -> None:
    """There x does not matter, so that nothing is recovered; beside it all is as without the control."""
    record = run("reports-y", AGAIN).record()
    assert recovered(record, "reports-y").value == pytest.approx(0, abs=0.2)
    assert recovered(record, "again").value == 1.0
    control = record.controls[0]
    assert (control.meaning, control.expected) == ("a model that reports y", "fails")
    assert set(control.losses) == {"model", "scrubbed", "null", "constant"}
    assert control.losses["model"].value == pytest.approx(record.losses["model"].value)  # as good at its own task
    without = run().record()
    assert (record.losses, record.recovered, record.notes) == (without.losses, without.recovered, without.notes)


@pytest.mark.parametrize("outlet", ["terminal", "page", "Markdown"])
def test_in_every_outlet(outlet: str, outlets: Any) -> None:
    told = outlets(run("reports-y", "shuffled-labels"))[outlet]
    assert "a model that reports y" in told
    assert "judged by the labels of other inputs" in told


def test_the_same_jobs_as_any_hypothesis() -> None:
    """Legality, plan and oracle are those of the other model; a control on the same subject shares what is shared."""
    experiment = Experiment(OURS, DATA, Classification(), references=100, controls=["reports-y", AGAIN])
    jobs = experiment.jobs(ONLY_X)
    assert [(job.control, job.name) for job in jobs] == [
        *[("", name) for name in ("scrubbed", "null", "mean rest", "mean claimed")],
        *[(control, name) for control in ("reports-y", "again") for name in ("scrubbed", "null")],
    ]
    null, other = (next(job for job in jobs if (job.control, job.name) == (c, "null")) for c in ("", "again"))
    assert null == other
    theirs = next(job for job in jobs if job.control == "reports-y")
    assert theirs.subject.model is OTHER
    check_hypothesis(theirs.hypothesis, theirs.subject.model, theirs.subject.data)
    assert "scrubbed" in experiment.plan(ONLY_X)[4][1].roots


def test_shuffled_labels() -> None:
    """The model is no better than chance at what nothing computes, so that there is no fraction to recover."""
    record = run("shuffled-labels").record()
    assert recovered(record, "shuffled-labels") is None
    losses = record.controls[0].losses
    assert losses["model"].value > losses["constant"].value == pytest.approx(np.log(2), abs=0.01)


def test_shuffled_labels_of_a_language_model(tiny_model: Any) -> None:
    """What is judged is what belongs there in another sequence, and only where there is something."""
    tokens = np.random.default_rng(0).integers(1, 40, (60, 6))
    mask = np.arange(6)[None] < np.tile([6, 5, 3], 20)[:, None]
    data = Dataset({"tokens": tokens, "mask": mask}, name="text")
    parity = feature(name="parity")(lambda data: data.ids % 2)
    whole = head(1, 0).direct().carries(Variable("parity", parity))
    made = Hypothesis("h", "A head.", OUTPUT.carries(Variable("out", everything), whole))
    result = scrub(made, tiny_model("GPT-2"), data, NextToken(), controls=["shuffled-labels"], baselines=False, draws=1)
    control = result.record().controls[0]
    assert np.isfinite([one.value for one in control.losses.values()]).all()
    trial = controls["shuffled-labels"].change(Trial(made, result.job.subject.model, data, NextToken()))
    counted, usual = (loss.counted(data, 6) for loss in (trial.loss, NextToken()))
    assert (counted <= usual).all() and 0 < counted.sum() < usual.sum()
    rows, positions = np.nonzero(counted)
    targets = trial.loss.targets(data, rows, positions, torch.empty(0, 50))
    assert targets is not None
    own = NextToken().targets(data, rows, positions, torch.empty(0, 50))
    assert (targets != own).float().mean() > 0.8
    assert targets.min() >= 1 and mask[rows, positions].all()  # a token of another sequence, never its padding


def test_shuffled_features() -> None:
    """As many classes of the same sizes; x of another input is as good as none."""
    record = run("shuffled-features", draws=16).record()
    assert recovered(record, "shuffled-features").value == pytest.approx(0, abs=0.1)


def test_shuffled_features_everywhere() -> None:
    """Below each other, in samplers, of variables that are computed from others; generated inputs are drawn instead."""
    x, y = Variable("x", x_bit), Variable("y", y_bit)
    both = Variable("both", parents=(x, y), value=lambda a, b: a & b)
    claims = [
        node("x").direct().carries(x, sampler=agree(x_bit, y_bit)),
        node("y").direct().carries(y, sampler=generated(lambda held, random: {name: held[name] for name in held})),
    ]
    made = Hypothesis("b", "Both.", OUTPUT.carries(both, *claims))
    changed = controls["shuffled-features"].change(Trial(made, OURS, DATA, Classification())).hypothesis
    changed.check(OURS.graph(DATA), DATA)
    for was, now in zip(made.correspondence.walk(), changed.correspondence.walk(), strict=True):
        before, after = was.variable.agrees_on()(DATA), now.variable.agrees_on()(DATA)
        assert (before != after).any() and (np.sort(before) == np.sort(after)).all()
    sampled = [claim.sampler for claim in changed.correspondence.children]
    assert sampled[0] is not None and "shuffled" in str(sampled[0]) and sampled[1] is None
    assert {one.name for one in changed.interpretation.variables} == {"x", "y", "both"}


def test_every_input_is_judged_by_another_one() -> None:
    """Whatever the order of the rows."""
    from scrubbing.data import other_inputs

    rows = other_inputs(DATA, "any")
    assert sorted(rows) == list(range(len(DATA))) and (rows != np.arange(len(DATA))).all()
    turned = DATA.take(np.arange(len(DATA))[::-1])
    assert (turned.ids[other_inputs(turned, "any")][::-1] == DATA.ids[rows]).all()
    assert (other_inputs(DATA, "other") != rows).any()
