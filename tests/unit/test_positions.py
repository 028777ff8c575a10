"""Sets of positions: reading them, resolving them, cutting cells by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubbing import Dataset
from scrubbing.graph.positions import Positions, Where

MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=bool)
DATA = Dataset({"tokens": np.arange(12).reshape(3, 4), "mask": MASK})


def odd(data):
    return data["tokens"] % 2 == 1


@given(st.one_of(st.none(), st.integers(-9, 9)), st.one_of(st.none(), st.integers(-9, 9)), st.integers(-3, 3))
def test_slices_are_python_slices(start, stop, step):
    if step:
        chosen = Positions.of(slice(start, stop, step)).resolve(6, padded=True)
        assert chosen == tuple(range(6)[start:stop:step])


@given(st.lists(st.integers(-6, 5), min_size=1))
def test_indices_are_python_indices(indices):
    chosen = Positions.of(indices).resolve(6, padded=False)
    assert chosen == tuple(sorted({range(6)[i] for i in indices}))
    assert not Positions.of(indices).faults(6, "here")


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        (1, "1"),
        ([0, -1], "0,-1"),
        (slice(2, None), "2:"),
        (slice(None, None, 2), "::2"),
        ("last", "last"),
        (odd, "odd"),
    ],
)
def test_printing(written, printed):
    assert str(Positions.of(written)) == printed


def test_last_depends_on_the_input_only_where_inputs_are_padded():
    last = Positions.of("last")
    assert last.resolve(4, padded=False) == (3,)
    assert last.resolve(4, padded=True) is None
    assert last.chosen(DATA, 4).argmax(axis=1).tolist() == [3, 1, 0]
    assert last.chosen(DATA, 4).sum() == 3


def test_chosen_by_a_function():
    assert (Positions.of(odd).chosen(DATA, 4) == odd(DATA)).all()


def test_negative_positions_reach_no_further_than_the_input():
    (fault,) = Positions.of([-5, 1]).faults(4, "here")
    assert fault.code == "SCR-POSITION"
    assert "-5" in fault.problem
    assert Positions.of([-5, 1]).resolve(4, padded=False) == (1,)


def test_cells_cover_every_position_once():
    whole = Where(tuple(range(6)))
    inside, outside = whole.split(Positions.of(slice(2, 4)), 6, padded=True)
    assert (inside, outside) == (Where((2, 3)), Where((0, 1, 4, 5)))
    assert whole.split(Positions.of(slice(0, 6)), 6, padded=True) == (whole, None)
    assert inside.split(Positions.of(0), 6, padded=True) == (None, inside)


def test_cells_cut_by_a_condition_remember_it():
    by = Positions.of(odd)
    inside, outside = Where((0, 1)).split(by, 4, padded=True)
    assert inside == Where((0, 1), ((by, True),))
    assert outside == Where((0, 1), ((by, False),))
    assert inside.split(by, 4, padded=True) == (inside, None)
    assert outside.split(by, 4, padded=True) == (None, outside)
    assert str(outside) == "0-1 not odd"


@pytest.mark.parametrize(("fixed", "printed"), [((0, 1, 2), "0-2"), ((0, 2, 3, 5), "0,2-3,5"), ((), "")])
def test_runs(fixed, printed):
    assert str(Where(fixed)) == printed
