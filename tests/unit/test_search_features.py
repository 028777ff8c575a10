"""Features that nobody has to think of: their values, worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scrubbing import OUTPUT, Dataset, Hypothesis, Variable, head
from scrubbing.search.features import features_of, generated

TOKENS = np.array([[3, 5, 3, 3], [5, 3, 5, 7]])
DATA = Dataset({"tokens": TOKENS, "label": np.array([1, 0])})
PADDED = Dataset({"tokens": TOKENS, "mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]])}, pad=9)

VALUES = {
    "token": [[3, 5, 3, 3], [5, 3, 5, 7]],
    "token_before": [[-1, 3, 5, 3], [-1, 5, 3, 5]],
    "position": [[0, 1, 2, 3]] * 2,
    "seen_before": [[0, 0, 1, 1], [0, 0, 1, 0]],
    "after_last": [[-1, -1, 5, 3], [-1, -1, 3, -1]],
    "count_3_so_far": [[1, 1, 2, 3], [0, 1, 1, 1]],
    "compare_3_5_so_far": [[1, 0, 1, 1], [-1, 0, -1, -1]],
    "length": [4, 4],
    "token_at_1": [5, 3],
    "equal_0_2": [1, 1],
    "count_5": [1, 2],
    "compare_5_3": [-1, 1],
    "ever_5_3": [0, 1],
    "ever_3_5": [1, 0],
    "ever_3_5_from_end": [1, 0],
    "ever_7_3_from_end": [0, 1],
    "column_label": [1, 0],
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    assert generated(name)(DATA).tolist() == VALUES[name]


@pytest.mark.parametrize(
    ("name", "second"),
    {
        "token": [5, 3, -1, -1],
        "token_before": [-1, 5, -1, -1],
        "position": [0, 1, -1, -1],
        "after_last": [-1] * 4,
        "count_9_so_far": [0] * 4,
        "length": 2,
        "token_at_3": -1,
    }.items(),
)
def test_padding_is_no_token(name, second):
    assert generated(name)(PADDED)[1].tolist() == second


def test_every_one_can_be_stored():
    for one in features_of(DATA, "label"):
        claims = OUTPUT.carries(Variable("output", one), head(0, 0).direct().at(1).carries(Variable("of it", one)))
        made = Hypothesis("stored", "One feature.", claims)
        assert Hypothesis.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_which_there_are_follows_from_the_data():
    names = {one.name for one in features_of(DATA, "label")}
    assert {"column_label", "token", "token_at_3", "equal_2_3", "count_7", "compare_3_7_so_far"} <= names
    assert "length" not in names
    assert "length" in {one.name for one in features_of(PADDED)}
    assert "count_9" not in {one.name for one in features_of(PADDED)}
    long = Dataset({"tokens": np.arange(600).reshape(2, 300)})
    assert {one.name for one in features_of(long)} == {"token", "token_before", "position", "seen_before", "after_last"}
    assert features_of(Dataset({"x": [1, 2]})) == []


def test_there_is_none_of_another_name():
    with pytest.raises(AttributeError):
        generated("counts_3")
