"""Hypotheses that cannot fail, or hardly: each is said to be, and ordinary ones are not."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    Variable,
    everything,
    feature,
    head,
    mlp,
    reads,
)
from scrubbing.gate.held import VACUOUS
from scrubbing.report import said, wordings


@feature
def parity(data):
    """The label under another name."""
    return data["tokens"].sum(axis=1) % 2 + 5


@feature
def first(data):
    return data["tokens"][:, 1]


@feature
def with_parity(data):
    """Finer than the label."""
    return data["tokens"].sum(axis=1) % 4


@feature
def whole(data):
    """A number for each different input."""
    return (data["tokens"].astype(np.int64) * 9 ** np.arange(6)).sum(axis=1)


OUT = Variable("out", everything)
PARITY, FIRST = Variable("parity", parity), Variable("first", first)


def dataset(copies=1):
    tokens = np.repeat(np.random.default_rng(0).integers(1, 8, size=(64, 6)), copies, axis=0)
    return Dataset({"tokens": tokens, "label": tokens.sum(1) % 2}, name="tokens")


@pytest.fixture(scope="module")
def run(tiny_model):
    def experiment(*claims, data=None, **options):
        options = {"references": 40, "draws": 2, "baselines": False, **options}
        loss = Classification("label", padding_is_input=True)
        made = Experiment(tiny_model("native LN"), data or dataset(), loss, **options)
        return made.run(Hypothesis("h", "A claim.", OUTPUT.carries(OUT, *claims)))

    return experiment


def codes(result):
    return {note.code for note in result.record().notes}


NEW = {
    "claim-keeps-input",
    "claim-draws-copies",
    "claim-draws-only-copies",
    "claim-is-label",
    "claim-is-output",
    "feature-is-label",
    "output-by-own-value",
    "everything-claimed",
}


def test_ordinary_claims_are_not_blamed(run):
    ordinary = (
        (head(1, 0).direct().carries(FIRST),),
        (head(1, 0).direct().carries(FIRST), mlp(1).direct().carries(Variable("finer", with_parity))),
        (reads().carries(FIRST),),
    )
    for claims in ordinary:
        assert codes(run(*claims)) & NEW <= {"everything-claimed"}
    assert not codes(run(head(1, 0).direct().carries(FIRST))) & NEW


@pytest.mark.parametrize("carried", [parity, with_parity])
def test_all_that_the_output_reads_carries_the_label(run, carried):
    """Every draw has the right answer, whatever the feature is called and however much finer it is."""
    found = codes(run(reads().carries(Variable("x", carried))))
    assert "feature-is-label" in found and "everything-claimed" in found
    assert "claim-is-label" not in found


def test_one_claim_that_carries_the_label(run):
    result = run(head(1, 0).direct().carries(PARITY))
    assert "claim-is-label" in codes(result) and "feature-is-label" not in codes(result)
    assert any("agrees on parity, which is the label" in line for line in said(result.record()))
    finer = codes(run(head(1, 0).direct().carries(Variable("finer", with_parity))))
    assert not finer & {"claim-is-label", "feature-is-label"}


def test_the_models_own_prediction(run):
    data = dataset()
    every = run(head(1, 0).direct().carries(FIRST), data=data, references=len(data))
    known = dict(zip(every.inputs()["id"].tolist(), every.inputs()["model_prediction"].tolist(), strict=True))
    assert len(set(known.values())) > 1, "a model with one prediction shows nothing"

    @feature
    def predicted(data):
        return np.array([known[one] for one in data.ids.tolist()])

    own = Variable("own", predicted)
    assert "output-by-own-value" in codes(run(reads().carries(own), data=data))
    part = codes(run(head(1, 0).direct().carries(own), data=data))
    assert "claim-is-output" in part and "output-by-own-value" not in part


def test_a_claim_that_keeps_its_input(run):
    result = run(head(1, 0).direct().carries(Variable("all", everything)))
    assert "claim-keeps-input" in codes(result)
    inner = head(1, 0).direct().carries(Variable("all", everything), mlp(0).direct().carries(FIRST))
    assert "claim-keeps-input" not in codes(run(inner))  # what is tested lies below it


@pytest.mark.parametrize(
    ("copies", "said_of_it"), [(1, set()), (2, {"claim-draws-only-copies"}), (30, {"claim-draws-only-copies"})]
)
def test_copies_count_as_the_input_itself(run, copies, said_of_it):
    """With a copy of each input, a feature with a value for every input still exchanges nothing."""
    found = codes(run(head(1, 0).direct().carries(Variable("whole", whole)), data=dataset(copies)))
    assert found & {"claim-draws-copies", "claim-draws-only-copies"} == said_of_it
    if copies == 1:
        assert "claim-exchanges-nothing" in found


def test_what_cannot_fail_does_not_pass_a_gate_and_has_words():
    assert {"feature-is-label", "output-by-own-value", "claim-draws-only-copies"} <= VACUOUS
    assert set(wordings) >= NEW
