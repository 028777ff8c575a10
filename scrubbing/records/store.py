"""Records on disk: written whole or not at all, read with an error that names the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from pydantic import TypeAdapter, ValidationError

from scrubbing.errors import FileError, brief, fail
from scrubbing.records.files import file, write
from scrubbing.records.inputs import InputTable, digest
from scrubbing.records.names import is_table, table
from scrubbing.records.schema import VERSION, PerInput, RunRecord
from scrubbing.renamed import old_names
from scrubbing.user_code import content_of

MOST_FILES = 10_000
"""In a folder of records and its subfolders; of more, somebody named a disk."""
_several = TypeAdapter(list[RunRecord])


def save(record: RunRecord, path: str | Path, inputs: InputTable | None = None) -> Path:
    """Write a record as JSON, and its values per input as a parquet file beside it.

    The name of the parquet file contains the digest of its content, so that a record never points to values of another
    run, even if writing is interrupted.

    Raises:
        FileError: SCR-FILE, the folder cannot be written, or the path is one; existing files are then unchanged.
    """
    target = file(path, "the record")
    if inputs is not None:
        content = inputs.to_parquet()
        name = table(target, digest(content))
        write(target.with_name(name), content, "the values per input")
        record = record.model_copy(update={"inputs": PerInput(file=name, digest=digest(content), rows=len(inputs))})
    write(target, (record.model_dump_json(indent=1) + "\n").encode(), "the record")
    kept = record.inputs.file if record.inputs is not None else None
    for old in target.parent.iterdir():
        if is_table(old.name, target) and old.name != kept:
            old.unlink(missing_ok=True)
    return target


def load_all(path: str | Path) -> list[tuple[Path, RunRecord | FileError]]:
    """Read a record, a list of records in one file, or all records in a folder and its subfolders, oldest first.

    Returns:
        Records, each with its file; those of a list in their order. A damaged file of a folder gives its error, last.

    Raises:
        FileError: SCR-FILE, as `load`; also where a folder holds no record.
    """
    place = Path(path)
    if _is_folder(place):
        found = list(records_in(place))
        if not any(isinstance(one, RunRecord) for _, one in found):
            remedy = "Name a folder that was given as --out."
            fail(FileError, "SCR-FILE", "there are no records in this folder.", remedy, str(place))
        return sorted(found, key=lambda one: one[1].provenance.when if isinstance(one[1], RunRecord) else "~")
    try:
        content = content_of(place)
        several = content.lstrip().startswith(b"[")
    except OSError:
        several, content = False, b""  # `load` says what is wrong
    if not several:
        return [(place, load(place))]
    try:
        return [(place, one) for one in _several.validate_json(content)]
    except ValidationError as error:
        _no_record(error, place)


def load(path: str | Path) -> RunRecord:
    """Read a record, of this version or an older one.

    Raises:
        FileError: SCR-FILE, the file is missing, truncated, or not a record.
    """
    try:
        return RunRecord.model_validate_json(content_of(path))
    except OSError as error:
        fail(FileError, "SCR-FILE", f"it cannot be read ({error.strerror}).", "Check the path.", str(path))
    except ValidationError as error:
        _no_record(error, path)


def _no_record(error: ValidationError, path: str | Path) -> NoReturn:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    problem = f"it is not a run record ({f'{place}: ' if place else ''}{first['msg']})."
    remedy = "The file is truncated or of another kind; run the hypothesis again."
    if place == "version":
        problem = f"it is a record of version {first['input']!r}, and this package reads versions 1 to {VERSION}."
        remedy = "Read it with the release of scrubbing that wrote it, or run the hypothesis again."
    fail(FileError, "SCR-FILE", problem, remedy, str(path))


def load_inputs(record: RunRecord, path: str | Path) -> InputTable | None:
    """Read the values per input of a record that was read from `path`; None where the record was stored without.

    Raises:
        FileError: SCR-FILE, the file is missing, truncated, or of another run.
    """
    if record.inputs is None:
        return None
    if record.inputs.file != Path(record.inputs.file).name:
        problem = f"it says that its values per input are in {record.inputs.file!r}, which is not beside it."
        fail(FileError, "SCR-FILE", problem, "Run the hypothesis again.", str(path))
    place = Path(path).with_name(record.inputs.file)
    try:
        content = content_of(place)
    except OSError as error:
        problem = f"the values per input of {Path(path).name} cannot be read ({error.strerror})."
        fail(FileError, "SCR-FILE", problem, "Keep it beside the record, or run the hypothesis again.", str(place))
    if digest(content) != record.inputs.digest:
        problem = f"it is not the table that {Path(path).name} was written with: truncated or changed since."
        fail(FileError, "SCR-FILE", problem, "Run the hypothesis again.", str(place))
    try:
        return replace(InputTable.from_parquet(content), bound=record.choices.bound)
    except FileError:
        raise
    except Exception as error:  # whatever the library that reads it lets through
        problem = f"it is no table of values per input ({brief(error)})."
        fail(FileError, "SCR-FILE", problem, "Run the hypothesis again.", str(place))


def records_in(where: str | Path) -> Iterator[tuple[Path, RunRecord | FileError]]:
    """Read all records in a folder and its subfolders, by path; a damaged file gives its error instead of a record.

    Raises:
        FileError: SCR-FILE, there is no such folder, or it has more files than folders of records have.
    """
    root = Path(where)
    if not _is_folder(root):
        fail(FileError, "SCR-FILE", "there is no such folder.", "Check the path.", str(root))
    for path in sorted(_files(root)):
        try:
            yield path, load(path)
        except FileError as error:
            yield path, error


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no folder can have
        return False


def _files(root: Path) -> list[Path]:
    """The JSON files in a folder and its subfolders; of what is hidden nothing. A disk is not walked to its end."""
    found: list[Path] = []
    seen = 0
    for at, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        seen += len(names) + len(folders)
        if seen > MOST_FILES:
            problem = f"it has more than {MOST_FILES:,} files and folders in it."
            fail(FileError, "SCR-FILE", problem, "Name a folder that was given as --out.", str(root))
        found += [Path(at, name) for name in names if name.endswith(".json") and not name.startswith(".")]
    return found


__getattr__ = old_names(__name__, {"found": "scrubbing.records.store.records_in"})
