"""The gate: explanations held to what was accepted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from scrubbing.cli.common import (
    Device,
    Dtype,
    ExecutorName,
    Tf32,
    Threads,
    Workers,
    app,
    complain,
    computing,
    console,
    prints_our_errors,
    say,
)
from scrubbing.errors import Fault, FileError, ScrubbingError, UsageError
from scrubbing.printable import visible
from scrubbing.user_code import fault, show_whole

if TYPE_CHECKING:
    from scrubbing.gate.judge import Gate
    from scrubbing.gate.policy import Policy, Rule
    from scrubbing.gate.run import Runner

_WORST = ("fail", "inconclusive", "pass")


@app.command()
@prints_our_errors
def gate(
    only: Annotated[Optional[list[str]], typer.Argument(help="Addresses of rules; all by default.")] = None,  # noqa: UP045
    policy: Annotated[Optional[Path], typer.Option(help="TOML file; by default the nearest pyproject.toml.")] = None,  # noqa: UP045
    settle: Annotated[
        bool, typer.Option("--settle", help="Draw more references until a verdict is settled, up to the budget.")
    ] = False,
    update: Annotated[bool, typer.Option("--update", help="Take snapshots, replacing those there are.")] = False,
    update_new: Annotated[bool, typer.Option("--update-new", help="Take snapshots where there are none.")] = False,
    reason: Annotated[str, typer.Option(help="Why the new snapshots are accepted; kept in them.")] = "",
    out: Annotated[Optional[Path], typer.Option(help="Folder for records, page, summary and JUnit file.")] = None,  # noqa: UP045
    threads: Threads = None,
    workers: Workers = None,
    executor: ExecutorName = None,
    device: Device = None,
    dtype: Dtype = None,
    tf32: Tf32 = None,
) -> None:
    """Hold hypotheses to their snapshots: exit code 0 pass, 1 fail, 2 cannot be judged, 3 inconclusive."""
    from scrubbing.gate.policy import load_policy
    from scrubbing.gate.run import Runner, chosen

    found = load_policy(policy)
    rules = chosen(found, only or [])
    how = device, tf32, computing(threads, workers, executor), dtype
    if update or update_new:
        _update(Runner.of(found, rules, *how), rules, reason, update_new and not update)
        return
    if out is not None:
        from scrubbing.records.files import folder

        folder(out)
    runner = Runner.of(found, rules, *how)
    gates: list[Gate] = []
    for rule in rules:
        gate = _judged(runner, rule, settle)
        if gate is not None:
            _print(gate)
            gates.append(gate)
    unheld = [] if only or len(gates) < len(rules) else runner.without_rule()  # else some rules are not known
    for path in unheld:
        told = f"{_near(path)} is the snapshot of a hypothesis that no rule holds any more; delete it if that is meant."
        say(f"{'INCONCLUSIVE':13}{told}")
    _finish(found, gates, out, unjudged=len(rules) - len(gates), unheld=len(unheld))


def _judged(runner: Runner, rule: Rule, settle: bool) -> Gate | None:
    """The verdict on a rule; None where nothing could be judged, which is said and keeps no other rule from its turn.

    Python would leave with 1 for an error, which says that the gate failed, and with 0 for a `sys.exit()` in a user's
    file, which says that it passed.
    """
    try:
        return runner.gate(rule, settle)
    except ScrubbingError as error:
        complain(error)
    except (Exception, SystemExit) as error:
        show_whole(error)
        complain(UsageError(fault(error, rule.hypothesis)))
    return None


def _update(runner: Runner, rules: list[Rule], reason: str, only_new: bool) -> None:
    from scrubbing.gate.snapshots import check_reason

    if reason or not only_new:
        check_reason(reason)
    for rule in rules:
        path = runner.update(rule, reason or "first snapshot", only_new)
        told = (
            f"kept  {rule.hypothesis}: there is a snapshot"
            if path is None
            else f"took  {rule.hypothesis}: {_near(path)}"
        )
        say(told)


def _near(path: Path) -> Path:
    """From this folder, if it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _print(gate: Gate) -> None:
    from rich.text import Text

    style = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}[gate.verdict]
    console().print(Text.assemble((f"{gate.verdict.upper():13}", style), visible(gate.name)), soft_wrap=True)
    for line in gate.details:
        say(f"    {line}")


def _finish(policy: Policy, gates: list[Gate], out: Path | None, unjudged: int, unheld: int) -> None:
    """Everything that is written beside the terminal, and the exit code."""
    from scrubbing.gate.judge import EXIT
    from scrubbing.gate.outlets import annotate, write_all

    annotate(gates)
    if out is not None:
        write_all(gates, out)
        _page(gates, out)
    counts = {verdict: sum(gate.verdict == verdict for gate in gates) for verdict in _WORST}
    counts["inconclusive"] += unheld
    told = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    told += [f"{unjudged} not judged"] if unjudged else []
    say(f"{', '.join(told)}; chance of any false alarm at most {policy.alpha:g}")
    code = 2 if unjudged else EXIT[next(verdict for verdict in _WORST if counts[verdict])]
    if code:
        raise typer.Exit(code)


def _page(gates: list[Gate], out: Path) -> None:
    """The page and the job summary."""
    from scrubbing.records.files import write
    from scrubbing.report.markdown import markdown
    from scrubbing.report.page import page
    from scrubbing.report.view import Entry

    shown = [
        Entry(gate.record, gate.inputs, gate, [] if gate.snapshot is None else [gate.snapshot.record]) for gate in gates
    ]
    write(out / "page.html", page(shown).encode(), "the page")
    summary = markdown(shown)
    write(out / "summary.md", summary.encode(), "the summary")
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(file).open("a", encoding="utf-8") as appended:
                appended.write(summary)
        except (OSError, ValueError) as error:  # the verdict stands, whether or not it can be told here as well
            problem = f"the job summary cannot be written ({error})."
            complain(FileError(Fault("SCR-FILE", file, problem, "Set GITHUB_STEP_SUMMARY to a file, or not at all.")))
