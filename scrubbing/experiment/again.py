"""From a record back to the run that it is of: draws are functions of counters, so an input's are drawn again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from scrubbing.errors import Fault, ScrubbingError, UsageError
from scrubbing.experiment import describe
from scrubbing.experiment.address import hypothesis_at, task_at
from scrubbing.experiment.experiment import Experiment
from scrubbing.experiment.task import Task
from scrubbing.experiment.verdict.why import why
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.records.blame import WhyInput
from scrubbing.records.schema import NUMERICS, RunRecord
from scrubbing.sampling.contexts import Ablation

_CODE = "SCR-AGAIN"


def explain(
    record: RunRecord,
    inputs: Sequence[int],
    task: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> list[WhyInput]:
    """Which claim broke each failing draw of some inputs, by running these inputs of a record again.

    Args:
        record: of a run of a hypothesis with an address.
        inputs: ids of inputs in scope, references of the run or not.
        task: the hypothesis's task, by name; None is the record's.
        device: where the model computes; None is the task's choice, whatever the record's was.
        dtype: in which precision; None is the record's.

    Raises:
        UsageError: SCR-AGAIN, with every reason why that cannot be; SCR-REFERENCES, no such inputs; SCR-ADDRESS,
            SCR-TASK, the hypothesis or its task is not found where it was.
    """
    return explained(record, *again(record, task, device, dtype), inputs)


def explained(
    record: RunRecord, experiment: Experiment, hypothesis: Hypothesis, inputs: Sequence[int]
) -> list[WhyInput]:
    """The same with the experiment and the hypothesis at hand."""
    scrub = experiment.but(references=list(inputs)).jobs(hypothesis)[0]
    threshold = 0.0 if record.carried is None else record.carried.threshold
    return why(scrub, experiment.executor, threshold)


def again(
    record: RunRecord, task: str | None = None, device: str | None = None, dtype: str | None = None
) -> tuple[Experiment, Hypothesis]:
    """The experiment and the hypothesis of a record.

    Raises:
        UsageError: SCR-AGAIN, SCR-ADDRESS, SCR-TASK.
    """
    if record.source is None:
        problem = "it does not say where its hypothesis is defined."
        remedy = "Run the hypothesis by its address, with scrub run ADDRESS --out FOLDER."
        raise UsageError([Fault(_CODE, record.hypothesis, problem, remedy)])
    found = _task_of(record, record.source.address, task)
    hypothesis = hypothesis_at(record.source.address, found)
    choices, ablation = record.choices, cast("Ablation | None", record.choices.ablation)
    experiment = found.experiment(draws=choices.draws, seed=choices.seed, pool=choices.pool, ablation=ablation)
    experiment = experiment.but(dtype=choices.dtype)
    experiment = experiment if device is None else experiment.but(device=device)
    _refuse(_faults(record, experiment, hypothesis))
    return experiment if dtype is None else experiment.but(dtype=dtype), hypothesis


def _task_of(record: RunRecord, address: str, task: str | None) -> Task:
    """The task that was named, that of the address, or the one that the record names."""
    if task is not None:
        return task_at(address, task)
    try:
        return task_at(address)
    except ScrubbingError:
        if record.provenance.task is None:
            raise
        return task_at(address, record.provenance.task)


def _faults(record: RunRecord, experiment: Experiment, hypothesis: Hypothesis) -> Iterator[Fault]:
    where, remedy = record.hypothesis, "Run the hypothesis again with --out, and ask about the new record."
    then = record.provenance
    if record.choices.numerics != NUMERICS:
        problem = f"it was drawn by version {record.choices.numerics} of the draws, and this package makes {NUMERICS}."
        yield Fault(_CODE, where, problem, remedy)
    if record.hash is not None and record.hash != _hash(hypothesis):
        yield Fault(_CODE, where, "the hypothesis at its address claims something else today.", remedy)
    if then.model_fingerprint != experiment.model.fingerprint:
        problem = f"it is of a model with other weights than {experiment.model.name} has today."
        yield Fault(_CODE, where, problem, "Name the task of its model with --task, or run the hypothesis again.")
    scope = hypothesis.in_scope(experiment.data)
    if then.data_fingerprint != scope.fingerprint:
        problem = f"its inputs in scope are others than those of {experiment.data.name} today."
        yield Fault(_CODE, where, problem, "Name the task of its data with --task, or run the hypothesis again.")
    if record.choices.loss_identity not in (None, describe.identity(experiment.loss, scope)):
        yield Fault(_CODE, where, "its loss is another than the task's today.", remedy)


def _refuse(faults: Iterator[Fault]) -> None:
    if found := list(faults):
        raise UsageError(found, "" if len(found) == 1 else "This record cannot be run again")


def _hash(hypothesis: Hypothesis) -> str | None:
    try:
        return hypothesis.hash
    except ScrubbingError:
        return None
