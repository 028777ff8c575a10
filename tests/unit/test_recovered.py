"""Loss recovered: the formula, its two published forms, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scrubbing import NoFraction
from scrubbing.metrics.recovered import fraction, loss_recovered, recovered
from scrubbing.stats.influence import Losses
from scrubbing.stats.intervals import Bootstrap

loss = st.floats(0, 10)


def losses(model=0.0, scrubbed=0.5, null=2.0, n=100, noise=0.1):
    rng = np.random.default_rng(0)
    wanted = {"model": model, "scrubbed": scrubbed, "null": null}
    columns = {name: rng.normal(size=n) * noise for name in wanted}
    return Bootstrap({name: columns[name] - columns[name].mean() + mean for name, mean in wanted.items()})


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


def test_the_interval_is_of_the_ratio():
    """With scrubbed loss equal to the model's in every input there is nothing to be unsure of."""
    rng = np.random.default_rng(1)
    model, null = rng.exponential(size=50), 3 + rng.normal(size=50)
    estimate = loss_recovered(Bootstrap({"model": model, "scrubbed": model, "null": null}), "null")
    assert (estimate.value, estimate.low, estimate.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("gap", "fails"), [(0.0, True), (0.02, True), (0.04, False), (-0.04, True), (-4.0, True)])
def test_a_baseline_must_be_worse_than_the_model_by_two_standard_errors(gap, fails):
    """100 inputs with deviations of 0.1 in each column: the gap's standard error is 0.014."""
    made = losses(null=gap)
    if fails:
        with pytest.raises(NoFraction, match="not better than the null baseline") as caught:
            loss_recovered(made, "null")
        assert caught.value.codes == ("SCR-FRACTION",)
    else:
        assert loss_recovered(made, "null").value == pytest.approx(1 - 0.5 / gap)


@given(st.integers(0, 10_000))
def test_one_formula_and_one_rule_for_intervals_and_verdicts(seed):
    """The same number, or the same refusal, from a record's intervals and from a verdict's influence values."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.exponential(mean, 40) for name, mean in (("model", 0.5), ("scrubbed", 1), ("null", 0.9))}
    weights, clusters = rng.uniform(1, 3, 40), rng.integers(0, 12, 40) if seed % 2 else None
    interval, verdict = (
        Bootstrap(columns, 0, 0.95, weights, clusters),
        Losses(np.arange(40), columns, weights, clusters),
    )
    found = []
    for of in (lambda: loss_recovered(interval, "null").value, lambda: recovered(verdict, "null").estimate):
        try:
            found.append(of())
        except NoFraction:
            found.append(None)
    gap = interval.of(lambda means: means["null"] - means["model"])
    if abs(gap.value - 2 * gap.se) > 0.2 * gap.se:  # the two standard errors are a bootstrap's and a linear one
        assert (found[0] is None) == (found[1] is None)
    if None not in found:
        assert found[0] == pytest.approx(found[1])


def test_one_input_with_a_gap_has_a_fraction_without_interval():
    estimate = loss_recovered(Bootstrap({"model": [0.0], "scrubbed": [1.0], "null": [4.0]}), "null")
    assert (estimate.value, estimate.low) == (0.75, None)


def test_equal_losses_without_noise():
    with pytest.raises(NoFraction):
        loss_recovered(Bootstrap({"model": [1.0], "scrubbed": [1.0], "null": [1.0]}), "null")
