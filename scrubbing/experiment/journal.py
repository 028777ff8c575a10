"""What has been measured of some jobs, on disk, so that a run that was stopped half-way goes on where it was."""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import shutil
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scrubbing.data.agreement import digest_of
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import as_feature
from scrubbing.device import accelerator
from scrubbing.engine.store import Store
from scrubbing.errors import ScrubbingError
from scrubbing.experiment.describe import settings_of, versions
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.measured import Measured
from scrubbing.guards import is_dict, is_list
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.records.files import folder, write
from scrubbing.sampling.frames import DrawCounts

EVERY = 15.0
"""Seconds between two writes of a measurement that goes on."""


@dataclass(eq=False)
class Journal:
    """The measurements of one list of jobs, a file each.

    Only a run with the same key continues it: same hypotheses, feature values, source files, model, data, choices and
    versions. Results are then those of an uninterrupted run, bit for bit.
    """

    path: Path
    stores: Sequence[Store]
    """Stores of the models that the jobs run on, always in the same order."""
    _written: float = field(default_factory=time.monotonic)

    @classmethod
    def open(cls, where: Path, key: str, stores: Sequence[Store]) -> Journal:
        """Open the journal in a hidden folder of the output folder."""
        journal = cls(folder(where / f".scrub-{key}"), stores)
        for number, store in enumerate(stores):
            fills = journal._read(f"fills {number}")
            store.replay = {
                name: _split(fills[name], fills[f"{name} sizes"]) for name in fills if f"{name} sizes" in fills
            }
        return journal

    def restore(self, stage: str, found: Measured) -> bool:
        """Put back what was measured of a job; whether it was finished."""
        stored = self._read(stage)
        if not stored:
            return False
        found.values = {name.removeprefix("value "): v for name, v in stored.items() if name.startswith("value ")}
        found.kept = {name.removeprefix("kept "): [v] for name, v in stored.items() if name.startswith("kept ")}
        found.batches, done = (int(number) for number in stored["progress"])
        for name, values in stored.items():
            if name.startswith("agreed "):
                region = name.removeprefix("agreed ")
                total, returned = stored[f"drawn {region}"]
                found.counts[int(region)] = DrawCounts([values], int(returned), int(total))
        return bool(done)

    def keep(self, stage: str, found: Measured, done: bool) -> None:
        """Write what has been measured, if it is done or was last written a while ago."""
        if not done and time.monotonic() - self._written < EVERY:
            return
        arrays: dict[str, NDArray[Any]] = {f"value {name}": values for name, values in found.values.items()}
        arrays |= {f"kept {name}": np.concatenate(parts) for name, parts in found.kept.items()}
        arrays["progress"] = np.array([found.batches, done])
        for region, count in found.counts.items():
            arrays[f"agreed {region}"] = np.concatenate(count.agreed)
            arrays[f"drawn {region}"] = np.array([count.total, count.returned_self])
        for number, store in enumerate(
            self.stores
        ):  # first: no measurement is ahead of the activations it was made with
            fills = {**store.replay, **store.fills}
            joined = {name: np.concatenate(parts) for name, parts in fills.items()}
            sizes = {f"{name} sizes": np.array([len(part) for part in parts]) for name, parts in fills.items()}
            self._write(f"fills {number}", joined | sizes)
        self._write(stage, arrays)
        self._written = time.monotonic()

    def close(self) -> None:
        """The run is over and its records are written."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _file(self, stage: str) -> Path:
        return self.path / f"{hashlib.blake2b(stage.encode(), digest_size=8).hexdigest()}.npz"

    def _write(self, stage: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        written = io.BytesIO()
        np.savez(written, allow_pickle=False, **arrays)
        write(self._file(stage), written.getvalue(), "what has been measured so far")

    def _read(self, stage: str) -> dict[str, NDArray[Any]]:
        try:
            with np.load(io.BytesIO(self._file(stage).read_bytes()), allow_pickle=False) as stored:
                return dict(stored)
        except (FileNotFoundError, zipfile.BadZipFile, ValueError, EOFError):
            return {}  # not begun, or damaged: measured again


def key_of(jobs: Sequence[Job], how: Sequence[Any]) -> str | None:
    """The key of a list of jobs; None where a hypothesis cannot be stored, so that nobody could tell whether it is the
    same.

    Args:
        jobs: what is measured.
        how: what else the last bits of the numbers depend on, as JSON values.
    """
    digest = hashlib.blake2b(digest_size=8)
    try:
        for job in jobs:
            digest.update(_identity(job.hypothesis, job.reference.data).encode())
            digest.update(json.dumps(_choices(job), sort_keys=True, default=str).encode())
    except ScrubbingError:
        return None
    digest.update(json.dumps([*how, versions(), torch.get_num_threads()], sort_keys=True).encode())
    return digest.hexdigest()


def _choices(job: Job) -> list[Any]:
    """What a job is beside its hypothesis."""
    subject, data = job.subject, job.reference.data
    features = [(name, digest_of(as_feature(feature), data)) for name, feature in subject.slices.further.items()]
    run = [job.name, job.control, job.mode, job.draws, job.seed, job.with_model, job.logits]
    measures = [(one.name, type(one).__qualname__, _source(type(one).__module__)) for one in job.measures]
    references = hashlib.blake2b(job.reference.rows.tobytes(), digest_size=8).hexdigest()
    of = [
        subject.model.fingerprint,
        str(subject.model.device),
        accelerator(subject.model.device, tf32=False),
        subject.data.fingerprint,
        settings_of(subject.loss, data),
    ]
    return [of, features, run, measures, references]


def _identity(hypothesis: Hypothesis, data: Dataset) -> str:
    """The hypothesis as JSON, the values of its features, and the files its functions are from."""
    stored = json.dumps(hypothesis.to_json(), sort_keys=True)
    values = [digest_of(variable.agrees_on(), data) for variable in hypothesis.interpretation.variables]
    modules = {name.partition(":")[0] for name in _strings(json.loads(stored)) if ":" in name}
    sources = [_source(name) for name in sorted(modules & set(sys.modules))]
    return json.dumps([stored, values, sources, data.fingerprint])


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if is_dict(value) else value if is_list(value) else ()
    return [text for one in inner for text in _strings(one)]


def _source(module: str) -> str:
    try:
        return hashlib.blake2b(inspect.getsource(sys.modules[module]).encode(), digest_size=8).hexdigest()
    except (OSError, TypeError):
        return ""


def _split(joined: NDArray[Any], sizes: NDArray[Any]) -> list[NDArray[np.int64]]:
    return np.split(joined, np.cumsum(sizes)[:-1])
