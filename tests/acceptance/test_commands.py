"""The installed command, in processes of its own, on the shipped paren model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scrubbing.records.store import load

ROOT = Path(__file__).parents[2]


def scrub(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = shutil.which("scrub", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert command is not None, "the package is not installed: no scrub command"
    return subprocess.run(
        [command, *arguments], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **variables}, check=False
    )


def bench(*options: str) -> dict[str, dict]:
    done = scrub("bench", "parens", "--references", "300", "--draws", "2", "--json", *options)
    said = [line for line in done.stderr.splitlines() if not line.endswith("%)")]  # a slow machine hears of progress
    assert (done.returncode, said) == (0, [])
    return {record["hypothesis"]: record for record in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def records() -> dict[str, dict]:
    """Three rungs."""
    return bench("--only", "original-roles", "--only", "four-heads", "--only", "signs", "--no-verdict")


@pytest.mark.slow
def test_bench_runs_every_rung():
    from benchmarks.parens.task import task

    records = bench()
    assert list(records) == [hypothesis.name for hypothesis in task.ladder()]
    for record in records.values():
        assert record["choices"]["references"] == 300
        assert {"model", "scrubbed", "apart", "null", "constant", "mean rest", "mean claimed"} == set(record["losses"])


def test_the_ladder_is_one(records):
    """From a naive rung that is worse than no account to one that keeps nearly all of the model's loss."""
    scrubbed = {name.partition("/")[2]: record["losses"]["scrubbed"]["value"] for name, record in records.items()}
    constant = records["parens/signs"]["losses"]["constant"]["value"]
    assert scrubbed["original-roles"] > constant
    assert records["parens/original-roles"]["notes"][0]["code"] == "worse-than-constant"
    assert scrubbed["signs"] < 0.2 * constant
    assert scrubbed["signs"] < scrubbed["four-heads"] < scrubbed["original-roles"]
    assert records["parens/signs"]["losses"]["model"]["value"] < 0.01


def test_run_writes_what_bench_measures_and_show_prints_it(records, tmp_path):
    """One rung alone: the same numbers as in the ladder."""
    done = scrub("run", "parens/signs", "--references", "300", "--draws", "2", "--out", str(tmp_path), COLUMNS="100")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "parens--signs.json"
    assert f"scrub show {path}" in " ".join(done.stderr.split())
    record = load(path)
    there = records["parens/signs"]["losses"]
    for name, number in record.losses.items():
        assert number.value == pytest.approx(there[name]["value"], rel=1e-4, abs=1e-5)
    shown = scrub("show", str(path), COLUMNS="100")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == done.stdout
    assert record.claim in " ".join(shown.stdout.split())


def test_check_loads_no_torch():
    done = scrub("check", "parens/best", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert done.stdout.rstrip().endswith("legal on parens")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "scrubbing.cli" in imported
    assert not {name for name in imported if name.split(".")[0] in ("torch", "transformer_lens", "transformers")}


def test_a_wrong_name_is_answered_in_words():
    done = scrub("run", "parens/worst")
    assert (done.returncode, done.stdout) == (2, "")
    assert "SCR-TASK" in done.stderr
    assert "Traceback" not in done.stderr
