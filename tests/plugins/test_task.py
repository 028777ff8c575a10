"""A task from outside, registered by a file: every command finds it by name. One file, public names only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Baseline,
    Dataset,
    Hypothesis,
    ModelGraph,
    Settings,
    SquaredError,
    Task,
    ToyModel,
    UsageError,
    Variable,
    everything,
    feature,
    node,
    tasks,
)


@feature
def x_bit(data: Dataset) -> Any:
    return data["x"] == 1


@feature
def family(data: Dataset) -> Any:
    return data.ids // 4


def data() -> Dataset:
    x, y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 25).astype(float)
    return Dataset({"x": x, "y": y, "label": x + y}, name="bits")


def model() -> ToyModel:
    return ToyModel({"x": "x", "y": "y"}, {"logits": (lambda x, y: x + y, {"x": ["x"], "y": ["y"]})})


def graph() -> ModelGraph:
    return model().graph(data())


def hypothesis(name: str, *names: str) -> Hypothesis:
    claims = (node(one).direct().carries(Variable(one, x_bit)) for one in names)
    return Hypothesis(f"bits/{name}", f"Of the bits {name}.", OUTPUT.carries(Variable("out", everything), *claims))


def ladder() -> list[Hypothesis]:
    return [hypothesis("nothing"), hypothesis("x", "x")]


SETTINGS = Settings(
    references=40,
    draws=2,
    strata={"x": x_bit},
    clusters=family,
    extra_baselines={"ones": Baseline("always 1", losses=lambda data: (data["label"] - 1)[:, None] ** 2)},
    zero_baseline="ones",
    controls=["shuffled-features"],
)
TASK = tasks.add("bits", Task("bits", graph, data, model, SquaredError, ladder=ladder, settings=SETTINGS))


def test_checked_and_planned(command: Any) -> None:
    assert "legal on bits" in command("check", "bits/x")
    told = command("plan", "bits/x")
    assert "80 examples: " in told and "bits/x (shuffled-features)" in told


def test_run_with_its_settings(command: Any, tmp_path: Path) -> None:
    """Each choice is the task's, but for those given."""
    record = json.loads(command("run", "bits/x", "--json", "--seed", "3", "--out", str(tmp_path)))
    choices = record["choices"]
    assert (choices["references"], choices["draws"], choices["seed"]) == (40, 2, 3)
    assert (choices["clusters"], record["zero"], record["provenance"]["task"]) == ("family", "ones", "bits")
    assert [one["name"] for one in record["controls"]] == ["shuffled-features"]
    page = tmp_path / "page.html"
    command("report", *map(str, tmp_path.glob("*.json")), "--out", str(page))
    assert "always 1" in page.read_text()
    assert "of ones" in command("show", *map(str, tmp_path.glob("*.json")))


def test_its_whole_ladder(command: Any) -> None:
    told = command("bench", "bits", "--references", "20")
    assert "nothing" in told and "20 references x 2 draws" in told


def test_settings_are_a_value_of_the_task() -> None:
    experiment = TASK.experiment(draws=3)
    assert (experiment.settings, TASK.settings) == (SETTINGS.but(draws=3, task="bits"), SETTINGS)


def test_found_by_name() -> None:
    assert tasks["bits"] is TASK
    with pytest.raises(UsageError, match="There are: bits") as caught:
        _ = tasks["bit"]
    assert caught.value.codes == ("SCR-TASK",)


def test_as_it_was_written_in_0_1() -> None:
    """Fields that are settings now may still be given and read, with a warning that says where they went."""
    series = TASK.settings.extra_baselines
    with pytest.warns(
        DeprecationWarning, match=r"Task\(references=, strata=, further=, zero=\) is now Task\(settings="
    ):
        old: Any = Task(  # pyright: ignore[reportCallIssue]
            "old",
            graph,
            data,
            model,
            SquaredError,
            references=40,
            strata={"x": x_bit},
            further=lambda: series,
            zero="ones",
        )
    assert old.settings == Settings(references=40, strata={"x": x_bit}, extra_baselines=series, zero_baseline="ones")
    with pytest.warns(DeprecationWarning, match=r"task\.zero is now task\.settings\.zero_baseline"):
        assert old.zero == "ones"
    with pytest.warns(DeprecationWarning, match=r"task\.further"):
        assert old.further() == series
    with pytest.raises(AttributeError, match="'Task' object has no attribute 'nonsense'"):
        _ = old.nonsense
