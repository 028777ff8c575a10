"""Snapshots: records that somebody accepted, and what must be equal for a run to be compared with one."""

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


def key(record: RunRecord) -> dict[str, str]:
    """What two runs must have in common to be compared input by input. The weights are not in it: how a change of them
    moves the score is what a gate is for.
    """
    choices, source = record.choices, record.provenance
    return {
        "hypothesis": record.hypothesis,
        "definition": record.hash or record.tree,
        "model": source.model,
        "dataset": source.data_fingerprint,
        "loss": choices.loss,
        "seed": str(choices.seed),
        "ablation": str(choices.ablation),
        "dtype": choices.dtype,
        "device": choices.device,
        "numerics": str(choices.numerics),
    }


def differences(record: RunRecord, snapshot: RunRecord) -> list[str]:
    """What of the key differs, in words."""
    now, before = key(record), key(snapshot)
    long = ("definition", "dataset")
    return [
        f"{name} changed" if name in long else f"{name} was {before[name]}, is {now[name]}"
        for name in now
        if now[name] != before[name]
    ]
