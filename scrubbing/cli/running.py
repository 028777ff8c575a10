"""Commands that run something: bench, run, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from scrubbing.cli.asked import changed_settings, measure_share, task_of, task_on
from scrubbing.cli.common import (
    Address,
    AsJson,
    Collect,
    Controls,
    DataFile,
    Device,
    Draws,
    Dtype,
    ExecutorName,
    LadderVerdicts,
    LossName,
    Memory,
    ModelName,
    Out,
    Pool,
    References,
    Seed,
    Shard,
    Share,
    TaskName,
    Tf32,
    Threads,
    Verdicts,
    Why,
    Workers,
    app,
    computing,
    console,
    print_json,
    print_record,
    prints_our_errors,
    say,
)
from scrubbing.errors import UsageError, fail

if TYPE_CHECKING:
    from scrubbing.experiment.settings import Options
    from scrubbing.experiment.task import Task
    from scrubbing.hypothesis.hypothesis import Hypothesis
    from scrubbing.records.inputs import InputTable
    from scrubbing.records.schema import RunRecord


@app.command()
@prints_our_errors
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
    alone: Annotated[bool, typer.Option("--alone", help="Leave out ladders that go with this one.")] = False,
    references: References = None,
    draws: Draws = None,
    seed: Seed = None,
    pool: Pool = None,
    json_: AsJson = False,
    out: Out = None,
    memory: Memory = None,
    threads: Threads = None,
    workers: Workers = None,
    executor: ExecutorName = None,
    share: Share = None,
    collect: Collect = False,
    device: Device = None,
    dtype: Dtype = None,
    tf32: Tf32 = None,
    shard: Shard = None,
    control: Controls = None,
    verdict: LadderVerdicts = None,
    why: Why = False,
) -> None:
    """Run a task's whole ladder of hypotheses, with every baseline, and test each."""
    from scrubbing.experiment.task import find_task

    task = task_on(find_task(name), model, data, text, dataset)
    ladders = [(task, [task.rung(rung) for rung in only] if only else list(task.ladder()))]
    if not ladders[0][1]:
        fail(UsageError, "SCR-TASK", f"task {task.name} has no hypotheses.", "Give it a ladder, or use scrub run.")
    also = [] if only or alone else [find_task(name) for name in task.also]
    ladders += [(one, list(one.ladder())) for one in also]
    _prepare(out, [hypothesis for _, ladder in ladders for hypothesis in ladder])
    how = computing(threads, workers, executor, share, collect)
    asked = "word" if verdict is None else verdict
    changed = changed_settings(references, draws, seed, memory, how, shard, control, asked, device, tf32, dtype, pool)
    if share is not None:
        for one, ladder in ladders:
            measure_share(one, ladder, changed, out, share)
        return
    found = [(one, _run(one, ladder, changed, out, why=why)) for one, ladder in ladders]
    if json_:
        print_json([record for _, records in found for record in records])
        return
    for one, records in found:
        _print_ladder(one, records)


@app.command()
@prints_our_errors
def run(
    address: Address,
    task: TaskName = None,
    model: ModelName = None,
    data: DataFile = None,
    loss: LossName = None,
    references: References = None,
    draws: Draws = None,
    seed: Seed = None,
    pool: Pool = None,
    json_: AsJson = False,
    out: Out = None,
    memory: Memory = None,
    threads: Threads = None,
    workers: Workers = None,
    executor: ExecutorName = None,
    share: Share = None,
    collect: Collect = False,
    device: Device = None,
    dtype: Dtype = None,
    tf32: Tf32 = None,
    shard: Shard = None,
    control: Controls = None,
    verdict: Verdicts = False,
    why: Why = False,
) -> None:
    """Scrub one hypothesis and print everything about it."""
    how = computing(threads, workers, executor, share, collect)
    changed = changed_settings(references, draws, seed, memory, how, shard, control, verdict, device, tf32, dtype, pool)
    if record := _one(address, task_of(address, task, model, data, loss), changed, out, share=share, why=why):
        print_record(record, json_)


