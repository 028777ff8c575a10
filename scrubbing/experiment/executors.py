"""Executors: what measures jobs, by name or as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from scrubbing.registry import Registry

if TYPE_CHECKING:
    from scrubbing.experiment.jobs import Job
    from scrubbing.experiment.measured import Measured
    from scrubbing.experiment.settings import Settings


@runtime_checkable
class Executor(Protocol):
    """Measures jobs: in this process, in others, on a cluster. The numbers do not depend on which."""

    def measure(self, jobs: Sequence[Job], out: Path | None = None) -> Iterator[Measured]:
        """The measurement of each job, in their order; each is made when it is asked for, or before.

        Args:
            jobs: what to measure; equal ones need be measured only once.
            out: folder in which to keep what has been measured until the last measurement is fetched, so that the same
                jobs, stopped half-way, go on where they were; an executor may ignore it.
        """
        ...


executors: Registry[Callable[[Settings], Executor]] = Registry("executor", "scrubbing.executors")
"""Functions of the settings that give an executor, by name."""


@executors("in process")
def _in_process(settings: Settings) -> Executor:
    from scrubbing.experiment.in_process import InProcess  # loads torch, which naming an executor must not

    return InProcess(store=settings.store, memory=settings.memory, spill=settings.spill)
