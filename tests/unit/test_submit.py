"""Runs divided among the jobs of a batch system, with submitit: scripts for SLURM, and jobs of this machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scrubbing.cli import app
from scrubbing.experiment.sharded.submit import Command, Submission

submitit = pytest.importorskip("submitit", reason="needs the extra slurm: pip install 'scrubbing[slurm]'")

ROOT = Path(__file__).parents[2]
TOY = """
from benchmarks.parens.task import our_data, task as parens
from scrubbing import OUTPUT, Hypothesis, Settings, Task, Variable, everything, feature, head


@feature
def starts(data):
    return data["tokens"][:, 1]


few = Settings(references=60, draws=12, baselines=False)
task = Task("toy", data=lambda: our_data(60), model=parens.model, loss=parens.loss, settings=few)
claims = OUTPUT.carries(Variable("output", everything), head(1, 0).direct().carries(Variable("start", starts)))
claim = Hypothesis("toy/claim", "Head 1.0 reports how the input starts.", claims)
"""


def told(*arguments):
    found = CliRunner().invoke(app, ["submit", *arguments])
    return found.exit_code, found.output


def test_a_dry_run_prints_the_scripts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--tasks", "3", "--minutes", "30", "--option", "partition=gpu", "--option", "gpus-per-node=1"]
    code, printed = told(*options, "--dry-run", "verdict", "parens/signs", "--out", "records", "--references", "80")
    assert code == 0
    array, collect = printed.split("#!/bin/bash")[1:]
    for line in ("array=0-2%3", "requeue", "signal=USR2@90", "partition=gpu", "gpus-per-node=1", "time=30"):
        assert f"#SBATCH --{line}\n" in array
    command = "scrub verdict parens/signs --out records --references 80"
    for part in (1, 2, 3):
        assert f"# job {part - 1} of the array: {command} --share {part}/3\n" in array
    assert "#SBATCH --dependency=afterany:ARRAY\n" in collect
    assert collect.endswith(f"# after the array: {command} --collect\n")
    assert not list(tmp_path.iterdir())


def test_the_scripts_of_the_page_are_those(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "how-to" / "slurm.md").read_text()
    command = re.findall(r"^scrub submit (--dry-run .*)$", page, re.M)[0]
    shown = re.findall(r"```text\n(#!/bin/bash.*?)```", page, re.S)[0]
    _, printed = told(*command.split())
    assert OutputChecker().check_output(shown, printed, ELLIPSIS), printed


def test_slurm_is_given_these_scripts(tmp_path, monkeypatch):
    """With an `sbatch` that keeps what it is given, and answers as SLURM does."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("sbatch", "srun"):
        text = f'#!/bin/bash\nn=$(ls {kept} | wc -l)\ncp "$1" {kept}/$n.sh\necho "Submitted batch job $((n + 7))"\n'
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    command = ["run", "parens/signs", "--out", "records"]
    made = Submission(command, 2, tmp_path / "jobs", 5, {"partition": "gpu"})
    assert made.submit("slurm") == ["7_0", "7_1", "8"]
    array, collect = ((kept / f"{n}.sh").read_text() for n in (0, 1))
    assert "#SBATCH --array=0-1%2\n" in array
    assert "#SBATCH --requeue\n" in array
    assert "#SBATCH --dependency=afterany:7\n" in collect
    printed = _options(made.scripts())
    assert _options(array) | _options(collect) == {one.replace("ARRAY", "7") for one in printed}


def _options(script):
    return set(re.findall(r"^#SBATCH .*", script, re.M))


def test_a_job_that_is_preempted_runs_the_same_command_again():
    command = Command(("run", "toy.py::claim", "--out", "records", "--share", "1/2"))
    again = command.checkpoint()
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert again.function == command


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["check", "parens/signs"], "the command 'check' cannot be divided among jobs"),
        (["run", "parens/signs"], "the command has no --out"),
        (["run", "parens/signs", "--workers", "2", "--out", "r"], "--workers is in the command"),
        (["--option", "partition", "run", "parens/signs", "--out", "r"], "--option partition was given"),
        (["--option", "colour=red", "run", "parens/signs", "--out", "r"], "submitit takes no such option"),
    ],
)
def test_refused(arguments, problem):
    code, printed = told("--dry-run", *arguments)
    assert code == 2
    assert "[SCR-SETTING]" in printed
    assert problem in printed


def test_no_slurm_here(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, printed = told("run", "parens/signs", "--out", str(tmp_path))
    assert code == 2
    assert "it cannot be submitted" in printed


@pytest.mark.slow
def test_jobs_of_this_machine(tmp_path):
    """Two jobs and the one that collects give the record of workers, and leave it where the command says."""
    (tmp_path / "toy.py").write_text(TOY, encoding="utf-8")

    def scrub(*arguments):
        command = [sys.executable, "-m", "scrubbing.cli", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    printed = scrub("submit", "--cluster", "local", "--tasks", "2", "run", "toy.py::claim", "--out", "records")
    assert printed.startswith("submitted 2 jobs, ")
    _, _, last = printed.partition(" and ")
    job = submitit.LocalJob if hasattr(submitit, "LocalJob") else submitit.local.local.LocalJob
    job(tmp_path / "records" / ".scrub-jobs", last.partition(",")[0]).result()
    theirs = json.loads((tmp_path / "records" / "toy--claim.json").read_text())
    ours = json.loads(scrub("run", "toy.py::claim", "--workers", "1", "--json"))
    for one in (theirs, ours):
        del one["provenance"], one["inputs"]
    assert theirs == ours
    assert not [
        path for path in (tmp_path / "records").glob(".scrub-*") if path.name != ".scrub-jobs" and path.is_dir()
    ]
