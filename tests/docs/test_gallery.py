"""The gallery shows every hypothesis that ships, as it is today, with the verdict that its page has."""

from __future__ import annotations

import re

import pytest

from benchmarks.gallery import PAGE, PICTURES, picture, verdicts
from scrubbing.experiment import find_task
from tests.docs.test_verdicts_page import ALL, LADDERS

TEXT = PAGE.read_text(encoding="utf-8")


def part(task: str, rung: str) -> str:
    found = re.search(rf"^### {task}: {re.escape(rung)}$(.*?)(?=^###? |^<!-- end)", TEXT, re.M | re.S)
    assert found is not None, f"{task}/{rung} is not there: run python -m benchmarks.gallery"
    return found[1]


@pytest.mark.parametrize(("task", "rung"), ALL)
def test_every_hypothesis_is_there_with_its_sentence_verdict_and_drawing(task: str, rung: str) -> None:
    told = part(task, rung)
    (one,) = (one for one in LADDERS[task]() if one.name.rpartition("/")[2] == rung)
    assert f"*{one.sentence}*" in told
    if rung in verdicts(task):
        _, word, recovered = verdicts(task)[rung]
        assert f"**{word}**, {recovered} of the null recovered" in told
    else:
        assert "No verdict yet." in told
    assert f"(gallery/{picture(task, rung)})" in told
    assert (PICTURES / picture(task, rung)).is_file()


def test_there_are_no_others() -> None:
    assert len(re.findall(r"^### ", TEXT, re.M)) == len(ALL)
    assert {path.name for path in PICTURES.glob("*")} == {picture(*one) for one in ALL}


@pytest.mark.parametrize("rung", ["two-tests", "tight-signs"])
def test_drawings_are_what_they_would_be_today(rung: str) -> None:
    task = find_task("parens")
    made = task.experiment().drawing(task.rung(rung))
    assert (PICTURES / picture("parens", rung)).read_text(encoding="utf-8") == made
