"""What a run has measured so far, on disk, so that one that was stopped half-way goes on where it was."""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import shutil
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scrubbing.data.agreement import digest_of
from scrubbing.data.dataset import Dataset
from scrubbing.engine.engine import Compiled
from scrubbing.engine.store import Store
from scrubbing.errors import ScrubbingError
from scrubbing.experiment.measure import Measured
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.records.files import folder, write
from scrubbing.sampling.contexts import Context
from scrubbing.sampling.frames import DrawCounts

EVERY = 15.0
"""Seconds between two writes of a measurement that goes on."""


@dataclass(eq=False)
class Journal:
    """The measurements of one run, a file each.

    Only a run with the same key continues it: same hypotheses, feature values, source files, model, data, choices and
    versions. Results are then those of an uninterrupted run, bit for bit.
    """

    path: Path
    store: Store | None
    _written: float = field(default_factory=time.monotonic)

    @classmethod
    def open(cls, where: Path, key: str, store: Store | None) -> Journal:
        """In a hidden folder of the output folder."""
        journal = cls(folder(where / f".scrub-{key}"), store)
        fills = journal._read("fills")
        if store is not None:
            store.replay = {
                name: _split(fills[name], fills[f"{name} sizes"]) for name in fills if f"{name} sizes" in fills
            }
        return journal

    def restore(
        self, stage: str, found: Measured, contexts: Mapping[str, Context], counts: dict[Context, DrawCounts]
    ) -> bool:
        """Put back what was measured of a stage; whether it was finished."""
        stored = self._read(stage)
        if not stored:
            return False
        found.values = {name.removeprefix("value "): v for name, v in stored.items() if name.startswith("value ")}
        found.kept = {name.removeprefix("kept "): [v] for name, v in stored.items() if name.startswith("kept ")}
        found.batches, done = (int(number) for number in stored["progress"])
        for name, values in stored.items():
            if name.startswith("agreed "):
                total, returned = stored["drawn " + name.removeprefix("agreed ")]
                counts[contexts[name.removeprefix("agreed ")]] = DrawCounts([values], int(returned), int(total))
        return bool(done)

    def keep(self, stage: str, found: Measured, counts: Mapping[Context, DrawCounts], done: bool) -> None:
        """Write what has been measured, if it is done or was last written a while ago."""
        if not done and time.monotonic() - self._written < EVERY:
            return
        arrays: dict[str, NDArray[Any]] = {f"value {name}": values for name, values in found.values.items()}
        arrays |= {f"kept {name}": np.concatenate(parts) for name, parts in found.kept.items()}
        arrays["progress"] = np.array([found.batches, done])
        for context, count in counts.items():
            arrays[f"agreed {context.stream}"] = np.concatenate(count.agreed)
            arrays[f"drawn {context.stream}"] = np.array([count.total, count.returned_self])
        if self.store is not None:  # first, so that no measurement is ahead of the activations it was made with
            fills = {**self.store.replay, **self.store.fills}
            joined = {name: torch.cat(parts).cpu().numpy() for name, parts in fills.items()}
            sizes = {f"{name} sizes": np.array([len(part) for part in parts]) for name, parts in fills.items()}
            self._write("fills", joined | sizes)
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


def key_of(compiled: list[Compiled], facts: Mapping[str, Any]) -> str | None:
    """The key of a run; None where a hypothesis cannot be stored, so that nobody could tell whether it is the same."""
    digest = hashlib.blake2b(digest_size=8)
    try:
        for one in compiled:
            digest.update(_identity(one.hypothesis, one.data).encode())
    except ScrubbingError:
        return None
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    return digest.hexdigest()


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
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _strings(one)]


def _source(module: str) -> str:
    try:
        return hashlib.blake2b(inspect.getsource(sys.modules[module]).encode(), digest_size=8).hexdigest()
    except (OSError, TypeError):
        return ""


def _split(joined: NDArray[Any], sizes: NDArray[Any]) -> list[torch.Tensor]:
    return list(torch.from_numpy(joined).split(sizes.tolist()))
