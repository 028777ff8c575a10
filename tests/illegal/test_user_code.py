"""Mistakes in users' files and functions: the error shows the user's line."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Baseline,
    Classification,
    Dataset,
    Feature,
    Hypothesis,
    IllegalHypothesis,
    UsageError,
    feature,
    head,
    project,
)
from scrubbing.hypothesis.addresses import is_installed, load_file, resolve
from scrubbing.parts import activation, direction, function
from scrubbing.samplers import generated

FILES = {
    "import": "import nump\n",
    "import inside of a module": "import json.nothing\n",
    "syntax": "x = 1\ndef (:\n",
    "indentation": "if True:\nx = 1\n",
    "an exception": "x = 1\ny = x / 0\n",
    "an exception without words": "raise ValueError\n",
    "an exception in a function": "def f():\n    return {}['a']\n\n\nx = f()\n",
    "an exception in a library": "import json\n\nx = json.loads('{')\n",
    "wrong arguments": "def f(a):\n    return a\n\n\nx = f(1, 2)\n",
    "leaving": "import sys\n\nsys.exit(3)\n",
    "no text": "\0",
}


@pytest.mark.parametrize("case", FILES)
def test_files(case, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILES[case])
    refused(UsageError, "SCR-EXIT" if case == "leaving" else "SCR-CODE", lambda: resolve("mine.py::x"))


def test_the_same_path_in_another_folder_is_another_file(tmp_path, monkeypatch):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"x = {folder!r}\n")
    for folder in ("one", "two", "one"):
        monkeypatch.chdir(tmp_path / folder)
        assert resolve("mine.py::x") == folder
    assert is_installed("mine.py")
    monkeypatch.chdir(tmp_path / "two")  # a stored hypothesis may not run what nobody loaded from here
    assert not is_installed("mine.py")
    monkeypatch.chdir(tmp_path / "one")
    first = resolve("mine.py:x"), load_file("mine.py")
    assert first == ("one", load_file("mine.py"))  # run once


def test_a_name_that_is_no_module(refused):
    refused(UsageError, "SCR-ADDRESS", lambda: resolve("..os:x"))


def boom(*arguments, **named):
    """Raises, whatever it is given."""
    return 1 / 0


def scrubbed(w, target=None, sampler=None, **changed):
    return w.scrub((target or head(1, 0).direct()).carries(w.parity, sampler=sampler), references=[0, 1], **changed)


class Loss(Classification):
    """A loss with a mistake."""

    def per_token(self, *arguments):
        return boom()


class Measure:
    """A measure with a mistake."""

    name, meaning, unit = "odd", "something odd", "nats"

    def defined(self, loss):
        return True

    def per_token(self, predictions):
        return boom()


def shown(w, show):
    return Dataset({name: w.data[name] for name in w.data}, show=show)


FUNCTIONS = {
    "direction": lambda w: scrubbed(w, head(1, 0).direct().part(project(direction(boom)))),
    "function": lambda w: scrubbed(w, head(1, 0).direct().part(function(boom))),
    "activation": lambda w: scrubbed(w, head(1, 0).direct().part(activation(boom))),
    "positions": lambda w: scrubbed(w, head(1, 0).direct().at(boom)),
    "generator": lambda w: scrubbed(w, sampler=generated(boom)),
    "measure": lambda w: scrubbed(w, measures=[Measure()]),
    "baseline": lambda w: scrubbed(w, extra_baselines={"other": Baseline("another", losses=boom)}),
    "loss": lambda w: scrubbed(w, loss=Loss("label")),
    "show": lambda w: scrubbed(w, data=shown(w, boom)),
    "show that gives no text": lambda w: scrubbed(w, data=shown(w, lambda data, row: row)),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions(case, world, refused):
    kind = IllegalHypothesis if case == "positions" else UsageError  # with what else is wrong
    refused(kind, "SCR-CODE", lambda: FUNCTIONS[case](world))


def test_a_feature(world, refused):
    refused(IllegalHypothesis, "SCR-FEATURE", lambda: feature(name="mine")(boom)(world.data))


def test_a_feature_of_large_numbers(world, refused):
    large = feature(name="mine")(lambda data: np.full(len(data), 2**64 - 1, dtype=np.uint64))
    refused(IllegalHypothesis, "SCR-FEATURE", lambda: large(world.data))


def test_half_a_character(world, refused):
    refused(UsageError, "SCR-CLAIM", lambda: Hypothesis("h", "half \ud800", OUTPUT.carries(world.output)))


def test_a_feature_without_a_name(refused):
    refused(UsageError, "SCR-NAME", lambda: Feature(None))


def test_more_draws_than_fit(world, refused):
    refused(UsageError, "SCR-DRAWS", lambda: scrubbed(world, draws=10**12))


def test_a_finished_run_is_not_lost_to_show(world):
    """What `show` cannot say of some input, the record says."""
    asked = []

    def show(data, row):
        asked.append(row)
        return "first" if len(asked) == 1 else boom()

    found = scrubbed(world, data=shown(world, show))
    assert "not shown: it raised ZeroDivisionError" in found.record().model_dump_json()
    assert len(found.inputs()) == 2
