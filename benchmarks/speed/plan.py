"""How close `scrub plan --machine` comes to what runs take: predicted and measured processor time of a dozen runs.

    OMP_NUM_THREADS=1 python -m benchmarks.speed plan            # measures this machine, then the runs; a table
    OMP_NUM_THREADS=1 python -m benchmarks.speed plan --write    # into docs/design/speed.md

Measured is all that an executor does for the jobs of a hypothesis, from nothing kept: filling the store, scrubbing, and
losses and measures, with one thread; the median of three, of which the first computes the values of features too.
Compiling comes before, and intervals and the record after.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from benchmarks.induction.task import python_task
from benchmarks.induction.task import task as induction
from benchmarks.parens.task import task as parens
from benchmarks.speed.gpu import Shape, claim
from benchmarks.speed.verdict import PAGE, written
from scrubbing import Experiment, Hypothesis, InProcess, NextToken
from scrubbing.engine import Machine, machine_of
from scrubbing.experiment import predict

REPEATS = 3
CLOSE = 0.3


@dataclass(frozen=True)
class Row:
    """A run."""

    name: str
    references: int
    predicted: float
    measured: float

    @property
    def off(self) -> float:
        """Predicted beside measured, as a share of it."""
        return self.predicted / self.measured - 1


def runs() -> Iterator[tuple[str, Experiment, Hypothesis]]:
    """Two suites, three models, and random weights in two shapes; small enough to be measured."""
    for rung, references, pool in (
        ("signs", 4000, 10_000), ("detectors", 2000, 5_000), ("suffixes", 1000, 5_000), ("sources", 300, 3_000),
        ("best", 300, 3_000),
    ):  # fmt: skip
        yield f"parens/{rung}", parens.experiment(references=references, pool=pool, series=None), parens.rung(rung)
    for task, rung, references in (
        (induction, "heads-only", 100), (induction, "value", 60), (induction, "refined", 50),
        (python_task, "key", 60), (python_task, "free-pattern", 40),
    ):  # fmt: skip
        experiment = task.experiment(references=references, pool=300, series=None)
        yield f"{task.name}/{rung}", experiment, task.rung(rung)
    for shape, references in (
        (Shape("4 layers, d 256, 64 positions", 4, 4, 256, 1000, 64), 64),
        (Shape("3 layers, d 512, 64 positions", 3, 8, 512, 2000, 64), 32),
        (Shape("2 layers, d 128, 200 positions", 2, 4, 128, 500, 200), 40),
    ):
        device: Any = torch.device("cpu")
        model, data = shape.model(device, torch.float32), shape.data(4 * references)
        options: dict[str, Any] = {"references": references, "draws": 1, "baselines": False, "series": None}
        yield shape.name, Experiment(model, data, NextToken(), **options), claim(shape)


def row(name: str, experiment: Experiment, hypothesis: Hypothesis, machine: Machine) -> Row:
    """Predict, and then measure."""
    jobs = experiment.jobs(hypothesis)
    taken: list[float] = []
    predicted = 0.0
    for _ in range(REPEATS):
        executor = _fresh(experiment)
        predicted = predict(jobs, machine, executor).total  # compiles what is run below
        started = time.process_time()
        for _ in executor.measure(jobs):
            pass
        taken.append(time.process_time() - started)
    return Row(name, len(jobs[0].reference.rows), predicted, median(taken))


def _fresh(experiment: Experiment) -> InProcess:
    made = experiment.but(store=True).executor
    assert isinstance(made, InProcess)
    return made


def table(rows: Iterator[Row]) -> Iterator[str]:
    """In Markdown."""
    yield "| run | references | predicted, s | measured, s | off |"
    yield "|---|---|---|---|---|"
    for one in rows:
        yield f"| {one.name} | {one.references:,} | {one.predicted:.2f} | {one.measured:.2f} | {one.off:+.0%} |"


def main(arguments: list[str]) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", help="runs whose names contain one of these")
    parser.add_argument("--write", action="store_true", help="put the table into docs/design/speed.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    machine = machine_of(torch.device("cpu"))
    print(machine, flush=True)
    lines: list[str] = []
    chosen = (one for one in runs() if not options.only or any(part in one[0] for part in options.only))
    for line in table(row(*one, machine) for one in chosen):
        print(line, flush=True)
        lines.append(line)
    if options.write:
        made = written(PAGE.read_text(encoding="utf-8"), "\n".join(lines), "plan")
        PAGE.write_text(made, encoding="utf-8")
