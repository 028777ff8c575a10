"""What the commands share: the application, options, errors without tracebacks, output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, NoReturn, Optional, cast

import typer
from typer.core import TyperGroup

from scrubbing.errors import DOCS, Fault, ScrubbingError, UsageError, fail
from scrubbing.printable import unheard, visible
from scrubbing.user_code import bind_ours, fault, show_whole

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from scrubbing.experiment.executors import Executor
    from scrubbing.experiment.settings import Settings
    from scrubbing.records.schema import RunRecord

NARROWEST, WIDEST = 40, 1_000
"""Columns: a terminal that claims fewer, or none as some CI's do, gets lines that it may wrap itself; one that claims
more, as the variable `COLUMNS` may, would get gigabytes of spaces."""
_Wrong: Any = typer.BadParameter.__bases__[0]
"""`UsageError` of the click that this typer goes with, which may be one of its own."""


class _Commands(TyperGroup):
    """Commands whose wrong options and arguments are errors like any other."""

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        _bounded("COLUMNS", "LINES")
        with _told():
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: Any) -> Any:
        with _told():
            return super().invoke(ctx)


def _bounded(*names: str) -> None:
    """Make sizes of the terminal that variables tell numbers that rich can use, in help and bars as well."""
    for name in names:
        told = os.environ.get(name, "")
        if told.isdecimal():
            os.environ[name] = str(min(int(told), WIDEST) if len(told) < 10 else WIDEST)
        elif told.isdigit():  # which rich takes for a number, and `²` is none
            del os.environ[name]


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except _Wrong as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise  # which prints the help
        command = "scrub" if error.ctx is None or error.ctx.parent is None else f"scrub {error.ctx.info_name}"
        problem = error.format_message().rstrip(".") + "."
        _leave(UsageError(Fault("SCR-SETTING", command, problem, f"See {command} --help.")))


app = typer.Typer(
    cls=_Commands,
    help="Causal scrubbing: state how a model computes something, and let a machine try to break it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"scrubbing {version('scrubbing')}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """Causal scrubbing: state how a model computes something, and let a machine try to break it."""


References = Annotated[Optional[int], typer.Option(min=1, help="Inputs to explain; the default is the task's.")]  # noqa: UP045
Draws = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, help="Complete resamplings per reference; the default is the task's."),
]
Seed = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=0, help="Of the choice of references and of all draws; the default is the task's."),
]
Pool = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, help="Inputs to draw from, chosen by hashed id; the default is the task's, or all."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print records as JSON instead of tables.")]
Out = Annotated[Optional[Path], typer.Option(help="Folder to write the records to.")]  # noqa: UP045
Memory = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        min=1, help="MiB for activations; what does not fit goes to temporary files. The default is the task's."
    ),
]
Controls = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--control", help="Also run this control, such as shuffled-labels, or `all`; may be repeated."),
]
Verdicts = Annotated[
    bool, typer.Option("--verdict/--no-verdict", help="Test whether each claim is needed, and no finer than needed.")
]
LadderVerdicts = Annotated[
    Optional[bool],  # noqa: UP045
    typer.Option(
        "--verdict/--no-verdict",
        help="Run all tests of whether each claim is needed, and no finer than needed, or none. The default runs those "
        "that can change the word of the verdict.",
    ),
]
Why = Annotated[
    bool, typer.Option("--why", help="Also say of the inputs that scrubbing costs most which exchange broke them.")
]
Threads = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, max=1024, help="CPU threads; by default one for a small model, torch's for others."),
]
Workers = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        min=1,
        max=1024,
        help="Processes to measure with, each with a model of its own, and on a GPU of its own; --threads is of each.",
    ),
]
ExecutorName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--executor", help="What measures, by name, such as ray for a Ray cluster; --workers is of this machine."
    ),
]
Share = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="K/N", help="Only measure the K-th of N shares of the run, on one of N machines; --out is its."
    ),
]
Collect = Annotated[bool, typer.Option("--collect", help="Put together what N machines measured with --share.")]
Device = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Where the model computes: auto, cpu, cuda, cuda:1 or mps; the default is the task's."),
]
Dtype = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Precision: float32, float64, float16 or bfloat16; the default is the model's."),
]
Tf32 = Annotated[
    Optional[bool],  # noqa: UP045
    typer.Option("--tf32/--no-tf32", help="Let a GPU round matrix products to TF32; the default is the task's."),
]
TaskName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Task by name, or FILE.py::name; the default is the address's own."),
]
ModelName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--model", help="Instead of a task: a model's folder, file of weights, or name on the hub."),
]
DataFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--data", help="With --model: its inputs, as .txt, .jsonl, .csv, .parquet, .json or .npz."),
]
LossName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--loss", help="With --model: next-token (the default), classification[:COLUMN], squared-error."),
]
Address = Annotated[
    str,
    typer.Argument(
        help="A hypothesis, or a function returning one: FILE.py::name, module:name, task/rung, or FILE.json."
    ),
]
Shard = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="K/N", help="Only the K-th of N parts of the references; scrub merge puts records together."),
]
RecordFile = Annotated[Path, typer.Argument(help="A record written with --out.")]


def computing(
    threads: int | None,
    workers: int | None,
    executor: str | None = None,
    share: str | None = None,
    collect: bool = False,
) -> Callable[[Settings], Executor] | str | None:
    """Have this process compute with so many threads, and what measures if that is not this process.

    What comes of measurements is computed here: with as many threads as each worker has, so that records do not depend
    on the machine that they are put together on.
    """
    from scrubbing.experiment.sharded.workers import Workers

    made: Callable[[Settings], Executor] | str | None = executor
    if workers is not None or share is not None or collect:
        if executor is not None:
            problem = f"--executor {executor} was given with --workers, --share or --collect."
            fail(UsageError, "SCR-SETTING", problem, "Those are for processes of one machine; give one of them.")
        made = Workers(workers or 1, threads or 1, collect)
    if threads is not None or made not in (None, "in process"):
        from scrubbing.models.threads import use_threads

        use_threads(threads or 1)
    return made


def prints_our_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Print our own errors without a traceback, and exit with 2. Modules in this folder can be imported, as they can be
    with `python -m`.
    """

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        bind_ours()
        if "" not in sys.path:
            sys.path.append("")  # last: a file here must not stand in for an installed module
        try:
            return command(*arguments, **options)
        except ScrubbingError as error:
            show_whole(error)
            if options.get("json_"):
                print_value(faults_of(error, "legal" if command.__name__ == "check" else ""))
            _leave(error)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            told = "Interrupted."
            if {"draws", "out"} <= options.keys():  # a command that keeps what it has computed
                kept, lost = "The same command goes on where this one stopped.", "Nothing was kept; with --out FOLDER"
                told += f" {kept}" if options["out"] is not None else f" {lost}, the same command could go on."
            say(told, stderr=True)
            raise typer.Exit(130) from None
        except (Exception, SystemExit) as error:
            show_whole(error)
            _leave(UsageError(fault(error)))

    return run


