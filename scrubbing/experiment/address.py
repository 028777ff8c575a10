"""Hypotheses and tasks by address: `FILE.py::name`, `module:name`, `task/rung`, or a hypothesis's `FILE.json`."""

from __future__ import annotations

import json
from inspect import signature

from scrubbing.errors import FileError, UsageError, brief, fail, located
from scrubbing.experiment import task as tasks
from scrubbing.experiment.task import Task
from scrubbing.hypothesis.addresses import defined, module_at, resolve, split
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.records.schema import Source
from scrubbing.user_code import content_of, running


def task_at(address: str, task: str | None = None) -> Task:
    """The task that a hypothesis is about: the one named, its own, or the `task` defined beside it.

    Raises:
        UsageError: SCR-TASK, none is found. SCR-ADDRESS.
    """
    if task is None and _is_rung(address):
        task = address.partition("/")[0]
    if task is None and _is_json(address):
        remedy = "Name one with --task NAME, or give --model MODEL --data FILE."
        fail(UsageError, "SCR-TASK", f"{address} does not say which task it is about.", remedy)
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
        UsageError: SCR-ADDRESS, neither. SCR-TASK, no such rung. SCR-JSON, the file holds no hypothesis.
        FileError: SCR-FILE, there is no such file of JSON.
    """
    if _is_json(address):
        return _from_file(address)
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


def _from_file(path: str) -> Hypothesis:
    try:
        stored = json.loads(content_of(path).decode("utf-8"))
    except OSError as error:
        fail(FileError, "SCR-FILE", f"it cannot be read ({error.strerror}).", "Check the path.", path)
    except (ValueError, RecursionError) as error:
        fail(FileError, "SCR-FILE", f"it is no JSON ({brief(error)}).", "Write it with Hypothesis.to_json.", path)
    with located(path):
        return Hypothesis.from_json(stored, run_files=True)


def source_of(address: str, hypothesis: Hypothesis) -> Source:
    """Where a hypothesis is defined, for annotations."""
    file, line = defined(address, hypothesis.name)
    return Source(address=address, file=file, line=line)


def _is_rung(address: str) -> bool:
    return ":" not in address and "/" in address and not _is_json(address)


def _is_json(address: str) -> bool:
    return address.endswith(".json")
