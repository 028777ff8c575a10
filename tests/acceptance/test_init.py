"""From an empty folder: a project that passes as it stands, and what a wheel has for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.warm import PYTEST, python

ROOT = Path(__file__).parents[2]
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "SCRUBBING"))}


def ran(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return python(*command, cwd=folder, env=PLAIN)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    done = ran(folder, "-m", "scrubbing.cli", "init")
    assert done.returncode == 0, done.stderr
    return folder


def test_its_tests_pass(project: Path) -> None:
    done = ran(project, *PYTEST, "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_its_gate_passes(project: Path) -> None:
    done = ran(project, "-m", "scrubbing.cli", "gate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 pass" in done.stdout


def test_its_hypothesis_is_tight(project: Path) -> None:
    done = ran(project, "-m", "scrubbing.cli", "verdict", "explanations.py::comparisons", "--json")
    assert json.loads(done.stdout)["tested"]["word"] == "tight"


def test_its_test_fails_when_the_network_does_something_else(project: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(project, changed)
    network = changed / "network.py"
    network.write_text(network.read_text().replace("[0, 0, 1, -1, 0]", "[0, 0, 1, 0, -1]"))
    done = ran(changed, *PYTEST, "-q", "-p", "no:cacheprovider")
    assert done.returncode == 1, done.stdout


def test_in_another_folder(tmp_path: Path) -> None:
    done = ran(tmp_path, "-m", "scrubbing.cli", "init", "new/project", "--no-snapshot")
    assert done.returncode == 0, done.stderr
    assert "cd new/project" in done.stdout
    assert (tmp_path / "new/project/.github/workflows/explanations.yml").is_file()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in a wheel that is built from a copy of the sources."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    left_out = shutil.ignore_patterns("__pycache__")
    for name in ("scrubbing", "hypotheses", "benchmarks", "docs/errors"):
        shutil.copytree(ROOT / name, copy / name, ignore=left_out)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    done = subprocess.run([sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = copy.glob("*.whl")
    assert made.stat().st_size < 10_000_000
    return zipfile.ZipFile(made).namelist()


def test_pages_of_errors_are_in_the_wheel_once(wheel: list[str]) -> None:
    pages = sorted(path.name for path in (ROOT / "docs" / "errors").glob("SCR-*.md"))
    assert sorted(name.rpartition("/")[2] for name in wheel if "SCR-" in name) == pages
    assert f"scrubbing/cli/errors/{pages[0]}" in wheel


def test_the_project_is_in_the_wheel(wheel: list[str]) -> None:
    folder = ROOT / "scrubbing" / "cli" / "project"
    ours = {f"scrubbing/cli/project/{one.relative_to(folder).as_posix()}" for one in folder.rglob("*.txt")}
    assert ours and ours <= set(wheel)
