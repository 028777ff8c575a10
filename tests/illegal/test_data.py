"""Datasets that are malformed, or that a model, a loss or a choice of references cannot use."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import BadData, Classification, Dataset, SquaredError, UsageError, head
from scrubbing.data.dataset import choose


def scrubbed(w, data, **options):
    w.scrub(head(1, 0).direct().carries(w.parity), data=data, **options)


def masked(w, mask):
    scrubbed(w, w.data.with_columns(mask=mask))


BAD = {
    # Columns
    "no columns": ("SCR-DATA", lambda w: Dataset({})),
    "no inputs": ("SCR-DATA", lambda w: Dataset({"tokens": np.zeros((0, 6), int)})),
    "columns of unequal length": ("SCR-DATA", lambda w: Dataset({"tokens": [[1, 2]], "label": [0, 1]})),
    "a single value": ("SCR-DATA", lambda w: Dataset({"tokens": [[1, 2]], "temperature": 0.5})),
    "ragged": ("SCR-DATA", lambda w: Dataset({"tokens": [[1, 2], [3]]})),
    "NaN": ("SCR-DATA", lambda w: Dataset({"share": [0.5, np.nan, 0.2]})),
    "masked entries": (
        "SCR-DATA",
        lambda w: Dataset({"tokens": np.ma.array([[1, 2], [3, 4]], mask=[[False, False], [False, True]])}),
    ),
    "masked ids": ("SCR-DATA", lambda w: Dataset({"label": [0, 1]}, ids=np.ma.array([0, 1], mask=[False, True]))),
    "Python objects": ("SCR-DATA", lambda w: Dataset({"label": [0, None, "b"]})),
    "complex numbers": ("SCR-DATA", lambda w: Dataset({"wave": np.array([1j, 2.0])})),
    "records": ("SCR-DATA", lambda w: Dataset({"pair": np.array([(1, 2.0)], dtype="i4,f8")})),
    "huge integers": ("SCR-DATA", lambda w: Dataset({"label": [2**70, 1]})),
    "no date": ("SCR-DATA", lambda w: Dataset({"day": np.array(["2020-01-01", "NaT"], dtype="M8[D]")})),
    "a column without a name": ("SCR-DATA SCR-DATA", lambda w: Dataset({1: [0, 1], "": [0, 1]})),
    "several unusable columns": ("SCR-DATA SCR-DATA", lambda w: Dataset({"a": [1j], "b": [None], "c": [1]})),
    "no names": ("SCR-DATA", lambda w: Dataset([[1, 2]])),
    "two faults": ("SCR-DATA SCR-DATA", lambda w: Dataset({"share": [np.nan], "label": [0, 1]})),
    "repeated id": ("SCR-DATA", lambda w: Dataset({"label": [0, 1, 1]}, ids=[4, 4, 5])),
    "negative id": ("SCR-DATA", lambda w: Dataset({"label": [0, 1]}, ids=[-1, 1])),
    "too few ids": ("SCR-DATA", lambda w: Dataset({"label": [0, 1]}, ids=[1])),
    "unknown column": ("SCR-COLUMN", lambda w: w.data["token"]),
    "a mapping instead of a dataset": ("SCR-DATA", lambda w: scrubbed(w, {"tokens": w.data["tokens"]})),
    # Tokens
    "no tokens": ("SCR-COLUMN", lambda w: scrubbed(w, Dataset({"label": [0, 1]}))),
    "token outside the vocabulary": (
        "SCR-TOKENS",
        lambda w: scrubbed(w, w.data.with_columns(tokens=w.data["tokens"] + 30)),
    ),
    "negative token": ("SCR-TOKENS", lambda w: scrubbed(w, w.data.with_columns(tokens=w.data["tokens"] - 1))),
    "tokens as floats": ("SCR-TOKENS", lambda w: scrubbed(w, w.data.with_columns(tokens=w.data["tokens"] / 1))),
    "one token per input": ("SCR-TOKENS", lambda w: scrubbed(w, w.data.with_columns(tokens=w.data.ids))),
    "inputs that are too long": (
        "SCR-TOKENS",
        lambda w: scrubbed(w, w.data.with_columns(tokens=np.zeros((12, 7), int))),
    ),
    # Masks
    "mask of another shape": ("SCR-PADDING", lambda w: masked(w, w.padded["mask"][:, :3])),
    "left padding": ("SCR-PADDING", lambda w: masked(w, w.padded["mask"][:, ::-1])),
    "additive mask": ("SCR-PADDING", lambda w: masked(w, np.where(w.padded["mask"], 0.0, -1e9))),
    "input without a real position": (
        "SCR-PADDING",
        lambda w: masked(w, w.padded["mask"] & (w.data.ids != 3)[:, None]),
    ),
    # Labels
    "no labels": ("SCR-COLUMN", lambda w: scrubbed(w, w.data, loss=Classification("answer"))),
    "label beyond the classes": ("SCR-LABEL", lambda w: scrubbed(w, w.data.with_columns(label=w.data.ids))),
    "negative label": ("SCR-LABEL", lambda w: scrubbed(w, w.data.with_columns(label=-w.data["label"]))),
    "labels as words": ("SCR-LABEL", lambda w: scrubbed(w, w.data.with_columns(label=["no", "yes"] * 6))),
    "targets of another width": ("SCR-LABEL", lambda w: scrubbed(w, w.data, loss=SquaredError("label"))),
    # References
    "too many references": ("SCR-REFERENCES", lambda w: choose(w.data, 13, seed=0)),
    "no references": ("SCR-REFERENCES", lambda w: choose(w.data, [], seed=0)),
    "unknown reference": ("SCR-REFERENCES", lambda w: choose(w.data, [1, 99], seed=0)),
    "repeated reference": ("SCR-REFERENCES", lambda w: choose(w.data, [3, 1, 3], seed=0)),
    "references as a word": ("SCR-REFERENCES", lambda w: choose(w.data, "all", seed=0)),
    "too many references in scope": ("SCR-REFERENCES", lambda w: scrubbed(w, w.data, scope=w.early(), references=8)),
    "reference out of scope": ("SCR-REFERENCES", lambda w: scrubbed(w, w.data, scope=w.early(), references=[1, 8])),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data(case, world, refused):
    codes, call = BAD[case]
    refused(BadData, codes, lambda: call(world))


def test_output_position_outside_the_inputs(world, refused):
    loss = Classification("label", position=6)
    refused(UsageError, "SCR-POSITION", lambda: scrubbed(world, world.data, loss=loss))


def test_ids_may_be_an_array(world):
    assert choose(world.data, np.array([7, 2]), seed=0).tolist() == [7, 2]
    assert len(choose(world.data, np.int64(5), seed=0)) == 5
