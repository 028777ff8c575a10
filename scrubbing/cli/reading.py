"""Commands that read records: show, ls, compare, merge, power."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from scrubbing.cli.common import AsJson, RecordFile, app, console, print_json, print_record, told
from scrubbing.errors import FileError, UsageError, fail

Records = Annotated[list[Path], typer.Argument(help="Records written with --out.")]
Other = Annotated[Path, typer.Argument(help="The later record.")]


@app.command()
@told
def show(record: RecordFile, json_: AsJson = False) -> None:
    """Print a stored record."""
    from scrubbing.records.store import load

    print_record(load(record), json_)


@app.command()
@told
def ls(
    folder: Annotated[Path, typer.Argument(help="Folder with records, searched with its subfolders.")] = Path(),
    json_: AsJson = False,
) -> None:
    """List the records in a folder, oldest first."""
    from scrubbing.records.store import found
    from scrubbing.report.listing import listing

    entries = list(found(folder))
    damaged = [error for _, error in entries if isinstance(error, FileError)]
    records = [(path, record) for path, record in entries if not isinstance(record, FileError)]
    records.sort(key=lambda entry: (entry[1].provenance.when, str(entry[0])))
    if json_:
        print_json([record for _, record in records])
    else:
        sys.stdout.write(listing([(str(path), record) for path, record in records]) + "\n")
    for error in damaged:
        console(stderr=True, soft_wrap=True).print(str(error), markup=False)
    if damaged:
        raise typer.Exit(2)


@app.command()
@told
def compare(
    before: RecordFile,
    after: Other,
    alpha: Annotated[float, typer.Option(min=1e-6, max=0.5, help="Chance that a bound is wrong.")] = 0.025,
) -> None:
    """Compare two runs of a hypothesis, input by input, and say what moved."""
    from scrubbing.gate.drift import drift
    from scrubbing.gate.snapshots import Snapshot
    from scrubbing.records.identity import differences
    from scrubbing.report.listing import comparison

    (old, old_inputs), (new, new_inputs) = _with_inputs(before), _with_inputs(after)
    if old.provenance.data_fingerprint != new.provenance.data_fingerprint or old.choices.loss != new.choices.loss:
        problem = f"{after} is on another dataset or loss than {before}: {'; '.join(differences(new, old))}."
        fail(UsageError, "SCR-COMPARE", problem, "Compare runs on the same inputs with the same loss.")
    out = console()
    out.print(comparison((old, old_inputs), (new, new_inputs), alpha))
    for line in differences(new, old):
        out.print(f"! {line}", markup=False)
    for line in drift(new, new_inputs, Snapshot(old, old_inputs)):
        out.print(line, markup=False)


@app.command()
@told
def merge(
    records: Annotated[list[Path], typer.Argument(help="Records of parts of a run.")],
    out: Annotated[Path, typer.Option(help="Where to write the record of the whole, ending in .json.")],
) -> None:
    """Put the records of parts of a run together."""
    from scrubbing.records.merge import merge as merged
    from scrubbing.records.store import save

    record, inputs = merged([_with_inputs(path) for path in records])
    path = save(record, out, inputs)
    console(stderr=True, soft_wrap=True).print(f"scrub show {path}", markup=False)


@app.command()
@told
def power(
    record: RecordFile,
    after: Annotated[Optional[Path], typer.Argument(help="A second run, whose difference tells more.")] = None,  # noqa: UP045
    change: Annotated[Optional[float], typer.Option(help="Change of the mean loss to be seen, in nats.")] = None,  # noqa: UP045
    margin: Annotated[float, typer.Option(min=0.0, help="Margin of the gate, in nats.")] = 0.0,
    wanted: Annotated[float, typer.Option("--power", help="Wanted probability of seeing it.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Chance of a false alarm.")] = 0.05,
) -> None:
    """Say how many references a gate needs to see a change of the loss."""
    from scrubbing.gate.judge import losses_of
    from scrubbing.report.listing import planning
    from scrubbing.stats.influence import mean_loss
    from scrubbing.stats.paired import compare as paired

    _, inputs = _with_inputs(record)
    if after is not None:
        found = paired(losses_of(inputs), losses_of(_with_inputs(after)[1])).change
    else:
        found = mean_loss(losses_of(inputs))
    told = planning(found.sd, len(inputs), change, margin, wanted, alpha, after is not None, found.reach)
    console().print(told)


@app.command()
@told
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
    from scrubbing.records.store import found, load, load_inputs
    from scrubbing.report.markdown import markdown
    from scrubbing.report.page import page

    if out.suffix not in (".html", ".md"):
        fail(UsageError, "SCR-PLOT", f"{out.name} is neither a page nor Markdown.", "End its name in .html or .md.")
    loaded = [load(path) for path in records]
    if out.suffix == ".md":
        text = markdown(loaded)
    else:
        inputs = {record.hypothesis: load_inputs(record, path) for path, record in zip(records, loaded, strict=True)}
        earlier = [one for _, one in found(history) if not isinstance(one, FileError)] if history is not None else []
        text = page(loaded, {name: one for name, one in inputs.items() if one is not None}, earlier)
    write(out, text.encode(), "the report")
    console(stderr=True, soft_wrap=True).print(f"wrote {out}", markup=False)


@app.command()
@told
def plot(
    records: Records,
    out: Annotated[Path, typer.Option(help="File to write, ending in .svg, .pdf or .png.")],
    kind: Annotated[str, typer.Option(help="recovered, losses or inputs.")] = "recovered",
    width: Annotated[str, typer.Option(help="single (89 mm) or double (183 mm).")] = "single",
) -> None:
    """Draw a figure for a paper."""
    from scrubbing.records.store import load, load_inputs
    from scrubbing.report.plot import plot as draw

    loaded = [(path, load(path)) for path in records]
    inputs = {record.hypothesis: load_inputs(record, path) for path, record in loaded}
    known = {name: one for name, one in inputs.items() if one is not None}
    draw([record for _, record in loaded], out, kind, width, known)  # pyright: ignore - it says what is not known
    console(stderr=True, soft_wrap=True).print(f"wrote {out}", markup=False)


def _with_inputs(path: Path) -> tuple[Any, Any]:
    """A record and its values per input.

    Raises:
        UsageError: SCR-COMPARE, it was stored without them.
    """
    from scrubbing.records.store import load, load_inputs

    record = load(path)
    inputs = load_inputs(record, path)
    if inputs is None:
        problem = "it was stored without its values per input."
        fail(UsageError, "SCR-COMPARE", problem, "Run the hypothesis again with --out.", str(path))
    return record, inputs
