"""Commands that ask before they run: what would be computed, and how long it would take on a machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from scrubbing.cli.asked import changed_settings, task_of
from scrubbing.cli.common import (
    Controls,
    DataFile,
    Device,
    Draws,
    Dtype,
    LossName,
    ModelName,
    Pool,
    References,
    TaskName,
    Threads,
    app,
    prints_our_errors,
    say,
)
from scrubbing.errors import UsageError, fail

if TYPE_CHECKING:
    from scrubbing.experiment.experiment import Experiment
    from scrubbing.hypothesis.hypothesis import Hypothesis


@app.command()
@prints_our_errors
def plan(
    address: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="As of scrub run; none is needed to measure a machine."),
    ] = None,
    task: TaskName = None,
    model: ModelName = None,
    data: DataFile = None,
    loss: LossName = None,
    references: References = None,
    draws: Draws = None,
    pool: Pool = None,
    control: Controls = None,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
    machine: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Also say how long it takes on the machine of this file, and how much memory."),
    ] = None,
    devices: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1, help="Devices that share the references, each with the whole model; the file's by default."
        ),
    ] = None,
    measure_machine: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Measure this machine for a few seconds, and write what it can do to this file."),
    ] = None,
) -> None:
    """Print what would be computed, and what it costs next to one plain forward pass."""
    from scrubbing.experiment.address import hypothesis_at

    if threads is not None:
        from scrubbing.models.threads import use_threads

        use_threads(threads)
    if measure_machine is not None:
        _measure(measure_machine, device, devices)
    if address is None:
        if measure_machine is None:
            fail(UsageError, "SCR-ADDRESS", "no hypothesis was named.", "Write scrub plan ADDRESS.")
        return
    found = task_of(address, task, model, data, loss)
    changed = changed_settings(references, draws, control=control, device=device, dtype=dtype, pool=pool)
    experiment = found.experiment(**changed)
    hypothesis = hypothesis_at(address, found)
    _operations(experiment, hypothesis)
    if machine is not None:
        _time(experiment, hypothesis, machine, devices)


def _operations(experiment: Experiment, hypothesis: Hypothesis) -> None:
    from scrubbing.engine.cost import cost
    from scrubbing.engine.describe import describe

    say(str(hypothesis))
    passes = 0.0
    for job, made in experiment.plan(hypothesis):
        examples, costs = len(job.reference.rows) * job.draws, cost(made)
        passes += costs.total(examples) / costs.plain_flops
        say(f"\n{job.title}\n{describe(made)}\n{costs.describe(examples)}")
    say(f"\nall of it: the operations of {passes:,.0f} plain forward passes")


def _time(experiment: Experiment, hypothesis: Hypothesis, file: Path, devices: int | None) -> None:
    from dataclasses import replace

    from scrubbing.engine.machine import Machine
    from scrubbing.experiment.in_process import InProcess
    from scrubbing.experiment.prediction import predict

    there = Machine.load(file)
    there = there if devices is None else replace(there, devices=devices)
    chosen = experiment.settings
    here = InProcess(store=chosen.store, memory=chosen.memory, spill=chosen.spill, tf32=chosen.tf32)
    say(f"\n{predict(experiment.jobs(hypothesis), there, here)}")


def _measure(file: Path, device: str | None, devices: int | None) -> None:
    from scrubbing.device import resolve
    from scrubbing.engine.measuring import machine_of
    from scrubbing.records.files import file as writable

    file = writable(file, "the machine")  # before it is measured
    made = machine_of(resolve(device or "cpu"), devices or 1)
    made.save(file)
    say(f"{made.name}: written to {file}")
