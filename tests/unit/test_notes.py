"""What a record says unasked: each sentence exactly when it is true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubbing.records.notes import notes
from scrubbing.records.schema import Cancellation, ClaimCounts, Number, Padding, Recovered, Stratum


def number(value, width=0.01):
    return Number(value=value, se=width / 2, low=value - width, high=value + width)


def told(
    scrubbed=0.2,
    constant=0.6,
    null=4.0,
    rest=None,
    strata=(),
    claims=(),
    exchanged=True,
    width=0.01,
    worse=0.2,
    better=0.0,
    model=0.0,
    padding=None,
):
    losses = {"model": number(model, width), "scrubbed": number(scrubbed, width), "null": number(null)}
    if constant is not None:
        losses["constant"] = number(constant)
    if rest is not None:
        losses["mean rest"] = number(rest)
    recovered = [
        Recovered(baseline="null", meaning="", fraction=number(1 - scrubbed / null), nats=number(scrubbed)),
    ]
    cancelled = Cancellation(worse=number(worse), better=number(better), correlation=None)
    found = {"losses": losses, "recovered": recovered, "strata": list(strata), "cancellation": cancelled}
    found["padding"] = padding
    return notes(found, list(claims), exchanged)


def claim(**changed):
    values = {"path": "p", "what": "m0 directly", "variable": "v", "feature": "f", "bits": 1.0, "draws": 100}
    counts = {"agreed_min": 2, "agreed_median": 9.0, "self_share": 0.1, "near_ties": 0}
    return ClaimCounts(**{**values, **counts, **changed})


def stratum(loss, n=50, model=0.0):
    return Stratum(name="balanced", n=n, model=model, scrubbed=number(loss), accuracy=0.29)


def test_nothing_to_say():
    assert told(claims=[claim()], strata=[stratum(0.3)]) == []


@given(scrubbed=st.floats(0.0, 10.0), constant=st.floats(0.001, 10.0), width=st.floats(0.0, 1.0))
def test_worse_than_the_constant_model_is_always_said(scrubbed, constant, width):
    first = next(iter(told(scrubbed, constant, width=width)), "")
    assert first.startswith("Worse than the constant model") == (scrubbed > constant)
    assert first.startswith("Not distinguishable") == (scrubbed <= constant < scrubbed + width)


def test_worse_than_the_constant_model_in_words():
    (sure,) = told(scrubbed=1.22, constant=0.577)
    assert sure == (
        "Worse than the constant model: the scrubbed loss is 1.220, always predicting the base rate costs 0.577. "
        "A high fraction recovered against the null does not make this an account of the model's performance."
    )
    (unsure,) = told(scrubbed=0.58, constant=0.577)
    assert unsure.startswith("Worse than the constant model (not beyond sampling error): the scrubbed loss is 0.580")


def test_without_a_constant_model_nothing_is_said_about_it():
    assert told(scrubbed=3.0, constant=None) == []


@pytest.mark.parametrize(("rest", "said"), [(0.0, True), (0.1, True), (0.15, False), (0.2, False), (0.9, False)])
def test_mean_ablation_that_flatters(rest, said):
    """Scrubbed 0.2 of 4 is 95 %; more than two points better with means is worth a sentence."""
    found = told(rest=rest)
    assert bool(found) == said
    if said:
        assert f"at its mean {100 - 25 * rest:.1f} % is recovered, resampled 95.0 %" in found[0]


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (stratum(6.7), True),
        (stratum(0.5), False),  # not three times the whole
        (stratum(6.7, n=1), False),
        (stratum(6.7, model=6.65), False),  # the model is as bad there
    ],
)
def test_where_the_failures_sit(one, said):
    found = told(strata=[one])
    assert found == (
        ["The failures sit where balanced: loss 6.70 there, 0.20 overall (accuracy 29 %)."] if said else []
    )


def test_at_most_two_strata_are_named_the_worst_first():
    found = told(strata=[stratum(2.0), stratum(4.0), stratum(3.0)])
    assert ["4.00" in found[0], "3.00" in found[1], len(found)] == [True, True, 2]


@pytest.mark.parametrize(("share", "said"), [(0.49, False), (0.5, True), (1.0, True)])
def test_claims_that_are_hardly_tested(share, said):
    found = told(claims=[claim(self_share=share)])
    assert bool(found) == said
    if said:
        assert f"m0 directly carries v is hardly tested: {100 * share:.0f} % of draws" in found[0]


def test_a_claim_without_draws_is_not_blamed():
    assert told(claims=[claim(self_share=1.0, draws=0)]) == []


def test_near_ties():
    (found,) = told(claims=[claim(near_ties=3)])
    assert found.startswith("Feature f has 3 near ties")


def test_nothing_exchanged():
    (found,) = told(exchanged=False)
    assert found.startswith("No activation is ever exchanged")


@pytest.mark.parametrize(
    ("worse", "better", "said"), [(0.5, 0.0, False), (0.5, 0.14, False), (0.5, 0.16, True), (0.02, 0.009, False)]
)
def test_losses_that_cancel(worse, better, said):
    assert any(note.startswith("Losses cancel") for note in told(worse=worse, better=better)) == said


@given(model=st.floats(0.0, 2.0), constant=st.floats(0.001, 2.0), width=st.floats(0.0, 1.0))
def test_a_model_that_loses_to_the_constant_is_said_to_before_all_else(model, constant, width):
    first = next(iter(told(3.0, constant, width=width, model=model)), "")
    assert first.startswith("The model itself is worse than the constant model") == (model > constant)
    assert ("not beyond sampling error" in first.partition(":")[0]) == (model - width <= constant < model)


def test_reads_at_padding_are_said():
    assert told(padding=Padding(reads=0, draws=0.0)) == []
    (note,) = told(padding=Padding(reads=4311, draws=0.25))
    assert note.startswith("Padding is read: in 25.0 % of draws") and "4,311 inputs" in note
