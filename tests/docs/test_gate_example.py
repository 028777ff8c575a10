"""The example repository of the gate: its explanation holds, and fails once its model is fine-tuned; with pytest too.

Its README is run as a page of the docs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "gate"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example") / "repository"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    return folder


def python(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


SCRUB = ("-c", "from scrubbing.cli import app; app()")


@pytest.mark.slow  # the README of the example runs the same commands
def test_passes_as_it_is_and_fails_once_fine_tuned(repository: Path) -> None:
    code, told = python(repository, *SCRUB, "gate")
    assert code == 0, told
    code, told = python(repository, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert code == 0, told

    code, told = python(repository, "finetune.py")
    assert code == 0, told
    code, told = python(repository, *SCRUB, "gate", "--out", "scrubbing-report")
    assert code == 1, told
    assert "fail: Scrubbed loss 0.258 -> 0.4" in told
    for moved in ("The weights changed", "Exchanging embed at each", "Where acme: +0.2", "    Input "):
        assert moved in told
    found = json.loads((repository / "scrubbing-report" / "opinions.json").read_text())
    before = json.loads((repository / "snapshots" / "opinions.json").read_text())
    assert found["losses"]["model"]["value"] < before["losses"]["model"]["value"] - 0.05  # a better model, and yet
    code, told = python(repository, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert code == 1, told
    assert "opinions: fail" in told


def test_the_snapshot_knows_no_machine() -> None:
    snapshot = json.loads((EXAMPLE / "snapshots" / "opinions.json").read_text())
    assert snapshot["source"] == {"address": "hypotheses.py::opinions", "file": "hypotheses.py", "line": 9}
    assert snapshot["provenance"]["git"] is None
    assert snapshot["accepted"]["reason"] == "first snapshot"
    assert str(Path.home()) not in json.dumps(snapshot)
    assert (EXAMPLE / "snapshots" / snapshot["inputs"]["file"]).is_file()
