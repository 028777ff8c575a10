"""Runs on a batch system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from scrubbing.cli.common import app, prints_our_errors, say
from scrubbing.errors import UsageError, fail

_DIVIDED = ("run", "bench", "verdict")


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@prints_our_errors
def submit(
    command: Annotated[list[str], typer.Argument(help="run, bench or verdict, with their arguments and --out.")],
    tasks: Annotated[int, typer.Option(min=1, max=10_000, help="Jobs of the array, each with one device.")] = 8,
    cluster: Annotated[str, typer.Option(help="slurm, or local for processes of this machine.")] = "slurm",
    minutes: Annotated[int, typer.Option(min=1, help="Minutes that each job may take.")] = 60,
    option: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="NAME=VALUE", help="Option of sbatch, such as partition=gpu; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the scripts, and submit nothing.")] = False,
) -> None:
    """Divide a command among the jobs of a batch system, and collect what they measure."""
    from scrubbing.experiment.sharded.submit import Submission

    given = [one.partition("=") for one in option or []]
    if wrong := [name for name, equals, value in given if not (equals and value)]:
        fail(UsageError, "SCR-SETTING", f"--option {wrong[0]} was given.", "Write NAME=VALUE, such as partition=gpu.")
    options = {name.replace("-", "_"): value for name, _, value in given}
    made = Submission(command, tasks, _out(command) / ".scrub-jobs", minutes, options)
    if dry_run:
        say(made.scripts())
        return
    *array, last = made.submit(cluster)
    say(f"submitted {len(array)} jobs, {array[0]} to {array[-1]}, and {last}, which collects what they measure")
    say(f"what they print is in {made.folder}")


def _out(command: list[str]) -> Path:
    """The folder that a command writes to.

    Raises:
        UsageError: SCR-SETTING, it names none, or is no command that can be divided.
    """
    if command[0] not in _DIVIDED:
        remedy = f"Write one of: {', '.join(_DIVIDED)}."
        fail(UsageError, "SCR-SETTING", f"the command {command[0]!r} cannot be divided among jobs.", remedy)
    for number, word in enumerate(command):
        name, equals, value = word.partition("=")
        if name in ("--share", "--collect", "--workers"):
            fail(UsageError, "SCR-SETTING", f"{name} is in the command.", "Leave it out; each job has its own.")
        if name == "--out" and (equals or number + 1 < len(command)):
            return Path(value if equals else command[number + 1]).absolute()
    fail(UsageError, "SCR-SETTING", "the command has no --out.", "Name a folder that all machines can read and write.")
