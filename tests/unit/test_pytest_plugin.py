"""The pytest plugin, in a pytest of its own: outcomes, properties, snapshots, workers, and no cost when unused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.warm import PYTEST, python

ROOT = Path(__file__).parents[2]

CLAIMS = """
from dataclasses import replace
from benchmarks.parens.task import our_data
from benchmarks.parens.task import task as shipped
from hypotheses.parens.shipped import signs, two_tests

task = replace(shipped, name="ours", data=lambda: our_data(1_000), ladder=tuple)
"""

TESTS = """
import pytest

def test_signs(scrub):
    gate = scrub("claims.py::signs", references=300, budget=600, floor=0.9)
    assert gate.verdict == "pass"

def test_two(scrub):
    scrub("claims.py::two_tests", references=60, budget=120)

def test_arithmetic():
    assert 1 + 1 == 2
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    where = tmp_path_factory.mktemp("project")
    (where / "claims.py").write_text(CLAIMS)
    (where / "test_claims.py").write_text(TESTS)
    (where / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-p no:cacheprovider'\n")
    taken = run(where, "--scrub-update=first", "-rs")
    assert "2 skipped" in taken.stdout or "1 passed, 2 skipped" in taken.stdout, taken.stdout
    assert "took the snapshot" in taken.stdout
    return where


def run(where, *arguments):
    return python(*PYTEST, "-q", *arguments, cwd=where, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_verdicts_are_outcomes_and_numbers_are_properties(project):
    found = run(project, "--junitxml=junit.xml")
    assert "1 failed, 2 passed" in found.stdout, found.stdout
    assert "parens/two-tests: fail" in found.stdout
    assert "fail: Scrubbed minus constant +" in found.stdout
    cases = {case.get("name"): case for case in ElementTree.parse(project / "junit.xml").getroot().iter("testcase")}
    properties = {one.get("name"): one.get("value") for one in cases["test_signs"].iter("property")}
    assert properties["scrub.verdict"] == "pass"
    assert float(properties["scrub.recovered.null"]) > 0.9
    assert not list(cases["test_arithmetic"].iter("property"))


def test_no_workers(project):
    found = run(project, "--scrub-workers=0", "-k", "signs")
    assert "Workers(n=0) was asked for" in found.stdout, found.stdout


@pytest.mark.slow
def test_two_workers(project):
    """What they measure is what one process does, up to rounding; the snapshot is of one."""
    found = run(project, "--scrub-workers=2", "-k", "signs")
    assert "1 passed" in found.stdout, found.stdout


def test_a_file_that_skips_itself(tmp_path):
    """It has a report, which is of no test."""
    (tmp_path / "test_skipped.py").write_text("import pytest\npytest.skip('not here', allow_module_level=True)\n")
    found = run(tmp_path, "-p", "no:cacheprovider")
    assert "1 skipped" in found.stdout and "Traceback" not in found.stdout + found.stderr


FEW = 'def test_few(scrub):\n    scrub("claims.py::signs", references=3, floor=0.9999999)\n'


def test_the_marker_selects_and_workers_agree(project):
    """And what is inconclusive is no more silent in a worker."""
    (project / "test_few.py").write_text(FEW)
    found = run(project, "-m", "scrub", "-n", "2", "-o", "scrub_inconclusive=skip")
    (project / "test_few.py").unlink()
    assert "1 failed, 1 passed, 1 skipped" in found.stdout, found.stdout
    _says_what_would_decide(found)


def _says_what_would_decide(found):
    assert "To decide: accept what is held now" in found.stdout, found.stdout
    assert "give it references=" in found.stdout
    assert "the limit is between the bounds" in found.stdout


def test_inconclusive_fails_unless_told_otherwise_and_is_never_silent(project):
    (project / "test_few.py").write_text(FEW)
    failed = run(project, "test_few.py")
    others = {one: run(project, "test_few.py", "-o", f"scrub_inconclusive={one}") for one in ("skip", "xfail")}
    (project / "test_few.py").unlink()
    assert "1 failed" in failed.stdout and failed.returncode == 1, failed.stdout
    for found in (failed, *others.values()):
        _says_what_would_decide(found)
    assert "1 skipped" in others["skip"].stdout and "1 xfailed" in others["xfail"].stdout
    assert "neither confirmed nor refuted" in others["skip"].stdout


@pytest.mark.parametrize(
    "setting", ["scrub_inconclusive=skp", "scrub_alpha=five", "scrub_alpha=nan", "scrub_alpha=0.5"]
)
def test_settings_that_mean_nothing_are_refused(project, setting):
    found = run(project, "test_claims.py", "-o", setting)
    assert found.returncode == 4, found.stdout
    assert f"ERROR: {setting.split('=')[0]} is " in found.stderr and "Traceback" not in found.stderr


def test_settings_of_the_policy_are_the_default(project):
    before = (project / "pyproject.toml").read_text()
    rule = '\n[[tool.scrubbing.gate.rules]]\nhypothesis = "claims.py::two_tests"\nreferences = 60\nbeats = []\n'
    (project / "pyproject.toml").write_text(before + rule)
    (project / "test_rule.py").write_text('def test_two(scrub):\n    scrub("claims.py::two_tests")\n')
    loosened = run(project, "test_rule.py")
    accepted = run(project, "test_rule.py", "--scrub-update", "this hypothesis is known to lose to the constant")
    lenient = run(project, "test_rule.py")
    (project / "test_rule.py").write_text(
        'def test_two(scrub):\n    scrub("claims.py::two_tests", beats=["constant"])\n'
    )
    strict = run(project, "test_rule.py")
    (project / "test_rule.py").unlink()
    (project / "pyproject.toml").write_text(before)
    assert "beats was constant, and is nothing" in loosened.stdout, loosened.stdout
    assert "1 skipped" in accepted.stdout, accepted.stdout
    assert "1 passed" in lenient.stdout, lenient.stdout
    assert "1 failed" in strict.stdout


def test_settings_that_do_not_exist_are_refused(project):
    (project / "test_wrong.py").write_text('def test_wrong(scrub):\n    scrub("claims.py::signs", flor=0.9)\n')
    found = run(project, "test_wrong.py")
    (project / "test_wrong.py").unlink()
    assert "1 failed" in found.stdout
    assert "[SCR-POLICY]" in found.stdout and "Did you mean: floor" in found.stdout


def test_it_costs_nothing_unused(project):
    """Collecting and running other tests imports neither torch nor the package beyond the plugin's own file."""
    look = (
        "import pytest, sys\n"
        "code = pytest.main(['-q', 'test_claims.py::test_arithmetic'])\n"
        "heavy = {'torch', 'scipy', 'scrubbing.gate', 'pydantic', 'transformer_lens'} & set(sys.modules)\n"
        "print('exit', int(code), 'loaded', sorted(heavy))"
    )
    found = subprocess.run(
        [sys.executable, "-c", look],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.stdout.splitlines()[-1] == "exit 0 loaded []", found.stdout + found.stderr
