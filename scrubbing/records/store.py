"""Records on disk: written whole or not at all, read with an error that names the file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from scrubbing.errors import FileError, fail
from scrubbing.records.schema import VERSION, RunRecord


def save(record: RunRecord, path: str | Path) -> Path:
    """Write a record as JSON. The file appears complete or not at all.

    Raises:
        FileError: SCR-FILE, the folder cannot be written.
    """
    target = folder(Path(path).parent) / Path(path).name
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "w") as file:
            file.write(record.model_dump_json(indent=1) + "\n")
        Path(temporary).replace(target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        fail(
            FileError,
            "SCR-FILE",
            f"the record cannot be written ({error.strerror}).",
            "Choose a folder you can write.",
            str(target),
        )
    return target


def folder(path: str | Path) -> Path:
    """A folder for records, made if need be: before a long run, so that its results have somewhere to go.

    Raises:
        FileError: SCR-FILE, it cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"this folder cannot be made ({error.strerror})."
        fail(FileError, "SCR-FILE", problem, "Choose a folder you can write.", str(path))
    return Path(path)


def load(path: str | Path) -> RunRecord:
    """Read a record.

    Raises:
        FileError: SCR-FILE, missing, truncated, or not a record.
    """
    try:
        return RunRecord.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        fail(FileError, "SCR-FILE", f"it cannot be read ({error.strerror}).", "Check the path.", str(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        problem = f"it is not a run record ({f'{place}: ' if place else ''}{first['msg']})."
        remedy = "The file is truncated or of another kind; run the hypothesis again."
        if place == "version":
            problem = f"it is a record of version {first['input']!r}, and this package reads version {VERSION}."
            remedy = "Read it with the release of scrubbing that wrote it, or run the hypothesis again."
        fail(FileError, "SCR-FILE", problem, remedy, str(path))


def file_name(record: RunRecord) -> str:
    """Where a record goes in an output folder: the hypothesis's name."""
    return record.hypothesis.replace("/", "-").replace(" ", "-") + ".json"
