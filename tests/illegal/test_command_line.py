"""What the command line prints when it cannot do what it was asked: the same words, no traceback, exit code 2."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from scrubbing.cli import app

FILE = """
from scrubbing import OUTPUT, Hypothesis, Variable, everything

belief = Hypothesis("belief", "Everything matters.", OUTPUT.carries(Variable("output", everything)))
number = 3


def with_threshold(threshold):
    return belief


def nothing():
    pass
"""

COMMANDS = {
    "unknown task": "bench brackets",
    "unknown model": "bench parens --model stolen",
    "unknown rung": "run parens/0z",
    "another model without text": "bench induction --model mine",
    "text without a model": "bench induction --text mine.txt",
    "two kinds of text": "bench induction --model mine --text mine.txt --dataset mine",
    "text for a task about one model": "bench parens --text mine.txt",
    "no task beside the hypothesis": "check beliefs_of_ours.py::belief",
    "task that is none": "check beliefs_of_ours.py::belief --task beliefs_of_ours.py::number",
    "not an address": "check belief --task parens",
    "not an address, and no task": "check belief",
    "missing file": "check gone.py::belief --task parens",
    "missing name": "check beliefs_of_ours.py::beleif --task parens",
    "a number": "check beliefs_of_ours.py::number --task parens",
    "a function with arguments": "check beliefs_of_ours.py::with_threshold --task parens",
    "a function that returns nothing": "check beliefs_of_ours.py::nothing --task parens",
    "missing record": "show gone.json",
    "folder that cannot be made": "run parens/signs --out beliefs_of_ours.py",
}


@pytest.mark.parametrize("case", COMMANDS)
def test_command_line(case, tmp_path, monkeypatch, snapshot):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beliefs_of_ours.py").write_text(FILE)
    result = CliRunner().invoke(app, COMMANDS[case].split())
    assert (result.exit_code, result.stdout) == (2, "")
    # The rungs of the shipped ladder are its own business.
    told = "\n".join(
        "    Its rungs: <rungs>." if "Its rungs: " in line else line for line in result.stderr.splitlines()
    )
    assert told == snapshot


@pytest.mark.parametrize("option", ["--draws", "--references", "--threads", "--memory"])
def test_numbers_below_one_are_refused(option):
    result = CliRunner().invoke(app, ["bench", "parens", option, "0"])
    assert result.exit_code == 2
    assert option in result.stderr
