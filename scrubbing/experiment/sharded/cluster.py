"""Shards measured by actors of a Ray cluster, whose nodes may come and go."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scrubbing.data.hub import library
from scrubbing.errors import Fault, UsageError, counted
from scrubbing.experiment.settings import Settings
from scrubbing.experiment.sharded.executor import Sharded
from scrubbing.experiment.sharded.files import Manifest
from scrubbing.experiment.sharded.work import Worker
from scrubbing.records.files import write

_DEATHS = 5
"""Actors that may die of one shard."""
_PATIENCE = 5.0
"""Seconds after which it is asked again how large the cluster is."""


class OnRay(Sharded):
    """Executor whose shards are measured by the actors of a Ray cluster, one per GPU or, without, per core. Each loads
    models and inputs once. The shard of an actor that dies, alone or with its node, is measured by another.

    The cluster is the one that this process is connected to; else that of `RAY_ADDRESS`, or one of this machine.
    Nodes need the same packages, and no common disk.

    Args:
        settings: of the runs.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, threads=1)
        self.ray = library("ray", "ray")
        self._sent: dict[str, Any] = {}
        """What was written to the room, as objects of the cluster."""
        self._actors: list[_Actor] = []

    def run(self, name: str, manifest: Manifest, files: Mapping[int, Path]) -> Iterator[int]:
        """See `Sharded.run`.

        Raises:
            UsageError: SCR-WORKER, actors die again and again. SCR-EXTRA, ray is not installed.
        """
        ray = self.ray
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        for path in self.room.iterdir():
            if path.is_file() and path.name not in self._sent:
                self._sent[path.name] = ray.put(path.read_bytes())
        left, deaths, done = deque(files), Counter[int](), 0
        while done < len(files):
            self._enlist(len(files) - done)
            for actor in self._actors:
                if actor.busy is None and actor.has_begun and left:
                    actor.shard = left.popleft()
                    actor.busy = actor.handle.measure.remote(name, actor.shard, self._sent)
            busy = {actor.busy: actor for actor in self._actors if actor.busy is not None}
            for ref in ray.wait(list(busy), timeout=_PATIENCE)[0]:
                actor = busy[ref]
                number, actor.busy, actor.shard = actor.shard, None, None
                try:
                    found = ray.get(ref)
                except ray.exceptions.RayError:
                    self._bury(actor)
                    if number is not None:
                        left.append(number)
                        deaths[number] += 1
                        _refuse_to_go_on(manifest, number, deaths[number])
                    continue
                actor.has_begun = True
                if isinstance(found, BaseException):
                    raise found
                if number is not None:
                    write(files[number], found, "a shard")
                    done += 1
                    yield number

    def _enlist(self, wanted: int) -> None:
        """Ask for as many actors as the cluster has room for now. Those that have no place yet are given nothing."""
        on_gpu = self.device.type == "cuda"
        there = self.ray.cluster_resources().get("GPU" if on_gpu else "CPU", 0)
        kind = self.ray.remote(_Measuring).options(num_cpus=1, num_gpus=int(on_gpu))
        while len(self._actors) < max(1, min(wanted, int(there))):
            device = "cuda:0" if on_gpu else None  # the only one that an actor sees
            handle = kind.remote(device, self.threads, os.getcwd(), [one for one in sys.path if one])
            self._actors.append(_Actor(handle, handle.begin.remote()))

    def _bury(self, actor: _Actor) -> None:
        self._actors.remove(actor)
        with suppress(self.ray.exceptions.RayError):
            self.ray.kill(actor.handle)


def _refuse_to_go_on(manifest: Manifest, number: int, deaths: int) -> None:
    if deaths >= _DEATHS:
        problem = f"{counted(deaths, 'actor')} died, one after another, of {manifest.told(manifest.shards[number])}."
        remedy = "If memory ran out, give actors less with --memory, or nodes fewer cores for Ray."
        raise UsageError(Fault("SCR-WORKER", "", problem, remedy))


@dataclass(eq=False)
class _Actor:
    handle: Any
    busy: Any
    """What it is computing; None while it waits."""
    shard: int | None = None
    """Which shard that is; None while it begins."""
    has_begun: bool = False


@dataclass(eq=False)
class _Measuring:
    """What an actor does, on whatever node."""

    device: str | None
    threads: int
    where: str
    """Folder that paths of the user's files start in."""
    paths: Sequence[str]
    """Where modules are looked for."""
    _worker: Worker | None = None
    _room: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    def begin(self) -> None:
        """Load what takes long, so that it is known that this actor has a place."""
        if Path(self.where).is_dir():
            os.chdir(self.where)
        sys.path += [one for one in self.paths if one not in sys.path]
        self._worker = Worker(Path(self._room.name), self.device, self.threads)

    def measure(self, name: str, number: int, sent: Mapping[str, Any]) -> bytes | BaseException:
        """Measure a shard; its file, or what measuring raised."""
        ray = library("ray", "ray")
        room = Path(self._room.name)
        for file, content in sent.items():
            if not (room / file).exists():
                (room / file).write_bytes(ray.get(content))
        assert self._worker is not None
        try:
            into = room / f"{name}-{number}.npz"
            self._worker.measure(name, number, into)
            found = into.read_bytes()
            into.unlink()
        except Exception as error:
            return error
        return found
