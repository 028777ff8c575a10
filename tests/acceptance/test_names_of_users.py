"""Files and folders of a user's that are called as our packages are: both are found, in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MINE = """
from scrubbing import OUTPUT, Hypothesis, Variable, everything

mine = Hypothesis("mine", "All.", OUTPUT.carries(Variable("all", everything)))
"""
OWN = """
from dataclasses import replace

from scrubbing import tasks

task = replace(tasks["parens"], name="own")
"""
FEW = ["--references", "20", "--draws", "1"]


@pytest.fixture(params=["files", pytest.param("folders", marks=pytest.mark.slow)])
def folder(request, tmp_path: Path) -> Path:
    """With modules, or folders without any, of our names; hypotheses and a task are in files of such names."""
    for name in ("hypotheses", "benchmarks", "task"):
        here = tmp_path / f"{name}.py" if request.param == "files" else tmp_path / name / "own.py"
        here.parent.mkdir(exist_ok=True)
        here.write_text(MINE if name == "hypotheses" else OWN)
    return tmp_path


def ran(folder: Path, *command: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("start", ["scrub", pytest.param("python -m", marks=pytest.mark.slow)])
def test_commands_find_theirs_and_ours(start: str, folder: Path) -> None:
    scrub = [str(Path(sys.executable).with_name("scrub"))]
    command = scrub if start == "scrub" else [sys.executable, "-m", "scrubbing.cli"]
    places = [str(one.relative_to(folder)) for one in sorted(folder.rglob("*.py"))]
    ours, theirs, other = places  # benchmarks, hypotheses, task
    assert "legal on own" in ran(folder, *command, "check", f"{theirs}::mine", "--task", f"{other}::task")
    assert "legal on own" in ran(folder, *command, "check", f"{theirs}::mine", "--task", f"{ours}::task")
    assert "legal on parens" in ran(folder, *command, "check", "hypotheses.parens.shipped:signs", "--task", "parens")


def test_workers_find_ours(folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("scrub")), "run", "parens/signs", *FEW, "--workers", "2"]
    assert "parens/signs" in ran(folder, *command)


def test_so_does_python(folder: Path) -> None:
    call = "from scrubbing import tasks; print(len(tasks['parens'].ladder()) > 9)"
    assert ran(folder, sys.executable, "-c", call) == "True\n"
