"""The page of controls has every hypothesis that ships, and none that is said to be supported fails one."""

from __future__ import annotations

import re

import pytest

from benchmarks.controls.__main__ import PAGE, SUITES, SUPPORTED, TRUTH, VERDICTS, subjects, verdicts
from benchmarks.groundtruth.catalogue import PROGRAMS, TRAINED
from scrubbing.experiment import find_task
from scrubbing.experiment.verdict.specific import P

TEXT = PAGE.read_text(encoding="utf-8")


def rows(suite: str) -> list[list[str]]:
    """Cells of each row of the table of a suite."""
    found = re.search(rf"<!-- {suite} -->\n(.*?)<!-- end of {suite} -->", TEXT, re.S)
    assert found is not None
    return [re.split(r"\s*\|\s*", line.strip("| ")) for line in found[1].splitlines()[4:] if line.startswith("| ")]


@pytest.mark.parametrize("suite", SUITES)
def test_everything_is_there(suite):
    names = (
        [*(PROGRAMS | TRAINED)]
        if suite == TRUTH
        else [one.name.rpartition("/")[2] for one in find_task(suite).ladder()]
    )
    assert [row[0] for row in rows(suite)] == names


@pytest.mark.parametrize("suite", SUITES)
def test_nothing_is_supported_on_weights_that_mean_nothing(suite):
    outcomes = [one for row in rows(suite) for one in re.findall(r"\d+ ([a-z ]+)", row[2 - (suite == TRUTH)])]
    assert outcomes
    assert set(outcomes) <= {"nothing to explain", "not supported"}


@pytest.mark.parametrize("suite", [one for one in SUITES if one != TRUTH])
def test_what_is_supported_with_controls_is_better_than_random(suite):
    words = verdicts(suite)
    for name, word, weights, _, _, _, p, after in rows(suite):
        assert word == words.get(name, "not run")
        assert after == word or word in SUPPORTED
        assert after not in SUPPORTED or (float(p) <= P and re.match(r"20 ", weights))


@pytest.mark.parametrize("suite", [one for one in SUITES if one != TRUTH])
def test_words_are_those_of_the_suite_itself(suite):
    """The name of one suite begins as that of another does, and most of their rungs have one name."""
    text = VERDICTS.read_text(encoding="utf-8")
    found = re.search(rf"<!-- {suite} -->\n(.*?)<!-- end of {suite} -->", text, re.S)
    assert found is not None
    assert verdicts(suite) == dict(re.findall(r"^\| \[([^\]]+)\]\(\S+\) \| ([^|]+) \|", found[1], re.M))
    assert len(verdicts(suite)) > 5


def test_no_verdict_is_another_with_controls():
    """Those on the page of verdicts ask for random hypotheses; the page of controls says what that changed."""
    told = {name for suite in SUITES if suite != TRUTH for name, word, *_, after in rows(suite) if after != word}
    assert told == set()
    assert "*neighbours*" in TEXT


def test_what_is_true_is_better_than_random():
    """But for two of three copies: any other two do as well, and the page says so."""
    assert {name for name, *_, p in rows(TRUTH) if float(p) > P} == {"copies"}
    assert "In *copies*" in TEXT


def test_subjects_are_what_a_verdict_is_about():
    name, _, experiment, hypothesis = next(subjects(TRUTH))
    assert name == "majority"
    assert experiment.jobs(hypothesis)
