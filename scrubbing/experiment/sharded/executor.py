"""What all executors that measure in shards do: divide, find out what is absent, and put together."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import uuid
import weakref
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scrubbing.device import budget
from scrubbing.engine.engine import DEFAULT_MEMORY
from scrubbing.errors import Fault, UsageError, counted, fail
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.journal import put_back, stage_of
from scrubbing.experiment.measured import Measured
from scrubbing.experiment.settings import Settings
from scrubbing.experiment.sharded.files import Manifest, read
from scrubbing.experiment.sharded.parcel import Sender
from scrubbing.experiment.sharded.partition import Reads, Shard, shards_of
from scrubbing.progress import bar
from scrubbing.records.files import alone, folder
from scrubbing.sampling.frames import DrawCounts

_TRIES = 3
"""Times that files of shards which turn out to be damaged are made again."""


class Sharded(ABC):
    """Executor that divides jobs into shards, has somebody measure them, and puts the files together.

    How jobs are divided, and how each shard is measured, does not depend on who measures it. So measurements are the
    same bit for bit whoever measures, in whatever order, and however often a shard has to be measured again.

    Args:
        settings: of the runs.
        threads: that each shard is measured with on a CPU.
        room: folder for what is to be measured, which whoever measures can read; None for a temporary one.
        collect: whether the shards of the first list of a run are there already, and absent ones are an error.
    """

    def __init__(self, settings: Settings, threads: int, room: Path | None = None, *, collect: bool = False) -> None:
        self.settings, self.threads, self.collect = settings, threads, collect
        self.device = torch.device("cpu")
        """Where the models of the last jobs are."""
        if room is None:
            room = Path(tempfile.mkdtemp(prefix="scrub-"))
            weakref.finalize(self, shutil.rmtree, room, ignore_errors=True)
        self.room = folder(room)
        self.sender = Sender(self.room)
        self._known: dict[Job, Measured] = {}
        self._runs: list[_Run] = []
        """Those that go on, the last one begun last. Tests of a verdict are measured within the run of a hypothesis."""

    @abstractmethod
    def run(self, name: str, manifest: Manifest, files: Mapping[int, Path]) -> Iterator[int]:
        """Have shards measured.

        Args:
            name: of the list in the room.
            manifest: of that list.
            files: of the shards to measure, by their numbers.

        Yields:
            The number of each shard whose file is there.
        """

    def measure(self, jobs: Sequence[Job], out: Path | None = None) -> Iterator[Measured]:
        """See `Executor.measure`. All jobs are measured before the first measurement is yielded.

        Raises:
            FileError: SCR-FILE, the folder cannot be written, or another run is writing to it.
            UsageError: SCR-SHARD, what is to be measured cannot be sent, or a file is of another code, data or version.
            ScrubbingError: whatever measuring raises.
        """
        with ExitStack() as held:
            if out is not None:
                held.enter_context(alone(folder(out)))
            held.enter_context(self._run(jobs, out))
            todo = [job for job in dict.fromkeys(jobs) if job not in self._known]
            found = dict(zip(todo, self._measured(todo), strict=True)) if todo else {}
            self._known |= {job: one for job, one in found.items() if job.shared}
            found |= {job: self._known[job] for job in jobs if job in self._known}
            for job in jobs:
                yield found[job]
            if out is not None:
                shutil.rmtree(self._runs[-1].folder, ignore_errors=True)

    def measure_share(self, jobs: Sequence[Job], out: Path, part: int, of: int) -> None:
        """Measure one of several shares of the shards of a list, and leave their files for whoever collects them.

        Args:
            jobs: the list.
            out: folder of the run, where others may be measuring their shares.
            part: which share, from 1.
            of: how many there are.

        Raises:
            FileError: SCR-FILE, the folder cannot be written.
            UsageError: SCR-SHARD, a hypothesis cannot be stored, so that nobody could tell what the files are of.
        """
        key = self._key(jobs, ())
        if key is None:
            problem = "a hypothesis of it has a function without an address, so its shards would not be known again."
            fail(UsageError, "SCR-SHARD", problem, "Define its functions with def at the top level of a file.")
        self.device = jobs[0].subject.model.device
        run = _Run(folder(folder(out) / f".scrub-{key}"))
        manifest = self.prepare(list(dict.fromkeys(jobs)), run)
        paths = self._paths(manifest, run)
        files = {number: paths[number] for number in range(part - 1, len(paths), of)}
        with bar(f"share {part} of {of}", len(files)) as progress:
            for _ in self.run(manifest.key, manifest, files):
                progress.advance()

    @contextmanager
    def _run(self, jobs: Sequence[Job], out: Path | None) -> Generator[None]:
        """While a run goes on; what is measured within another one is part of that, unless it has a folder."""
        begun: _Run | None = None
        with ExitStack() as held:
            if out is not None:
                begun = _Run(folder(out) / f".scrub-{self._key(jobs, ()) or uuid.uuid4().hex}")
            elif not self._runs:
                begun = _Run(Path(held.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=self.room))))
            if begun is None:
                yield
                return
            self._runs.append(begun)
            try:
                yield
            finally:
                self._runs.remove(begun)

    def _measured(self, jobs: Sequence[Job]) -> list[Measured]:
        run = self._runs[-1]
        self.device = jobs[0].subject.model.device
        manifest = self.prepare(jobs, run)
        found = self._collected(manifest.key, manifest, self._paths(manifest, run), jobs)
        return [_together(job, place, manifest.shards, found) for place, job in enumerate(jobs)]

    @staticmethod
    def _paths(manifest: Manifest, run: _Run) -> dict[int, Path]:
        """Of the shards of a list, by number."""
        there = folder(run.folder)
        return {n: there / f"{manifest.key}-{shard.name}.npz" for n, shard in enumerate(manifest.shards)}

    def prepare(self, jobs: Sequence[Job], run: _Run) -> Manifest:
        """Write what is to be measured to the room, as the next list of a run."""
        manifest = Manifest.of(
            self._key(jobs, run.lists) or uuid.uuid4().hex,
            how=self._how(jobs),
            spill=None if self.settings.spill is None else str(self.settings.spill),
            shards=shards_of(jobs, run.reads),
            titles=[job.title for job in jobs],
            after=tuple(run.lists),
        )
        self.sender.send(manifest.key, [_bare(job) for job in jobs])
        manifest.save(self.room / f"{manifest.key}.json")
        run.lists.append(manifest.key)
        return manifest

    def _collected(
        self, name: str, manifest: Manifest, paths: Mapping[int, Path], jobs: Sequence[Job]
    ) -> dict[int, dict[str, NDArray[Any]]]:
        """What is in the files of all shards, once they are there."""
        found: dict[int, dict[str, NDArray[Any]]] = {}
        sizes = [
            sum(len(jobs[place].reference.rows[one.part :: one.of]) * jobs[place].draws for place in one.jobs)
            for one in manifest.shards
        ]
        absent = paths
        title = jobs[0].title if len(jobs) == 1 else f"{jobs[0].title} and {len(jobs) - 1} more"
        with bar(f"scrubbing {title}", sum(sizes)) as progress:
            for _ in range(_TRIES + 1):
                for number in paths.keys() - found.keys():
                    stored = read(paths[number], manifest, manifest.shards[number])
                    if stored is not None:
                        found[number] = stored
                absent = {number: path for number, path in paths.items() if number not in found}
                if not absent:
                    return found
                if self.collect and not manifest.after:
                    raise UsageError(absences(manifest, absent, "Measure them with the shares that they are in."))
                progress.done = sum(sizes[number] for number in found)
                for number in self.run(name, manifest, absent):
                    progress.advance(sizes[number])
        raise UsageError(absences(manifest, absent, "Run the same command again, which measures only these."))

    def _how(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """What numbers depend on beside the jobs."""
        chosen, device = self.settings, jobs[0].subject.model.device
        memory = chosen.memory
        if device.type != "cpu":
            memory = budget(device, memory, DEFAULT_MEMORY)
            memory = memory // 2 if chosen.memory == DEFAULT_MEMORY else memory  # others may have less free
        return {"store": chosen.store, "memory": memory, "tf32": chosen.tf32, "threads": self.threads}

    def _key(self, jobs: Sequence[Job], after: Sequence[str]) -> str | None:
        """The name of a list of jobs that comes after others in its run; None where a hypothesis cannot be stored, so
        that nobody could tell whether it is the same.
        """
        stages = [stage_of(job) for job in jobs]
        if not jobs or None in stages:
            return None
        told = json.dumps([stages, self._how(jobs), list(after)], sort_keys=True)
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


@dataclass(eq=False)
class _Run:
    """A run that goes on: a list of jobs, and those that are measured because of what came out."""

    folder: Path
    """Of its shards."""
    lists: list[str] = field(default_factory=list[str])
    """Keys of its lists so far."""
    reads: Reads = field(default_factory=Counter[tuple[int, int]])


def absences(manifest: Manifest, absent: Mapping[int, Path], remedy: str) -> list[Fault]:
    """What to say of shards that nobody measured."""
    names = [manifest.told(manifest.shards[number]) for number in sorted(absent)]
    more = "" if len(names) <= 3 else "; and so on"
    told = f"of {counted(len(manifest.shards), 'shard')}, {len(names)} were not measured"
    return [Fault("SCR-SHARD", "", f"{told}: {'; '.join(names[:3])}{more}.", remedy)]


def _bare(job: Job) -> Job:
    """A job without what was derived of it."""
    made = object.__new__(Job)
    vars(made).update({name: value for name, value in vars(job).items() if name in Job.__dataclass_fields__})
    return made


def _together(
    job: Job, place: int, shards: Sequence[Shard], found: Mapping[int, Mapping[str, NDArray[Any]]]
) -> Measured:
    """The measurement of a job from its parts."""
    n = len(job.reference.rows)
    whole = Measured({}, exchanged=False)
    for number, shard in enumerate(shards):
        if place not in shard.jobs:
            continue
        at, prefix = np.arange(n)[shard.part :: shard.of], f"{place} "
        stored = {name.removeprefix(prefix): v for name, v in found[number].items() if name.startswith(prefix)}
        part = Measured({})
        put_back(part, stored)
        for name, values in part.values.items():
            whole.values.setdefault(name, np.zeros((n, *values.shape[1:])))[at] = values
        kept = part.kept.as_arrays()
        whole.kept.add_arrays(kept | {"reference": at[kept["reference"]]})
        for region, count in part.counts.items():
            whole.counts.setdefault(region, DrawCounts()).add(count)
        whole.exchanged = whole.exchanged or bool(stored["exchanged"])
        whole.batches += part.batches
        whole.fitting = min((one for one in (whole.fitting, part.fitting) if one is not None), default=None)
    return whole
