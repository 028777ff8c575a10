"""Loss recovered: the formula, its two published forms, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scrubbing import NoFraction
from scrubbing.metrics.recovered import fraction, loss_recovered, recovered, unbeaten
from scrubbing.stats.critical import fixed_size
from scrubbing.stats.influence import Losses
from scrubbing.stats.intervals import Means

loss = st.floats(0, 10)


def losses(model=0.0, scrubbed=0.5, null=2.0, n=100, noise=0.1):
    rng = np.random.default_rng(0)
    wanted = {"model": model, "scrubbed": scrubbed, "null": null}
    columns = {name: rng.normal(size=n) * noise for name in wanted}
    return Means({name: columns[name] - columns[name].mean() + mean for name, mean in wanted.items()})


@given(model=loss, scrubbed=loss, baseline=loss)
def test_the_two_published_forms_are_one(model, scrubbed, baseline):
    assume(abs(model - baseline) > 1e-3)
    found = fraction({"model": model, "scrubbed": scrubbed, "null": baseline}, "null")
    assert found == pytest.approx((scrubbed - baseline) / (model - baseline), abs=1e-6)


@pytest.mark.parametrize(("scrubbed", "wanted"), [(0.0, 1.0), (2.0, 0.0), (0.5, 0.75), (3.0, -0.5), (-1.0, 1.5)])
def test_values_inside_and_outside_of_nought_and_one(scrubbed, wanted):
    estimate = loss_recovered(losses(scrubbed=scrubbed), "null")
    assert estimate.value == pytest.approx(wanted)
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < wanted < estimate.high


def test_a_perfect_score_is_not_certain():
    """With scrubbed loss equal to the model's on all of 50 inputs, 0.073 of others may lose what the null lost at most,
    and the gap is known to a tenth. Nothing is gained beyond it, but for a loss below the model's.
    """
    model, null = np.full(50, 0.1), np.where(np.arange(50) < 20, 10.0, 0.1)
    estimate = loss_recovered(Means({"model": model, "scrubbed": model, "null": null}), "null")
    assert estimate.value == 1.0
    assert 1 - 0.073 * 10 / (null.mean() - 0.1) == pytest.approx(estimate.low, abs=0.04)
    assert 1.0 < estimate.high < 1.01


GAPS = {
    "worse": (-0.04, True),
    "much worse": (-3.0, True),
    "equal": (0.0, True),
    "barely better": (0.02, True),
    "better": (0.045, False),
}


@pytest.mark.parametrize("case", GAPS)
def test_there_is_a_fraction_only_where_the_model_is_better_than_the_baseline(case):
    """By more than noise, in that direction. 100 inputs with deviations of 0.1 in each column: the gap's standard error
    is 0.014.
    """
    gap, fails = GAPS[case]
    made = losses(null=gap)
    if fails:
        with pytest.raises(NoFraction, match="not better than the null baseline by more than sampling error") as caught:
            loss_recovered(made, "null")
        assert caught.value.codes == ("SCR-FRACTION",)
        assert unbeaten(made, "null") == "null"
    else:
        assert loss_recovered(made, "null").value == pytest.approx(1 - 0.5 / gap)


@given(st.integers(0, 10_000))
def test_one_formula_and_one_rule_for_intervals_and_verdicts(seed):
    """The same number, or the same refusal, from a record's intervals and from a verdict's influence values."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.exponential(mean, 40) for name, mean in (("model", 0.5), ("scrubbed", 1), ("null", 0.9))}
    weights, clusters = rng.uniform(1, 3, 40), rng.integers(0, 12, 40) if seed % 2 else None
    interval, verdict = (
        Means(columns, 0.95, weights, clusters),
        Losses(np.arange(40), columns, weights, clusters),
    )
    found = []
    for of in (lambda: loss_recovered(interval, "null").value, lambda: recovered(verdict, "null").estimate):
        try:
            found.append(of())
        except NoFraction:
            found.append(None)
    assert found[0] == found[1]


@pytest.mark.parametrize(("constant", "fails"), [(0.0, False), (0.2, True), (0.5, True), (0.52, True), (0.7, False)])
def test_a_model_that_does_not_beat_the_constant_has_no_fraction_of_anything(constant, fails):
    """Unless the constant loses nothing, because all labels are the same."""
    columns = dict(losses(model=0.5, scrubbed=0.6, null=2.0).columns)
    made = Means({**columns, "constant": np.full(100, constant)})
    assert unbeaten(made, "null") == ("constant" if fails else None)
    if fails:
        with pytest.raises(NoFraction, match="not better than the constant baseline"):
            loss_recovered(made, "null")


def test_gate_and_page_have_the_same_fraction():
    made = losses(n=60)
    page = loss_recovered(made, "null")
    gate = recovered(Losses(np.arange(60), made.columns), "null")
    assert (gate.estimate, *gate.bounds(fixed_size, 0.025)) == pytest.approx((page.value, page.low, page.high))


def test_one_input_with_a_gap_has_a_fraction_without_interval():
    estimate = loss_recovered(Means({"model": [0.0], "scrubbed": [1.0], "null": [4.0]}), "null")
    assert (estimate.value, estimate.low) == (0.75, None)


def test_equal_losses_without_noise():
    with pytest.raises(NoFraction):
        loss_recovered(Means({"model": [1.0], "scrubbed": [1.0], "null": [1.0]}), "null")
