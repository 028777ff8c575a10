"""Workers: processes of this machine, as a value that settings hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scrubbing.errors import UsageError, fail
from scrubbing.guards import is_whole

if TYPE_CHECKING:
    from scrubbing.experiment.executors import Executor
    from scrubbing.experiment.settings import Settings


@dataclass(frozen=True)
class Workers:
    """Measure with several processes of this machine, each with a model of its own: `executor=Workers(8)`.

    Results are the same bit for bit for any number of workers, and those of one process up to rounding. On a GPU there
    is one worker for each device, and no more workers than devices.

    Args:
        n: number of processes; None for one per GPU, or one per core without.
        threads: CPU threads of each. More of them change the last bits of results.
        collect: put together what was measured elsewhere, of which nothing may be absent; only what is asked for
            because of it, such as tests of a verdict, is measured here.

    Raises:
        UsageError: SCR-SETTING, no such number of workers or threads, or more threads than cores.
    """

    n: int | None = None
    threads: int = 1
    collect: bool = False

    def __post_init__(self) -> None:
        for name, value in (("n", 1 if self.n is None else self.n), ("threads", self.threads)):
            if not is_whole(value) or int(value) < 1:
                problem = f"Workers({name}={value!r}) was asked for."
                fail(UsageError, "SCR-SETTING", problem, "Give a whole number of at least 1.")
        if self.threads > 1 and (self.n or 1) * self.threads > cores():
            problem = f"{self.n or 1} workers with {self.threads} threads each were asked for, on {cores()} cores."
            fail(UsageError, "SCR-SETTING", problem, "Ask for no more threads in all than there are cores.")

    def __call__(self, settings: Settings) -> Executor:
        """The executor, for runs with these settings."""
        from scrubbing.experiment.sharded.processes import Processes  # loads torch, which naming it must not

        return Processes(self, settings)


def cores() -> int:
    """Cores that this process may use."""
    import os

    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
