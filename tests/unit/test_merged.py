"""Features that count values as equal: of every kind of feature, on every dataset, stored and read back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from scrubbing import OUTPUT, Dataset, Feature, Hypothesis, UsageError, Variable, everything, feature, head, joint

TOKENS = np.array([[0, 1, 2], [2, 1, 0], [3, 3, 1], [1, 0, 3], [2, 2, 2]])


def made(tokens: Any = TOKENS) -> Dataset:
    return Dataset({"tokens": tokens, "word": np.array(["a", "b", "c", "a", "b"])[: len(tokens)]})


DATA = made()


@feature
def number(data: Dataset) -> Any:
    return data["tokens"][:, 0]


@feature(per="position")
def token(data: Dataset) -> Any:
    return data["tokens"]


@feature
def word(data: Dataset) -> Any:
    return data["word"]


@feature
def rows(data: Dataset) -> Any:
    return data["tokens"][:, :2]


@feature
def odd(data: Dataset) -> Any:
    return data["tokens"][:, 0] % 2 == 1


KINDS: dict[str, tuple[Feature, list[list[Any]], Any]] = {
    "per input": (number.merged([[0, 2], [3]]), [[0, 2], [3]], [1, 1, 2, 0, 1]),
    "per position": (token.merged([[0, 1]]), [[0, 1]], [[1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]]),
    "text": (word.merged([["a"], ["b", "c"]]), [["a"], ["b", "c"]], [1, 2, 2, 1, 2]),
    "booleans": (odd.merged([[True]]), [[True]], [0, 0, 1, 1, 0]),
    "rows": (rows.merged([[(0, 1), (1, 0)], [(3, 3)]]), [[(0, 1), (1, 0)], [(3, 3)]], [1, 0, 2, 1, 0]),
    "joint": (joint(number, word).merged([[(0, "a"), (3, "c")]]), [[(0, "a"), (3, "c")]], [1, 0, 1, 0, 0]),
    "joint with positions": (
        joint(odd, token).merged([[(False, 2)], [(True, 3)]]),
        [[(False, 2)], [(True, 3)]],
        [[0, 0, 1], [1, 0, 0], [2, 2, 0], [0, 0, 2], [1, 1, 1]],
    ),
    "merged again": (number.merged([[0, 2], [3]]).merged([[0, 1]]), [[0, 1]], [1, 1, 0, 1, 1]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_values(kind: str) -> None:
    merged, _, wanted = KINDS[kind]
    assert merged(DATA).tolist() == wanted
    assert merged.per == merged.of[0].per


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_means_the_same_on_other_inputs(kind: str) -> None:
    """Numbers of classes do not depend on which values a dataset happens to have."""
    merged, _, wanted = KINDS[kind]
    assert merged(DATA.take([2])).tolist() == [wanted[2]]


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_numpy_are_the_same_values(kind: str) -> None:
    merged, classes, _ = KINDS[kind]
    given = [np.asarray(one) if np.ndim(one) == 1 else one for one in classes]
    again = merged.of[0].merged(given)
    assert again == merged and hash(again) == hash(merged)
    assert again.name == merged.name


@pytest.mark.parametrize("kind", KINDS)
def test_the_values_of_the_data_can_be_merged(kind: str) -> None:
    """As `value_at` gives them, all in one class: a constant."""
    of = KINDS[kind][0].of[0]
    places = [(row, at) for row in range(len(DATA)) for at in (range(3) if of.per == "position" else [None])]
    every = list({str(value): value for value in (of.value_at(DATA, *place) for place in places)}.values())
    assert np.unique(of.merged([every])(DATA)).tolist() == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_stored(kind: str) -> None:
    claim = head(0, 0).carries(Variable("m", KINDS[kind][0]))
    one = Hypothesis("merged", "As claimed.", OUTPUT.carries(Variable("output", everything), claim))
    again = Hypothesis.from_json(json.loads(json.dumps(one.to_json())))
    assert again == one
    assert again.to_json() == one.to_json()


WRONG = {
    "in two classes": (number, [[0], [0, 1]], "the value 0 of number is in two classes"),
    "twice in one": (number, [[1, 1]], "twice in one"),
    "equal numbers of two types": (number, [[1], [True]], "in two classes"),
    "no list": (number, 3, "3 is no class of values of number"),
    "a flat list": (number, [0, 1], "0 is no class of values of number"),
    "text for a class": (word, ["ab"], "'ab' is no class of values of word"),
    "text for classes": (word, "ab", "'ab' is no class of values of word"),
    "a joint value without parts": (joint(number, word), [[0]], "0 is no value of"),
    "a joint value of other parts": (joint(number, word), [[(0, "a", 1)]], "of 2 parts"),
}


@pytest.mark.parametrize("case", WRONG)
def test_no_classes(case: str) -> None:
    of, classes, told = WRONG[case]
    with pytest.raises(UsageError, match="SCR-FEATURE") as caught:
        of.merged(classes)  # type: ignore[arg-type]
    assert told in str(caught.value)
