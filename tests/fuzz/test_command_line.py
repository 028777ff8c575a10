"""Hostile words at every place of every command, in a folder of hostile files.

Whatever is refused is refused with a coded message, exit code 2 and no traceback. What is not refused must say what it
says with harmless words: the same record, the same table.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scrubbing import UsageError
from scrubbing.cli import app
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
    "binary.py": "\0\xff", "missing.py": "import not_there\n", "secret.txt": "secret",
    "torch.py": "raise SystemExit('hijacked')\n",
    "gate.toml": '[[rules]]\nhypothesis = "toy.py::half"\nreferences = 12\nbudget = 12\n',
}  # fmt: skip
PLACES = {
    "run": ["run", "@"],
    "run --task": ["run", "toy.py::half", "--task", "@"],
    "run --references": ["run", "toy.py::half", "--references", "@"],
    "run --draws": ["run", "toy.py::half", "--draws", "@"],
    "run --seed": ["run", "toy.py::half", "--seed", "@"],
    "run --memory": ["run", "toy.py::half", "--memory", "@"],
    "run --threads": ["run", "toy.py::half", "--threads", "@"],
    "run --shard": ["run", "toy.py::half", "--shard", "@"],
    "run --control": ["run", "toy.py::half", "--control", "@"],
    "run --out": ["run", "toy.py::half", "--out", "@"],
    "check": ["check", "@"],
    "check --task": ["check", "toy.py::half", "--task", "@"],
    "plan": ["plan", "@"],
    "bench": ["bench", "@"],
    "bench --only": ["bench", "toy.py::task", "--only", "@"],
    "bench --model": ["bench", "parens", "--model", "@"],
    "show": ["show", "@"],
    "ls": ["ls", "@"],
    "compare": ["compare", "@", "r.json"],
    "compare --alpha": ["compare", "r.json", "r.json", "--alpha", "@"],
    "merge": ["merge", "@", "--out", "merged.json"],
    "power": ["power", "@"],
    "power --power": ["power", "r.json", "--power", "@"],
    "power --alpha": ["power", "r.json", "--alpha", "@"],
    "power --change": ["power", "r.json", "--change", "@"],
    "power --margin": ["power", "r.json", "--margin", "@"],
    "report": ["report", "@"],
    "report --out": ["report", "r.json", "--out", "@"],
    "report --history": ["report", "r.json", "--history", "@"],
    "plot --kind": ["plot", "r.json", "--out", "f.svg", "--kind", "@"],
    "plot --width": ["plot", "r.json", "--out", "f.svg", "--width", "@"],
    "plot --out": ["plot", "r.json", "--out", "@"],
    "gate": ["gate", "--policy", "gate.toml", "@"],
    "gate --policy": ["gate", "--policy", "@"],
    "gate --out": ["gate", "--policy", "gate.toml", "--out", "@"],
    "gate --reason": ["gate", "--policy", "gate.toml", "--update", "--reason", "@"],
    "a command": ["@"],
    "an option": ["run", "toy.py::half", "@"],
}


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

    def call(word: str) -> Any:
        return called([word if one == "@" else one for one in PLACES[place]])

    def right(found: Any) -> bool:
        if "hijacked" in found.output or "secret" in found.output:
            return False
        if PLACES[place][0] == "run" and found.exit_code == 0 and "Losses" in found.stdout:
            return "0.000" in found.stdout  # the loss of the model itself
        return True

    elsewhere = (
        {"/", "//", "..", "../x", "~"} if place in ("ls", "report --history") else set()
    )  # all of a disk is read
    words = [word for word in WORDS if word not in elsewhere]
    held("command line", ((repr(word)[:40], lambda word=word: call(word)) for word in words), right)
