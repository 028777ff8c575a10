"""What people see: tables, trees, plans and records, as stored. Look at every change before accepting it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from hypotheses.parens import original
from scrubbing import (
    EMBED,
    OUTPUT,
    Dataset,
    Experiment,
    Hypothesis,
    SquaredError,
    ToyModel,
    Variable,
    everything,
    head,
    mlp,
    node,
    project,
    reads,
)
from scrubbing.engine.cost import cost
from scrubbing.engine.demand import fixed
from scrubbing.engine.describe import describe
from scrubbing.engine.engine import Engine
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.records.store import load
from scrubbing.report.terminal import ladder_view, record_view
from scrubbing.testing.random_hypotheses import halves, token_parity

STORED = Path(__file__).parents[1] / "compat" / "records"
RUNGS = {hypothesis.name.rpartition("/")[2]: hypothesis for hypothesis in original.ladder()}


@pytest.fixture
def records() -> Any:
    """A rung that is worse than the constant model, and a good one."""
    return [load(STORED / f"v1-{name}.json") for name in ("original-roles", "signs")]


def picture(renderable: Any, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(renderable)
    text = console.file.getvalue()  # pyright: ignore
    assert max(map(len, text.splitlines())) <= width
    return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("width", [80, 120])
def test_ladder(width: int, records: Any, snapshot: Any) -> None:
    assert picture(ladder_view(records, "parens: 300 references x 2 draws, seed 0"), width) == snapshot


@pytest.mark.parametrize("width", [80, 120])
def test_record(width: int, records: Any, snapshot: Any) -> None:
    assert picture(record_view(records[0]), width) == snapshot


@pytest.mark.parametrize("rung", ["0a", "0b", "1b", "2b", "3d", "4-repaired"])
def test_trees(rung: str, snapshot: Any) -> None:
    assert str(RUNGS[rung]) == snapshot


HALF, PARITY = Variable("half", halves), Variable("parity", token_parity)
PLANS = {
    "part": head(1, 0)
    .direct()
    .carries(HALF, EMBED.any_path(avoid=mlp(0)).into("v").part(project([1.0] * 8)).carries(HALF)),
    "each": head(1, 0)
    .direct()
    .carries(HALF, reads("k", "v", each=True).carries(PARITY, mlp(0).direct().carries(PARITY))),
}


@pytest.mark.parametrize("case", PLANS)
def test_plan(case: str, tiny_model: Any, snapshot: Any) -> None:
    model = tiny_model("native classifier")
    data = random_inputs(VOCABULARY, 4, padded=True, n=12)
    engine = Engine(model, data, fixed((0,)))
    hypothesis = Hypothesis(f"tiny/{case}", "A claim.", OUTPUT.carries(Variable("output", everything), PLANS[case]))
    plan = engine.compile(hypothesis).plan
    assert f"{hypothesis}\n\n{describe(plan)}\n\n{cost(plan).describe(1000)}" == snapshot


def test_record_as_json(snapshot: Any) -> None:
    """Times, versions, and what depends on these left out, and numbers to nine digits."""
    x, y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 3).astype(float)
    data = Dataset({"x": x, "y": y, "label": x + y}, name="bits")
    model = ToyModel({"x": "x", "y": "y"}, {"logits": (lambda a, b: a + b, {"a": ["x"], "b": ["y"]})})
    claims = OUTPUT.carries(Variable("output", everything), node("x").direct().carries(Variable("half", halves)))
    experiment = Experiment(model, data, SquaredError(), strata={"half": halves}, draws=2)
    record = experiment.run(Hypothesis("toy/half", "Half of it matters.", claims)).record()
    value = json.loads(record.model_dump_json(), parse_float=lambda text: float(f"{float(text):.9g}"))
    value["provenance"] |= {"when": "<when>", "seconds": "<seconds>", "versions": "<versions>", "git": "<git>"}
    value["provenance"]["model_fingerprint"] = "<of bytecode>"
    assert json.dumps(value, indent=1) == snapshot
