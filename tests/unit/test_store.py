"""The activation store, and the numbering of distinct inputs beneath it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scrubbing import OUTPUT, Dataset, Hypothesis, Variable, everything, head, mlp
from scrubbing.engine.demand import fixed
from scrubbing.engine.distinct import DistinctInputs
from scrubbing.engine.engine import Engine
from scrubbing.hypothesis.claims import EMBED
from scrubbing.testing.random_hypotheses import halves

MASK = np.array([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=bool)
TOKENS = np.array([[5, 6, 7], [5, 6, 0], [5, 6, 7], [5, 6, 0], [9, 0, 0]])
DATA = Dataset({"tokens": TOKENS, "mask": MASK, "label": np.arange(5) % 2})


@pytest.fixture
def model(tiny_model):
    return tiny_model("native classifier")


def test_distinct_inputs(model):
    """Rows 0 and 2, and 1 and 3, are the same to the model, whatever their labels."""
    found = DistinctInputs.of(DATA, model, 3)
    number = found.of_row.tolist()
    assert len(found) == 3
    assert number[0] == number[2] != number[1] == number[3] != number[4]
    assert [found.length[number[row]].item() for row in range(5)] == [3, 2, 3, 2, 1]
    assert found.start.tolist() == [0, *found.length.cumsum()[:-1].tolist()]
    assert all(number[row] == i for i, row in enumerate(found.row_of))


def test_one_token_under_two_masks_is_two_inputs(model):
    data = Dataset({"tokens": [[1, 2], [1, 2]], "mask": [[True, True], [True, False]]})
    assert len(DistinctInputs.of(data, model, 2)) == 2


def test_large_token_numbers_stay_apart(model):
    """Columns are compared in the narrowest type that holds them, which must hold them."""
    data = Dataset({"tokens": np.array([[0, 49], [48, 0], [0, 48]])})
    assert len(DistinctInputs.of(data, model, 2)) == 3


def counted(model, monkeypatch):
    """How many rows each filling pass computes."""
    from scrubbing.engine.store import Store

    rows = []
    compute = Store._compute

    def watched(self, plan, items, batch):
        rows.append(len(batch))
        return compute(self, plan, items, batch)

    monkeypatch.setattr(Store, "_compute", watched)
    return rows


def claim(*targets):
    return Hypothesis(
        "h", "c", OUTPUT.carries(Variable("o", everything), *(t.carries(Variable("v", halves)) for t in targets))
    )


def test_an_input_is_computed_once(model, monkeypatch):
    """However many rows, references, draws and hypotheses read it."""
    rows = counted(model, monkeypatch)
    engine = Engine(model, DATA, fixed((0,)))
    first = engine.compile(claim(head(1, 0).direct()))
    for seed in range(20):
        engine.outputs(first, np.arange(5), draws=2, seed=seed)
    filled = sum(rows)
    assert filled % 3 == 0  # every distinct input, once per pass of filling
    for seed in range(3):
        engine.outputs(first, np.arange(5), draws=2, seed=seed)
        engine.outputs(engine.compile(claim(head(1, 0).direct())), np.arange(5), draws=2, seed=seed)
    assert sum(rows) == filled


def test_only_inputs_that_are_read_are_computed(model, monkeypatch):
    rows = counted(model, monkeypatch)
    data = Dataset({"tokens": np.arange(40)[:, None] + np.arange(3)})
    engine = Engine(model, data, fixed((0,)))
    engine.outputs(engine.compile(Hypothesis("m", "c", OUTPUT.carries(Variable("o", everything)))), np.arange(4), 1, 0)
    assert sum(rows) == 4


def test_rows_of_a_scope_are_found_again(model):
    """A selection of the dataset reads the same activations, by input id."""
    inside = DATA.take([4, 1])
    engine = Engine(model, DATA, fixed((0,)))
    assert engine.store is not None
    assert engine.store._distinct(inside).tolist() == engine.store.inputs.of_row[[4, 1]].tolist()
    shuffled = Engine(model, DATA.take([3, 1, 0, 4, 2]), fixed((0,))).store
    assert shuffled is not None
    assert shuffled._distinct(inside).tolist() == shuffled.inputs.of_row[[3, 1]].tolist()


def test_bytes(model):
    """Embeddings at position 0 alone: three distinct inputs of eight float32 each."""
    engine = Engine(model, DATA, fixed((0,)))
    assert engine.store is not None
    assert engine.store.nbytes() == 0
    engine.compile(claim(EMBED.direct(), mlp(1).direct()))
    assert engine.store.nbytes() % (3 * 4) == 0
    assert 0 < engine.store.nbytes() <= 3 * 4 * 8 * 8


def test_what_is_announced_takes_no_memory_before_it_is_read_nor_after_it_is_dropped(model):
    engine = Engine(model, DATA, fixed((0,)))
    assert engine.store is not None
    for _ in range(2):
        compiled = engine.compile(claim(EMBED.direct(), mlp(1).direct()))
        for _ in range(2):
            assert engine.store.room.used == 0
            found = engine.outputs(compiled, np.arange(5), 1, 0)
            assert engine.store.room.used == engine.store.nbytes() > 0
            engine.forget()
        assert torch.equal(engine.outputs(compiled, np.arange(5), 1, 0), found)
        engine.store.drop()
        assert engine.store.room.used == engine.store.nbytes() == 0


def test_padded_positions_are_computed_where_something_reads_them(model):
    """The output at a padded position of a short input, with and without the store."""
    made = [Engine(model, DATA, fixed((0, 1, 2)), store=store) for store in (True, False)]
    both = [engine.outputs(engine.compile(claim(mlp(1).direct())), np.arange(5), 4, 0) for engine in made]
    assert torch.allclose(*both, atol=1e-5)
