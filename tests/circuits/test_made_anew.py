"""The tools themselves write their files, and these are read and scored like those that are kept in `made/`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KINDS = ("eap", "auto-circuit", "acdc", "pyvene", "torchwright", "sae-lens", "circuit-tracer")

pytestmark = pytest.mark.slow


def test_what_the_tools_write_today(tmp_path: Path) -> None:
    tools = os.environ.get("SCRUBBING_TOOLS")
    if not tools:
        pytest.skip("set SCRUBBING_TOOLS to a Python that has the tools of tests/circuits/tools.txt")
    there = {**os.environ, "SCRUBBING_MADE": str(tmp_path / "made")}
    for kind in KINDS:  # a process each: some replace modules that others import
        made = subprocess.run(
            [tools, str(HERE / "make.py"), kind], env=there, capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr[-2000:]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "test_tools.py",
        "test_dictionaries.py",
    ]
    done = subprocess.run(command, cwd=HERE, env=there, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
