"""Random numbers: the published vectors of Philox4x32-10, and that a number depends on nothing but its purpose."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing.rng import normal, philox, stream_key, uniform

# Counter, key and result of `philox4x32 10` in Random123's file of known answers, words in order.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers(counter, key, result):
    low, high = words(key)
    assert philox(high << 32 | low, tuple(words(counter))).tolist() == words(result)


def test_known_answers_in_one_call():
    """Broadcasting mixes nothing up: many counters at once give what they give one by one."""
    first = np.arange(50)[:, None]
    both = philox(stream_key(3, "x"), (first, 7, np.arange(4), 9))
    for i in (0, 17, 49):
        for j in range(4):
            assert both[:, i, j].tolist() == philox(stream_key(3, "x"), (i, 7, j, 9)).tolist()


@pytest.mark.parametrize("draw", [uniform, lambda *a: normal(*a, width=3)], ids=["uniform", "normal"])
def test_neither_batch_nor_order_matters(draw):
    key, ids = stream_key(0, "claim"), np.array([5, 2**40 + 1, 0, 9, 2])
    whole = draw(key, ids, 3, 1)
    order = np.array([4, 0, 3, 1, 2])
    assert (draw(key, ids[order], 3, 1) == whole[order]).all()
    assert (np.concatenate([draw(key, part, 3, 1) for part in np.split(ids, [2])]) == whole).all()


def test_every_coordinate_matters():
    """Seed, stream, both halves of the id, draw and position: changing any one changes the number."""
    calls = [(s, n, i, d, p) for s in (0, 1) for n in "ab" for i in (1, 1 + 2**32) for d in (0, 1) for p in (0, 1)]
    numbers = {float(uniform(stream_key(s, n), i, d, p)) for s, n, i, d, p in calls}
    assert len(numbers) == len(calls) == 32


def test_seed_and_name_are_not_run_together():
    assert stream_key(1, "2/x") != stream_key(12, "/x")


def test_a_key_is_the_same_for_ever():
    """Records name a seed; what it drew must be drawable again in later releases."""
    assert stream_key(0, "references") == 0xE40C16FE4AD1E0A2
    assert uniform(stream_key(0, "references"), [0, 1], 0).tolist() == [0.34258710068863873, 0.4266080864839439]


def test_uniform_fills_the_unit_interval():
    u = uniform(stream_key(0, "u"), np.arange(200_000), 0)
    assert 0 <= u.min() < 1e-4
    assert 1 - 1e-4 < u.max() < 1
    counts = np.bincount((u * 100).astype(int), minlength=100)
    assert ((counts - 2000) ** 2 / 2000).sum() < 150  # chi-square, 99 degrees of freedom: 99.9 % lie below 149
    assert (u != u.astype(np.float32)).mean() > 0.99  # more bits than a float32 has


@pytest.mark.parametrize("width", [1, 4, 5])
def test_normal_numbers(width):
    x = normal(stream_key(0, "n"), np.arange(40_000), 2, 0, width)
    assert x.shape == (40_000, width)
    assert np.abs(x.mean(axis=0)).max() < 4 / 200
    assert np.abs(np.cov(x.T) - np.eye(width)).max() < 5 / 200
    assert abs((np.abs(x) < 1).mean() - 0.6827) < 0.01
