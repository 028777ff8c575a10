"""Snapshots: records that somebody accepted."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scrubbing.errors import UsageError, fail
from scrubbing.records import names
from scrubbing.records.inputs import InputTable
from scrubbing.records.schema import Accepted, RunRecord
from scrubbing.records.store import load, load_inputs, save

_WORDS = 3
"""Different words that a reason needs."""
_SAYS_NOTHING = frozenset(
    {
        *("update", "updated", "updates", "updating", "snapshot", "snapshots", "accept", "accepted", "new", "change"),
        *("changed", "changes", "fix", "fixed", "fixes", "test", "tests", "ci", "gate", "pass", "make", "please"),
        *("it", "the", "an", "and", "of", "to", "for", "is", "as", "this", "that", "because", "just", "again"),
    }
)
"""Words that any update could be given."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An accepted run."""

    record: RunRecord
    inputs: InputTable


def place(folder: Path, hypothesis: str, dtype: str, device: str, accelerator: str | None = None) -> Path:
    """Where the snapshot of a hypothesis is kept; those of other precisions, kinds of device and accelerators
    (`device.accelerator`) are kept apart. One that release 0.1 took stays where it is.

    Raises:
        UsageError: SCR-NAME, the name is too long for a file, or 0.1 kept the snapshot of another hypothesis there.
        FileError: SCR-FILE, a snapshot of 0.1 is damaged.
    """
    names.check([hypothesis])
    kind = "" if (dtype, device) == ("float32", "cpu") else f"{dtype}-{device}"
    if accelerator not in (None, device):
        kind += "-" + re.sub(r"[^a-z0-9]+", "-", accelerator.lower())
    path, old = names.place(folder, hypothesis, kind), names.before(folder, hypothesis, kind)
    if old != path and old.exists() and not path.exists() and load(old).hypothesis == hypothesis:
        return old
    if path.exists() and (other := load(path).hypothesis) != hypothesis:
        problem = f"the snapshot of {other} is there, where release 0.1 kept it."
        fail(UsageError, "SCR-NAME", problem, f"Rename it to {names.place(folder, other, kind).name}.", str(path))
    return path


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


def check_reason(reason: str) -> None:
    """Refuse a reason that says nothing: fewer than three words, or words that any update could be given.

    Raises:
        UsageError: SCR-POLICY.
    """
    words = [word for word in re.findall(r"[^\W\d_]{2,}", reason.lower()) if word not in _SAYS_NOTHING]
    if len(set(words)) < _WORDS:
        problem = "a snapshot is replaced without a reason." if not reason.strip() else f"{reason!r} gives no reason."
        remedy = "Say in a few words what changed and why that is right, with --reason; it is kept in the snapshot."
        fail(UsageError, "SCR-POLICY", problem, remedy)


def write(
    path: Path, record: RunRecord, inputs: InputTable, reason: str, rule: Mapping[str, Any] | None = None
) -> Path:
    """Accept a run, under a rule.

    Raises:
        FileError: SCR-FILE, it cannot be written; the old snapshot is still there.
    """
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return save(
        record.model_copy(
            update={"accepted": Accepted(reason=reason, when=when, rule=None if rule is None else dict(rule))}
        ),
        path,
        inputs,
    )
