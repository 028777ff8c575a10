"""The gate: explanations held to what was accepted."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from scrubbing.cli.common import Threads, app, console, told
from scrubbing.errors import ScrubbingError, UsageError, fail

if TYPE_CHECKING:
    from scrubbing.gate.judge import Gate
    from scrubbing.gate.policy import Policy, Rule

_WORST = ("fail", "inconclusive", "pass")


@app.command()
@told
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
) -> None:
    """Hold hypotheses to their snapshots: exit code 0 pass, 1 fail, 2 cannot be judged, 3 inconclusive."""
    from scrubbing.gate.policy import load_policy
    from scrubbing.gate.run import Runner, chosen

    found = load_policy(policy)
    rules = chosen(found, only or [])
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    if update or update_new:
        _update(found, rules, reason, update_new and not update)
        return
    if out is not None:
        from scrubbing.records.files import folder

        folder(out)
    runner = Runner.of(found, rules)
    gates: list[Gate] = []
    for rule in rules:
        try:
            gates.append(runner.gate(rule, settle))
        except ScrubbingError:
            raise
        except Exception:
            # Python would leave with 1, which says that the gate failed; here nothing has been judged.
            traceback.print_exc()
            raise typer.Exit(2) from None
        _print(gates[-1])
    _finish(found, gates, out)


def _update(policy: Policy, rules: list[Rule], reason: str, only_new: bool) -> None:
    from scrubbing.gate.run import Runner

    if not reason and not only_new:
        problem = "a snapshot is replaced without a reason."
        fail(UsageError, "SCR-POLICY", problem, 'Say why with --reason "...", which is kept in the snapshot.')
    runner = Runner.of(policy, rules)
    for rule in rules:
        path = runner.update(rule, reason or "first snapshot", only_new)
        told = (
            f"kept  {rule.hypothesis}: there is a snapshot"
            if path is None
            else f"took  {rule.hypothesis}: {_near(path)}"
        )
        console(soft_wrap=True).print(told, markup=False)


def _near(path: Path) -> Path:
    """From this folder, if it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _print(gate: Gate) -> None:
    from rich.text import Text

    style = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}[gate.verdict]
    out = console(soft_wrap=True)
    out.print(Text.assemble((f"{gate.verdict.upper():13}", style), gate.name))
    for line in gate.details:
        out.print(f"    {line}", markup=False)


def _finish(policy: Policy, gates: list[Gate], out: Path | None) -> None:
    from scrubbing.gate.judge import EXIT
    from scrubbing.gate.outlets import annotate, write_all

    annotate(gates)
    if out is not None:
        write_all(gates, out)
        _page(gates, out)
    counts = {verdict: sum(gate.verdict == verdict for gate in gates) for verdict in _WORST}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    console(soft_wrap=True).print(f"{told}; chance of any false alarm at most {policy.alpha:g}", markup=False)
    worst = next(verdict for verdict in _WORST if counts[verdict])
    if EXIT[worst]:
        raise typer.Exit(EXIT[worst])


def _page(gates: list[Gate], out: Path) -> None:
    """The page and the job summary."""
    from scrubbing.records.files import write
    from scrubbing.report.markdown import markdown
    from scrubbing.report.page import page

    records = [gate.record for gate in gates]
    accepted = [gate.snapshot.record for gate in gates if gate.snapshot is not None]
    shown = page(records, {gate.name: gate.inputs for gate in gates}, accepted, gates)
    write(out / "page.html", shown.encode(), "the page")
    summary = markdown(records, gates)
    write(out / "summary.md", summary.encode(), "the summary")
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(file).open("a", encoding="utf-8") as appended:
            appended.write(summary)
