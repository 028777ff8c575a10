"""Workers that cannot be, shards that are absent, and what cannot be sent to another process."""

from __future__ import annotations

import threading

import pytest

from scrubbing import FileError, UsageError, Workers, head
from scrubbing.experiment.sharded import partition, processes
from scrubbing.experiment.sharded.executor import Sharded
from scrubbing.experiment.sharded.files import Manifest
from scrubbing.experiment.sharded.parcel import Receiver

CASES = {
    "no workers": ("SCR-SETTING", lambda: Workers(0)),
    "half a worker": ("SCR-SETTING", lambda: Workers(1.5)),
    "no threads": ("SCR-SETTING", lambda: Workers(2, threads=0)),
}


@pytest.mark.parametrize("case", CASES)
def test_workers(case, refused):
    codes, call = CASES[case]
    refused(UsageError, codes, call)


def test_more_threads_than_cores(refused):
    refused(UsageError, "SCR-SETTING", lambda: Workers(2, threads=9000), {r"on \d+ cores": "on N cores"})


def scrubbed(w, **changed):
    return w.scrub(head(1, 0).direct().carries(w.parity), **changed)


class Nobody(Sharded):
    """Measures nothing."""

    def run(self, name, manifest, files):
        yield from ()


def test_shards_are_absent(world, refused, monkeypatch):
    monkeypatch.setitem(partition.ROWS, "cpu", 12)
    refused(UsageError, "SCR-SHARD", lambda: scrubbed(world, executor=lambda settings: Nobody(settings, 1)))


def test_what_cannot_be_sent(world, refused):
    made = world.data.with_columns()
    made.held = threading.Lock()
    refused(UsageError, "SCR-SHARD", lambda: scrubbed(world, data=made, executor=lambda settings: Nobody(settings, 1)))


def test_what_is_not_there(tmp_path, refused):
    hide = {str(tmp_path): "FOLDER"}
    refused(FileError, "SCR-FILE", lambda: Receiver(tmp_path).jobs("a"), hide)
    refused(FileError, "SCR-FILE", lambda: Manifest.load(tmp_path / "a.json"), hide)


def test_workers_die(refused, tmp_path):
    shard = partition.Shard((0,), 0, 4)
    manifest = Manifest.of("key", how={}, spill=None, shards=[shard], titles=["parens/signs"])
    work = processes._Queue("key", manifest, {0: tmp_path / "shard.npz"})
    while work._again(0):
        pass

    def told():
        raise work.told.get()

    refused(UsageError, "SCR-WORKER", told)
