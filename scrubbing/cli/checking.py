"""Commands that look before anything runs: check, schema."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from scrubbing.cli.asked import task_of
from scrubbing.cli.common import (
    Address,
    DataFile,
    ModelName,
    TaskName,
    app,
    print_value,
    prints_our_errors,
    say,
)


@app.command()
@prints_our_errors
def check(
    address: Address,
    task: TaskName = None,
    model: ModelName = None,
    data: DataFile = None,
    no_data: Annotated[bool, typer.Option("--no-data", help="Leave features out.")] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="Print what is wrong, if anything, as JSON: codes, places and remedies.")
    ] = False,
) -> None:
    """Check that a hypothesis is legal; needs no weights and loads no torch where the graph follows from a config."""
    from scrubbing.experiment.address import hypothesis_at

    found = task_of(address, task, model, data, None)
    hypothesis = hypothesis_at(address, found)
    hypothesis.check(found.graph(), None if no_data else found.data())
    if json_:
        told: dict[str, Any] = {
            "legal": True,
            "hypothesis": hypothesis.name,
            "task": found.name,
            "tree": str(hypothesis),
            "faults": [],
        }
        print_value(told)
        return
    say(str(hypothesis))
    say(f"\nlegal on {found.name}")


class Stored(StrEnum):
    """What has a schema."""

    HYPOTHESIS = "hypothesis"
    RECORD = "record"


@app.command()
@prints_our_errors
def schema(of: Annotated[Stored, typer.Argument(help="A stored hypothesis, or the record of a run.")]) -> None:
    """Print the JSON schema of what is stored, for programs that write hypotheses or read records."""
    if of is Stored.HYPOTHESIS:
        from scrubbing.hypothesis.json_schema import hypothesis_schema

        print_value(hypothesis_schema())
    else:
        from scrubbing.records.schema import json_schema

        print_value(json_schema())
