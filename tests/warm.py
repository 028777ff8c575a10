"""Python processes that begin where torch is already imported: forks of one process that has done no more than that.

`python("-m", "scrubbing.cli", "gate", cwd=folder)` is `subprocess.run([sys.executable, "-m", ...])` without the two
seconds that imports take. Folder, variables, arguments, output, exit code, `__main__`, and whatever is registered,
patched or imported are the process's own. What depends on how Python itself starts needs a real one: which modules an
import loads, hash seeds, locale, `-O`, number of threads, and the installed command.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from _pytest.config import default_plugins

PYTEST = ("-m", "pytest", "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")
"""pytest, which would otherwise warn that it comes too late to rewrite the assertions of our plug-in's package."""
LONGEST = 300
"""Seconds after which a process is ended."""
OTHERS = (
    "torch", "scipy.optimize", "scipy.special", "scipy.stats", "networkx", "pydantic", "safetensors.torch",
    "rich.console", "rich.markup", "rich.table", "rich.text",
    "pytest", *(f"_pytest.{name}" for name in default_plugins),
)  # fmt: skip
OURS = (
    "scrubbing.cli", "scrubbing.experiment.address", "scrubbing.experiment.experiment", "scrubbing.gate.run",
    "scrubbing.models.transformer", "scrubbing.report.terminal",
)  # fmt: skip


def python(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None, together: bool = False
) -> subprocess.CompletedProcess[str]:
    """What `python ARGUMENTS` prints and returns; `arguments` begin with -m and a module, -c and code, or a file.

    Args:
        cwd: the folder that it runs in.
        env: all its variables; by default those of this process.
        together: whether stderr goes where stdout does.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = (Path(folder) / name for name in ("out", "out" if together else "err"))
        env = dict(os.environ) if env is None else env
        asked = {"arguments": arguments, "cwd": str(cwd), "env": env, "out": str(out), "err": str(err)}
        server = _server()
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        code = json.loads(server.stdout.readline())
        said = "" if together else err.read_text()
        return subprocess.CompletedProcess(["python", *arguments], code, out.read_text(), said)


@cache
def _server() -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, __file__], cwd="/", env=env, stdin=pipe, stdout=pipe, text=True)


def stop() -> None:
    """End the process that is forked, if there is one."""
    if _server.cache_info().currsize:
        server = _server()
        server.communicate()
        _server.cache_clear()


def _serve() -> None:
    """Fork once for every line that is read, and answer with the exit code."""
    sys.path.pop(0)
    for name in OTHERS + OURS:
        import_module(name)
    gc.collect()
    gc.freeze()  # so that looking for garbage does not copy every page
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            _end(_outcome(json.loads(line)))
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


def _outcome(asked: dict[str, Any]) -> int:
    """The exit code, as Python itself makes it of what is raised."""
    try:
        _become(**asked)
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        sys.stderr.write(f"{left.code}\n")
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """Leave as Python does, but without taking apart what was imported, which takes a quarter of a second."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 255)


def _become(arguments: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> None:
    """Go on as the process that was asked for; whatever that raises is its end."""
    signal.alarm(LONGEST)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    for number, path in enumerate((os.devnull, out, err)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    how, *rest = arguments
    first = {"-m": cwd, "-c": ""}.get(how, os.path.dirname(os.path.abspath(how)))
    sys.path[:0] = [first, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    if how == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        sys.argv = ["-c", *rest[1:]]
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(rest[0], main.__dict__)
    else:
        sys.argv = arguments
        runpy.run_path(how, run_name="__main__")


if __name__ == "__main__":
    _serve()
