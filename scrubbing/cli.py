"""The command line: run benchmarks and hypotheses, check and plan them, show records."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Optional

import typer

from scrubbing.errors import ScrubbingError, UsageError, fail

if TYPE_CHECKING:
    from scrubbing.experiment.task import Task
    from scrubbing.hypothesis.hypothesis import Hypothesis
    from scrubbing.records.schema import RunRecord

app = typer.Typer(
    help="Causal scrubbing: state how a model computes something, and let a machine try to break it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

References = Annotated[Optional[int], typer.Option(min=1, help="Inputs to explain; the default is the task's.")]  # noqa: UP045
Draws = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, help="Complete resamplings per reference; the default is the task's."),
]
Seed = Annotated[int, typer.Option(help="Of the choice of references and of all draws.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print records as JSON instead of tables.")]
Out = Annotated[Optional[Path], typer.Option(help="Folder to write the records to.")]  # noqa: UP045
Memory = Annotated[int, typer.Option(min=1, help="MiB for activations; what does not fit goes to temporary files.")]
Threads = Annotated[Optional[int], typer.Option(min=1, help="CPU threads; the default is torch's.")]  # noqa: UP045
TaskName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Task by name, or FILE.py::name; the default is the address's own."),
]
Address = Annotated[
    str, typer.Argument(help="A hypothesis, or a function returning one: FILE.py::name, module:name, or task/rung.")
]


def _told(command: Callable[..., Any]) -> Callable[..., Any]:
    """Print our own errors without a traceback, and exit with 2."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except ScrubbingError as error:
            _leave(error)

    return run


def _leave(error: ScrubbingError) -> NoReturn:
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True).print(str(error), markup=False, emoji=False)
    raise typer.Exit(2)


@app.command()
@_told
def bench(
    name: Annotated[str, typer.Argument(help="Name of a task, such as parens.")],
    model: Annotated[
        str, typer.Option(help="Which model of the task; others than `shipped` need --data, --text or --dataset.")
    ] = "shipped",
    data: Annotated[Optional[Path], typer.Option(help="Folder with that model's files.")] = None,  # noqa: UP045
    text: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Text file; --model is then any folder or hub name of a language model."),
    ] = None,
    dataset: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="NAME[,CONFIG][:SPLIT[:COLUMN]] of the `datasets` library, instead of --text."),
    ] = None,
    only: Annotated[Optional[list[str]], typer.Option(help="Run only these rungs.")] = None,  # noqa: UP045
    references: References = None,
    draws: Draws = None,
    seed: Seed = 0,
    json_: AsJson = False,
    out: Out = None,
    memory: Memory = 1024,
    threads: Threads = None,
) -> None:
    """Run a task's whole ladder of hypotheses, with every baseline."""
    from scrubbing.experiment.task import find_task

    _prepare(out)
    task = _on(find_task(name), model, data, text, dataset)
    ladders = [(task, [task.rung(rung) for rung in only] if only else list(task.ladder()))]
    if not ladders[0][1]:
        fail(UsageError, "SCR-TASK", f"task {task.name} has no hypotheses.", "Give it a ladder, or use scrub run.")
    also = [find_task(name) for name in task.also] if not only else []
    ladders += [(one, list(one.ladder())) for one in also]
    found = [(one, _run(one, ladder, references, draws, seed, memory, threads)) for one, ladder in ladders]
    _write([record for _, records in found for record in records], out)
    if json_:
        _print_json([record for _, records in found for record in records])
        return
    for one, records in found:
        _print_ladder(one, records)


@app.command()
@_told
def run(
    address: Address,
    task: TaskName = None,
    references: References = None,
    draws: Draws = None,
    seed: Seed = 0,
    json_: AsJson = False,
    out: Out = None,
    memory: Memory = 1024,
    threads: Threads = None,
) -> None:
    """Scrub one hypothesis and print everything about it."""
    _prepare(out)
    found = _task(address, task)
    records = _run(found, [_hypothesis(address, found)], references, draws, seed, memory, threads)
    _write(records, out)
    _print(records[0], json_)


@app.command()
@_told
def check(
    address: Address, task: TaskName = None, data: Annotated[bool, typer.Option(help="Also check features.")] = True
) -> None:
    """Check that a hypothesis is legal; needs no weights and loads no torch."""
    found = _task(address, task)
    hypothesis = _hypothesis(address, found)
    hypothesis.check(found.graph(), found.data() if data else None)
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(str(hypothesis), markup=False)
    console.print(f"\nlegal on {found.name}", markup=False)


