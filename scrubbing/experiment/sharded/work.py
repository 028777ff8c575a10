"""Measuring a shard, in whatever process: a pure function of its entry in the manifest."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
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


@dataclass(eq=False)
class _Load:
    """A list of jobs, compiled."""

    name: str
    manifest: Manifest
    jobs: list[Job]
    engines: dict[bool, InProcess] = field(default_factory=dict[bool, InProcess])
    compiled: dict[int, Compiled] = field(default_factory=dict[int, Compiled])


class Worker:
    """Measures shards of whatever list it is given; models and inputs are loaded once.

    Args:
        folder: that the lists are written to.
        device: where models compute.
        threads: that it computes with on a CPU.
    """

    def __init__(self, folder: Path, device: str | None = None, threads: int = 1) -> None:
        progress.quiet()
        torch.set_num_threads(threads)
        self.receiver = Receiver(folder, device)
        self._load: _Load | None = None

    def measure(self, name: str, number: int, into: Path) -> None:
        """Measure one shard of a list, and write it; if it is there already, nothing is done.

        Args:
            name: of the list.
            number: of the shard in its manifest.
            into: the file.
        """
        if self._load is None or self._load.name != name:
            manifest = Manifest.load(self.receiver.folder / f"{name}.json")
            self._load = _Load(name, manifest, self.receiver.jobs(name))
        load, shard = self._load, self._load.manifest.shards[number]
        if not into.exists() or read(into, load.manifest, shard) is None:
            save(into, load.manifest, shard, _measured(load, shard))


def _measured(load: _Load, shard: Shard) -> dict[str, NDArray[Any]]:
    here = _engine(load, shard.groups)
    if not shard.groups:
        for place in shard.jobs:
            here.engine(load.jobs[place].subject).forget()
    found: dict[str, NDArray[Any]] = {}
    parts: dict[Reference, Reference] = {}
    for place in shard.jobs:
        job = load.jobs[place]
        part = parts.setdefault(job.reference, job.reference.part(shard.part, shard.of))
        made = replace(job, reference=part)
        measured = here.measured(made, load.compiled[place], verify=shard.part == 0)
        arrays = as_arrays(measured) | {"exchanged": np.array(measured.exchanged)}
        found |= {f"{place} {name}": values for name, values in arrays.items()}
    return found


def _engine(load: _Load, groups: bool) -> InProcess:
    """What measures the shards of a list that compute clean activations in this way, all of whose jobs it compiles:
    which are computed together must not depend on which shard came first.
    """
    if groups not in load.engines:
        how = load.manifest.how
        made = InProcess(
            store=how["store"], memory=how["memory"], spill=load.manifest.spill, tf32=how["tf32"], by_groups=groups
        )
        places = sorted({place for one in load.manifest.shards if one.groups == groups for place in one.jobs})
        load.compiled |= {place: made.compile(load.jobs[place]) for place in places}
        load.engines[groups] = made
    return load.engines[groups]
