"""Records whose inputs cannot be drawn again."""

from __future__ import annotations

from pathlib import Path

import pytest

from scrubbing import BadData, RunRecord, UsageError
from scrubbing.experiment.address import hypothesis_at, source_of, task_at
from scrubbing.experiment.again import explain

FILE = """
import numpy as np

from scrubbing import OUTPUT, Dataset, Hypothesis, SquaredError, Task, ToyModel, Variable, everything, feature, node


@feature
def x_bit(data):
    return data["x"] == 1


claim = Hypothesis("toy/x", "A claim.", OUTPUT.carries(Variable("output", everything), node("x").direct().carries(
    Variable("x", x_bit))))


def model():
    return ToyModel({"x": "x", "y": "y"}, {"logits": (lambda a, b: a + b, {"a": ["x"], "b": ["y"]})})


def data():
    x, y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 25).astype(float)
    return Dataset({"x": x, "y": y, "label": x + y}, name="bits")


task = Task("toy", lambda: model().graph(data()), data, model, SquaredError)
"""


@pytest.fixture
def record(tmp_path, monkeypatch) -> RunRecord:
    monkeypatch.chdir(tmp_path)
    Path("drawn_again.py").write_text(FILE)
    task, hypothesis = (
        task_at("drawn_again.py::claim"),
        hypothesis_at("drawn_again.py::claim", task_at("drawn_again.py::claim")),
    )
    made = task.experiment().run(hypothesis).record()
    return made.model_copy(update={"source": source_of("drawn_again.py::claim", hypothesis)})


def changed(record: RunRecord, part: str, **fields: object) -> RunRecord:
    return record.model_copy(update={part: getattr(record, part).model_copy(update=fields)})


ILLEGAL = {
    "no address": lambda one: one.model_copy(update={"source": None}),
    "other claim": lambda one: one.model_copy(update={"hash": "0" * 16}),
    "other weights": lambda one: changed(one, "provenance", model_fingerprint="0"),
    "other data": lambda one: changed(one, "provenance", data_fingerprint="0"),
    "other draws": lambda one: changed(one, "choices", numerics=1),
    "other loss": lambda one: changed(one, "choices", loss_identity="Another:0"),
    "several": lambda one: changed(changed(one, "choices", numerics=1), "provenance", model_fingerprint="0"),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_records(case, record, refused):
    codes = "SCR-AGAIN SCR-AGAIN" if case == "several" else "SCR-AGAIN"
    refused(UsageError, codes, lambda: explain(ILLEGAL[case](record), [0]))


def test_an_input_that_is_not_there(record, refused):
    refused(BadData, "SCR-REFERENCES", lambda: explain(record, [1000]))


def test_a_hypothesis_that_has_gone(record, refused):
    gone = changed(record, "source", address="drawn_again.py::gone")
    refused(UsageError, "SCR-ADDRESS", lambda: explain(gone, [0]))


def test_as_it_is(record):
    """The same record is fine, and its worst inputs fail."""
    (found,) = explain(record, [record.worst[0].id])
    assert any(draw.broken for draw in found.draws)
