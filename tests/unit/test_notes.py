"""What a record says unasked: each note exactly when it is true, and in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubbing.records.measured import Padding
from scrubbing.records.notes import CODES, notes
from scrubbing.records.schema import (
    Cancellation,
    Carried,
    ClaimCounts,
    MeasureValue,
    Note,
    Number,
    Recovered,
    Stratum,
)
from scrubbing.report.view import sentence, wordings


def number(value, width=0.01):
    return Number(value=value, se=width / 2, low=value - width, high=value + width)


def made(
    scrubbed=0.2,
    constant=0.6,
    null=4.0,
    model=0.0,
    rest=None,
    strata=(),
    claims=(),
    exchanged=True,
    width=0.01,
    cancelled=0.0,
    changed=None,
    units=500,
    padding=None,
    effective=None,
):
    losses = {"model": number(model, width), "scrubbed": number(scrubbed, width), "null": number(null)}
    if constant is not None:
        losses["constant"] = number(constant)
    if rest is not None:
        losses["mean rest"] = number(rest)
    fraction = 1 - (scrubbed - model) / (null - model) if null > model else None
    recovered = [
        Recovered(
            baseline="null",
            meaning="",
            fraction=None if fraction is None else number(fraction),
            lost=number(scrubbed - model),
        )
    ]
    measures = (
        [] if changed is None else [MeasureValue(name="changed", meaning="", unit="share", value=number(changed))]
    )
    share = None if cancelled is None else number(cancelled, 0.005)
    both = Cancellation(worse=number(0.2), better=number(0.1), correlation=None, share=share)
    found = {"losses": losses, "recovered": recovered, "measures": measures, "strata": strata, "cancellation": both}
    found["padding"] = padding
    if effective is not None:
        found["carried"] = Carried(effective=effective, references=units, raised=1, at_most=0.01, threshold=0.4)
    return notes(found, list(claims), exchanged, units)


def codes(*arguments, **options):
    return [note.code for note in made(*arguments, **options)]


def claim(**changed):
    values = {"path": "p", "what": "m0 directly", "variable": "v", "feature": "f", "bits": 1.0, "draws": 100}
    counts = {"agreed_min": 2, "agreed_median": 9.0, "self_share": 0.1, "near_ties": 0}
    return ClaimCounts(**{**values, **counts, **changed})


def stratum(loss, rest, n=50, model=0.0, rest_model=0.0, width=0.1):
    return Stratum(
        feature="balanced",
        value=True,
        n=n,
        model=model,
        scrubbed=number(loss, width),
        accuracy=0.29,
        rest_model=rest_model,
        rest_scrubbed=number(rest, width),
    )


def test_nothing_to_say():
    assert made(claims=[claim()], strata=[stratum(0.3, 0.2)], changed=0.04) == []


@given(scrubbed=st.floats(0.0, 10.0), constant=st.floats(0.001, 10.0), width=st.floats(0.0, 1.0))
def test_worse_than_the_constant_model_is_always_said(scrubbed, constant, width):
    found = codes(scrubbed, constant, width=width, null=20.0)
    assert ("worse-than-constant" in found) == (scrubbed > constant)
    assert ("like-constant" in found) == (scrubbed <= constant < scrubbed + width)


def test_worse_than_the_constant_model_in_words():
    (sure,) = made(scrubbed=1.22, constant=0.577)
    assert sentence(sure) == (
        "Worse than the constant model: the scrubbed loss is 1.220, always predicting the base rate costs 0.577. "
        "A high fraction recovered against the null does not make this an account of the model's performance."
    )
    (unsure,) = made(scrubbed=0.58, constant=0.577)
    assert sentence(unsure).startswith(
        "Worse than the constant model (not beyond sampling error): the scrubbed loss is 0.580"
    )


def test_without_a_constant_model_nothing_is_said_about_it():
    assert made(scrubbed=3.0, constant=None) == []


@pytest.mark.parametrize(("model", "said"), [(0.5, False), (0.605, True), (2.0, True)])
def test_a_model_that_loses_to_the_constant_is_said_first(model, said):
    found = made(model=model, scrubbed=max(model, 0.55))
    assert (found[:1] != [] and found[0].code == "model-loses-to-constant") == said
    if said:
        assert found[0].values["sure"] == (model > 0.61)
        assert sentence(found[0]).startswith("The model itself is worse than the constant model")


@pytest.mark.parametrize(("rest", "said"), [(0.0, True), (0.1, True), (0.15, False), (0.2, False), (0.9, False)])
def test_mean_ablation_that_flatters(rest, said):
    """Scrubbed 0.2 of 4 is 95 %; more than two points better with means is worth a sentence."""
    found = made(rest=rest)
    assert bool(found) == said
    if said:
        assert f"Mean ablation recovers {100 - 25 * rest:.1f} % of null, the scrub 95.0 %." in sentence(found[0])


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (stratum(6.7, 0.1), True),
        (stratum(0.5, 0.2), False),  # not three times as much as elsewhere
        (stratum(6.7, 0.1, n=1), False),
        (stratum(6.7, 0.1, model=6.65), False),  # the model is as bad there
        (stratum(0.02, 0.0), False),  # next to nothing of the gap of 4
        (stratum(0.5, 0.1, width=1.0), False),  # not beyond sampling error
        (stratum(0.9, -0.2), True),  # elsewhere scrubbing lowers the loss
    ],
)
def test_where_the_failures_sit(one, said):
    assert codes(strata=[one], scrubbed=0.2) == ["stratum-fails"] * said


@given(share=st.floats(0.02, 0.98))
def test_a_stratum_of_any_size_can_be_named(share):
    """However large it is, its loss is held against the others', not against a mean that it makes itself."""
    n = round(1000 * share)
    assert "stratum-fails" in codes(strata=[stratum(2.0, 0.1, n=n)], scrubbed=2.0 * share, null=8.0)