@app.command(name="verdict")
@prints_our_errors
def verdict_(
    address: Address,
    task: TaskName = None,
    model: ModelName = None,
    data: DataFile = None,
    loss: LossName = None,
    references: References = None,
    draws: Draws = None,
    seed: Seed = None,
    pool: Pool = None,
    json_: AsJson = False,
    out: Out = None,
    memory: Memory = None,
    threads: Threads = None,
    workers: Workers = None,
    executor: ExecutorName = None,
    share: Share = None,
    collect: Collect = False,
    device: Device = None,
    dtype: Dtype = None,
    tf32: Tf32 = None,
    control: Controls = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Also remove each claim, and sets of them, from model and hypothesis.")
    ] = False,
    adversary: Annotated[
        bool, typer.Option("--adversary", help="Also look for the worst exchanges that the hypothesis permits.")
    ] = False,
    scope: Annotated[
        bool, typer.Option("--scope", help="Also look for counterexamples where no scope is stated.")
    ] = False,
    why: Why = False,
) -> None:
    """Scrub one hypothesis, and test whether what it claims is enough, needed, and no finer than needed."""
    how = computing(threads, workers, executor, share, collect)
    changed = changed_settings(references, draws, seed, memory, how, None, control, True, device, tf32, dtype, pool)
    also = [name for name, asked in (("complete", complete), ("adversary", adversary), ("scope", scope)) if asked]
    record = _one(address, task_of(address, task, model, data, loss), changed, out, also, share, why)
    if record is None:
        return
    if json_:
        print_record(record, json_)
        return
    from scrubbing.report.terminal import verdict_view

    console().print(verdict_view(record))


def _run(
    task: Task,
    hypotheses: Sequence[Hypothesis],
    changed: Options,
    out: Path | None,
    address: str | None = None,
    also: Sequence[str] = (),
    why: bool = False,
) -> list[RunRecord]:
    """Run, and write each record as soon as there is one.

    `also` names methods of the experiment to add to verdicts; `why` says of the worst inputs what broke them.
    """
    from scrubbing.experiment.address import source_of
    from scrubbing.experiment.again import explained

    experiment = task.experiment(**changed)
    records: list[RunRecord] = []
    with experiment.results(hypotheses, out) as results:
        for result in results:
            place = address or f"{task.name}/{result.hypothesis.name.rpartition('/')[2]}"
            record = result.record().model_copy(update={"source": source_of(place, result.hypothesis)})
            if record.tested is not None and record.tested.word != "nothing to explain":
                more = {name: getattr(experiment, name)(result) for name in also}
                record = record.model_copy(update={"tested": record.tested.model_copy(update=more)})
            if why and record.worst:
                found = explained(record, experiment, result.hypothesis, [one.id for one in record.worst])
                record = record.model_copy(update={"explained": found})
            records.append(record if out is None else _write(record, result.inputs(), out))
    return records


def _one(
    address: str,
    found: Task,
    changed: Options,
    out: Path | None,
    also: Sequence[str] = (),
    share: str | None = None,
    why: bool = False,
) -> RunRecord | None:
    """Run one hypothesis; None where only a share of it was measured."""
    from scrubbing.experiment.address import hypothesis_at

    hypothesis = hypothesis_at(address, found)
    _prepare(out, [hypothesis])
    if share is not None:
        measure_share(found, [hypothesis], changed, out, share)
        return None
    return _run(found, [hypothesis], changed, out, address, also, why)[0]


def _prepare(out: Path | None, hypotheses: Sequence[Hypothesis]) -> None:
    """Find out before a long run whether its records have somewhere to go."""
    if out is not None:
        from scrubbing.records.files import folder
        from scrubbing.records.names import check

        check(hypothesis.name for hypothesis in hypotheses)
        folder(out)


def _write(record: RunRecord, inputs: InputTable, out: Path) -> RunRecord:
    from scrubbing.records.names import place
    from scrubbing.records.store import load, save

    path = save(record, place(out, record.hypothesis), inputs)
    say(f"scrub show {path}", stderr=True)
    return load(path)


def _print_ladder(task: Task, records: Sequence[RunRecord]) -> None:
    from scrubbing.report.terminal import ladder_view

    if about := task.about():
        say(about)
    choices = records[0].choices
    title = f"{task.name}: {choices.references:,} references x {choices.draws} draws, seed {choices.seed}"
    console().print(ladder_view(records, title))
