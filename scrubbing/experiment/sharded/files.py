"""Files of a run in shards: the manifest, which says what each shard is, and what was measured of each."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import scrubbing
from scrubbing.errors import FileError, UsageError, fail
from scrubbing.experiment.describe import versions
from scrubbing.experiment.sharded.partition import Shard
from scrubbing.guards import is_dict
from scrubbing.records.files import write

_DIGEST = 32
_REMEDY = "Run it where the same code, data and packages are, or delete the file to have it measured again."


@dataclass(frozen=True)
class Manifest:
    """What is measured, in which shards, with which code."""

    key: str
    """Of the list of jobs: claims, feature values, model, data, choices."""
    code: str
    """Of the package's own source files."""
    versions: Mapping[str, str]
    """Of everything that numbers depend on."""
    how: Mapping[str, Any]
    """What else numbers depend on: `store`, `memory`, `tf32`, `threads`."""
    spill: str | None
    shards: Sequence[Shard]
    titles: Sequence[str]
    """Of the jobs, for messages."""
    after: Sequence[str] = ()
    """Keys of the lists before it in the same run, whose clean activations it reads too."""

    @classmethod
    def of(cls, key: str, **more: Any) -> Manifest:
        """For what is measured here and now."""
        return cls(key, code(), _versions(), **more)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        stored = {**vars(self), "shards": [one.to_json() for one in self.shards]}
        write(path, json.dumps(stored, indent=1).encode(), "what is to be measured")

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read it, and see whether this process has the same code.

        Raises:
            FileError: SCR-FILE, it is not there, or damaged. UsageError: SCR-SHARD, of another code or version.
        """
        try:
            stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            stored["shards"] = [Shard.from_json(one) for one in stored["shards"]]
            found = cls(**stored)
        except (OSError, ValueError, TypeError, KeyError) as error:
            problem = f"what is to be measured cannot be read ({type(error).__name__})."
            fail(FileError, "SCR-FILE", problem, "Prepare the run again.", str(path))
        if told := _differences({"code": found.code, "versions": found.versions}):
            fail(UsageError, "SCR-SHARD", f"what is to be measured is {told}.", _REMEDY, str(path))
        return found

    def told(self, shard: Shard) -> str:
        """A shard in words."""
        more = "" if len(shard.jobs) == 1 else f" and {len(shard.jobs) - 1} more"
        return f"part {shard.part + 1} of {shard.of} of {self.titles[shard.jobs[0]]}{more}"


@cache
def code() -> str:
    """Hash of the source files of this package."""
    digest = hashlib.blake2b(digest_size=16)
    root = Path(scrubbing.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\x00".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def save(path: Path, manifest: Manifest, shard: Shard, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write what was measured of a shard, whole or not at all, with a hash of it all."""
    header = {"key": manifest.key, "code": manifest.code, "versions": dict(manifest.versions)}
    header |= {"how": dict(manifest.how), "shard": shard.to_json()}
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, header=np.array(json.dumps(header, sort_keys=True)), **arrays)
    write(path, hashlib.blake2b(content.getvalue(), digest_size=_DIGEST).digest() + content.getvalue(), "a shard")


def read(path: Path, manifest: Manifest, shard: Shard) -> dict[str, NDArray[Any]] | None:
    """What was measured of a shard; None where it is not there, or not whole.

    Raises:
        UsageError: SCR-SHARD, it is of another code, data or version.
    """
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    content = stored[_DIGEST:]
    if hashlib.blake2b(content, digest_size=_DIGEST).digest() != stored[:_DIGEST]:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found = dict(arrays)
    header = json.loads(str(found.pop("header")))
    if header["key"] != manifest.key:
        _refuse("of another model, hypothesis, dataset or setting", path)
    if told := _differences(header):
        _refuse(told, path)
    if header["shard"] != json.loads(json.dumps(shard.to_json())) or header["how"] != dict(manifest.how):
        _refuse("another part of the run, or one that was measured in another way", path)
    return found


@cache
def _versions() -> dict[str, str]:
    return versions()


def _differences(stored: Mapping[str, Any]) -> str:
    """In which code or version something was made, where it is not this one."""
    here, there = _versions(), stored["versions"]
    told = [
        f"{name} {there.get(name, 'absent') if is_dict(there) else '?'} instead of {here.get(name, 'none')}"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]
    if told:
        return f"of other versions: {', '.join(told)}"
    return "" if stored["code"] == code() else "of another code: the source files of scrubbing differ"


def _refuse(told: str, path: Path) -> NoReturn:
    fail(UsageError, "SCR-SHARD", f"this shard is {told}.", _REMEDY, str(path))
