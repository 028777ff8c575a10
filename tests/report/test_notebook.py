"""Everything of ours shows itself in a notebook, escapes what it was given, and loads no torch for it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from torch import nn

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    Settings,
    Task,
    Variable,
    everything,
    feature,
    from_module,
    node,
)
from scrubbing.gate.judge import Gate
from scrubbing.gate.policy import Rule
from scrubbing.report.terminal import as_text

NASTY = "<script>alert(1)</script> & red"


@feature
def sign(data: Dataset) -> Any:
    """Two classes."""
    return data["x"][:, 0] > 0


DATA = Dataset({"x": np.random.default_rng(0).normal(size=(60, 2)), "label": np.arange(60) % 2}, name=NASTY)
CLAIM = node("layer0").direct().carries(Variable("sign <b>", sign))
MINE = Hypothesis("mine", NASTY, OUTPUT.carries(Variable("out", everything), CLAIM))
KINDS = ("Hypothesis", "Dataset", "ModelGraph", "TracedModule", "Transformer", "Task", "Experiment", "Result",
         "RunRecord", "VerdictRecord", "Gate")  # fmt: skip


@pytest.fixture(scope="module")
def things(tiny_model: Any) -> dict[str, Any]:
    """One object of each kind, by the name of its class."""
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)).eval()
    model = from_module(net, DATA, nodes=["0"], inputs={"input": "x"})
    experiment = Experiment(model, DATA, Classification(), references=20, verdict=True)
    result = experiment.run(MINE)
    record = result.record()
    task = Task(
        "t",
        data=lambda: DATA,
        model=lambda: model,
        loss=Classification,
        ladder=lambda: [MINE],
        settings=Settings(references=20),
    )
    gate = Gate("g", Rule(hypothesis="h.py::x"), record, result.inputs(), (), None)
    made = [MINE, DATA, model.graph(DATA), model, tiny_model("Llama"), task, experiment, result, record, gate]
    return {type(one).__name__: one for one in [*made, record.tested]}


@pytest.mark.parametrize("kind", KINDS)
def test_shows_itself(kind: str, things: dict[str, Any]) -> None:
    page = things[kind]._repr_html_()
    assert page.startswith("<div") and page.rstrip().endswith("</div>")
    assert "<script" not in page and "sign <b>" not in page
    assert len(page) > 500


def test_what_is_shown(things: dict[str, Any]) -> None:
    assert "layer0 directly carries sign &lt;b&gt;" in things["Hypothesis"]._repr_html_()
    assert "<svg" in things["Hypothesis"]._repr_html_()
    assert "60 inputs" in things["Dataset"]._repr_html_() and "60 × 2" in things["Dataset"]._repr_html_()
    assert "float32 on cpu" in things["TracedModule"]._repr_html_()
    assert "residual stream" in things["Transformer"]._repr_html_()
    assert "references" in things["Task"]._repr_html_()


def test_a_printed_record_is_what_the_terminal_shows(things: dict[str, Any]) -> None:
    told = str(things["RunRecord"])
    assert told == as_text(things["RunRecord"])
    assert max(map(len, told.splitlines())) <= 80
    assert "Losses" in told and "\x1b" not in told and "Know before quoting" in told


def test_a_task_shows_itself_without_loading_anything() -> None:
    def heavy() -> Any:
        raise AssertionError("loaded")

    assert "a task" in Task("t", heavy, heavy, heavy, heavy)._repr_html_()


def test_no_torch_is_loaded_to_show_a_hypothesis() -> None:
    code = (
        "import sys; from hypotheses.parens.shipped import signs as h; h()._repr_html_(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr
