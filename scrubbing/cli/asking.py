"""Commands that ask about single inputs: why, anomalies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from scrubbing.cli.asked import changed_settings
from scrubbing.cli.common import (
    Address,
    AsJson,
    Device,
    Dtype,
    RecordFile,
    Seed,
    TaskName,
    app,
    console,
    print_json,
    prints_our_errors,
    say,
)
from scrubbing.errors import UsageError, fail


@app.command(name="why")
@prints_our_errors
def why_(
    record: RecordFile,
    inputs: Annotated[Optional[list[int]], typer.Argument(metavar="[INPUT]...", help="Ids of inputs in scope.")] = None,  # noqa: UP045
    worst: Annotated[bool, typer.Option("--worst", help="The inputs of the record that scrubbing costs most.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Write it into the record, so that reports show it.")] = False,
    task: TaskName = None,
    json_: AsJson = False,
    device: Device = None,
    dtype: Dtype = None,
) -> None:
    """Say of single inputs which claim broke each draw that fails, and with which input; their draws are made again."""
    from scrubbing.experiment.again import explain
    from scrubbing.records.store import load, save
    from scrubbing.report.terminal import section_view
    from scrubbing.report.view.why import why as sections_of

    loaded, wanted = load(record), list(inputs or [])
    wanted += [one.id for one in loaded.worst if worst and one.id not in wanted]
    if not wanted:
        problem = "the record has no inputs that scrubbing costs anything." if worst else "no input was named."
        fail(UsageError, "SCR-REFERENCES", problem, "Name inputs by their ids, or take --worst.", str(record))
    found = explain(loaded, wanted, task, device, dtype)
    if keep:
        others = [one for one in loaded.explained if one.id not in wanted]
        save(loaded.model_copy(update={"explained": [*found, *others]}), record)
    if json_:
        print_json(found)
        return
    for section in sections_of(found):
        console().print(section_view(section))
        say("")


@app.command()
@prints_our_errors
def anomalies(
    address: Address,
    inputs: Annotated[Path, typer.Option(help="New inputs: a .json or .npz file with a column per name.")],
    task: TaskName = None,
    rate: Annotated[float, typer.Option(help="Share of inputs like the trusted ones that may be flagged.")] = 0.05,
    held_out: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Trusted inputs to calibrate with; the default is half of them, at most 400."),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Exchanges of each input, in either direction.")] = 8,
    seed: Seed = None,
    json_: AsJson = False,
) -> None:
    """Say which new inputs are not explained as the task's own are, at a known rate of false alarms."""
    from scrubbing.data.file import from_file
    from scrubbing.experiment.address import hypothesis_at, task_at
    from scrubbing.report.terminal import section_view
    from scrubbing.report.view.anomalies import anomalies as section_of

    found, new = task_at(address, task), from_file(inputs)
    experiment = found.experiment(**changed_settings(None, None, seed=seed))
    judged = experiment.anomalies(hypothesis_at(address, found), new, rate=rate, held_out=held_out, draws=draws)
    if json_:
        print_json(judged)
    else:
        console().print(section_view(section_of(judged)))
