"""Shards measured by processes of this machine, which may die."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import weakref
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from scrubbing.errors import Fault, UsageError
from scrubbing.experiment.settings import Settings
from scrubbing.experiment.sharded.executor import Sharded
from scrubbing.experiment.sharded.files import Manifest
from scrubbing.experiment.sharded.work import Worker
from scrubbing.experiment.sharded.workers import Workers, cores

_DEATHS = 5
"""Workers that may die of one shard, or before they have begun, one after another."""


class Processes(Sharded):
    """Executor whose shards are measured by spawned processes. The shard of a worker that dies is measured by another.

    Args:
        workers: how many.
        settings: of the runs.
    """

    def __init__(self, workers: Workers, settings: Settings) -> None:
        super().__init__(settings, workers.threads, collect=workers.collect)
        self.workers = workers
        self._seats: list[_Seat] = []
        weakref.finalize(self, _leave, self._seats)

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers that have begun."""
        return [seat.pid for seat in self._seats if seat.pid is not None]

    def run(self, name: str, manifest: Manifest, files: Mapping[int, Path]) -> Iterator[int]:
        """See `Sharded.run`.

        Raises:
            UsageError: SCR-WORKER, workers die again and again.
        """
        devices = self._devices()
        while len(self._seats) < len(devices):
            self._seats.append(_Seat(self.room, devices[len(self._seats)], self.threads))
        work = _Queue(name, manifest, files)
        threads = [threading.Thread(target=work.through, args=(seat,), daemon=True) for seat in self._seats]
        for thread in threads[: len(files)]:
            thread.start()
        try:
            for _ in files:
                told = work.told.get()
                if isinstance(told, BaseException):
                    raise told
                yield told
        except BaseException:
            work.over.set()
            for seat in self._seats:
                seat.stop()
            raise
        finally:
            work.over.set()
            for thread in threads[: len(files)]:
                thread.join()

    def _devices(self) -> list[str | None]:
        """Of each worker; None is the CPU."""
        device = self.device
        if device.type == "cpu":
            return [None] * (self.workers.n or cores())
        if self.workers.n == 1 or device.type != "cuda":
            return [str(device)]
        there = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        return list(there[: self.workers.n])


class _Queue:
    """Shards that are still to be measured, and what became of the others."""

    def __init__(self, name: str, manifest: Manifest, files: Mapping[int, Path]) -> None:
        self.name, self.manifest, self.files = name, manifest, files
        self.told: queue.Queue[int | BaseException] = queue.Queue()
        """Numbers of shards that were measured, or why nothing more will be."""
        self.over = threading.Event()
        self._left: queue.Queue[int] = queue.Queue()
        self._deaths: Counter[int] = Counter()
        for number in files:
            self._left.put(number)

    def through(self, seat: _Seat) -> None:
        """Have a worker measure one shard after another, until none is left."""
        if hasattr(signal, "pthread_sigmask"):
            # Ctrl-C goes to every process of a terminal; workers inherit this, and end when they are told to.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        with suppress(queue.Empty):
            while True:
                number = self._left.get_nowait()
                try:
                    seat.begin()
                    if self.over.is_set():
                        return
                    seat.measure(self.name, number, self.files[number])
                except BrokenProcessPool:
                    if self.over.is_set() or not self._again(number):
                        return
                except BaseException as error:
                    self.told.put(error)
                    return
                else:
                    self.told.put(number)

    def _again(self, number: int) -> bool:
        """Whether the shard of a worker that died is to be measured again, which it is after all others."""
        self._deaths[number] += 1
        if self._deaths[number] < _DEATHS:
            self._left.put(number)
            return True
        problem = f"{_DEATHS} workers died, one after another, of {self.manifest.told(self.manifest.shards[number])}."
        remedy = "If memory ran out, ask for fewer workers, or less for each with --memory."
        self.told.put(UsageError(Fault("SCR-WORKER", "", problem, remedy)))
        return False


class _Seat:
    """Where one worker works; when it dies, another takes its place."""

    def __init__(self, room: Path, device: str | None, threads: int) -> None:
        self.given = room, device, threads
        self.pid: int | None = None
        self._pool: ProcessPoolExecutor | None = None

    def begin(self) -> None:
        """Start a worker, if there is none.

        Raises:
            BrokenProcessPool: it died at once.
        """
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, context, initializer=_begin, initargs=self.given)
            with self._empty_if_broken(self._pool):
                self.pid = self._pool.submit(os.getpid).result()

    def measure(self, name: str, number: int, path: Path) -> None:
        """Have a shard measured.

        Raises:
            BrokenProcessPool: the worker died. ScrubbingError: whatever measuring raises.
        """
        assert self._pool is not None
        with self._empty_if_broken(self._pool):
            self._pool.submit(_measure, name, number, path).result()

    def stop(self) -> None:
        """End the worker, whatever it is doing."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def leave(self) -> None:
        """Let the worker go, which does nothing now."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    @contextmanager
    def _empty_if_broken(self, pool: ProcessPoolExecutor) -> Generator[None]:
        try:
            yield
        except BrokenProcessPool:
            self._pool = self.pid = None
            pool.shutdown()
            raise


def _leave(seats: list[_Seat]) -> None:
    for seat in seats:
        seat.leave()


_worker: Worker | None = None
"""In a process that is a worker."""


def _begin(room: Path, device: str | None, threads: int) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    # Whoever is waited for by nobody is to end too, however the other process ended.
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    _worker = Worker(room, device, threads)


def _measure(name: str, number: int, path: Path) -> None:
    assert _worker is not None
    _worker.measure(name, number, path)