def faults_of(error: ScrubbingError, false: str = "") -> dict[str, Any]:
    """An error for programs: everything that is wrong, where, and what to do.

    Args:
        error: one of ours.
        false: what is then not so; empty for nothing that a reader asks first.
    """
    faults = [
        {**asdict(one), "page": f"{DOCS}/{one.code}.md", "explain": f"scrub explain {one.code}"} for one in error.faults
    ]
    return {**({false: False} if false else {}), "faults": faults}


def _leave(error: ScrubbingError) -> NoReturn:
    complain(error)
    raise typer.Exit(2)


def complain(error: ScrubbingError) -> None:
    """Print one of our errors, without a traceback."""
    say(str(error), stderr=True)


def say(text: str, stderr: bool = False) -> None:
    """Print text as it is: nothing in it is markup or a command, whoever wrote it."""
    stream(stderr).write(visible(text) + "\n")


def console(stderr: bool = False) -> Console:
    """Where to print what rich lays out. Text that it is given as a string is no markup."""
    from rich.console import Console

    made = Console(file=stream(stderr), markup=False, emoji=False, highlight=False)
    made.width = max(made.width, NARROWEST)
    return made


def stream(stderr: bool = False) -> IO[str]:
    """Where to write."""
    return cast("IO[str]", _Stream(sys.stderr if stderr else sys.stdout))


class _Stream:
    """A stream on which nothing is a command to who reads it, and no character more than its encoding can say."""

    def __init__(self, to: IO[str]) -> None:
        self._to = to

    def write(self, text: str) -> int:
        encoding: str = getattr(self._to, "encoding", None) or "utf-8"
        return self._to.write(unheard(text).encode(encoding, "backslashreplace").decode(encoding))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._to, name)


def print_json(records: BaseModel | Sequence[BaseModel]) -> None:
    """One record, or whatever else is stored like one, as an object, several as a list."""
    several = isinstance(records, Sequence)
    value = [one.model_dump(mode="json") for one in records] if several else records.model_dump(mode="json")
    print_value(value)


def print_value(value: Any) -> None:
    """Anything as JSON."""
    # Within JSON, only text can hold what GitHub's runner takes for a command.
    sys.stdout.write(json.dumps(value, indent=1).replace("##[", "#\\u0023[") + "\n")


def print_record(record: RunRecord, as_json: bool) -> None:
    """Everything about one record."""
    from scrubbing.report.terminal import record_view

    if as_json:
        print_json(record)
    else:
        console().print(record_view(record))