@app.command()
@_told
def plan(address: Address, task: TaskName = None, references: References = None) -> None:
    """Print what would be computed, and what it costs next to one plain forward pass."""
    from rich.console import Console

    from scrubbing.engine.cost import cost
    from scrubbing.engine.describe import describe

    found = _task(address, task)
    experiment = found.experiment()
    hypothesis = _hypothesis(address, found)
    made = experiment.engine.compile(hypothesis).plan
    console = Console(highlight=False, soft_wrap=True)
    console.print(str(hypothesis), markup=False)
    console.print("\n" + describe(made), markup=False)
    console.print("\n" + cost(made).describe(references or found.references), markup=False)


@app.command()
@_told
def show(record: Annotated[Path, typer.Argument(help="A record written with --out.")], json_: AsJson = False) -> None:
    """Print a stored record."""
    from scrubbing.records.store import load

    _print(load(record), json_)


def _task(address: str, task: str | None) -> Task:
    from scrubbing.experiment.task import Task, find_task
    from scrubbing.hypothesis.references import module_at, resolve, split

    if task is None and _is_rung(address):
        task = address.partition("/")[0]
    if task is not None:
        found = resolve(task) if ":" in task else find_task(task)
        problem = f"{task} is of type {type(found).__name__}, not a task."
    else:
        place, _ = split(address)
        found = getattr(module_at(place), "task", None)
        problem = f"{place} does not say which task its hypotheses are about."
    if not isinstance(found, Task):
        fail(UsageError, "SCR-TASK", problem, "Name one with --task NAME, or define `task` beside the hypothesis.")
    return found


def _on(task: Task, model: str, data: Path | None, text: Path | None, dataset: str | None) -> Task:
    """The task on the model and text that were asked for."""
    if text is None and dataset is None:
        return task.variant(model, data)
    if text is not None and dataset is not None:
        fail(UsageError, "SCR-TASK", "both --text and --dataset were given.", "Give one of them.")
    from scrubbing.data.text import read_dataset, read_text

    return task.on(model, lambda: read_text(text) if text is not None else read_dataset(dataset or ""))


def _hypothesis(address: str, task: Task) -> Hypothesis:
    from inspect import signature

    from scrubbing.hypothesis.hypothesis import Hypothesis
    from scrubbing.hypothesis.references import resolve

    if _is_rung(address):
        return task.rung(address.partition("/")[2])
    found = resolve(address)
    if callable(found):
        try:
            signature(found).bind()
        except TypeError as error:
            problem = f"{address} cannot be called without arguments ({error})."
            fail(UsageError, "SCR-ADDRESS", problem, "Give them defaults, or name a function that fills them in.")
        found = found()
    if not isinstance(found, Hypothesis):
        problem = f"{address} is of type {type(found).__name__}, not a hypothesis."
        fail(UsageError, "SCR-ADDRESS", problem, "Name a Hypothesis, or a function that returns one without arguments.")
    return found


def _is_rung(address: str) -> bool:
    return ":" not in address and "/" in address


def _run(
    task: Task,
    hypotheses: Sequence[Hypothesis],
    references: int | None,
    draws: int | None,
    seed: int,
    memory: int,
    threads: int | None,
) -> list[RunRecord]:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    experiment = task.experiment(references=references, draws=draws, seed=seed, memory=memory * 2**20)
    return [result.record() for result in experiment.run_all(hypotheses)]


def _prepare(out: Path | None) -> None:
    if out is not None:
        from scrubbing.records.store import folder

        folder(out)


def _write(records: Sequence[RunRecord], out: Path | None) -> None:
    if out is None:
        return
    from rich.console import Console

    from scrubbing.records.store import file_name, save

    console = Console(stderr=True, highlight=False)
    for record in records:
        path = save(record, out / file_name(record))
        console.print(f"scrub show {path}", markup=False)


def _print(record: RunRecord, as_json: bool) -> None:
    from rich.console import Console

    from scrubbing.report.terminal import record_view

    if as_json:
        sys.stdout.write(json.dumps(record.model_dump(mode="json"), indent=1) + "\n")
    else:
        Console(highlight=False).print(record_view(record))


def _print_json(records: Sequence[RunRecord]) -> None:
    sys.stdout.write(json.dumps([record.model_dump(mode="json") for record in records], indent=1) + "\n")


def _print_ladder(task: Task, records: Sequence[RunRecord]) -> None:
    from rich.console import Console

    from scrubbing.report.terminal import ladder_view

    if about := task.about():
        Console(highlight=False, soft_wrap=True).print(about, markup=False, emoji=False)
    choices = records[0].choices
    title = f"{task.name}: {choices.references:,} references x {choices.draws} draws, seed {choices.seed}"
    Console(highlight=False).print(ladder_view(records, title))


if __name__ == "__main__":
    app()
