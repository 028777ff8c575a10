"""Commands of the first hour: init, doctor, nodes, explain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from scrubbing.cli.common import DataFile, app, console, prints_our_errors, say
from scrubbing.errors import FileError, UsageError, brief, fail, nearest

if TYPE_CHECKING:
    from scrubbing.cli.listing import Row

_HERE = Path(__file__).parent
_IN_WHEEL, _IN_SOURCES = _HERE / "errors", _HERE.parents[1] / "docs" / "errors"
_PROJECT = {
    "explanations.py": "explanations.py",
    "network.py": "network.py",
    "tests/test_explanations.py": "tests/test_explanations.py",
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    ".github/workflows/explanations.yml": "github/workflows/explanations.yml",
}
"""Files of a new project, and those of ours that they are copies of."""


@app.command()
@prints_our_errors
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project, made if it is not there.")] = Path(),
    snapshot: Annotated[
        bool, typer.Option("--snapshot/--no-snapshot", help="Run the hypothesis once, and accept it as it is.")
    ] = True,
) -> None:
    """Make a project that passes as it is: a network, a hypothesis, a test, a gate policy and a workflow."""
    try:
        there = [name for name in _PROJECT if (folder / name).exists()]
        if there:
            remedy = "Name a folder without them, or move them away; nothing was written."
            fail(FileError, "SCR-FILE", f"it has {', '.join(there)} already.", remedy, str(folder))
        for name, ours in _PROJECT.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text((_HERE / "project" / f"{ours}.txt").read_text(encoding="utf-8"), encoding="utf-8")
            say(f"wrote {file}")
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        fail(FileError, "SCR-FILE", f"it cannot be written ({brief(error)}).", "Name another folder.", str(folder))
    if snapshot:
        with chdir(folder):
            taken = _first_snapshot()
        say(f"wrote {folder / taken}")
    enter = "" if folder == Path() else f"cd {folder} && "
    say(f"\nNow: {enter}scrub verdict explanations.py::comparisons, and python -m pytest")


def _first_snapshot() -> Path:
    """The snapshot of the project in this folder, which its rule is held to from then on."""
    from scrubbing.gate.policy import load_policy
    from scrubbing.gate.run import Runner

    policy = load_policy(Path("pyproject.toml"))
    path = Runner.of(policy, list(policy.rules)).update(policy.rules[0], "first snapshot", only_new=False)
    assert path is not None
    return path


@app.command()
@prints_our_errors
def doctor(
    hub: Annotated[bool, typer.Option("--hub/--no-hub", help="Ask the Hugging Face hub whether it is there.")] = True,
) -> None:
    """Say what there is: versions, devices, threads, memory, caches, the hub."""
    from scrubbing.cli.diagnosis import diagnosis

    width = 14
    for what, found in diagnosis(hub):
        say(f"{what:{width}}{found}")


@app.command()
@prints_our_errors
def nodes(
    model: Annotated[
        str, typer.Argument(help="A model's folder, file or name on the hub; a task; or FILE.py::name of a task.")
    ],
    data: DataFile = None,
) -> None:
    """List the nodes of a model: what they are, what they write, and which claims can be made about them."""
    from rich.table import Table

    from scrubbing.cli.listing import listed

    rows = listed(model, data)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("node", "what it is", "writes", "claim it as", "and within it"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    console().print(table)
    say("\nA claim also says by which paths: .direct(), .any_path(avoid=...) or .via(...), then .carries(variable).")


def _cells(row: Row) -> Iterator[str]:
    yield from (row.node, row.what, row.writes, row.written_as, "; ".join(row.within))


@app.command()
@prints_our_errors
def explain(
    code: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="Code of an error, such as SCR-NODE; without one, all of them are listed."),
    ] = None,
) -> None:
    """Print the page about an error: when it occurs, and what to do."""
    folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_SOURCES
    pages = {page.stem: page for page in sorted(folder.glob("SCR-*.md"))}
    if code is None:
        for page in pages.values():
            say(page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# "))
        return
    wanted = code.strip().strip("[]").upper()
    wanted = wanted if wanted.startswith("SCR-") else f"SCR-{wanted}"
    if wanted not in pages:
        problem = f"there is no error {code!r}."
        fail(UsageError, "SCR-SETTING", problem, f"Did you mean: {nearest(wanted, sorted(pages))}?", "scrub explain")
    say(pages[wanted].read_text(encoding="utf-8").rstrip("\n"))
