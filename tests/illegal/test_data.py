"""Datasets that are malformed, or that a model, a loss or a choice of references cannot use."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scrubbing import BadData, Classification, Dataset, Loss, SquaredError, UsageError, feature, head
from scrubbing.data.dataset import choose


def scrubbed(w, data, **options):
    w.scrub(head(1, 0).direct().carries(w.parity), data=data, **options)


def masked(w, mask):
    scrubbed(w, w.data.with_columns(mask=mask))


def padded_with(w, pad):
    columns = {"tokens": w.data["tokens"].astype(np.uint8), "mask": w.padded["mask"], "label": w.data["label"]}
    return Dataset(columns, name="numbers", pad=pad)


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
    "left padding and holes": (
        "SCR-PADDING SCR-PADDING",
        lambda w: masked(w, np.where(w.data.ids[:, None] < 2, np.arange(6) % 4 != 1, w.padded["mask"][:, ::-1])),
    ),
    "two masks": (
        "SCR-PADDING",
        lambda w: Dataset(
            {"tokens": w.data["tokens"], "mask": w.padded["mask"], "attention_mask": w.data["tokens"] > 0}
        ),
    ),
    "mask without positions": ("SCR-PADDING", lambda w: masked(w, w.data.ids > 0)),
    "mask of words": ("SCR-PADDING", lambda w: masked(w, np.where(w.padded["mask"], "real", "padding"))),
    "pad token too large": ("SCR-PADDING", lambda w: padded_with(w, 300)),
    "negative pad token": ("SCR-PADDING", lambda w: padded_with(w, -1)),
    "pad token as a word": ("SCR-PADDING", lambda w: padded_with(w, "<pad>")),
    "pad token outside the vocabulary": ("SCR-TOKENS", lambda w: scrubbed(w, padded_with(w, 99))),
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
    "one label for several positions": (
        "SCR-LABEL",
        lambda w: scrubbed(w, w.data, loss=Classification("label", positions=[0, 1])),
    ),
    "labels of more positions": (
        "SCR-LABEL",
        lambda w: scrubbed(
            w, w.data.with_columns(label=np.zeros((12, 3), int)), loss=Classification(positions=[0, "last"])
        ),
    ),
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


class Odd(Loss):
    """One method at a time returns something else than it should."""

    def __init__(self, method, value):
        self.method, self.value = method, value

    def counted(self, data, length):
        return self.value if self.method == "counted" else np.arange(length) == np.zeros((len(data), 1))

    def per_token(self, output, data, rows, positions):
        return self.value if self.method == "per_token" else output[:, 0].double()

    def constant(self, data, counted):
        return self.value if self.method == "constant" else np.zeros(counted.shape)

    def weights(self, counted, data):
        return self.value if self.method == "weights" else super().weights(counted, data)


LOSSES = {
    "position outside the inputs": ("SCR-POSITION", lambda: Classification(position=6)),
    "negative position outside": ("SCR-POSITION", lambda: Classification(position=-7)),
    "position as a word": ("SCR-POSITION", lambda: Classification(position="first")),
    "no positions": ("SCR-POSITION", lambda: SquaredError(positions=[])),
    "position and positions": ("SCR-POSITION", lambda: Classification(position=2, positions=[3, 4])),
    "one position twice": ("SCR-POSITION", lambda: Classification(positions=[5, "last"])),
    "a function": ("SCR-LOSS", lambda: np.mean),
    "counted as numbers": ("SCR-LOSS", lambda: Odd("counted", np.zeros((12, 6)))),
    "counted as nothing": ("SCR-LOSS", lambda: Odd("counted", None)),
    "one loss for all": ("SCR-LOSS", lambda: Odd("per_token", torch.tensor(0.5))),
    "losses as an array": ("SCR-LOSS", lambda: Odd("per_token", np.zeros(12))),
    "one constant for all": ("SCR-LOSS", lambda: Odd("constant", 0.3)),
    "weights per position": ("SCR-LOSS", lambda: Odd("weights", np.ones((12, 6)))),
}


@pytest.mark.parametrize("case", LOSSES)
def test_losses(case, world, refused):
    codes, make = LOSSES[case]
    refused(UsageError, codes, lambda: scrubbed(world, world.data, loss=make()))


AT_PADDING = {
    "position": Classification(position=4),
    "positions": Classification("labels", positions=[0, -1]),
    "a loss of one's own": Odd("counted", np.ones((12, 6), dtype=bool)),
}


@pytest.mark.parametrize("case", AT_PADDING)
def test_a_loss_that_reads_padding(case, world, refused):
    data = world.padded.with_columns(labels=np.zeros((12, 2), dtype=int))
    refused(BadData, "SCR-PADDING", lambda: scrubbed(world, data, loss=AT_PADDING[case]))


def test_a_scope_that_keeps_a_loss_off_padding(world):
    """Only inputs in scope are read."""
    long = feature(name="five or more")(lambda data: data["mask"].sum(axis=1) >= 5)
    scrubbed(world, world.padded, loss=Classification(position=4), scope=long)


def test_ids_may_be_an_array(world):
    assert choose(world.data, np.array([7, 2]), seed=0).tolist() == [7, 2]
    assert len(choose(world.data, np.int64(5), seed=0)) == 5
