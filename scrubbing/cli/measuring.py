"""Runs of hypotheses as commands make them: prepared, measured, written and printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scrubbing.cli.asked import measure_share
from scrubbing.cli.common import console, say

if TYPE_CHECKING:
    from scrubbing.experiment.settings import Options
    from scrubbing.experiment.task import Task
    from scrubbing.hypothesis.hypothesis import Hypothesis
    from scrubbing.records.inputs import InputTable
    from scrubbing.records.schema import RunRecord


def run_all(
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


def run_one(
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
    prepare(out, [hypothesis])
    if share is not None:
        measure_share(found, [hypothesis], changed, out, share)
        return None
    return run_all(found, [hypothesis], changed, out, address, also, why)[0]


def prepare(out: Path | None, hypotheses: Sequence[Hypothesis]) -> None:
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


def print_ladder(task: Task, records: Sequence[RunRecord]) -> None:
    """Print the records of a ladder below what its task says of itself."""
    from scrubbing.report.terminal import ladder_view

    if about := task.about():
        say(about)
    choices = records[0].choices
    title = f"{task.name}: {choices.references:,} references x {choices.draws} draws, seed {choices.seed}"
    console().print(ladder_view(records, title))
