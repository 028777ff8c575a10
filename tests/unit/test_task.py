"""Tasks: found by name, with rungs by name and models by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from scrubbing import Task, UsageError
from scrubbing.experiment.task import find_task


def _of_the_hub(folder=Path("fetched")):
    return folder


@pytest.fixture
def task(toy):
    rungs = [toy.hypothesis(name=f"toy/{name}") for name in ("0a", "1b")]
    return Task("toy", *[list] * 4, ladder=lambda: rungs, variants={"big": lambda folder: folder, "hub": _of_the_hub})


def test_rungs(task):
    assert task.rung("1b").name == "toy/1b"
    with pytest.raises(UsageError, match="0a, 1b"):
        task.rung("toy/1b")


def test_variants(task):
    assert task.variant("shipped", None) is task
    assert task.variant("big", Path("there")) == task.variant("hub", Path("there")) == Path("there")
    assert task.variant("hub", None) == Path("fetched")
    for name, folder, told in (("big", None, "--data DIR"), ("small", Path(), "shipped, big, hub")):
        with pytest.raises(UsageError, match=told):
            task.variant(name, folder)


def test_installed_tasks():
    assert find_task("parens").name == "parens"
    with pytest.raises(UsageError, match="parens"):
        find_task("brackets")


def test_looking_at_a_task_loads_nothing(toy):
    def heavy():
        raise AssertionError("loaded")

    task = Task("toy", heavy, heavy, heavy, heavy, ladder=lambda: [toy.hypothesis(name="toy/0a")])
    assert task.rung("0a").name == "toy/0a"
