"""The page of verdicts has every hypothesis that ships, and says what a run of it prints."""

from __future__ import annotations

import re
import sys
from typing import get_args

import pytest

from benchmarks.verdicts.__main__ import PAGE, asked_whether_specific, main, replaced, sentences, suite
from benchmarks.verdicts.words import ABOUT, SUITES
from hypotheses.parens import original
from scrubbing.experiment import find_task
from scrubbing.records.tested import Word

TEXT = PAGE.read_text(encoding="utf-8")
SHIPPED = {name: find_task(name).ladder for name in ("parens", "induction", "induction-python", "ioi", "greater-than")}
LADDERS = {**SHIPPED, "parens-original": original.ladder}
ALL = [(name, one.name.rpartition("/")[2]) for name, ladder in LADDERS.items() for one in ladder()]


def part(task: str, rung: str) -> str:
    """What the page says about one rung."""
    found = re.search(rf"^### {task}: {re.escape(rung)}$(.*?)(?=^\(verdict-|^<!-- end)", TEXT, re.M | re.S)
    assert found is not None, f"{task}/{rung} is not on the page: run python -m benchmarks.verdicts"
    return found[1]


def word(task: str, rung: str) -> str:
    """The word in the table of its suite."""
    anchor = re.escape(f"verdict-{task}-{rung.replace('+', '-and-')}")
    found = re.search(rf"^\| \[{re.escape(rung)}\]\(#{anchor}\) \| ([^|]+) \|", TEXT, re.M)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(("task", "rung"), ALL)
def test_every_rung_has_a_verdict_and_a_paragraph_where_it_is_not_tight(task, rung):
    assert word(task, rung) in get_args(Word)
    lines = [line for line in part(task, rung).splitlines() if line]
    assert sum(line.startswith("- ") for line in lines) >= 1
    told, paragraph = ABOUT.get(f"{task}/{rung}", ("tight", ""))
    assert told == word(task, rung)
    assert paragraph or told == "tight"
    assert paragraph in part(task, rung)


def test_every_rung_is_there_and_nothing_is_told_of_others():
    assert set(SUITES) == set(LADDERS)
    assert {*ABOUT} <= {"/".join(one) for one in ALL}
    assert sorted(re.findall(r"^### (\S+): (\S+)$", TEXT, re.M)) == sorted(ALL)


def test_words_have_no_numbers_of_runs():
    assert [paragraph for _, paragraph in ABOUT.values() if re.search(r"\d %|\d\.\d\d", paragraph)] == []


@pytest.mark.parametrize(
    ("task", "rung"),
    [
        ("parens", "two-tests"),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in ALL if one[0] in SHIPPED),
    ],
)
def test_the_page_says_what_a_run_says(task, rung):
    found, run = find_task(task), re.search(rf"#verdict-{task}-{re.escape(rung)}\).* ([\d,]+) x \d+ \|$", TEXT, re.M)
    assert run is not None
    experiment = found.experiment(verdict=True, references=int(run[1].replace(",", "")))
    record = asked_whether_specific(experiment, experiment.run(found.rung(rung))).record()
    assert [f"- {line}" for line in sentences(record)] == re.findall(r"^- .*", part(task, rung), re.M)


@pytest.mark.parametrize("name", SHIPPED)
def test_rungs_without_records_keep_what_the_page_has(name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["verdicts", "--suites", name, "--records", str(tmp_path)])
    written = tmp_path / "page.md"
    written.write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr("benchmarks.verdicts.__main__.PAGE", written)
    main()
    assert written.read_text(encoding="utf-8") == TEXT


def test_a_suite_is_renewed_alone():
    page = "a\n<!-- parens -->\nold\n<!-- end of parens -->\n<!-- induction -->\nkept\n<!-- end of induction -->\n"
    made = replaced(page, "parens", r"new \1")
    assert made == page.replace("old", r"new \1")
    assert callable(suite)
