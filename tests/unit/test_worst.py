"""The inputs that scrubbing costs most, and what they share beyond chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from scrubbing.records.inputs import InputTable
from scrubbing.records.schema import Note
from scrubbing.records.summary import summarise
from scrubbing.records.worst import _chance, shared, worst
from scrubbing.report.view import sentence


def table(scrubbed, n=1000, seed=0, **more):
    rng = np.random.default_rng(seed)
    words = rng.choice(["red", "green", "blue", "small", "large", "round"], size=(n, 8))
    return InputTable(
        {
            "id": np.arange(n),
            "text": np.array([" ".join(row) for row in words]),
            "weight": np.ones(n),
            "counted": np.ones(n),
            "loss.model": np.full(n, 0.1),
            "loss.scrubbed": scrubbed,
            "loss.null": np.full(n, 3.0),
            **more,
        }
    )


def told(inputs):
    return [sentence(Note(code="shared", values=one.model_dump())) for one in shared(inputs, worst(inputs))]


def test_a_backdoor_in_one_input_of_a_hundred_is_seen():
    """7 of the 10 worst inputs carry the trigger: no mean shows it."""
    rng = np.random.default_rng(1)
    scrubbed = 0.1 + rng.exponential(0.3, 1000)
    triggered = np.arange(0, 1000, 100)
    scrubbed[triggered[:7]] = 9.0
    inputs = table(scrubbed)
    texts = inputs["text"].astype(object)
    texts[triggered] = [f"{text} cf" for text in texts[triggered]]
    inputs = InputTable({**inputs.columns, "text": texts.astype(str)})
    assert told(inputs) == ["7 of the 10 worst inputs contain 'cf', as do 1.0 % of all references."]
    assert {one.id for one in worst(inputs)} >= set(triggered[:7].tolist())


def test_a_stratum_a_prediction_and_a_length():
    rng = np.random.default_rng(2)
    odd = np.arange(1000) % 2 == 1
    hard = rng.random(1000) + 5 * (odd & (np.arange(1000) % 3 == 0))
    more = {"stratum.odd": odd, "model_prediction": (np.arange(1000) % 3 == 0).astype(int), "prediction": odd * 1}
    found = told(table(hard, **more))
    assert not any("odd" in line for line in found)  # ten odd ones of ten: one table in a thousand has them by chance
    assert any("are predicted 1 by the model, as are 33.4 %" in line for line in found), found
    long = np.array(["ab " * (40 if i % 5 == 0 else 3) for i in range(1000)])
    found = told(table(0.1 + (np.arange(1000) % 5 == 0) * rng.random(1000), text=long))
    assert found == ["10 of the 10 worst inputs are among the longest quarter, as are 20.0 % of all references."]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_chance_is_not_named(seed):
    """Worst inputs at random share a trait in one table of a thousand at most; thirty have none."""
    rng = np.random.default_rng(seed)
    more = {"stratum.half": rng.random(1000) < 0.5, "stratum.tenth": rng.integers(0, 10, 1000)}
    assert told(table(0.1 + rng.exponential(size=1000), seed=seed, **more)) == []


def test_what_scrubbing_does_not_cost_is_not_among_the_worst():
    scrubbed = np.full(1000, 0.05)
    scrubbed[:3] = 1.0
    assert [one.id for one in worst(table(scrubbed))] == [0, 1, 2]
    assert worst(table(np.full(1000, 0.05))) == []


@pytest.mark.parametrize("missing", ["text", "weight"])
def test_tables_without_a_column(missing):
    inputs = table(0.1 + np.random.default_rng(0).exponential(size=1000))
    assert len(worst(InputTable({name: x for name, x in inputs.columns.items() if name != missing}))) == 10


def test_a_summary_holds_them():
    found = summarise(table(0.1 + np.arange(1000) / 1000), {"null": "the null"}, {})
    assert [one.id for one in found["worst"]] == list(range(999, 989, -1))
    assert found["cancellation"].better.value == 0
    assert found["references_digest"] == summarise(table(np.ones(1000)), {}, {})["references_digest"]


def test_cancellation_is_judged_before_draws_are_averaged():
    """Draws that raise and lower a loss by as much average to nothing, and are both counted."""
    inputs = table(np.full(1000, 0.1), raised=np.full(1000, 0.4), lowered=np.full(1000, 0.4))
    both = summarise(inputs, {}, {})["cancellation"]
    assert (both.worse.value, both.better.value) == pytest.approx((0.4, 0.4))
    assert both.share.value == pytest.approx(0.4 / 2.9)


@pytest.mark.parametrize(("drawn", "everywhere", "n"), [(10, 3, 12), (10, 200, 1000), (3, 3, 3), (10, 99_990, 100_000)])
def test_the_chance_is_that_of_the_hypergeometric_distribution(drawn, everywhere, n):
    for here in range(drawn + 1):
        assert _chance(here, drawn, everywhere, n) == pytest.approx(
            hypergeom.sf(here - 1, n, everywhere, drawn), rel=1e-6
        )
