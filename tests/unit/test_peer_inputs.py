"""What other tools are compared on: which strings, and that what is searched on is not what is scored."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.parens.strings import END, OPEN, PAD, START
from benchmarks.search.peer_auto_circuit import SEARCHED, STRINGS, Halves


@pytest.mark.parametrize("seed", [0, 1])
def test_strings_are_searched_on_or_scored_and_as_long_as_they_can_be(seed):
    halves = Halves.of("parens", seed)
    some, others = halves.there, halves.rest.data
    assert len(some) == len(halves.fitted.data) == SEARCHED
    assert len(others) == sum(STRINGS) - SEARCHED >= 3_000
    tokens = np.concatenate([some["tokens"], others["tokens"]])
    assert len(np.unique(tokens, axis=0)) == len(tokens)
    assert not (tokens == PAD).any()
    assert (tokens[:, 0] == START).all()
    assert (tokens[:, -1] == END).all()
    for part in (some, others):
        assert part["label"].mean() == pytest.approx(STRINGS[0] / sum(STRINGS), abs=0.1)
    labels = np.concatenate([some["label"], others["label"]])
    opened = np.cumsum(np.where(tokens[:, 1:-1] == OPEN, 1, -1), axis=1)
    assert ((opened.min(1) >= 0) & (opened[:, -1] == 0)).astype(int).tolist() == labels.tolist()


def test_where_there_are_not_so_many_half_of_them_are_searched_on():
    halves = Halves.of("planted-pairs", 0)
    both = [len(halves.there), len(halves.rest.data)]
    assert both == [len(halves.made.data) // 2] * 2
    ids = {*halves.there.ids.tolist()} & {*halves.rest.data.ids.tolist()}
    assert not ids
