"""Hypotheses and tasks by address: `FILE.py::name`, `module:name`, or `task/rung`."""

from __future__ import annotations

from inspect import signature

from scrubbing.errors import UsageError, fail
from scrubbing.experiment import task as tasks
from scrubbing.experiment.task import Task
from scrubbing.hypothesis.addresses import defined, module_at, resolve, split
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.records.schema import Source
from scrubbing.user_code import running


def task_at(address: str, task: str | None = None) -> Task:
    """The task that a hypothesis is about: the one named, its own, or the `task` defined beside it.

    Raises:
        UsageError: SCR-TASK, none is found. SCR-ADDRESS.
    """
    if task is None and _is_rung(address):
        task = address.partition("/")[0]
    if task is not None:
        found = resolve(task) if ":" in task else tasks.find_task(task)
        problem = f"{task} is of type {type(found).__name__}, not a task."
    else:
        place, _ = split(address)
        found = getattr(module_at(place), "task", None)
        problem = f"{place} does not say which task its hypotheses are about."
    if not isinstance(found, Task):
        fail(UsageError, "SCR-TASK", problem, "Name one with --task NAME, or define `task` beside the hypothesis.")
    return found


def hypothesis_at(address: str, task: Task) -> Hypothesis:
    """The hypothesis at an address, or what the function there returns.

    Raises:
        UsageError: SCR-ADDRESS, neither. SCR-TASK, no such rung.
    """
    if _is_rung(address):
        return task.rung(address.partition("/")[2])
    found = resolve(address)
    if callable(found):
        try:
            signature(found).bind()
        except (TypeError, ValueError) as error:
            problem = f"{address} cannot be called without arguments ({error})."
            fail(UsageError, "SCR-ADDRESS", problem, "Give them defaults, or name a function that fills them in.")
        with running(address):
            found = found()
    if not isinstance(found, Hypothesis):
        problem = f"{address} is of type {type(found).__name__}, not a hypothesis."
        fail(UsageError, "SCR-ADDRESS", problem, "Name a Hypothesis, or a function that returns one without arguments.")
    return found


def source_of(address: str, hypothesis: Hypothesis) -> Source:
    """Where a hypothesis is defined, for annotations."""
    file, line = defined(address, hypothesis.name)
    return Source(address=address, file=file, line=line)


def _is_rung(address: str) -> bool:
    return ":" not in address and "/" in address