def test_the_failures_in_words():
    (note,) = made(strata=[stratum(6.7, 0.14)])
    assert sentence(note) == (
        "The failures sit where balanced: scrubbing costs 6.700 there (accuracy 29 %), 0.140 elsewhere."
    )


def test_at_most_two_strata_are_named_the_worst_first():
    found = made(strata=[stratum(2.0, 0.1), stratum(4.0, 0.1), stratum(3.0, 0.1)])
    assert [note.values["here"] for note in found] == [4.0, 3.0]


@pytest.mark.parametrize(
    ("share", "code"), [(0.49, None), (0.5, "claim-hardly-tested"), (0.9991, "claim-exchanges-nothing")]
)
def test_claims_that_are_hardly_tested(share, code):
    assert codes(claims=[claim(self_share=share)]) == ([code] if code else [])


def test_a_claim_hardly_tested_in_words():
    (note,) = made(claims=[claim(self_share=0.72)])
    assert "m0 directly carries v is hardly tested: 72 % of draws returned the input itself" in sentence(note)


def test_a_claim_without_draws_is_not_blamed():
    assert made(claims=[claim(self_share=1.0, draws=0)]) == []


@pytest.mark.parametrize(("n", "words"), [(1, "1 near tie:"), (3, "3 near ties:")])
def test_near_ties(n, words):
    (note,) = made(claims=[claim(near_ties=n)])
    assert sentence(note).startswith(f"Feature f has {words}")


def test_nothing_exchanged():
    (note,) = made(exchanged=False)
    assert sentence(note).startswith("No activation is ever exchanged")


@pytest.mark.parametrize(("share", "said"), [(None, False), (0.0, False), (0.024, False), (0.03, True), (0.5, True)])
def test_losses_that_cancel(share, said):
    """Where more than 2 % of the null gap is made up for, beyond sampling error; of tiny losses nothing is said."""
    assert codes(cancelled=share) == ["cancelled"] * said


@pytest.mark.parametrize(
    ("scrubbed", "changed", "said"),
    [(0.044, 0.087, True), (0.2, 0.04, False), (0.004, 0.015, False), (0.04, 0.025, False)],
)
def test_predictions_that_change_beside_a_high_fraction(scrubbed, changed, said):
    """98.9 % of null with 8.7 % of the predictions changed is one; 95 % with 4 % is what one expects."""
    assert codes(scrubbed, changed=changed) == ["changed-despite-fraction"] * said


@pytest.mark.parametrize(("units", "words"), [(1, "there is no interval"), (12, "one input in 4 "), (30, None)])
def test_few_references(units, words):
    found = made(units=units)
    assert [note.code for note in found] == (["few-references"] if words else [])
    assert not words or words in sentence(found[0])


@pytest.mark.parametrize(("effective", "said"), [(None, False), (0.0, False), (1.0, True), (9.9, True), (10.0, False)])
def test_few_references_that_carry_the_loss(effective, said):
    found = made(effective=effective)
    assert [note.code for note in found] == ["few-carry"] * said
    assert not said or f"about {effective:.1f} of 500 references" in sentence(found[0])


def test_one_class_only():
    (worse, one) = made(scrubbed=0.2, constant=0.0)
    assert [worse.code, one.code] == ["worse-than-constant", "one-class"]
    assert "same label" in sentence(one)


def test_every_note_has_words():
    assert set(wordings) >= CODES
    assert sentence(Note.of("text", text="As it was written.")) == "As it was written."


@pytest.mark.parametrize("code", sorted({*wordings, "nobody has worded it"}))
def test_a_note_without_its_values_is_still_said(code):
    told = sentence(Note.of(code, n=3, half=0.5, none=None, yes=True))
    assert "None" not in told and told


def test_further_notes_are_worded_by_whoever_makes_them():
    wordings.add("tests-own", lambda of: f"It is {of['colour']}.")
    assert sentence(Note.of("tests-own", colour="green")) == "It is green."


@given(model=st.floats(0.0, 2.0), constant=st.floats(0.001, 2.0), width=st.floats(0.0, 1.0))
def test_a_model_that_loses_to_the_constant_is_said_to_before_all_else(model, constant, width):
    first = next(iter(made(3.0, constant, width=width, model=model)), None)
    assert (first is not None and first.code == "model-loses-to-constant") == (model > constant)
    if model > constant:
        assert first.values["sure"] == (model - width > constant)


def test_reads_at_padding_are_said():
    assert codes(padding=Padding(reads=0, draws=0.0)) == []
    (note,) = made(padding=Padding(reads=4311, draws=0.25))
    assert sentence(note).startswith("Padding is read: in 25.0 % of draws") and "4,311 inputs" in sentence(note)
