"""Draws are uniform over the inputs that agree, and independent of each other: chi-square tests at fixed seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from scrubbing import Dataset, anything, feature
from scrubbing.samplers import agree
from scrubbing.sampling.contexts import REFERENCE, Context
from scrubbing.sampling.frames import DrawCounts, Frame

N = 24
DATA = Dataset(
    {"size": np.repeat([0, 1, 2], [12, 8, 4]), "tokens": np.arange(N * 2).reshape(N, 2) % 3},
    ids=np.random.default_rng(0).permutation(1000)[:N],
)
DRAWS = 30_000
LEAST = 1e-3
"""Smallest p-value of a right sampler at these seeds."""


@feature
def size(data: Dataset) -> Any:
    return data["size"]


@feature(per="position")
def token(data: Dataset) -> Any:
    return data["tokens"]


def drawn(row: int, by: Any, exclude: bool = False, key: str = "claim", seed: int = 0) -> np.ndarray:
    frame = Frame.root(DATA, np.full(DRAWS, row), np.arange(DRAWS), seed, {})
    return frame.source(Context(key, key, REFERENCE, agree(by), by, exclude, region=1))[1]


def p_uniform(rows: np.ndarray, over: np.ndarray) -> float:
    times = np.bincount(rows, minlength=N)
    assert times.sum() == times[over].sum(), "an input was drawn that does not agree"
    return float(stats.chisquare(times[over]).pvalue)


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("row", [0, 13, 23])
def test_uniform_over_the_agreement_class(row: int, exclude: bool) -> None:
    agreeing = np.flatnonzero(DATA["size"] == DATA["size"][row])
    over = np.setdiff1d(agreeing, [row]) if exclude else agreeing
    assert p_uniform(drawn(row, size, exclude), over) > LEAST


def test_uniform_over_the_dataset() -> None:
    assert p_uniform(drawn(5, anything), np.arange(N)) > LEAST


def test_the_test_can_fail() -> None:
    """Squaring the uniform number, or always leaving one input out, is noticed."""
    fair = drawn(5, anything)
    assert p_uniform((N * (fair / N) ** 2).astype(int), np.arange(N)) < 1e-12
    assert p_uniform(np.where(fair == 3, 4, fair), np.arange(N)) < 1e-12


def test_uniform_per_position() -> None:
    """At each position over the inputs that agree there; positions independent of each other."""
    above = Frame.root(DATA, np.full(DRAWS, 7), np.arange(DRAWS), 0, {})
    below = above.below(2, np.repeat(np.arange(DRAWS), 2), np.tile([0, 1], DRAWS), positions=2)
    rows = below.source(Context("each", "each", REFERENCE, agree(token), token, space=2, region=2))[1].reshape(DRAWS, 2)
    over = [np.flatnonzero(DATA["tokens"][:, j] == DATA["tokens"][7, j]) for j in (0, 1)]
    for j in (0, 1):
        assert p_uniform(rows[:, j], over[j]) > LEAST
    table = np.histogram2d(*rows.T, bins=N, range=[[-0.5, N - 0.5]] * 2)[0][np.ix_(*over)]
    assert stats.chi2_contingency(table).pvalue > LEAST


@pytest.mark.parametrize(
    "other", [{"key": "other claim"}, {"seed": 1}, {"row": 6}], ids=["claims", "seeds", "reference inputs"]
)
def test_independent(other: dict[str, Any]) -> None:
    pair = [drawn(**{"row": 5, "by": anything, **options}) for options in ({}, other)]
    table = np.histogram2d(*pair, bins=N, range=[[-0.5, N - 0.5]] * 2)[0]
    assert stats.chi2_contingency(table).pvalue > LEAST


def test_draw_numbers_are_independent() -> None:
    rows = drawn(5, anything)
    table = np.histogram2d(rows[:-1], rows[1:], bins=N, range=[[-0.5, N - 0.5]] * 2)[0]
    assert stats.chi2_contingency(table).pvalue > LEAST


def test_share_of_draws_that_return_the_input_itself() -> None:
    """One over the size of the class, averaged over references: (12/12 + 8/8 + 4/4) / 24 = 1/8."""
    counts: dict[Context, DrawCounts] = {}
    rows = np.repeat(np.arange(N), 1000)
    frame = Frame.root(DATA, rows, np.tile(np.arange(1000), N), 0, counts)
    claim = Context("claim", "claim", REFERENCE, agree(size), size, region=1)
    frame.source(claim)
    count = counts[claim]
    error = np.sqrt((1 / 8) * (7 / 8) / count.total)
    assert abs(count.returned_self / count.total - 1 / 8) < 4 * error
