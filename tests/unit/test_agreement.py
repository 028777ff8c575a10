"""Agreement groups against brute force over all pairs of inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubbing import Dataset, anything, everything, feature, joint
from scrubbing.data.agreement import disagree, groups, locate
from scrubbing.data.classes import distinct

POSITIONS = 3


@feature
def value(data):
    return data["value"]


@feature(per="position")
def each(data):
    return data["each"]


@feature
def pair(data):
    return data["each"][:, :2]


@feature
def word(data):
    return data["value"].astype(str)


FEATURES = [value, each, pair, word, joint(value, pair), joint(each, value), everything, anything]


@st.composite
def datasets(draw):
    n = draw(st.integers(1, 12))
    small = st.integers(-2, 2)
    return Dataset(
        {
            "value": draw(st.lists(small, min_size=n, max_size=n)),
            "each": np.array(draw(st.lists(small, min_size=n * POSITIONS, max_size=n * POSITIONS))).reshape(n, -1),
        },
        ids=draw(st.lists(st.integers(0, 99), min_size=n, max_size=n, unique=True)),
    )


def members(table, row, position=None):
    g = table.group[row] if position is None else table.group[row, position]
    return table.members[table.start[g] : table.start[g] + table.size[g]].tolist()


@pytest.mark.parametrize("by", FEATURES, ids=str)
@given(data=datasets())
def test_groups_and_ranks(by, data):
    """The members of an input's group are all that agree with it, by id; its rank is its place among them."""
    table, values = groups(by, data), by(data)
    for position in range(POSITIONS) if by.per == "position" else [None]:
        column = values if position is None else values[:, position]
        for row in range(len(data)):
            agreeing = [other for other in range(len(data)) if np.array_equal(column[row], column[other])]
            found = members(table, row, position)
            assert found == sorted(agreeing, key=lambda other: data.ids[other])
            rank = table.rank[row] if position is None else table.rank[row, position]
            assert found[rank] == row


@pytest.mark.parametrize("by", FEATURES, ids=str)
@given(data=datasets())
def test_entropy(by, data):
    """By definition, averaged over positions."""
    values = by(data)
    columns = values.T if by.per == "position" else [values]
    bits = []
    for column in columns:
        _, times = np.unique(column, axis=0, return_counts=True)
        bits.append(-sum(t / len(data) * np.log2(t / len(data)) for t in times))
    assert groups(by, data).entropy == pytest.approx(np.mean(bits))


@pytest.mark.parametrize("by", [value, each, pair, word, joint(value, pair), joint(each, value)], ids=str)
@given(home=datasets(), other=datasets())
def test_inputs_of_another_dataset_are_located(by, home, other):
    """The group whose members agree, judged by the columns themselves; -1 where nothing at home agrees."""
    parts = by.of or (by,)
    for position in range(POSITIONS) if by.per == "position" else [None]:
        where = None if position is None else np.full(len(other), position)
        found = locate(by, other, np.arange(len(other)), home, where)
        table = groups(by, home)
        for row, group in enumerate(found):
            same = [
                i
                for i in range(len(home))
                if all(np.array_equal(_at(part, home, i, position), _at(part, other, row, position)) for part in parts)
            ]
            at = table.members[table.start[group] : table.start[group] + table.size[group]] if group >= 0 else []
            assert sorted(at) == same


def _at(part, data, row, position):
    values = part(data)[row]
    return values[position] if part.per == "position" else values


@given(first=datasets(), second=datasets())
def test_disagreement_of_two_datasets_row_by_row(first, second):
    n = min(len(first), len(second))
    first, second = first.take(np.arange(n)), second.take(np.arange(n))
    assert (disagree(value, first, second) == (first["value"] != second["value"])).all()
    assert (disagree(each, first, second) == (first["each"] != second["each"]).any(axis=1)).all()
    both = (first["value"] != second["value"]) | (first["each"] != second["each"]).any(axis=1)
    assert (disagree(everything, first, second) == both).all()
    assert (disagree(joint(value, each), first, second) == both).all()
    assert not disagree(anything, first, second).any()


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30), st.sampled_from([np.int64, np.int32]))
def test_distinct_values_by_table_and_by_sort(values, dtype):
    """Values close together are numbered by a table, values far apart by sorting: with the same result."""
    array = np.array(values, dtype=dtype)
    wanted, code = np.unique(array, return_inverse=True)
    for given_values, present in ((array, wanted), (array % 7, np.unique(array % 7))):
        found, number = distinct(given_values)
        assert found.tolist() == present.tolist()
        assert found.dtype == dtype
        assert (found[number] == given_values).all()
    assert distinct(array)[1].tolist() == code.tolist()


def test_more_than_256_groups():
    """Their numbers no longer fit in a byte."""
    n = 1000
    data = Dataset({"value": np.arange(n) // 2, "each": np.zeros((n, 1))}, ids=np.arange(n)[::-1])
    assert members(groups(value, data), 700) == [701, 700]
    assert groups(value, data).entropy == pytest.approx(np.log2(500))
