"""The GitHub Action, as far as it can be tested without GitHub: its inputs, and its scripts run by bash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "gate"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = ACTION["runs"]["steps"]
SCRUB = f'#!/bin/sh\nexec {sys.executable} -c "from scrubbing.cli import app; app()" "$@"\n'


def filled(text: str, given: dict[str, str]) -> str:
    """An expression of GitHub with the inputs in it."""
    values = {name: str(one["default"]) for name, one in ACTION["inputs"].items()} | given
    return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: values[match[1]], text)


def run(step: dict[str, Any], folder: Path, command: str, **given: str) -> subprocess.CompletedProcess[str]:
    """A step's script as GitHub runs it, with a `scrub` of our own on the path."""
    stub = folder.parent / "bin" / "scrub"
    stub.parent.mkdir(exist_ok=True)
    stub.write_text(command)
    stub.chmod(0o755)
    names = {name: str(folder.parent / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    environment = {
        **os.environ,
        **{name: filled(value, given) for name, value in step["env"].items()},
        **names,
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(folder.parent),
        "PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}",
    }
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "repository"
    made.mkdir()
    return made


def step(name: str) -> dict[str, Any]:
    return next(one for one in STEPS if name in one.get("run", ""))


def test_every_input_is_described_and_used_and_no_other() -> None:
    text = str(ACTION["runs"])
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    assert all(set(one) == {"description", "default"} for one in ACTION["inputs"].values())
    assert all("shell" in one for one in STEPS if "run" in one)
    assert not any("${{" in one["run"] for one in STEPS if "run" in one)


def test_the_report_is_uploaded_whatever_the_verdict() -> None:
    (upload,) = (one for one in STEPS if "upload-artifact" in one.get("uses", ""))
    assert upload["if"] == "always()"
    assert filled(upload["with"]["path"], {}) == "./scrubbing-report"


@pytest.mark.parametrize(
    ("code", "given", "expected"),
    [
        (0, {}, 0),
        (1, {"fail-on-inconclusive": "false"}, 1),
        (2, {"fail-on-inconclusive": "false"}, 2),
        (3, {}, 3),
        (3, {"fail-on-inconclusive": "false"}, 0),
    ],
)
def test_exit_codes(code: int, given: dict[str, str], expected: int, folder: Path) -> None:
    done = run(step("scrub gate"), folder, f'#!/bin/sh\necho "$@"\nexit {code}\n', **given)
    assert (done.returncode, done.stdout) == (expected, "gate --out scrubbing-report\n")
    assert (folder.parent / "GITHUB_OUTPUT").read_text() == f"exit-code={code}\n"


def test_options(folder: Path) -> None:
    shown = '#!/bin/sh\nprintf "%s|" "$@"\n'
    done = run(step("scrub gate"), folder, shown, policy="my gate.toml", settle="true", out="a b")
    assert done.stdout == "gate|--out|a b|--policy|my gate.toml|--settle|"


def test_install(folder: Path) -> None:
    done = run(step("INSTALL"), folder, SCRUB, install="echo one && echo 'two  three'")
    assert (done.returncode, done.stdout) == (0, "one\ntwo  three\n")


def test_a_real_gate(folder: Path) -> None:
    """No snapshot: a fail, with an annotation from the root of the repository, a summary and a report."""
    project = folder / "project"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("__pycache__", "snapshots"))
    done = run(step("scrub gate"), project, SCRUB)
    assert done.returncode == 1, done.stderr
    assert "::error file=project/hypotheses.py,line=9,title=opinions%3A fail::There is no snapshot" in done.stdout
    assert "opinions" in (folder / "GITHUB_STEP_SUMMARY").read_text()
    names = {"page.html", "junit.xml", "summary.md", "opinions.json"}
    assert names < {path.name for path in (project / "scrubbing-report").iterdir()}


def test_the_example_workflow_uses_inputs_that_exist() -> None:
    for path in [*(EXAMPLE / ".github" / "workflows").iterdir()]:
        steps = yaml.safe_load(path.read_text())["jobs"]["gate"]["steps"]
        (used,) = (one["with"] for one in steps if "/scrubbing@" in one.get("uses", ""))
        assert set(used) <= set(ACTION["inputs"])


def test_workflows_in_the_docs_use_inputs_that_exist() -> None:
    page = (ROOT / "docs" / "how-to" / "github-actions.md").read_text()
    found = re.findall(r"```yaml\n(.*?)```", page, re.S)
    assert found
    for text in found:
        for one in re.findall(r"uses: OWNER/scrubbing@\S+\n +with:\n((?: +[\w-]+: .*\n)+)", text):
            assert set(re.findall(r"([\w-]+): ", one)) <= set(ACTION["inputs"])
        assert yaml.safe_load(text)


def test_gitlab_jobs_keep_the_report() -> None:
    job = yaml.safe_load((EXAMPLE / ".gitlab-ci.yml").read_text())["explanations"]
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"]["junit"] == "scrubbing-report/junit.xml"
    assert job["allow_failure"] == {"exit_codes": [3]}
