"""What has been measured of some jobs, on disk, so that a run that was stopped half-way goes on where it was."""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import digest_of
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, as_feature
from scrubbing.device import accelerator
from scrubbing.engine.store import Store
from scrubbing.errors import ScrubbingError
from scrubbing.experiment.describe import settings_of, versions
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.measured import Measured
from scrubbing.guards import is_dict, is_list
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.models.threads import threads_for
from scrubbing.records.files import folder, write
from scrubbing.sampling.frames import DrawCounts

EVERY = 15.0
"""Seconds between two writes of a measurement that goes on."""

_FORMAT = 2
"""Of the files; what an older release began is begun anew."""


@dataclass(eq=False)
class Journal:
    """The measurements of one run, a file each: of its list of jobs, and of all that is measured while the run goes on.

    Only a run with the same key continues it: same hypotheses, feature values, source files, model, data, choices and
    versions. Results are then those of an uninterrupted run, bit for bit.
    """

    path: Path
    _followed: list[_Followed] = field(default_factory=list["_Followed"])
    _written: float = field(default_factory=time.monotonic)

    @classmethod
    def open(cls, where: Path, key: str) -> Journal:
        """Open the journal in a hidden folder of the output folder."""
        return cls(folder(where / f".scrub-{key}"))

    def follow(self, stores: Sequence[Store]) -> None:
        """Keep in which groups these stores compute activations, and have them repeat those of a run that was stopped.

        Args:
            stores: of the models that jobs run on, those that are followed already first, in the same order.
        """
        for number, store in enumerate(stores[len(self._followed) :], len(self._followed)):
            replay, files = dict[str, list[NDArray[np.int64]]](), 0
            while stored := self._read(f"fills {number} {files}"):
                for name in stored:
                    if f"{name} sizes" in stored:
                        replay.setdefault(name, []).extend(_split(stored[name], stored[f"{name} sizes"]))
                files += 1
            store.replay = replay
            self._followed.append(_Followed(store, files))

    def restore(self, job: Job, found: Measured) -> bool:
        """Put back what was measured of a job; whether it was finished."""
        stage = stage_of(job)
        stored = {} if stage is None else self._read(stage)
        if not stored:
            return False
        put_back(found, stored)
        return bool(stored["done"])

    def keep(self, job: Job, found: Measured, done: bool) -> None:
        """Write what has been measured, if it is done or was last written a while ago."""
        if not done and time.monotonic() - self._written < EVERY:
            return
        stage = stage_of(job)
        if stage is None:
            return
        self._keep_fills()  # first: no measurement is ahead of the activations it was made with
        self._write(stage, as_arrays(found) | {"done": np.array(done)})
        self._written = time.monotonic()

    def close(self) -> None:
        """The run is over and its records are written."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _keep_fills(self) -> None:
        for number, one in enumerate(self._followed):
            new = {name: parts[one.groups.get(name, 0) :] for name, parts in one.store.fills.items()}
            new = {name: parts for name, parts in new.items() if parts}
            if not new:
                continue
            joined = {name: np.concatenate(parts) for name, parts in new.items()}
            sizes = {f"{name} sizes": np.array([len(part) for part in parts]) for name, parts in new.items()}
            self._write(f"fills {number} {one.files}", joined | sizes)
            one.groups = {name: len(parts) for name, parts in one.store.fills.items()}
            one.files += 1

    def _file(self, stage: str) -> Path:
        return self.path / f"{hashlib.blake2b(stage.encode(), digest_size=8).hexdigest()}.npz"

    def _write(self, stage: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        def save(file: IO[bytes]) -> None:
            np.savez(file, allow_pickle=False, **arrays)

        write(self._file(stage), save, "what has been measured so far")

    def _read(self, stage: str) -> dict[str, NDArray[Any]]:
        try:
            with self._file(stage).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return dict(stored)
        except (FileNotFoundError, zipfile.BadZipFile, ValueError, EOFError):
            return {}  # not begun, or damaged: measured again


@dataclass(eq=False)
class _Followed:
    """A store, and how much of what it has computed is in files."""

    store: Store
    files: int
    groups: dict[str, int] = field(default_factory=dict[str, int])
    """By shelf. Groups that are repeated are written again, since nothing tells them from others."""


def as_arrays(found: Measured) -> dict[str, NDArray[Any]]:
    """A measurement as arrays by name, from which `put_back` makes it again."""
    arrays: dict[str, NDArray[Any]] = {f"value {name}": values for name, values in found.values.items()}
    arrays |= {f"kept {name}": values for name, values in found.kept.as_arrays().items()}
    arrays["progress"] = np.array([found.batches, found.fitting or 0])
    for region, count in found.counts.items():
        arrays[f"agreed {region}"] = np.concatenate(count.agreed)
        arrays[f"drawn {region}"] = np.array([count.total, count.returned_self])
    return arrays


def put_back(found: Measured, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put what `as_arrays` made into a measurement."""
    found.values = {name.removeprefix("value "): v for name, v in arrays.items() if name.startswith("value ")}
    found.kept.add_arrays({name.removeprefix("kept "): v for name, v in arrays.items() if name.startswith("kept ")})
    found.batches, fitting = (int(number) for number in arrays["progress"])
    found.fitting = fitting or None
    for name, values in arrays.items():
        if name.startswith("agreed "):
            region = name.removeprefix("agreed ")
            total, returned = arrays[f"drawn {region}"]
            found.counts[int(region)] = DrawCounts([values], int(returned), int(total))


