"""Snapshots: records that somebody accepted."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from scrubbing.records.inputs import Inputs
from scrubbing.records.schema import Accepted, RunRecord
from scrubbing.records.store import file_name, load, load_inputs, save


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An accepted run."""

    record: RunRecord
    inputs: Inputs


def place(folder: Path, record: RunRecord) -> Path:
    """Where the snapshot of this hypothesis, on this precision and kind of device, is kept."""
    choices = record.choices
    usual = (choices.dtype, choices.device) == ("float32", "cpu")
    name = file_name(record).removesuffix(".json")
    return folder / f"{name}{'' if usual else f'.{choices.dtype}-{choices.device}'}.json"


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
