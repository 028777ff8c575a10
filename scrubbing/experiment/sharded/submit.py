"""A run on a batch system: an array of jobs that measure its shares, and a job after it that collects them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scrubbing.data.hub import library
from scrubbing.errors import UsageError, brief, fail


@dataclass(frozen=True)
class Command:
    """A `scrub` command, as what a job of submitit calls."""

    arguments: tuple[str, ...]

    def __call__(self) -> None:
        """Run it; that it fails makes the job fail."""
        subprocess.run(self.line, check=True)

    @property
    def line(self) -> list[str]:
        """The command with this Python."""
        return [sys.executable, "-m", "scrubbing.cli", *self.arguments]

    def checkpoint(self) -> Any:
        """Where a job is preempted, or its time is over: the same command again, which goes on with what is absent."""
        return library("submitit", "slurm").helpers.DelayedSubmission(self)


@dataclass(frozen=True)
class Submission:
    """A `scrub` command divided into jobs.

    Args:
        command: arguments of `scrub run`, `bench` or `verdict`, with `--out`.
        tasks: jobs of the array, one device each.
        folder: for what jobs print, and what submitit needs.
        minutes: that each job may take.
        options: of `sbatch`, such as `{"partition": "gpu", "gpus_per_node": 1}`; names of submitit, or sbatch's own.
    """

    command: Sequence[str]
    tasks: int
    folder: Path
    minutes: int = 60
    options: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def shares(self) -> list[Command]:
        """What each job of the array runs."""
        return [Command((*self.command, "--share", f"{k}/{self.tasks}")) for k in range(1, self.tasks + 1)]

    @property
    def collection(self) -> Command:
        """What the job after the array runs."""
        return Command((*self.command, "--collect"))

    def scripts(self) -> str:
        """The scripts that `sbatch` would be given, and what each job runs; nothing is submitted.

        Raises:
            UsageError: SCR-EXTRA, submitit is not installed. SCR-SETTING, an option that it does not take.
        """
        make = library("submitit.slurm.slurm", "slurm")._make_sbatch_string
        call = shlex.join([sys.executable, "-u", "-m", "submitit.core._submit", str(self.folder)])
        script: dict[str, str] = {}
        for name, more in (("array", {"map_count": self.tasks}), ("collect", {"dependency": "afterany:ARRAY"})):
            try:
                script[name] = make(call, self.folder, **self._parameters(name), **more)
            except (TypeError, ValueError) as error:
                fail(
                    UsageError, "SCR-SETTING", f"submitit takes no such option ({brief(error)}).", "See sbatch --help."
                )
        runs = [shlex.join(["scrub", *one.arguments]) for one in self.shares]
        told = [f"# job {number} of the array: {line}" for number, line in enumerate(runs)]
        after = f"# after the array: {shlex.join(['scrub', *self.collection.arguments])}"
        return "\n".join([script["array"].rstrip(), "", *told, "", script["collect"].rstrip(), "", after])

    def submit(self, cluster: str) -> list[str]:
        """Submit the array, and the job after it.

        Args:
            cluster: `slurm`, or `local` for processes of this machine, which are waited for before they are collected.

        Returns:
            Ids of the jobs, that of the collecting one last.

        Raises:
            UsageError: SCR-EXTRA, submitit is not installed. SCR-SETTING, there is no such cluster here, or no such
                option.
        """
        submitit = library("submitit", "slurm")
        try:
            array = self._executor(submitit, cluster, "array")
            with array.batch():
                jobs = [array.submit(one) for one in self.shares]
            after = self._executor(submitit, cluster, "collect")
            if cluster == "slurm":
                after.update_parameters(slurm_dependency=f"afterany:{jobs[0].job_id.partition('_')[0]}")
            else:
                for job in jobs:
                    job.exception()  # waits; what is absent is named by the job that collects
            return [*(job.job_id for job in jobs), after.submit(self.collection).job_id]
        except (RuntimeError, ValueError, TypeError, NameError) as error:
            remedy = "Run it where sbatch is, correct the options, or take --cluster local; --dry-run submits nothing."
            fail(UsageError, "SCR-SETTING", f"it cannot be submitted ({brief(error)}).", remedy)

    def _executor(self, submitit: Any, cluster: str, what: str) -> Any:
        made = submitit.AutoExecutor(folder=self.folder, cluster=cluster)
        if cluster == "slurm":
            made.update_parameters(**{f"slurm_{name}": value for name, value in self._parameters(what).items()})
        else:
            made.update_parameters(timeout_min=self.minutes)
        return made

    def _parameters(self, what: str) -> dict[str, Any]:
        """Options of one job. One that is preempted is queued again."""
        options: dict[str, Any] = {name: int(v) if v.isdecimal() else v for name, v in self.options.items()}
        return {
            "job_name": f"scrub-{what}",
            "time": self.minutes,
            "additional_parameters": {"requeue": True},
            **options,
        }
