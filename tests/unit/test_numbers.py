"""Numbers as text: no minus zero, no interval that looks narrower than it is, none of no width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubbing.numbers import CHANGE, PLAIN, RECOVERED, SHARE, Amounts, count, many
from scrubbing.stats.intervals import Estimate

numbers = st.one_of(st.floats(-1e12, 1e12), st.floats(-1, 1), st.sampled_from([0.0, -0.0, 1e-9, -1e-9, 0.9999999]))
forms = st.sampled_from([PLAIN, SHARE, CHANGE, RECOVERED, Amounts(), Amounts(unit=" tokens")])


@pytest.mark.parametrize(
    ("form", "ends", "text"),
    [
        (PLAIN, (0.228, 0.17, 0.291), "0.228 [0.170, 0.291]"),
        (PLAIN, (0.228, None, None), "0.228"),
        (PLAIN, (0.5, 0.5, 0.5), "0.500 (no spread)"),
        (PLAIN, (2e-6, 1e-6, 3e-6), "0.000 [0.000, 0.001]"),
        (PLAIN, (-1e-9, -2e-9, 1e-9), "0.000 [-0.001, 0.001]"),
        (PLAIN, (2e8, 199999999.0, 200000001.0), "2e+08 [199999999.0, 200000001.0]"),
        (SHARE, (0.957, 0.931, 0.976), "95.7 % [93.1, 97.6]"),
        (SHARE, (0.99999, 0.99998, 1.0), "100.0 % [99.9, 100.0]"),
        (CHANGE, (0.1, -0.05, 0.25), "+0.100 [-0.050, +0.250]"),
        (CHANGE, (0.0, 0.0, 0.0), "+0.000 (no spread)"),
        (RECOVERED, (-1234.5, -2000.0, -900.0), "< -1000 %"),
        (Amounts(unit=" tokens"), (3.1e6, 2.7e6, 3.5e6), "3,100,000 tokens [2,700,000, 3,500,000]"),
        (Amounts(), (31.0, 31.01, 31.02), "31 [31.01, 31.02]"),
    ],
)
def test_by_hand(form, ends, text):
    assert form.interval(*ends) == text


@given(form=forms, ends=st.lists(numbers, min_size=3, max_size=3).map(sorted))
def test_no_interval_is_without_width_or_zero_with_a_minus(form, ends):
    low, value, high = ends
    text = form.interval(value, low, high)
    assert not {"-0", "-0.0", "-0.000"} & {word.strip("[],") for word in text.split()}
    if "[" in text:
        first, last = text.partition("[")[2].strip("]").rsplit(", ", 1)
        assert first != last
    else:
        assert "no spread" in text if low == high and value >= form.least else value < form.least


@given(form=forms, ends=st.lists(st.floats(-100, 100), min_size=3, max_size=3).map(sorted))
def test_what_is_written_is_not_narrower_than_rounding(form, ends):
    """Each end is written as it rounds, or further out."""
    low, value, high = ends
    text = form.interval(value, low, high)
    if "[" in text and not isinstance(form, Amounts):
        first, last = (float(end) for end in text.partition("[")[2].strip("]").rsplit(", ", 1))
        half = 0.5 * 10.0**-form.digits + 1e-9
        assert first <= low * form.scale + half
        assert last >= high * form.scale - half


def test_an_estimate_at_a_prompt_reads_as_in_a_report():
    assert str(Estimate(0.228, 0.03, 0.17, 0.291, 100)) == PLAIN.interval(0.228, 0.17, 0.291)


def test_counts():
    assert (count(1234), many(1, "input"), many(1234, "input")) == ("1,234", "1 input", "1,234 inputs")
