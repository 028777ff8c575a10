"""Hostile words at every place of every command, in a folder of hostile files.

Whatever is refused is refused with a coded message, exit code 2 and no traceback. What is not refused must say what it
says with harmless words: the same record, the same table.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from scrubbing import UsageError
from scrubbing.cli import app
from scrubbing.engine import measuring
from scrubbing.errors import Fault

from .hostile import WORDS

TOY = '''
"""A sum of two bits."""

import numpy as np

from scrubbing import OUTPUT, Dataset, Hypothesis, Settings, Task, Variable, everything, feature, node


@feature
def x_bit(data):
    return data["x"] == 1


x_carries = node("x").direct().carries(Variable("x", x_bit))
half = Hypothesis("toy/half", "A claim.", OUTPUT.carries(Variable("output", everything), x_carries))


def model():
    from scrubbing import ToyModel

    return ToyModel({"x": "x", "y": "y"}, {"logits": (lambda a, b: a + b, {"a": ["x"], "b": ["y"]})})


def data():
    x, y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 3).astype(float)
    return Dataset({"x": x, "y": y, "label": x + y}, name="bits")


def loss():
    from scrubbing import SquaredError

    return SquaredError()


settings = Settings(baselines=False, draws=1)
task = Task("toy", lambda: model().graph(data()), data, model, loss, ladder=lambda: [half], settings=settings)
'''
HOSTILE = {
    "broken.py": "def (:\n", "leaves.py": "import sys; sys.exit(0)\n", "raises.py": "x = 1 / 0\n", "empty.py": "",
    "binary.py": "\0\xff", "missing.py": "import not_there\n", "secret.txt": "whisper",
    "torch.py": "raise SystemExit('hijacked')\n",
    "circuit.txt": "x -> logits.a\n",
    "new.json": '{"x": [0, 1, 0], "y": [1, 1, 0], "label": [1, 2, 0]}',
    "gate.toml": '[[rules]]\nhypothesis = "toy.py::half"\nreferences = 12\nbudget = 12\n',
}  # fmt: skip
LINES = {
    "gate": ["gate", "toy.py::half", "--policy", "gate.toml"],
    "show": ["show", "r.json"],
    "ls": ["ls", "records"],
    "compare": ["compare", "r.json", "r.json"],
    "merge": ["merge", "records/toy--half.json", "--out", "merged.json"],
    "power": ["power", "r.json"],
    "report": ["report", "r.json"],
    "plot": ["plot", "r.json", "--out", "f.svg"],
    "bench": ["bench", "toy.py::task"],
    "run": ["run", "toy.py::half"],
    "verdict": ["verdict", "toy.py::half", "--references", "4", "--draws", "1"],
    "why": ["why", "r.json", "1"],
    "anomalies": ["anomalies", "toy.py::half", "--inputs", "new.json"],
    "search": ["search", "toy.py::task"],
    "check": ["check", "toy.py::half"],
    "plan": ["plan", "toy.py::half"],
    "schema": ["schema", "record"],
    "explain": ["explain", "SCR-NODE"],
    "nodes": ["nodes", "toy.py::task"],
    "doctor": ["doctor", "--no-hub"],
    "init": ["init", "project", "--no-snapshot"],
    "import": ["import", "circuit.txt", "toy.py::task", "--from", "edges"],
    "submit": [
        "submit", "--dry-run", "--tasks", "2", "--cluster", "local", "--minutes", "5", "--option", "partition=gpu",
        "run", "toy.py::half", "--out", "records",
    ],
}  # fmt: skip
"""Of every command, a line that it takes."""
FURTHER = {
    "gate --reason": ["gate", "--policy", "gate.toml", "--update", "--reason", "@"],
    "bench parens --model": ["bench", "parens", "--model", "@"],
    "bench induction --text": ["bench", "induction", "--text", "@"],
    "bench induction --model": ["bench", "induction", "--model", "@"],
    "plot --width": ["plot", "r.json", "--out", "f.svg", "--width", "@"],
    "compare with": ["compare", "@", "r.json"],
    "a command": ["@"],
    "an option": ["run", "toy.py::half", "@"],
}


def places() -> dict[str, list[str]]:
    """A line for each place of each command where a word can stand; `@` stands for the word."""
    made: dict[str, list[str]] = {}
    for name, command in typer.main.get_command(app).commands.items():
        line, arguments = LINES[name], 0
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                arguments += 1
                made[f"{name} {parameter.name}"] = [*line[:arguments], "@", *line[arguments + 1 :]]
            elif not parameter.is_flag:
                option = parameter.opts[0]
                at = line.index(option) if option in line else len(line)
                made[f"{name} {option}"] = [*line[:at], option, "@", *line[at + 2 :]]
    return made | FURTHER


PLACES = places()
MEASURED = cache(measuring.machine_of)
"""Seconds for each word that is a name of a file are minutes."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a toy task, a record of it, and files that nobody should run."""
    made = tmp_path_factory.mktemp("hostile")
    (made / "toy.py").write_text(TOY)
    for name, text in HOSTILE.items():
        (made / name).write_bytes(text.encode("latin-1"))
    (made / "folder.py").mkdir()
    before = Path.cwd()
    os.chdir(made)
    try:
        assert CliRunner().invoke(app, ["run", "toy.py::half", "--out", "records"]).exit_code == 0
        assert CliRunner().invoke(app, ["merge", "records/toy--half.json", "--out", "r.json"]).exit_code == 0
    finally:
        os.chdir(before)
    return made


def called(arguments: list[str]) -> Any:
    """The result of a command; what it refuses properly is raised, so that it counts as refused."""
    found = CliRunner().invoke(app, arguments)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    if "Traceback" in found.stderr or found.exit_code not in (0, 1, 2, 3):
        raise AssertionError(f"exit code {found.exit_code}: {found.stderr[-300:]}")
    if found.exit_code == 2:
        told = found.stderr
        if "[SCR-" not in told or "scrubbing itself" in told:
            raise AssertionError(f"no coded message: {told[-300:]!r}")
        if "\x1b" in told or "\u202e" in told or "\x07" in told:
            raise AssertionError(f"what was given controls the terminal: {told[-300:]!r}")
        raise UsageError(Fault("SCR-SETTING", "", told, ""))
    return found


@pytest.mark.parametrize("place", PLACES)
def test_words(place, held, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(measuring, "machine_of", MEASURED)

    def call(word: str) -> Any:
        return called([word if one == "@" else one for one in PLACES[place]])

    def right(found: Any) -> bool:
        if "hijacked" in found.output or "whisper" in found.output:
            return False
        if PLACES[place][0] in ("run", "verdict") and found.exit_code == 0 and "Losses" in found.stdout:
            return "0.000" in found.stdout  # the loss of the model itself
        return True

    elsewhere = (
        {"/", "//", "..", "../x", "~"} if place in ("ls folder", "report --history") else set()
    )  # all of a disk is read
    if place == "init folder":  # which writes where it is told to
        elsewhere = {word for word in WORDS if word.startswith(("/", "..", "~"))}
    words = [word for word in WORDS if word not in elsewhere]
    held("command line", ((repr(word)[:40], lambda word=word: call(word)) for word in words), right)
