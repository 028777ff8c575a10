"""Hostile surroundings: variables of the environment, folders with files that nobody asked for, places without room.

What a command prints on its standard output must be what it prints in peace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .test_command_line import called
from .test_command_line import folder as folder

VARIABLES = [
    "GITHUB_ACTIONS", "GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY", "SCRUBBING_TRACEBACK", "HF_HUB_ETAG_TIMEOUT",
    "GIT_CONFIG_COUNT",
    "GIT_DIR", "HOME", "TMPDIR", "COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "LANG", "LC_ALL", "TZ",
    "PYTHONHASHSEED",
    "OMP_NUM_THREADS", "HF_HOME", "MPLBACKEND", "PYTHONPATH", "XDG_CACHE_HOME", "USER",
]  # fmt: skip
VALUES = ["", " ", "true", "0", "-1", "x", "99999999999999999999", "nan", "/dev/null", "/dev/full", "/proc", "../..",
"\x1b[2J", "é\u202e", "²", "2000000000",
          "::error::x", "a=b:c;d", "x" * 4000]  # fmt: skip
RUN = ["run", "toy.py::half"]
GATE = ["gate", "--policy", "gate.toml", "--out", "gated"]
PEACE: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    """In the folder, with what a run prints there in peace."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "120")
    if not PEACE:
        called([*GATE[:3], "--update", "--reason", "the first account of this toy"])
        PEACE.update(run=called(RUN).stdout, code=called(GATE).exit_code)
    return folder


def numbers(text: str) -> str:
    """What a run printed, but for how long it took and where it ran."""
    return text.partition("What was drawn")[0]


@pytest.mark.parametrize("name", VARIABLES)
def test_variables(name, held):
    def run(value: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            return called(RUN)

    def gate(value: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            return called(GATE)

    def calls() -> Iterator[tuple[str, Callable[[], Any]]]:
        for value in VALUES:
            yield f"{name}={value!r}"[:60], lambda value=value: run(value)
            if name.startswith("GITHUB"):
                yield f"gate with {name}={value!r}"[:60], lambda value=value: gate(value)

    def right(found: Any) -> bool:
        return "Losses" in found.stdout or (found.exit_code == PEACE["code"] and "INCONCLUSIVE" in found.stdout)

    held("environment", calls(), right)


def files(folder: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Files that stand in the way, each taken away again."""
    bad = "raise SystemExit('hijacked')\n"
    cases: dict[str, str | bytes] = {f"{name}.py": bad for name in (
        "torch", "numpy", "scrubbing", "benchmarks", "hypotheses", "typer", "rich", "json", "random", "pyarrow",
        "pydantic", "scipy",
        "sitecustomize", "conftest", "toy_", "pandas", "matplotlib", "filelock", "networkx", "safetensors",
    )}  # fmt: skip
    cases |= {
        "evil-1.dist-info/entry_points.txt": "[scrubbing.tasks]\nparens = torch:x\n",
        "evil-1.dist-info/METADATA": "Name: evil\nVersion: 1\n",
        "evil.egg-info/entry_points.txt": "[scrubbing.measures]\naccuracy = torch:x\n",
        "pyproject.toml": "x",
        ".git": "gitdir: /dev/full\n", ".git/config": '[core]\n\tfsmonitor = "touch hijacked"\n',
        ".git/HEAD": b"\xff\0",
        "scrubbing/__init__.py": bad, "torch/__init__.py": bad, "__init__.py": bad, "__pycache__/toy.pyc": b"\0",
        "setup.cfg": "[",
    }  # fmt: skip
    for name, content in cases.items():
        yield name, lambda name=name, content=content: among(folder, name, content)


def among(folder: Path, name: str, content: str | bytes) -> Any:
    path = folder / name
    new = [one for one in (path, *path.parents) if not one.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.is_file() else None
    try:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return called(RUN)
    finally:
        path.unlink()
        if before is not None:
            path.write_bytes(before)
        for one in new[1:]:
            one.rmdir()


def test_files_in_the_way(held, here):
    def right(found: Any) -> bool:
        return numbers(found.stdout) == numbers(PEACE["run"]) and not (here / "hijacked").exists()

    held("environment", files(here), right)


def test_places_to_write_to(held, here):
    """Without room, not allowed, not a folder, gone: nothing that was there is lost."""
    kept = (here / "r.json").read_bytes()
    places = [
        "/dev/null",
        "/dev/full",
        "/dev/null/x",
        "/proc/x",
        "/sys/x",
        "r.json",
        "r.json/x",
        "a\0b",
        "x" * 300,
        "\udcff",
        "é/é",
        ".",
    ]

    def calls() -> Iterator[tuple[str, Callable[[], Any]]]:
        for place in places:
            yield f"run --out {place!r}"[:50], lambda place=place: called([*RUN, "--out", place])
            yield f"gate --out {place!r}"[:50], lambda place=place: called([*GATE[:3], "--out", place])
            yield (
                f"report --out {place!r}"[:50],
                lambda place=place: called(["report", "r.json", "--out", f"{place}/p.html"]),
            )
            yield (
                f"plot --out {place!r}"[:50],
                lambda place=place: called(["plot", "r.json", "--out", f"{place}/p.svg"]),
            )
            yield (
                f"merge --out {place!r}"[:50],
                lambda place=place: called(["merge", "records/toy--half.json", "--out", f"{place}/m.json"]),
            )

    held("environment", calls(), lambda found: (here / "r.json").read_bytes() == kept and os.path.exists("/dev/null"))
