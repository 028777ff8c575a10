"""Snapshots: records that somebody accepted."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from scrubbing.records.inputs import Inputs
from scrubbing.records.schema import Accepted, RunRecord
from scrubbing.records.store import load, load_inputs, save, stem


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An accepted run."""

    record: RunRecord
    inputs: Inputs


def place(folder: Path, hypothesis: str, dtype: str, device: str) -> Path:
    """Where the snapshot of a hypothesis is kept; those of other precisions and kinds of device are kept apart."""
    usual = (dtype, device) == ("float32", "cpu")
    return folder / f"{stem(hypothesis)}{'' if usual else f'.{dtype}-{device}'}.json"


def read(path: Path) -> Snapshot | None:
    """A snapshot; None where there is none.

    Raises:
        FileError: SCR-FILE, it is damaged, or its values per input are missing.
    """
    if not path.exists():
        return None
    record = load(path)
    inputs = load_inputs(record, path)
    return None if inputs is None else Snapshot(record, inputs)


def write(path: Path, record: RunRecord, inputs: Inputs, reason: str) -> Path:
    """Accept a run.

    Raises:
        FileError: SCR-FILE, it cannot be written; the old snapshot is still there.
    """
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return save(record.model_copy(update={"accepted": Accepted(reason=reason, when=when)}), path, inputs)