def stage_of(job: Job) -> str | None:
    """What a job is, as the name of its measurement; None where its hypothesis cannot be stored."""
    try:
        return json.dumps([_identity(job.hypothesis, job.reference.data), _choices(job)], sort_keys=True)
    except ScrubbingError:
        return None


def key_of(jobs: Sequence[Job], how: Sequence[Any]) -> str | None:
    """The key of a list of jobs; None where a hypothesis cannot be stored, so that nobody could tell whether it is the
    same.

    Args:
        jobs: what is measured.
        how: what else the last bits of the numbers depend on, as JSON values.
    """
    digest, threads = hashlib.blake2b(digest_size=8), sorted({threads_for(job.subject.model) for job in jobs})
    for job in jobs:
        stage = stage_of(job)
        if stage is None:
            return None
        digest.update(stage.encode())
    digest.update(json.dumps([_FORMAT, *how, versions(), threads], sort_keys=True).encode())
    return digest.hexdigest()


def _choices(job: Job) -> list[Any]:
    """What a job is beside its hypothesis."""
    subject, data = job.subject, job.reference.data
    features = [(name, digest_of(as_feature(feature), data)) for name, feature in subject.slices.further.items()]
    run = [job.name, job.control, _plain(job.mode, data), job.draws, job.seed, job.with_model, job.logits]
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


def _plain(value: Any, data: Dataset) -> Any:
    """What decides draws, as JSON that is the same in every process: features by which inputs agree on them."""
    if isinstance(value, Feature):
        return digest_of(value, data)
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(cast("NDArray[Any]", value))
        return [list(array.shape), hashlib.blake2b(array.tobytes(), digest_size=8).hexdigest()]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__qualname__, {one.name: _plain(getattr(value, one.name), data) for one in fields(value)}]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(one, data) for one in cast("frozenset[Any]", value)), key=json.dumps)
    if isinstance(value, (tuple, list)):
        return [_plain(one, data) for one in cast("Sequence[Any]", value)]
    if callable(value):
        return [value.__module__, getattr(value, "__qualname__", str(type(value))), _source(value.__module__)]
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def _identity(hypothesis: Hypothesis, data: Dataset) -> str:
    """The hypothesis as JSON, the values of its features, and the files its functions are from."""
    return data.remember(("identity", hypothesis), lambda: _identified(hypothesis, data))


def _identified(hypothesis: Hypothesis, data: Dataset) -> str:
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
