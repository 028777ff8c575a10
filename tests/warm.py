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
from typing import Any, NoReturn, Self

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


class Process:
    """A process that was started; used with `with`, at the end of which it is over and its outputs are deleted.

    Args:
        arguments: what follows `python`: -m and a module, -c and code, or a file, and arguments of these.
        cwd: the folder that it runs in.
        env: all its variables; by default those of this process.
        together: whether stderr goes where stdout does.
    """

    def __init__(self, *arguments: str, cwd: Path, env: dict[str, str] | None = None, together: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._out, self._err = (Path(self._folder.name) / name for name in ("out", "out" if together else "err"))
        self._out.touch()
        asked = {"arguments": arguments, "cwd": str(cwd), "env": dict(os.environ) if env is None else env}
        self.arguments, self.together = arguments, together
        self.pid: int = _asked("begin", **asked, out=str(self._out), err=str(self._err))
        self.returncode: int | None = None

    def poll(self, wait: bool = False) -> int | None:
        """The exit code; None as long as it runs."""
        if self.returncode is None:
            self.returncode = _asked("end", pid=self.pid, wait=wait)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it is not over."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def waits_to_say(self, text: str) -> None:
        """Wait until it has printed this, or is over."""
        while text not in self._out.read_text() and self.poll() is None:
            time.sleep(0.01)

    def done(self) -> subprocess.CompletedProcess[str]:
        """Wait until it is over; what it returned and printed."""
        code = self.poll(wait=True)
        assert code is not None
        said = "" if self.together else self._err.read_text()
        return subprocess.CompletedProcess(["python", *self.arguments], code, self._out.read_text(), said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.send_signal(signal.SIGKILL)
        self.poll(wait=True)
        self._folder.cleanup()


def python(*arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
    """What `python ARGUMENTS` returns and prints; see `Process`."""
    with Process(*arguments, **how) as process:
        return process.done()


_PATH = {name: value for name, value in os.environ.items() if name == "PYTHONPATH"}
"""As the tests themselves were started, whatever one of them has changed since: it may say where our packages are."""


def _asked(what: str, **how: Any) -> Any:
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write(json.dumps([what, how]) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


@cache
def _server() -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | _PATH
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, __file__], cwd="/", env=env, stdin=pipe, stdout=pipe, text=True)


def stop() -> None:
    """End the process that is forked, if there is one."""
    if _server.cache_info().currsize:
        server = _server()
        server.communicate()
        _server.cache_clear()


def _serve() -> None:
    """Fork whenever it is asked for, and say how the forks end."""
    sys.path.pop(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in OTHERS + OURS:
        import_module(name)
    gc.collect()
    gc.freeze()  # so that looking for garbage does not copy every page
    for line in sys.stdin:
        what, how = json.loads(line)
        if what == "begin":
            answer = os.fork()
            if answer == 0:
                _end(_outcome(how))
        else:
            child, status = os.waitpid(how["pid"], 0 if how["wait"] else os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if child else None
        sys.stdout.write(json.dumps(answer) + "\n")
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
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
