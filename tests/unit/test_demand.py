"""Demands: sets of tokens, said before any input is known, against the sets themselves."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubbing.engine.demand import FOCUS, NOTHING, Demand, fixed, keys, union, widened, within
from scrubbing.graph.positions import Positions, Where
from scrubbing.sampling.contexts import REFERENCE

LENGTH = 5
VISIBLE = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=bool)
CHOSEN = np.array([[1, 0, 1, 0, 1], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=bool)


class Rows:
    """Three rows, each with a position of its own."""

    positions = LENGTH
    focus = np.array([4, 0, 2])

    def __len__(self):
        return 3

    def seen(self, context):
        return VISIBLE

    def satisfied(self, where, context):
        inside = np.zeros((3, LENGTH), dtype=bool)
        inside[:, list(where.fixed)] = True
        for _, wanted in where.conditions:
            inside &= CHOSEN if wanted else ~CHOSEN
        return inside


ROWS = Rows()
SEEN = Demand("seen", context=REFERENCE)
CONDITION = Positions.of(lambda data: data)

wheres = st.builds(
    Where,
    st.sets(st.integers(0, LENGTH - 1), min_size=1).map(lambda s: tuple(sorted(s))),
    st.sampled_from([(), ((CONDITION, True),), ((CONDITION, False),)]),
)
simple = st.one_of(
    st.sets(st.integers(0, LENGTH - 1)).map(lambda s: fixed(tuple(s))),
    st.sampled_from([FOCUS, SEEN]),
)
demands = st.lists(simple, min_size=1, max_size=3).map(lambda parts: reduce(union, parts))


@given(demands, demands)
def test_union(first, second):
    made = union(first, second)
    assert np.array_equal(made.chosen(ROWS), first.chosen(ROWS) | second.chosen(ROWS))
    assert union(second, first) == made
    assert union(made, first) == made


@given(demands, wheres)
def test_within_a_cell(demand, where):
    made = within(demand, where, REFERENCE, LENGTH)
    assert np.array_equal(made.chosen(ROWS), demand.chosen(ROWS) & ROWS.satisfied(where, REFERENCE))


@given(demands, wheres)
def test_widening_only_adds(demand, where):
    made = within(demand, where, REFERENCE, LENGTH)
    assert not (made.chosen(ROWS) & ~widened(made).chosen(ROWS)).any()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@given(queries=demands)
def test_keys(causal, masked, queries):
    """Every key that attention at one of these queries may look at, and none that no query can."""
    chosen = queries.chosen(ROWS)
    wanted = np.zeros_like(chosen)
    for row, query in np.argwhere(chosen).tolist():
        wanted[row, : query + 1 if causal else LENGTH] = True
    if not causal:
        wanted[:] = True
    if masked:
        wanted &= VISIBLE
    found = keys(queries, causal, REFERENCE if masked else None, LENGTH).chosen(ROWS)
    assert np.array_equal(found, wanted)


def test_expected_numbers_of_tokens():
    assert fixed((0, 3, 3)).expected(LENGTH, 2.5) == 2.0
    assert FOCUS.expected(LENGTH, 2.5) == 1.0
    assert SEEN.expected(LENGTH, 2.5) == 2.5
    assert union(FOCUS, SEEN).expected(LENGTH, 2.5) == 3.5
    assert union(fixed((0, 1, 2, 3)), SEEN).expected(LENGTH, 2.5) == LENGTH
    assert keys(fixed((2,)), True, None, LENGTH).expected(LENGTH, 2.5) == 3.0
    assert keys(fixed((2,)), False, REFERENCE, LENGTH).expected(LENGTH, 2.5) == 2.5
    assert NOTHING.expected(LENGTH, 2.5) == 0.0


def test_in_words():
    assert str(fixed((0, 1, 2, 4))) == "@0-2,4"
    assert str(NOTHING) == "@none"
    assert str(union(FOCUS, fixed((0,)))) == "@0+@own"
    assert str(keys(FOCUS, True, REFERENCE, LENGTH)) == "@real∩@upto@own"
