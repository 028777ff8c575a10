"""Features: what combining and rounding them does to the values, against plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubbing import Dataset, UsageError, anything, everything, feature, joint

BITS = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
DATA = Dataset(
    {"bits": BITS, "word": np.array(["a", "b", "a", "a"]), "share": [0.5, 0.5 + 1e-9, 0.4, 0.7]},
    ids=BITS[:, 2] * 10 + np.arange(4),
)


@feature
def first(data: Dataset) -> Any:
    return data["bits"][:, 0] == 1


@feature
def second(data: Dataset) -> Any:
    return data["bits"][:, 1] == 1


@feature
def word(data: Dataset) -> Any:
    return data["word"]


@feature(per="position")
def bit(data: Dataset) -> Any:
    return data["bits"] == 1


@feature
def share(data: Dataset) -> Any:
    return data["share"]


def classes(made, data=DATA):
    """Which inputs agree with which, as a partition; for per-position features, one per position."""
    values = made(data)
    columns = values.T if made.per == "position" else [values]
    return [
        {frozenset(np.flatnonzero([np.array_equal(a, b) for b in column]).tolist()) for a in column}
        for column in columns
    ]


def test_booleans_combine():
    assert (first & second)(DATA).tolist() == [False, False, False, True]
    assert (first | second)(DATA).tolist() == [False, True, True, True]
    assert (~first)(DATA).tolist() == [True, True, False, False]
    assert str(~(first | second) & word) == "~(first | second) & word"


def test_per_position_and_per_input():
    """A value per input holds at every position."""
    assert (bit & first).per == "position"
    assert (bit & first)(DATA).tolist() == (BITS * BITS[:, :1]).astype(bool).tolist()
    assert bit.everywhere()(DATA).tolist() == [False, False, False, True]
    assert str((bit & first).everywhere()) == "(bit & first).everywhere()"


def test_joint_agrees_where_all_agree():
    assert classes(joint(first, word)) == [{frozenset({0}), frozenset({1}), frozenset({2, 3})}]
    assert classes(joint(first)) == classes(first)
    assert str(joint(first, word)) == "(first, word)"
    assert joint(first, word).value_at(DATA, 1) == (False, "b")
    assert classes(joint(bit, word))[1] == [{frozenset({0, 2}), frozenset({1}), frozenset({3})}][0]


@given(st.lists(st.lists(st.integers(0, 3), min_size=9, max_size=9), min_size=1, max_size=4))
def test_joint_is_equality_of_tuples(columns):
    data = Dataset({str(i): column for i, column in enumerate(columns)})
    parts = [feature(name=str(i))(lambda data, i=i: data[str(i)]) for i in range(len(columns))]
    tuples = list(zip(*columns, strict=True))
    assert classes(joint(*parts), data) == [{frozenset(j for j in range(9) if tuples[j] == one) for one in tuples}]


def test_joint_of_many_fine_features_keeps_classes_apart():
    """Seven features of 4096 values make 2**84 combinations: in 64 bits the first feature would be lost."""
    rows = np.arange(8192)
    columns = [(rows + rows // 4096) % 4096, *[rows % 4096] * 6]  # rows i and i + 4096 differ in the first alone
    parts = [feature(name=str(i))(lambda data, i=i: data[str(i)]) for i in range(7)]
    data = Dataset({str(i): column for i, column in enumerate(columns)})
    assert len(np.unique(joint(*parts)(data))) == 8192


def test_a_row_of_numbers_is_one_value():
    @feature
    def row(data):
        return data["bits"][:, :2]

    assert classes(joint(row, word)) == [{frozenset({i}) for i in range(4)}]


def test_everything_and_anything():
    assert classes(everything) == [{frozenset({i}) for i in range(4)}]
    assert classes(anything) == [{frozenset(range(4))}]
    by_id = everything(DATA).argsort()
    assert DATA.ids[by_id].tolist() == sorted(DATA.ids)


def test_rounding_is_to_the_nearest_step():
    data = Dataset({"share": [0.0, 0.26, 0.24, -0.26, 1.0, 0.1 + 0.2, 0.3]})
    assert share.rounded(0.5)(data).tolist() == [0, 1, 0, -1, 2, 1, 1]
    fine = share.rounded(1e-9)(data)
    assert fine[5] == fine[6]
    assert fine.dtype == np.int64
    assert str(share.rounded(1e-9)) == "share.rounded(1e-09)"


def test_at_most_counts_ties_in():
    assert share(DATA)[1] > 0.5
    assert share.at_most(0.5, 0.0)(DATA).tolist() == [True, False, True, False]
    assert share.at_most(0.5, 1e-6)(DATA).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("values", "step", "ties"),
    [([0.0, 1.0, 2.0], 1.0, 0), ([0.5, 1.0], 1.0, 1), ([0.501, 0.499, 0.45], 1.0, 2), ([-2.5001], 1.0, 1)],
)
def test_near_ties_of_a_rounding(values, step, ties):
    """A value within a hundredth of a step of a boundary, on either side."""
    assert share.rounded(step).near_ties(Dataset({"share": values})) == ties


@pytest.mark.parametrize(
    ("values", "tolerance", "ties"),
    [
        ([0.5, 0.4, 0.6], 0.0, 0),
        ([0.5 + 1e-8, 0.5 - 1e-8, 0.5], 0.0, 2),
        ([0.5 + 1e-8, 0.5 - 1e-8, 0.5], 1e-6, 0),
        ([0.5 + 5e-6, 0.5 - 5e-6, 0.5 + 2e-5], 1e-6, 2),
    ],
)
def test_near_ties_of_a_threshold(values, tolerance, ties):
    """Just outside the tolerance: one that is exactly at the threshold is no tie, nor is one the tolerance covers."""
    assert share.at_most(0.5, tolerance).near_ties(Dataset({"share": values})) == ties


def test_near_ties_add_up_over_what_a_feature_is_made_of():
    data = Dataset({"share": [0.5, 0.7]})
    assert joint(share.rounded(1.0), ~share.at_most(0.7 + 1e-8, 0.0)).near_ties(data) == 2
    assert word.near_ties(DATA) == 0


def test_floats_are_known_as_such():
    assert share.is_float(DATA)
    assert joint(first, share).is_float(DATA)
    assert not joint(first, share.rounded(0.1)).is_float(DATA)


def test_computed_and_checked_once_per_dataset():
    calls = []

    @feature
    def counted(data):
        calls.append(len(data))
        return data.ids

    for _ in range(3):
        _ = joint(counted, counted)(DATA), (counted)(DATA)
    counted(DATA.take([0]))
    assert calls == [4, 4, 1, 1]  # twice, to see that it gives the same again


def test_values_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        first(DATA)[0] = True


def test_a_tuple_next_to_a_feature_means_joint():
    with pytest.raises(UsageError, match="SCR-FEATURE"):
        _ = first & (lambda data: data)
    assert first & (second,) == first & joint(second)


@feature
def documented(data: Dataset) -> Any:
    """Kept for tools that show it."""
    return data.ids


def test_names():
    assert documented.name == str(documented) == "documented"
    assert feature(name="other")(lambda data: data.ids).name == "other"
    assert first.value_at(DATA, 3) is True
    assert bit.value_at(DATA, 1, 2) is True
