"""Baselines from outside: losses from data, another hypothesis, another mode. One file, public names only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Baseline,
    Dataset,
    Experiment,
    Hypothesis,
    Mode,
    SquaredError,
    ToyModel,
    Variable,
    baselines,
    everything,
    feature,
    node,
    scrub,
)


@feature
def x_bit(data: Dataset) -> Any:
    return data["x"] == 1


@feature
def y_bit(data: Dataset) -> Any:
    return data["y"] == 1


X, Y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 25).astype(float)
DATA = Dataset({"x": X, "y": Y, "label": X + Y}, name="bits")
MODEL = ToyModel({"x": "x", "y": "y"}, {"logits": (lambda x, y: x + y, {"x": ["x"], "y": ["y"]})})
OUT = Variable("out", everything)
ONLY_X = Hypothesis("x", "x matters.", OUTPUT.carries(OUT, node("x").direct().carries(Variable("x", x_bit))))
ONLY_Y = Hypothesis("y", "y matters.", OUTPUT.carries(OUT, node("y").direct().carries(Variable("y", y_bit))))
EVERYTHING = Hypothesis("all", "All matters.", OUTPUT.carries(OUT))

baselines.add(
    "always one", Baseline("predicting 1 for every input", losses=lambda data: (data["label"] - 1)[:, None] ** 2)
)
baselines.add("only y", Baseline("y kept, x resampled", hypothesis=ONLY_Y))
baselines.add("rest at zero", Baseline("claims kept, the rest zero", mode=Mode(claimed="exact", unclaimed="zero")))
OURS = ["null", "always one", "only y", "rest at zero"]


def test_in_the_record() -> None:
    """(x + y - 1)^2 is 1/2 on average; x resampled costs 1/2, and y at zero costs 1/2."""
    result = scrub(ONLY_X, MODEL, DATA, SquaredError(), baselines=OURS, zero_baseline="always one", draws=16)
    record = result.record()
    assert set(record.losses) == {"model", "scrubbed", *OURS}
    for name in OURS[1:]:
        assert record.losses[name].value == pytest.approx(0.5, abs=0.03)
    assert result.losses["only y"].shape == (100, 16)
    assert result.losses["rest at zero"].shape == (100, 1)  # nothing is drawn
    assert {one.baseline: one.meaning for one in record.recovered}["only y"] == "y kept, x resampled"
    assert record.zero == "always one"


@pytest.mark.parametrize("outlet", ["terminal", "page", "Markdown"])
def test_in_every_outlet(outlet: str, outlets: Any) -> None:
    told = outlets(scrub(ONLY_X, MODEL, DATA, SquaredError(), baselines=OURS, zero_baseline="only y"))[outlet]
    for name in OURS:
        assert name in told


def test_one_that_is_not_registered() -> None:
    extra = {"mine": Baseline("mine", losses=lambda data: np.full((len(data), 1), 2.0))}
    result = scrub(ONLY_X, MODEL, DATA, SquaredError(), baselines=False, extra_baselines=extra)
    assert set(result.losses) == {"model", "scrubbed", "null", "constant", "mine"}
    assert result.loss("mine").value == 2.0


def test_measured_once_for_all_hypotheses() -> None:
    """And not at all where a hypothesis has no claims for a mode to treat otherwise."""
    experiment = Experiment(MODEL, DATA, SquaredError(), baselines=OURS)
    names = [[job.name for job in experiment.jobs(one)] for one in (ONLY_X, EVERYTHING)]
    assert names == [["scrubbed", "null", "only y", "rest at zero"], ["scrubbed", "null", "only y"]]
    first, second = experiment.jobs(ONLY_X), experiment.jobs(ONLY_Y)
    assert [one == other for one, other in zip(first, second, strict=True)] == [False, True, True, False]
    kept, other = experiment.run_all([ONLY_X, EVERYTHING])
    assert (kept.losses["only y"] == other.losses["only y"]).all()


def test_a_gate_holds_a_run_against_it(tmp_path: Path, command: Any) -> None:
    (tmp_path / "bits.py").write_text(
        "import numpy as np\nfrom scrubbing import *\n"
        "baselines.add('always two', Baseline('predicting 2', losses=lambda data: (data['label'] - 2)[:, None] ** 2))\n"
        "@feature\ndef x_bit(data): return data['x'] == 1\n"
        "x, y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 25).astype(float)\n"
        "model = lambda: ToyModel({'x': 'x', 'y': 'y'}, {'logits': (lambda a, b: a + b, {'a': ['x'], 'b': ['y']})})\n"
        "data = lambda: Dataset({'x': x, 'y': y, 'label': x + y})\n"
        "task = Task('bits', lambda: model().graph(data()), data, model, SquaredError)\n"
        "h = Hypothesis('x', 'x.', OUTPUT.carries(Variable('o', everything), "
        "node('x').direct().carries(Variable('x', x_bit))))\n"
    )
    (tmp_path / "policy.toml").write_text(
        f'missing = "inconclusive"\n[[rules]]\nhypothesis = "{tmp_path}/bits.py::h"\nbeats = ["always two"]\n'
        "references = 100\nbudget = 100\n"
    )
    from typer.testing import CliRunner

    from scrubbing.cli import app

    command("gate", "--policy", str(tmp_path / "policy.toml"), "--update", "--reason", "the first run of this policy")
    done = CliRunner().invoke(app, ["gate", "--policy", str(tmp_path / "policy.toml")])
    assert done.exit_code == 0, done.output
    assert "always two" in done.stdout
