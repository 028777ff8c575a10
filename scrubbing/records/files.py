"""Files that appear whole or not at all, and folders that one run at a time writes to."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from scrubbing.errors import FileError, fail
from scrubbing.printable import can_be_written


def write(path: Path, content: bytes | Callable[[IO[bytes]], None], what: str = "the file") -> Path:
    """Write a file through a temporary one beside it, on disk before it gets its name.

    Args:
        path: where.
        content: the bytes, or what writes them to an open file, so that they need not be in memory together.
        what: it is, in words.

    Raises:
        FileError: SCR-FILE, no room, no permission; what was there before is still there.
    """
    temporary = None
    try:
        _replaceable(path)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            if callable(content):
                content(stream)
            else:
                stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp's own 0600 would keep colleagues from reading
        Path(temporary).replace(path)
    except (OSError, ValueError) as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        _cannot(path, what, error)
    return path


def file(path: str | Path, what: str) -> Path:
    """A file to write to, its folder created: before anything that lies beside it is written.

    Raises:
        FileError: SCR-FILE, its folder cannot be written to, or its name is no text, or it is a folder or a
            device itself.
    """
    try:
        if not can_be_written(Path(path).name):  # records name the files beside them
            raise OSError(errno.EILSEQ, "Its name is no text")
        _replaceable(Path(path))
    except (OSError, ValueError) as error:
        _cannot(Path(path), what, error)
    return folder(Path(path).parent) / Path(path).name


def _replaceable(path: Path) -> None:
    if path.exists() and not path.is_file():  # a device would be replaced by a file
        raise OSError(errno.EINVAL, "It is no file")


def _cannot(path: Path, what: str, error: OSError | ValueError) -> NoReturn:
    remedy = "Choose a folder you can write, with room; what was there before is unchanged."
    fail(FileError, "SCR-FILE", f"{what} cannot be written ({_told(error)}).", remedy, str(path))


def folder(path: str | Path) -> Path:
    """A folder to write to, created if it is not there: before a long run, so that its results have somewhere to go.

    Raises:
        FileError: SCR-FILE, it cannot be created, or not written to.
    """
    problem = "created"
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        problem = "written to"
        with tempfile.TemporaryFile(dir=path):
            pass
    except (OSError, ValueError) as error:
        told = f"this folder cannot be {problem} ({_told(error)})."
        fail(FileError, "SCR-FILE", told, "Choose a folder you can write.", str(path))
    return Path(path)


@contextmanager
def alone(path: Path) -> Generator[None]:
    """Hold a folder for this process; the system lets go of it when the process ends, however it ends.

    Raises:
        FileError: SCR-FILE, another process holds it.
    """
    import filelock

    lock = filelock.FileLock(path / ".scrub.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        remedy = "Wait for it to end, or choose another folder."
        fail(FileError, "SCR-FILE", "another run is writing to this folder.", remedy, str(path))
    except OSError as error:
        problem = f"this folder cannot be written to ({error.strerror})."
        fail(FileError, "SCR-FILE", problem, "Choose a folder you can write.", str(path))
    try:
        yield
    finally:
        lock.release()


def _told(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
