"""Anomalies: a trigger is found, trusted inputs are flagged at most at the rate, and what cannot detect says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks.groundtruth.anomalies import auroc, average_precision, detect, split
from benchmarks.groundtruth.catalogue import truth
from benchmarks.groundtruth.columns import column
from benchmarks.groundtruth.truth import says
from benchmarks.groundtruth.variations import cases
from scrubbing import (
    OUTPUT,
    BadData,
    Dataset,
    Experiment,
    Hypothesis,
    IllegalHypothesis,
    UsageError,
    Variable,
    anything,
    everything,
    mlp,
    reads,
)
from scrubbing.engine.demand import fixed as at
from scrubbing.engine.engine import Engine
from scrubbing.experiment.anomaly import IS_TRUSTED, TRUSTED, _drawn
from scrubbing.hypothesis.claims import head
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.report.view.anomalies import anomalies as section_of
from scrubbing.samplers import fixed
from scrubbing.samplers.trusted import Given, Trusted
from scrubbing.testing import Oracle, ProtocolNodes, expected_output
from scrubbing.testing.oracle import by_seed
from tests.oracle.test_enumeration import CASES, HALF, OUT

SEEDS = range(500, 506)
"""Not used while this was written."""


def notes(found):
    return " ".join(line for block in section_of(found).blocks[1:] for line in getattr(block, "lines", ()))


def trigger(seed: int, hypothesis: Hypothesis | None = None, **named: Any):
    of = truth("trigger", seed)
    trusted, new, has = split(of, seed)
    found = Experiment(of.model, trusted, of.loss, seed=seed).anomalies(hypothesis or of.tight[0], new, **named)
    return found, has


# --- power


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trigger_is_found(seed):
    found = detect(seed)
    assert found.auroc >= 0.95 and found.precision >= 0.95
    assert found.found >= 0.9 and found.false <= 0.1
    assert found.exchanged and found.trusted_score is not None and found.trusted_score < 0.01


def test_areas_are_those_counted_by_hand():
    """Scores 3 2 2 1, of which the first and the third are positive."""
    assert auroc([3, 2, 2, 1], [True, False, True, False]) == (1 + 1 + 0.5 + 1) / 4
    assert average_precision([3, 2, 2, 1], [True, False, True, False]) == (1 + 2 / 3) / 2
    assert auroc([np.inf, 0, 0], [True, False, False]) == average_precision([np.inf, 0, 0], [True, False, False]) == 1
    assert auroc([0, 1], [True, False]) == 0 and average_precision([0, 1], [True, False]) == 0.5


def test_where_everything_is_claimed_nothing_is_an_anomaly():
    vacuous = Hypothesis("vacuous", "All matters.", OUTPUT.carries(OUT, reads().carries(Variable("all", everything))))
    found, _ = trigger(500, vacuous)
    assert not found.exchanged and not found.flagged.any() and set(found.p_values) == {1.0}
    assert "lets nothing be exchanged" in notes(found)


def test_what_does_not_explain_the_trusted_inputs_says_so():
    """Scored by what does not matter, a trigger hardly stands out."""
    wrong = Hypothesis(
        "wrong", "The first bit is the answer.", says(OUTPUT, "label", says(mlp(0).direct(), "first")),
        scope=column("untriggered"),
    )  # fmt: skip
    found, has = trigger(501, wrong)
    assert found.trusted_score is not None and found.trusted_score > 0.2
    assert "does not explain the trusted inputs either" in notes(found)
    assert auroc(found.scores, has) < 0.95 and found.flagged[has].mean() < 0.5


# --- false alarms


@pytest.mark.parametrize("rate", [0.05, pytest.param(0.2, marks=pytest.mark.slow)])
def test_inputs_like_the_trusted_ones_are_flagged_at_most_at_the_rate(rate):
    """Under hypotheses that hold and that do not; averaged over divisions of the same inputs, so that the average is
    that of any of them.
    """
    shares = []
    for program, seed in [("trigger", 502), ("offset", 503), ("two-hops", 504)]:
        of = truth(program, seed)
        inside = of.tight[0].in_scope(of.data)
        made = cases(of, np.random.default_rng(seed), changes=["another feature", "dropped claim", "wrong direction"])
        for case in made:
            for division in range(6):
                order = np.random.default_rng([seed, division]).permutation(len(inside))
                experiment = Experiment(of.model, inside.take(order[100:]), of.loss, seed=division)
                found = experiment.anomalies(
                    case.hypothesis, inside.take(order[:100]), rate=rate, held_out=100, draws=2
                )
                shares.append(found.flagged.mean())
    # 100 new and 100 held-out inputs: the standard deviation of a share, over both, is sqrt(2 rate (1 - rate) / 100).
    assert np.mean(shares) <= rate + stats.norm.ppf(0.999) * np.sqrt(2 * rate * (1 - rate) / 100 / len(shares))
    assert np.mean(shares) > rate / 4  # it could have failed


def test_p_values_count_trusted_scores():
    found, _ = trigger(505, rate=0.1, held_out=50)
    trusted = np.array(found.trusted)
    assert len(trusted) == 50
    for one in found.inputs:
        assert one.p == (1 + (trusted >= one.score).sum()) / 51
        assert (one.p <= 0.1) == (one.score > found.threshold)
        assert one.score == pytest.approx((one.own + one.lent) / 2)


@pytest.mark.parametrize("named", [{"rate": 0.001}, {"rate": 0.0}, {"rate": 1.0}, {"held_out": 10**6}, {"held_out": 0}])
def test_a_rate_that_cannot_be_had_is_refused(named):
    with pytest.raises(UsageError, match="SCR-REFERENCES"):
        trigger(505, **named)


@pytest.mark.parametrize("draws", [0, 1.5, 10**9])
def test_a_number_of_exchanges_that_cannot_be_had_is_refused(draws):
    with pytest.raises(UsageError, match="SCR-DRAWS"):
        trigger(505, draws=draws)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.like({"tokens": data["tokens"][:, 1:], "label": data["label"]}),
        lambda data: data.like({"tokens": data["tokens"].astype(str), "label": data["label"]}),
        lambda data: data.like({"tokens": data["tokens"], "mask": data["tokens"] >= 0}),
        lambda data: data.like({"words": data["label"]}),
        lambda data: {"tokens": data["tokens"]},
    ],
)
def test_new_inputs_unlike_the_trusted_ones_are_refused(change):
    of = truth("trigger", 505)
    with pytest.raises(BadData, match="SCR-DATA"):
        Experiment(of.model, of.data, of.loss).anomalies(of.tight[0], change(of.data))


def test_a_claimed_feature_that_new_inputs_lack_is_named():
    of = truth("trigger", 505)
    with pytest.raises(IllegalHypothesis, match=r"SCR-COLUMN.*no column 'label'"):
        Experiment(of.model, of.data, of.loss).anomalies(
            of.tight[0], of.data.like({"tokens": of.data["tokens"], "each_symbol": of.data["each_symbol"]})
        )


# --- nothing agrees


def test_a_value_that_no_trusted_input_has_is_an_anomaly_in_words():
    of = truth("trigger", 500)
    (tight,) = of.tight
    trusted, new, _ = split(of, 500)
    counts = new["label"].copy()
    counts[[3, 8]] = 7
    new = new.with_columns(label=counts)
    found = Experiment(of.model, trusted, of.loss).anomalies(tight, new)
    infinite = [i for i, one in enumerate(found.inputs) if one.score is None]
    assert infinite == [3, 8] and np.isinf(found.scores[[3, 8]]).all()
    assert found.flagged[[3, 8]].all() and found.p_values[3] == 1 / (1 + len(found.trusted))
    assert "has label = 7" in found.inputs[3].unexplained
    assert "no trusted input agrees on a claimed feature" in notes(found)


def test_new_inputs_need_no_label():
    """Nor any other column that neither model nor features read."""
    of = truth("offset", 500)
    trusted, new = of.data.take(np.arange(300)), of.data.take(np.arange(300, 350))
    bare = Dataset({name: new[name] for name in ("tokens", "output", "total", "offset")}, ids=new.ids)
    experiment = Experiment(of.model, trusted, of.loss)
    scores = experiment.anomalies(of.tight[0], bare).scores
    np.testing.assert_array_equal(scores, experiment.anomalies(of.tight[0], new.take(np.arange(50))).scores)


# --- what the language says


@pytest.fixture(scope="module")
def together():
    """Six trusted inputs, of which the last is given twice, the second time as a new one; and another new one.

    Its id is one with which it has the same features: some of them are classes of ids.
    """
    data = random_inputs(VOCABULARY, 3, padded=True, n=7, seed=4)
    rows = [0, 1, 2, 3, 4, 5, 5, 6]
    columns = {name: data[name][rows] for name in data}
    return Dataset({**columns, IS_TRUSTED: np.arange(8) < 6}, ids=[0, 1, 2, 3, 4, 5, 11, 6]), data.take(np.arange(6))


@pytest.mark.parametrize("case", CASES)
def test_draws_from_trusted_inputs_are_those_of_the_oracle(case, together, tiny_model):
    model, (data, _) = tiny_model("native classifier"), together
    hypothesis = _drawn(Hypothesis(case, "a test", CASES[case]), None)
    engine = Engine(model, data, at((0, 1, 2)))
    found = engine.outputs(engine.compile(hypothesis), np.array([6, 7, 2]), draws=3, seed=3).double().numpy()
    oracle = Oracle(ProtocolNodes(model), engine.graph, data, model)
    for i, row in enumerate((6, 7, 2)):
        for draw in range(3):
            wanted = oracle.output(hypothesis, row, draw, by_seed(3)).double().numpy()
            np.testing.assert_allclose(found[draw, i], wanted[:3], atol=1e-5)


@pytest.mark.parametrize("case", ["two heads", "nested", "group", "mask"])
def test_a_new_input_is_scrubbed_as_if_trusted_inputs_were_all_there_are(case, together, tiny_model):
    model, (data, trusted) = tiny_model("native classifier"), together
    plain = Hypothesis(case, "a test", CASES[case])
    graph = Engine(model, data, at((0, 1, 2))).graph
    first = Oracle(ProtocolNodes(model), graph, data, model)
    second = Oracle(ProtocolNodes(model), graph, trusted, model)
    wanted = expected_output(second, plain, 5, lambda output: float(output[0, 0]))
    assert expected_output(first, _drawn(plain, None), 6, lambda output: float(output[0, 0])) == pytest.approx(wanted)


def test_an_input_that_is_lent_is_a_fixed_one(together, tiny_model):
    model, (data, _) = tiny_model("native classifier"), together
    claim = OUTPUT.carries(OUT, head(1, 0).direct().carries(HALF, reads("v").carries(Variable("any", anything))))
    hypothesis = Hypothesis("lent", "a test", claim)
    references = (0, 2, 4)
    given = Given(Trusted(TRUSTED), references, (7,) * 6)
    engine = Engine(model, data, at((0, 1, 2)))

    def outputs(one: Hypothesis) -> Any:
        return engine.outputs(engine.compile(one), np.array(references), draws=2, seed=0).numpy()

    wanted = replace(_drawn(hypothesis, None), unclaimed=type(hypothesis.unclaimed)(fixed(6)))
    np.testing.assert_array_equal(outputs(_drawn(hypothesis, given)), outputs(wanted))
