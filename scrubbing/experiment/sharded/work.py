"""Measuring a shard, in whatever process: a pure function of its entry in the manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing import progress
from scrubbing.engine.engine import Compiled
from scrubbing.experiment.in_process import InProcess
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.journal import as_arrays
from scrubbing.experiment.measured import Reference
from scrubbing.experiment.sharded.files import Manifest, read, save
from scrubbing.experiment.sharded.parcel import Receiver
from scrubbing.experiment.sharded.partition import Shard
from scrubbing.models.threads import use_threads
from scrubbing.user_code import bind_ours


@dataclass(eq=False)
class _List:
    """A list of jobs, compiled; and what measures its shards, by whether they compute activations in groups."""

    manifest: Manifest
    jobs: list[Job]
    engines: dict[bool, InProcess]
    compiled: dict[int, Compiled]


class Worker:
    """Measures shards of whatever list it is given; models and inputs are loaded once.

    Args:
        folder: that the lists are written to.
        device: where models compute.
        threads: that it computes with on a CPU.
    """

    def __init__(self, folder: Path, device: str | None = None, threads: int = 1) -> None:
        progress.quiet()
        bind_ours()
        use_threads(threads)
        self.receiver = Receiver(folder, device)
        self._lists: list[_List] = []
        """Those of the run at hand, up to the last that was asked for."""

    def measure(self, name: str, number: int, into: Path) -> None:
        """Measure one shard of a list, and write it; if it is there already, nothing is done.

        Args:
            name: of the list.
            number: of the shard in its manifest.
            into: the file.
        """
        found = self._list(name)
        shard = found.manifest.shards[number]
        if not into.exists() or read(into, found.manifest, shard) is None:
            save(into, found.manifest, shard, _measured(found, shard))

    def _list(self, name: str) -> _List:
        """A list, after all that come before it in its run: which activations are computed together follows from what
        was compiled before, and must not depend on which lists this worker had a part in.
        """
        if not self._lists or self._lists[-1].manifest.key != name:
            manifest = Manifest.load(self.receiver.folder / f"{name}.json")
            if [one.manifest.key for one in self._lists] != list(manifest.after)[: len(self._lists)]:
                self._lists.clear()
            for key in [*manifest.after[len(self._lists) :], name]:
                self._lists.append(self._compiled(Manifest.load(self.receiver.folder / f"{key}.json")))
        return self._lists[-1]

    def _compiled(self, manifest: Manifest) -> _List:
        jobs, how = self.receiver.jobs(manifest.key), manifest.how
        engines = {True: self._lists[-1].engines[True]} if self._lists else {}
        for groups in {True, False} - engines.keys():
            engines[groups] = InProcess(
                store=how["store"], memory=how["memory"], spill=manifest.spill, tf32=how["tf32"], by_groups=groups
            )
        compiled: dict[int, Compiled] = {}
        for groups in (True, False):
            places = sorted({place for one in manifest.shards if one.groups == groups for place in one.jobs})
            made = engines[groups].compile_all([jobs[place] for place in places])
            compiled |= dict(zip(places, made, strict=True))
        return _List(manifest, jobs, engines, compiled)


def _measured(of: _List, shard: Shard) -> dict[str, NDArray[Any]]:
    here = of.engines[shard.groups]
    try:
        return _numbers(of, shard, here)
    finally:
        if not shard.groups:  # the next shard computes what it reads anew, and may be about another model
            for place in shard.jobs:
                here.engine(of.jobs[place].subject).forget()


def _numbers(of: _List, shard: Shard, here: InProcess) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    parts: dict[Reference, Reference] = {}
    for place in shard.jobs:
        job = of.jobs[place]
        if job.reference not in parts:
            parts[job.reference] = job.reference.part(shard.part, shard.of)
        made = replace(job, reference=parts[job.reference])
        measured = here.measured(made, of.compiled[place], verify=shard.part == 0)
        arrays = as_arrays(measured) | {"exchanged": np.array(measured.exchanged)}
        found |= {f"{place} {name}": values for name, values in arrays.items()}
    return found
