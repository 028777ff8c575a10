"""Commands that read records: show, ls, compare, merge, power, report, plot."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from scrubbing.cli.common import (
    AsJson,
    RecordFile,
    app,
    console,
    print_json,
    print_record,
    prints_our_errors,
    say,
    stream,
)
from scrubbing.errors import FileError, UsageError, fail

if TYPE_CHECKING:
    from scrubbing.records.inputs import InputTable
    from scrubbing.records.schema import RunRecord

Records = Annotated[
    list[Path], typer.Argument(help="Records written with --out, lists of them that --json printed, or folders.")
]
Later = Annotated[Path, typer.Argument(help="The later record.")]


@app.command()
@prints_our_errors
def show(
    record: Annotated[Path, typer.Argument(help="A record, a list of them that --json printed, or a folder.")],
    json_: AsJson = False,
) -> None:
    """Print a stored record, or a table of several."""
    from scrubbing.report.terminal import ladder_view

    found = [one for _, one in _readable(record)]
    if len(found) == 1:
        print_record(found[0], json_)
    elif json_:
        print_json(found)
    else:
        console().print(ladder_view(found, str(record)))


@app.command()
@prints_our_errors
def ls(
    folder: Annotated[Path, typer.Argument(help="Folder with records, searched with its subfolders.")] = Path(),
    json_: AsJson = False,
) -> None:
    """List the records in a folder, oldest first."""
    from scrubbing.records.store import records_in
    from scrubbing.report.terminal import listing_view
    from scrubbing.report.view.changes import listing

    entries = list(records_in(folder))
    damaged = [error for _, error in entries if isinstance(error, FileError)]
    records = [(path, record) for path, record in entries if not isinstance(record, FileError)]
    records.sort(key=lambda entry: (entry[1].provenance.when, str(entry[0])))
    if json_:
        print_json([record for _, record in records])
    else:
        stream().write(listing_view(listing([(str(path), record) for path, record in records])) + "\n")
    for error in damaged:
        say(str(error), stderr=True)
    if damaged:
        raise typer.Exit(2)


@app.command()
@prints_our_errors
def compare(
    before: RecordFile,
    after: Later,
    alpha: Annotated[float, typer.Option(min=1e-6, max=0.5, help="Chance that a bound is wrong.")] = 0.025,
) -> None:
    """Compare two runs of a hypothesis, input by input, and say what moved."""
    from scrubbing.records.compare import differences
    from scrubbing.report.terminal import section_view
    from scrubbing.report.view.changes import comparison

    old, new = _with_inputs(before), _with_inputs(after)
    if unlike := differences(new[0], old[0], "pair"):
        problem = f"{after} cannot be held against {before}: {'; '.join(map(str, unlike))}."
        fail(UsageError, "SCR-COMPARE", problem, "Compare runs on the same inputs with the same loss.")
    console().print(section_view(comparison(old, new, alpha)))


@app.command()
@prints_our_errors
def merge(
    records: Annotated[list[Path], typer.Argument(help="Records of parts of a run.")],
    out: Annotated[Path, typer.Option(help="Where to write the record of the whole, ending in .json.")],
) -> None:
    """Put the records of parts of a run together."""
    from scrubbing.records.merge import merge as merged
    from scrubbing.records.store import save

    record, inputs = merged([_with_inputs(path) for path in records])
    path = save(record, out, inputs)
    say(f"scrub show {path}", stderr=True)


@app.command()
@prints_our_errors
def power(
    record: RecordFile,
    after: Annotated[Optional[Path], typer.Argument(help="A second run, whose difference says more.")] = None,  # noqa: UP045
    change: Annotated[Optional[float], typer.Option(help="Change of the mean loss to be seen, in its unit.")] = None,  # noqa: UP045
    margin: Annotated[float, typer.Option(min=0.0, help="Margin of the gate, in the unit of the loss.")] = 0.0,
    wanted: Annotated[float, typer.Option("--power", help="Wanted probability of seeing it.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Chance of a false alarm.")] = 0.05,
) -> None:
    """Say how many references a gate needs to see a change of the loss."""
    from scrubbing.report.terminal import section_view
    from scrubbing.report.view.changes import planning
    from scrubbing.stats.influence import mean_loss
    from scrubbing.stats.paired import compare as paired

    run, inputs = _with_inputs(record)
    found = mean_loss(inputs.losses())
    if after is not None:
        found = paired(inputs.losses(), _with_inputs(after)[1].losses()).change
    plan = planning(found, change, margin, wanted, alpha, after is not None, run.choices.unit)
    console().print(section_view(plan))


@app.command()
@prints_our_errors
def report(
    records: Records,
    out: Annotated[Path, typer.Option(help="What to write: page.html, or summary.md.")] = Path("page.html"),
    history: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder with earlier records, shown beside those of the same hypotheses."),
    ] = None,
) -> None:
    """Write records as one self-contained page, or as Markdown."""
    from scrubbing.records.files import write
    from scrubbing.records.store import records_in
    from scrubbing.report.markdown import markdown
    from scrubbing.report.page import page
    from scrubbing.report.view import entries

    if out.suffix not in (".html", ".md", ".svg"):
        remedy = "End its name in .html or .md, or in .svg for a drawing of the claims of one record."
        fail(UsageError, "SCR-PLOT", f"{out.name} is neither a page nor Markdown.", remedy)
    loaded = _all(records)
    if out.suffix == ".svg":
        write(out, _drawing(loaded).encode(), "the drawing")
        say(f"wrote {out}", stderr=True)
        return
    earlier = [] if history is None else [one for _, one in records_in(history) if not isinstance(one, FileError)]
    shown = entries([record for record, _ in loaded], [inputs for _, inputs in loaded], earlier)
    write(out, (markdown(shown) if out.suffix == ".md" else page(shown)).encode(), "the report")
    say(f"wrote {out}", stderr=True)


@app.command()
@prints_our_errors
def plot(
    records: Records,
    out: Annotated[Path, typer.Option(help="File to write, ending in .svg, .pdf or .png.")],
    kind: Annotated[str, typer.Option(help="recovered, size, losses or inputs.")] = "recovered",
    width: Annotated[str, typer.Option(help="single (89 mm) or double (183 mm).")] = "single",
) -> None:
    """Draw a figure for a paper."""
    from scrubbing.report.plot import plot as draw

    loaded = _all(records)
    inputs = [inputs for _, inputs in loaded]
    draw([record for record, _ in loaded], out, kind, width, inputs)  # pyright: ignore - it says what is not known
    say(f"wrote {out}", stderr=True)


def _drawing(loaded: list[tuple[RunRecord, InputTable | None]]) -> str:
    """The claims of the one record that there is.

    Raises:
        UsageError: SCR-PLOT, there are several, or it does not have the nodes of its model.
    """
    from scrubbing.report.correspondence import correspondence
    from scrubbing.report.page import claims_svg

    record = loaded[0][0]
    drawn = correspondence(record.nodes, record.branches, record.variables) if len(loaded) == 1 else None
    if drawn is None:
        problem = f"{len(loaded)} records were given." if len(loaded) > 1 else "it does not have its model's nodes."
        fail(UsageError, "SCR-PLOT", f"a drawing is of one record, and {problem}", "Give one of this version.")
    return claims_svg(record.hypothesis, drawn)


def _all(paths: list[Path]) -> list[tuple[RunRecord, InputTable | None]]:
    """All records of files and folders, with their values per input where these are beside them."""
    from scrubbing.records.store import load_inputs

    found: list[tuple[RunRecord, InputTable | None]] = []
    for path, record in chain.from_iterable(map(_readable, paths)):
        lost = record.inputs is not None and not path.with_name(Path(record.inputs.file).name).exists()
        if lost:
            say(f"{path}: its values per input are not beside it, and are left out.", stderr=True)
        found.append((record, None if lost else load_inputs(record, path)))
    return found


def _readable(path: Path) -> list[tuple[Path, RunRecord]]:
    """The records of a file or folder; what of a folder is none, is said."""
    from scrubbing.records.store import load_all

    found: list[tuple[Path, RunRecord]] = []
    for place, record in load_all(path):
        if isinstance(record, FileError):
            say(str(record), stderr=True)
        else:
            found.append((place, record))
    return found


def _loaded(path: Path) -> tuple[RunRecord, InputTable | None]:
    """A record, and its values per input where it was stored with them."""
    from scrubbing.records.store import load, load_inputs

    record = load(path)
    return record, load_inputs(record, path)


def _with_inputs(path: Path) -> tuple[RunRecord, InputTable]:
    """A record and its values per input.

    Raises:
        UsageError: SCR-COMPARE, it was stored without them.
    """
    record, inputs = _loaded(path)
    if inputs is None:
        problem = "it was stored without its values per input."
        fail(UsageError, "SCR-COMPARE", problem, "Run the hypothesis again with --out.", str(path))
    return record, inputs
