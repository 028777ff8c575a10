"""Executors: what measures jobs, by name or as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from scrubbing.errors import UsageError, fail
from scrubbing.registry import Registry
from scrubbing.user_code import running

if TYPE_CHECKING:
    from scrubbing.experiment.jobs import Job
    from scrubbing.experiment.measured import Measured
    from scrubbing.experiment.settings import Settings


@runtime_checkable
class Executor(Protocol):
    """Measures jobs in this process, in other processes, or on a cluster. Results do not depend on the executor."""

    def measure(self, jobs: Sequence[Job], out: Path | None = None) -> Iterator[Measured]:
        """Yield the measurement of each job, in order, no later than when it is requested.

        Args:
            jobs: jobs to measure; equal jobs need to be measured only once.
            out: folder for finished measurements until the last one is fetched, so that the same jobs continue after an
                interruption; an executor may ignore it. Tests of a verdict are further calls without a folder, made
                before the next measurement is requested; they should continue too.
        """
        ...


executors: Registry[Callable[[Settings], Executor]] = Registry("executor", "scrubbing.executors")
"""Registry of executors by name: functions from settings to an executor."""


def executor_of(settings: Settings) -> Executor:
    """The executor that settings ask for.

    Raises:
        UsageError: SCR-PLUGIN, a function of settings returned none; SCR-CODE, it raised an exception.
    """
    chosen = settings.executor
    if isinstance(chosen, str):
        return executors[chosen](settings)
    if isinstance(chosen, Executor) and not isinstance(chosen, type):
        return chosen
    name = getattr(chosen, "__name__", type(chosen).__name__)
    with running(f"executor {name}"):
        made: object = chosen(settings)
    if not isinstance(made, Executor):
        problem = f"executor {name} returned a {type(made).__name__}."
        fail(UsageError, "SCR-PLUGIN", problem, "Return an object with a method measure(jobs, out).")
    return made


@executors("in process")
def _in_process(settings: Settings) -> Executor:
    from scrubbing.experiment.in_process import InProcess  # loads torch, which naming an executor must not

    return InProcess(store=settings.store, memory=settings.memory, spill=settings.spill, tf32=settings.tf32)


@executors("workers")
def _workers(settings: Settings) -> Executor:
    from scrubbing.experiment.sharded.workers import Workers

    return Workers()(settings)


@executors("ray")
def _ray(settings: Settings) -> Executor:
    from scrubbing.experiment.sharded.cluster import OnRay

    return OnRay(settings)
