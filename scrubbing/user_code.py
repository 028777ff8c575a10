"""What users hand in: code whose exceptions become errors that show their line, values for arrays, and files."""

from __future__ import annotations

import errno
import linecache
import os
import re
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrubbing.errors import Fault, ScrubbingError, UsageError, brief, fail

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OTHER_DEVICE = re.compile("on the same device|on cpu or on the same|on the expected device|same device as")
"""How torch says that tensors of two devices were mixed."""
_NOT_THEIRS = (str(Path(__file__).parent), str(Path(os.__file__).parent), "site-packages", "dist-packages", "<")


@contextmanager
def running(what: str) -> Generator[None]:
    """What is run here was written by a user: a file, or a function.

    Raises:
        UsageError: SCR-CODE, it raised an exception; SCR-EXIT, it asked Python to exit; SCR-DEVICE, it mixes tensors of
            two devices. Our own errors pass.
    """
    try:
        yield
    except ScrubbingError:
        raise
    except (Exception, SystemExit) as error:
        if type(error).__name__ == "OutOfMemoryError":  # of torch, which need not be loaded here
            raise
        raise UsageError(fault(error, what)) from error


def fault(error: BaseException, what: str = "") -> Fault:
    """An exception that user code let through, with its line."""
    place = line_of(error)
    if isinstance(error, SystemExit):
        problem = f"its code asked Python to exit (with {error.code!r}){place}."
        return Fault("SCR-EXIT", what, problem, "Remove the call of sys.exit, exit or quit from what is imported.")
    if isinstance(error, RuntimeError) and _OTHER_DEVICE.search(str(error)):
        problem = f"it mixes tensors of two devices{place} ({brief(error).rstrip('!.')})."
        remedy = (
            "Bring what it holds to the device of what it is given: held.to(given.device), or given.new_tensor(...)."
        )
        return Fault("SCR-DEVICE", what, problem, remedy)
    if place or what:
        told = f"{type(error).__name__}: {error.msg}" if isinstance(error, SyntaxError) else brief(error)
        remedy = "Correct this line, or what it was given." if place else "Correct it, or what it was given."
        return Fault("SCR-CODE", what, f"it raised {told}{place}.", remedy)
    *_, last = traceback.extract_tb(error.__traceback__)
    problem = f"scrubbing itself raised {brief(error)}, in {Path(last.filename).name}, line {last.lineno}."
    remedy = "This is a fault of scrubbing: please report it, with the traceback that SCRUBBING_TRACEBACK=1 prints."
    return Fault("SCR-CODE", "", problem, remedy)


def line_of(error: BaseException) -> str:
    """`, in FILE, line 3: `x = y``: the last line on the way to an exception that is neither ours nor a library's."""
    if isinstance(error, SyntaxError) and error.filename is not None and error.lineno is not None:
        return _told(error.filename, error.lineno)
    found = [(step.filename, step.lineno) for step in traceback.extract_tb(error.__traceback__)]
    own = [(file, line) for file, line in found if line and not any(one in file for one in _NOT_THEIRS)]
    return _told(*own[-1]) if own else ""


def _told(file: str, line: int) -> str:
    path, here = Path(file), Path.cwd()
    shown = path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
    code = linecache.getline(file, line).strip()
    return f", in {shown}, line {line}" + (f": `{code}`" if code else "")


def array_of(written: Any, code: str, remedy: str, kind: type[ScrubbingError] = UsageError) -> NDArray[Any]:
    """What a user wrote as an array.

    Raises:
        ScrubbingError: of this kind, with this code: it is none.
    """
    import numpy as np  # not before it is needed: the command line is to start at once

    try:
        return np.asarray(written.detach().cpu() if hasattr(written, "detach") else written)
    except (TypeError, ValueError, OverflowError, MemoryError, RuntimeError) as error:
        fail(kind, code, f"this cannot be made an array ({brief(error)}).", remedy)


def content_of(path: str | Path) -> bytes:
    """The bytes of a file that a user named.

    Raises:
        OSError: it cannot be read, or is no file: a device or a pipe may never come to an end.
    """
    try:
        found = Path(path)
        if found.exists() and not found.is_file() and not found.is_dir():
            raise OSError(errno.EINVAL, "It is no file")
        return found.read_bytes()
    except ValueError as error:  # a name that no file can have
        raise OSError(errno.EINVAL, brief(error)) from error


def bind_ours() -> None:
    """Have the packages that come with this one under their names, whatever has these names in the current folder.

    A file `benchmarks.py` would be found before a package that is installed to be edited, and with `python -m` before
    any.
    """
    for name in ("hypotheses", "benchmarks"):
        beside = Path(__file__).parents[1] / name / "__init__.py"
        if name not in sys.modules and beside.is_file():
            spec = spec_from_file_location(name, beside)
            assert spec is not None and spec.loader is not None
            sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])


def show_whole(error: BaseException) -> None:
    """Print a traceback in full, if the environment asks for it."""
    if os.environ.get("SCRUBBING_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exception(error, file=sys.stderr)
