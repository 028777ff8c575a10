"""Only the tests that can change the word: the same word, from fewer examples, and the record says so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.groundtruth.catalogue import PROGRAMS, truth
from benchmarks.groundtruth.variations import FALSE, OVERCLAIMS, cases
from benchmarks.parens.task import our_data, task
from scrubbing import Experiment, Hypothesis
from scrubbing.cli import app
from scrubbing.records.tested import VerdictRecord
from scrubbing.report.view.verdict_words import not_asked, verdict_sentence
from tests.thin import thinned

SEED = 51


def both(experiment: Experiment, hypothesis: Hypothesis) -> tuple[VerdictRecord, VerdictRecord]:
    """By all tests, and by those that can change the word."""
    found = [experiment.but(verdict=how).run(hypothesis).tested for how in (True, "word")]
    assert found[0] is not None and found[1] is not None
    return found[0], found[1]


@pytest.mark.parametrize("program", thinned([*PROGRAMS]))
def test_every_change_has_the_same_word(program: str) -> None:
    made = truth(program, SEED)
    experiment = Experiment(made.model, made.data, made.loss, baselines=False)
    hypotheses = [*made.tight, *made.redundant]
    hypotheses += [case.hypothesis for case in cases(made, np.random.default_rng(2), [*OVERCLAIMS, *FALSE])]
    spared = 0
    for hypothesis in hypotheses:
        every, word = both(experiment, hypothesis)
        assert (word.word, word.tests, every.tests) == (every.word, "word", "all"), hypothesis
        assert word.reasons[:1] == every.reasons[:1]
        assert word.examples <= every.examples
        spared += word.examples < every.examples
    assert spared >= len(hypotheses) // 2


@pytest.mark.parametrize("rung", ["two-tests", "signs", "tight-signs", "detectors"])
def test_the_paren_ladder(rung: str) -> None:
    experiment = Experiment(task.model(), our_data(3000), task.loss(), references=400, baselines=False)
    every, word = both(experiment, task.rung(rung))
    assert word.word == every.word
    if every.word == "insufficient":
        assert (word.examples, word.claims) == (0, [])  # what it loses says so


def test_what_was_not_asked_is_told() -> None:
    experiment = Experiment(task.model(), our_data(3000), task.loss(), references=400, baselines=False)
    record = experiment.but(verdict="word").run(task.rung("signs")).record()
    assert record.tested is not None
    assert "at least" in verdict_sentence(record.tested)
    assert next(iter(not_asked(record))) == "Not asked: what cannot change this word (--verdict)."
    every = experiment.verdict(task.rung("signs")).record()
    assert every.tested is not None
    assert "at least" not in verdict_sentence(every.tested)
    assert not any("cannot change" in told for told in not_asked(every))


def test_a_ladder_asks_for_the_word_unless_it_is_told_otherwise() -> None:
    command = ["bench", "parens", "--only", "two-tests", "--references", "60", "--pool", "400", "--json"]
    for options, tests in (([], "word"), (["--verdict"], "all"), (["--no-verdict"], None)):
        done = CliRunner().invoke(app, [*command, *options])
        assert done.exit_code == 0, done.output
        (record,) = json.loads(done.stdout)
        assert (record["tested"] and record["tested"]["tests"]) == tests
