"""An executor from outside: every job on its own, last one first, its references in two parts. One file, public names
only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Dataset,
    Executor,
    Experiment,
    Hypothesis,
    InProcess,
    Job,
    Measured,
    Settings,
    SquaredError,
    ToyModel,
    Variable,
    everything,
    executors,
    feature,
    node,
    scrub,
)


@executors("scattered")
class Scattered:
    """Sends parts of jobs to workers, which share nothing, and puts together what they give back."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workers = 0

    def measure(self, jobs: Sequence[Job], out: Path | None = None) -> Iterator[Measured]:
        found = [self._together(job) for job in reversed(jobs)]
        return reversed(found)

    def _together(self, job: Job) -> Measured:
        rows = job.reference.rows
        whole = Measured.empty(job)
        for part in (slice(0, None, 2), slice(1, None, 2)):
            self.workers += 1
            worker = InProcess(store=False, memory=self.settings.memory, spill=None)
            (found,) = worker.measure([replace(job, reference=replace(job.reference, rows=rows[part]))])
            for name, values in found.values.items():
                whole.values[name][part] = values
            for region, count in found.counts.items():
                known = whole.counts.setdefault(region, type(count)())
                known.agreed += count.agreed
                known.total += count.total
                known.returned_self += count.returned_self
            whole.exchanged = found.exchanged
        return whole


@feature
def x_bit(data: Dataset) -> Any:
    return data["x"] == 1


X, Y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 25).astype(float)
DATA = Dataset({"x": X, "y": Y, "label": X + Y}, name="bits")
MODEL = ToyModel({"x": "x", "y": "y"}, {"logits": (lambda x, y: x + y, {"x": ["x"], "y": ["y"]})})
ONLY_X = Hypothesis(
    "x", "x matters.", OUTPUT.carries(Variable("out", everything), node("x").direct().carries(Variable("x", x_bit)))
)


def run(executor: Any) -> Any:
    return scrub(ONLY_X, MODEL, DATA, SquaredError(), references=51, strata={"x": x_bit}, executor=executor)


def told(result: Any) -> Any:
    return result.record().model_dump(exclude={"provenance": {"seconds", "when"}}), result.inputs().to_parquet()


def test_the_record_is_the_same_bit_for_bit() -> None:
    """A draw is a function of what it is for, so it does not matter who makes it, or beside which others."""
    assert told(run("scattered")) == told(run("in process"))


def test_given_as_it_is_and_shared_by_experiments() -> None:
    mine = Scattered(Settings())
    assert isinstance(mine, Executor)
    experiment = Experiment(MODEL, DATA, SquaredError(), executor=mine, references=20)
    result = experiment.run(ONLY_X)
    jobs = len(experiment.jobs(ONLY_X))
    assert mine.workers == 2 * jobs
    assert len(experiment.claim_costs(result)) == 2  # what is unclaimed, and the one claim: jobs like any other
    experiment.but(references=30).run(ONLY_X)
    assert mine.workers == 2 * (2 * jobs + 2)


@pytest.mark.parametrize("outlet", ["terminal", "page", "Markdown"])
def test_in_every_outlet(outlet: str, outlets: Any) -> None:
    assert "x matters." in outlets(run("scattered"))[outlet]


def test_the_commands_use_that_of_the_task(tmp_path: Path, command: Any) -> None:
    from scrubbing import Task, tasks

    settings = Settings(executor="scattered", references=20)
    made = Task(
        "scattered bits",
        lambda: MODEL.graph(DATA),
        lambda: DATA,
        lambda: MODEL,
        SquaredError,
        ladder=lambda: [replace(ONLY_X, name="bits/x")],
        settings=settings,
    )
    tasks.add("scattered-bits", made)
    assert "x matters." in command("run", "scattered-bits/x", "--out", str(tmp_path))
    assert list(tmp_path.glob("*.json"))
    assert "scrubbed = %" in command("plan", "scattered-bits/x")  # the plan does not depend on who carries it out
