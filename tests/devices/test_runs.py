"""Whole runs on a device: both suites, baselines, verdicts, samplers that make inputs, and a run that was stopped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from conftest import NAME, same

from benchmarks.induction.task import task as induction
from benchmarks.parens.task import our_data
from benchmarks.parens.task import task as parens
from scrubbing import (
    OUTPUT,
    Dataset,
    Experiment,
    Hypothesis,
    NextToken,
    SquaredError,
    ToyModel,
    Variable,
    everything,
    feature,
    head,
    mlp,
    node,
)
from scrubbing.experiment import journal
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import POSITIONS, VOCABULARY, tiny
from scrubbing.samplers import Generator, separate

WITHOUT_DOUBLE = pytest.mark.parametrize("there", [True, False], indirect=True, ids=["", "without float64"])


def compared(wanted, found):
    """Every loss, measure and table of two results."""
    assert wanted.losses.keys() == found.losses.keys()
    for name, losses in wanted.losses.items():
        same(found.losses[name], losses, name)
    for name, column in wanted.inputs().columns.items():
        if column.dtype.kind == "f":
            same(found.inputs().columns[name], column, name)
    assert wanted.record().choices.device == "cpu" and found.record().choices.device == NAME
    assert found.record().choices.accelerator


@WITHOUT_DOUBLE
@pytest.mark.parametrize("rung", ["signs", "two-tests"])
def test_the_paren_suite(rung, there):
    subject = parens.model(), our_data(400), parens.loss(), parens.settings.but(references=40, draws=2)
    compared(Experiment(*subject).run(parens.rung(rung)), Experiment(*subject, device=there).run(parens.rung(rung)))


@pytest.mark.parametrize("rung", ["heads-only", "naive"])
def test_the_induction_suite(rung, there):
    options = {"references": 6, "draws": 1, "baselines": False, "series": None}
    wanted = induction.experiment(**options).run(induction.rung(rung))
    compared(wanted, induction.experiment(device=there, **options).run(induction.rung(rung)))


@feature
def first(data):
    """Parity of the first token."""
    return data["tokens"][:, 0] % 2


@feature(per="position")
def parity(data):
    """Parity of each token."""
    return data["tokens"] % 2


@dataclass(frozen=True)
class Turned(Generator):
    """The held input with its first two tokens exchanged, which have one parity or the other together."""

    def columns(self, held, uniform):
        tokens = held["tokens"].copy()
        tokens[:, 1:3] = tokens[:, 2:0:-1]
        return {"tokens": tokens} | ({} if held.mask is None else {"mask": held.mask})

    def __str__(self):
        return "turned"


FIRST, PARITY, ALL = Variable("first", first), Variable("parity", parity), Variable("all", everything)
CLAIMS = {
    "a generated input": [head(1, 0).any_path().carries(FIRST, sampler=Turned())],
    "each position on its own": [head(1, 0).any_path().each().carries(PARITY)],
    "at the last real position": [head(1, 1).direct().at("last").carries(FIRST)],
    "frozen norm": [head(1, 1).any_path().carries(FIRST, mlp(0).any_path().carries(FIRST), freeze_norm=True)],
}


PADDED = "at the last real position"
"""Without padding that is a position like any other, and refused."""


def padded_or_not(padded):
    data = random_inputs(VOCABULARY, POSITIONS, False, n=40)
    return data.with_columns(mask=np.arange(POSITIONS) < 3 + np.arange(40)[:, None] % 4) if padded else data


@WITHOUT_DOUBLE
@pytest.mark.parametrize(
    ("case", "padded"), [(case, padded) for case in CLAIMS for padded in (False, True) if padded or case != PADDED]
)
def test_claims(case, padded, there):
    data, model = padded_or_not(padded), from_bridge(tiny("native LN"))
    hypothesis = Hypothesis(
        case.replace(" ", "-"), "Something.", OUTPUT.carries(ALL, *CLAIMS[case]), unclaimed=separate()
    )
    options = {
        "draws": 2,
        "references": 12,
        "measures": ["accuracy", "kl", "changed", "loss"],
        "verdict": case == "frozen norm",
    }
    wanted = Experiment(model, data, NextToken(), **options).run(hypothesis)
    compared(wanted, Experiment(model, data, NextToken(), device=there, **options).run(hypothesis))


class Stop(Exception):
    """Stands for a power cut."""


def test_a_run_that_was_stopped(there, tmp_path, monkeypatch):
    def run(out=None):
        options = {"references": 24, "draws": 2, "memory": 2**22, "baselines": False, "device": there}
        return Experiment(parens.model(), our_data(200), parens.loss(), **options).run_all(
            [parens.rung("two-tests")], out
        )[0]

    whole = run()
    written, real = [], journal.write

    def write(*arguments):
        if len(written) == 4:
            raise Stop
        written.append(arguments)
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(journal, "EVERY", 0.0)
        patched.setattr(journal, "write", write)
        with pytest.raises(Stop):
            run(tmp_path)
    assert any(path.is_file() for path in tmp_path.rglob("*"))
    found = run(tmp_path)
    for name, losses in whole.losses.items():
        same(found.losses[name], losses, name)


def test_a_toy(there):
    """In float64, where there is any; elsewhere it is made in float32."""
    x, y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 10).astype(float)
    data = Dataset({"x": x, "y": y, "label": x + y})
    nodes = {"logits": (lambda a, b: a + b, {"a": ["x"], "b": ["y"]})}
    kept = Variable("x", feature(name="x")(lambda data: data["x"] == 1))
    hypothesis = Hypothesis("toy", "One bit matters.", OUTPUT.carries(ALL, node("x").direct().carries(kept)))
    subject = ToyModel({"x": "x", "y": "y"}, nodes), data, SquaredError()
    compared(Experiment(*subject).run(hypothesis), Experiment(*subject, device=there).run(hypothesis))
