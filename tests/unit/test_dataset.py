"""Datasets: columns, ids, and which inputs become references."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from scrubbing import BadData, Dataset
from scrubbing.data.dataset import choose

TOKENS = np.arange(12).reshape(4, 3)


@pytest.fixture
def data():
    return Dataset({"tokens": TOKENS, "label": [0, 1, 0, 1]}, ids=[7, 3, 9, 1], name="four")


def test_columns(data):
    assert list(data) == ["tokens", "label"]
    assert len(data) == 4
    assert "label" in data
    assert "mask" not in data
    assert repr(data) == "Dataset('four', 4 inputs, columns tokens, label)"
    assert Dataset({"x": [1, 2]}).ids.tolist() == [0, 1]


def test_columns_cannot_be_written_to(data):
    with pytest.raises(ValueError, match="read-only"):
        data["label"][0] = 5
    for array in (data["label"], data.ids, data["tokens"].base):
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
            array.flags.writeable = True
    assert TOKENS.flags.writeable  # the array it was made from still can


ARRAYS = {
    "int64": np.arange(12).reshape(4, 3),
    "uint8": np.arange(4, dtype=np.uint8),
    "bool": np.array([True, False, True, True]),
    "float16": np.linspace(0, 1, 4, dtype=np.float16),
    "words": np.array(["a", "bc", "", "d"]),
    "dates": np.array(["2020-01-01"] * 4, dtype="M8[D]"),
    "columns of a larger array": np.arange(24).reshape(4, 6)[:, ::2],
    "backwards": np.arange(4)[::-1],
    "by columns": np.asfortranarray(np.arange(12).reshape(4, 3)),
    "of the other byte order": np.arange(4, dtype=">i4"),
    "shared with a tensor": torch.arange(8).reshape(4, 2).numpy(),
    "text as objects": np.array(["a", "bc", "", "d"], dtype=object),
    "not masked anywhere": np.ma.array([1, 2, 3, 4]),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_what_it_was_made_from_may_change(kind):
    given, ids = ARRAYS[kind].copy(), np.array([7, 3, 9, 1])
    data = Dataset({"x": given}, ids=ids)
    same = Dataset({"x": given.copy()}, ids=ids.copy())
    kept, taken = data["x"].copy(), data.take([0, 2])
    given[...] = given[1]
    ids[:] = 0
    assert data["x"].tolist() == kept.tolist()
    assert data.ids.tolist() == [7, 3, 9, 1]
    assert data.fingerprint == same.fingerprint
    assert taken["x"].tolist() == kept[[0, 2]].tolist()
    assert data.with_columns(y=[1] * 4)["x"] is data["x"]  # copied once only


def test_bytes_in_another_order_are_the_same_numbers():
    little, big = (Dataset({"x": np.arange(4, dtype=order)}) for order in ("<i8", ">i8"))
    assert little.fingerprint == big.fingerprint


def test_taking_rows_keeps_ids(data):
    some = data.take([2, 0])
    assert some.ids.tolist() == [9, 7]
    assert some["tokens"].tolist() == TOKENS[[2, 0]].tolist()
    assert data.take(data["label"] == 1).ids.tolist() == [3, 1]


def test_further_columns_keep_ids_and_leave_the_first_alone(data):
    more = data.with_columns(label=[1, 1, 1, 1], extra=[0, 0, 0, 0])
    assert more.ids.tolist() == data.ids.tolist()
    assert data["label"].tolist() == [0, 1, 0, 1]
    assert "extra" not in data


def test_show():
    tokens = np.array([[5, 6, 7]])
    assert Dataset({"tokens": tokens}).show(0) == "5 6 7"
    assert Dataset({"tokens": tokens, "mask": [[1, 1, 0]]}).show(0) == "5 6"
    assert Dataset({"x": [2.5]}).show(0) == "2.5"
    named = Dataset({"x": [2.5]}, show=lambda data, row: f"<{data['x'][row]}>")
    assert named.show(0) == named.take([0]).show(0) == named.with_columns(y=[1]).show(0) == "<2.5>"


def test_remembered_values_are_computed_once(data):
    calls = []
    for _ in range(3):
        assert data.remember("key", lambda: calls.append(1) or len(calls)) == 1
    assert data.take([0]).remember("key", lambda: 5) == 5


def test_fingerprint_sees_every_content(data):
    same = Dataset({"label": np.array([0, 1, 0, 1]), "tokens": TOKENS.copy()}, ids=[7, 3, 9, 1], name="other name")
    assert same.fingerprint == data.fingerprint
    changed = [
        data.with_columns(label=[0, 1, 1, 1]),
        data.with_columns(label=np.array([0, 1, 0, 1], dtype=np.int8)),
        data.with_columns(tokens=TOKENS.reshape(4, 3, 1)),
        data.with_columns(more=[0, 0, 0, 0]),
        data.take([1, 0, 2, 3]),
        Dataset({key: data[key] for key in data}, ids=[7, 3, 9, 2]),
    ]
    assert len({one.fingerprint for one in [data, *changed]}) == 7


class TestReferences:
    big = Dataset({"x": np.arange(1000)}, ids=np.arange(1000) * 3 + 1)

    def ids(self, n, seed=0, data=None):
        data = data or self.big
        return data.ids[choose(data, n, seed)].tolist()

    def test_all(self):
        assert self.ids(None) == self.big.ids.tolist()

    def test_a_smaller_choice_is_part_of_a_larger_one(self):
        sizes = [1, 10, 99, 100, 1000]
        chosen = [set(self.ids(n)) for n in sizes]
        assert [len(c) for c in chosen] == sizes
        assert all(a < b for a, b in itertools.pairwise(chosen))

    def test_order_of_the_dataset_does_not_matter(self):
        turned = self.big.take(np.arange(1000)[::-1])
        assert set(self.ids(50, data=turned)) == set(self.ids(50))

    def test_further_inputs_push_out_others_only_by_chance(self):
        """The choice is by hash, so that adding inputs changes it as little as can be."""
        fewer = self.big.take(np.arange(900))
        kept = set(self.ids(100, data=fewer)) & set(self.ids(100))
        assert len(kept) > 75

    def test_seeds_choose_differently_and_evenly(self):
        times = np.bincount(np.concatenate([self.ids(100, seed) for seed in range(200)]), minlength=3001)[1::3]
        assert abs(times.mean() - 20) < 1e-9
        assert 3.5 < times.std() < 5  # binomial: sqrt(200 * 0.1 * 0.9) = 4.2

    def test_by_id(self):
        assert choose(self.big, [4, 1], seed=9).tolist() == [1, 0]

    @pytest.mark.parametrize("wanted", [0, 1001, [2], [1, 1], [], 2.5])
    def test_what_cannot_be_chosen(self, wanted):
        with pytest.raises(BadData, match="SCR-REFERENCES"):
            choose(self.big, wanted, seed=0)


MASK = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]])


@pytest.mark.parametrize("kind", [bool, int, float, np.uint8])
@pytest.mark.parametrize("name", ["mask", "attention_mask"])
def test_a_mask_of_ones_and_zeros_is_one_of_booleans(kind, name):
    data = Dataset({"tokens": TOKENS, name: MASK.astype(kind)})
    assert list(data) == ["tokens", "mask"]
    assert data["mask"].dtype == bool and (data["mask"] == MASK).all()
    assert data.mask is data["attention_mask"] is data["mask"]
    assert "attention_mask" in data
    assert data.lengths.tolist() == [3, 2, 1, 3]
    assert data.fingerprint == Dataset({"tokens": TOKENS, "mask": MASK == 1}).fingerprint


def test_masked_cells_hold_the_pad_token():
    given = TOKENS.copy()
    data = Dataset({"tokens": given, "mask": MASK}, pad=7)
    assert data["tokens"].tolist() == [[0, 1, 2], [3, 4, 7], [6, 7, 7], [9, 10, 11]]
    assert (given == TOKENS).all()
    other = Dataset({"tokens": np.where(MASK, TOKENS, -100), "mask": MASK}, pad=7)
    assert other.fingerprint == data.fingerprint != Dataset({"tokens": TOKENS, "mask": MASK}).fingerprint
    assert data["tokens"].dtype == TOKENS.dtype
    for later in (data.take([1, 2]), data.with_columns(tokens=TOKENS).take([1, 2])):
        assert later["tokens"].tolist() == [[3, 4, 7], [6, 7, 7]]
    assert data.like({"tokens": [[1, 2]], "attention_mask": [[1, 0]]})["tokens"].tolist() == [[1, 7]]
    assert data.with_columns(attention_mask=np.ones((4, 3))).lengths.tolist() == [3, 3, 3, 3]


def test_what_is_no_padding_mask_is_left_alone():
    """A toy graph may have a column of this name; tokens that are no integers are for the model to refuse."""
    data = Dataset({"mask": [0.5, 0.2]})
    assert data["mask"].tolist() == [0.5, 0.2]
    assert data.mask is None and data.lengths is None
    assert Dataset({"tokens": TOKENS / 2, "mask": MASK})["tokens"].tolist() == (TOKENS / 2).tolist()
    assert Dataset({"tokens": TOKENS}).mask is None
