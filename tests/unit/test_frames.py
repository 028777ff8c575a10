"""Frames: which inputs are drawn, against brute force over the dataset."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubbing import Dataset, NothingToDraw, Variable, anything, everything, feature, joint
from scrubbing.data.real import RealDraws
from scrubbing.samplers import Among, agree, fixed, generated
from scrubbing.sampling.contexts import REFERENCE, Context
from scrubbing.sampling.frames import Frame, sample_tree

RNG = np.random.default_rng(0)
DATA = Dataset({"kind": RNG.integers(0, 3, 30), "tokens": RNG.integers(0, 2, (30, 4))}, ids=RNG.permutation(100)[:30])


@feature
def kind(data):
    return data["kind"]


@feature
def first_token(data):
    return data["tokens"][:, 0]


@feature(per="position")
def token(data):
    return data["tokens"]


def context(key, by, parent=REFERENCE, sampler=None, **options):
    return Context(key, key, parent, sampler or agree(by), by, region=1, **options)


def root(rows, draws=None, seed=0, data=DATA):
    rows = np.asarray(rows)
    draws = np.zeros_like(rows) if draws is None else np.asarray(draws)
    return Frame.root(data, rows, draws, seed, {})


def drawn(frame, of):
    data, rows = frame.source(of)
    assert data is frame.data
    return rows


def test_the_reference_is_held_as_given():
    assert drawn(root([3, 1, 4]), REFERENCE).tolist() == [3, 1, 4]


@pytest.mark.parametrize("by", [kind, joint(kind, first_token), anything, everything], ids=str)
@pytest.mark.parametrize("exclude", [False, True])
def test_draws_are_exactly_the_agreeing_inputs(by, exclude):
    """Over many draws every agreeing input turns up, and no other; itself only if it may."""
    if exclude and by is everything:
        with pytest.raises(NothingToDraw, match="SCR-DRAW"):
            drawn(root([0]), context("c", by, exclude_self=True))
        return
    values = by(DATA)
    for row in (0, 7, 29):
        found = drawn(root([row] * 2000, np.arange(2000)), context("c", by, exclude_self=exclude))
        wanted = set(np.flatnonzero(values == values[row])) - ({row} if exclude else set())
        assert set(found) == wanted


def test_draws_per_position_agree_there():
    """Below the root: one row per token, each agreeing at its own position."""
    above = root([0, 5])
    inner = context("each", token, space=2)
    below = above.below(2, np.array([0, 0, 1, 1]), np.array([0, 2, 0, 3]), positions=4)
    rows = drawn(below, inner)
    held, focus = np.array([0, 0, 5, 5]), np.array([0, 2, 0, 3])
    assert (token(DATA)[rows, focus] == token(DATA)[held, focus]).all()
    assert drawn(below, REFERENCE).tolist() == [0, 0, 5, 5]


def test_a_position_draws_the_same_whatever_is_drawn_beside_it():
    inner = context("each", anything, space=2)
    whole = drawn(root([0]).below(2, np.zeros(4, dtype=np.int64), np.arange(4), positions=4), inner)
    assert len(set(whole)) > 1
    alone = drawn(root([0]).below(2, np.array([0]), np.array([2]), positions=4), inner)
    assert alone.tolist() == [whole[2]]


def test_a_per_position_feature_at_one_position():
    rows = drawn(root(np.arange(30)), context("c", token, position=2))
    assert (token(DATA)[rows, 2] == token(DATA)[:, 2]).all()
    assert (token(DATA)[rows, 1] != token(DATA)[:, 1]).any()


def test_one_context_is_drawn_once():
    """Whoever asks first, and however often: two claims in a group hold the same inputs."""
    frame, shared = root(np.arange(30)), context("group g", kind)
    first = drawn(frame, shared)
    child = context("child", kind, parent=shared)
    assert (kind(DATA)[drawn(frame, child)] == kind(DATA)[first]).all()
    assert (drawn(frame, shared) == first).all()
    assert frame.counts[shared].total == 30


def test_agreement_is_with_the_parent_not_the_reference():
    """Below a uniform draw, agreeing on `kind` is agreeing with that draw."""
    frame = root(np.arange(30))
    loose = context("any", anything)
    child = drawn(frame, context("child", kind, parent=loose))
    assert (kind(DATA)[child] == kind(DATA)[drawn(frame, loose)]).all()
    assert (kind(DATA)[child] != kind(DATA)).any()


@given(order=st.permutations(range(30)), split=st.integers(1, 29), seed=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_neither_order_nor_batch_changes_a_draw(order, split, seed):
    turned = DATA.take(order)

    def ids(data, wanted):
        rows = np.array([int(np.flatnonzero(data.ids == one)[0]) for one in wanted])
        frame = root(rows, np.full(len(rows), 2), seed, data)
        outer = context("outer", kind)
        found = drawn(frame, context("inner", anything, parent=outer))
        return np.stack([data.ids[drawn(frame, outer)], data.ids[found]])

    everyone = DATA.ids
    whole = ids(DATA, everyone)
    assert (ids(turned, everyone) == whole).all()
    parts = [ids(DATA, part) for part in np.split(everyone, [split])]
    assert (np.concatenate(parts, axis=1) == whole).all()


def test_draws_and_seeds_and_streams_differ():
    def rows(key="a", draw=0, seed=0):
        return drawn(root(np.arange(30), np.full(30, draw), seed), context(key, anything)).tolist()

    assert rows() == rows()
    assert len({tuple(r) for r in (rows(), rows("b"), rows(draw=1), rows(seed=1))}) == 4


def test_counts():
    frame, claim = root(np.arange(30)), context("c", kind)
    found = drawn(frame, claim)
    count = frame.counts[claim]
    sizes = np.bincount(kind(DATA))
    assert np.concatenate(count.agreed).tolist() == sizes[kind(DATA)].tolist()
    assert count.returned_self == (found == np.arange(30)).sum()
    unclaimed = Context("c / ~unclaimed", "u", REFERENCE, agree(anything), anything)
    drawn(frame, unclaimed)
    assert list(frame.counts) == [claim]


def test_always_one_input():
    rows = drawn(root([0, 1, 2]), context("c", anything, sampler=fixed(int(DATA.ids[7]))))
    assert rows.tolist() == [7, 7, 7]


def flipped(held, uniform):
    u = uniform(2)
    assert u.shape == (len(held), 2)
    return {"kind": held["kind"], "tokens": (u > 0.5).astype(int) @ np.array([[1, 1, 0, 0], [0, 0, 1, 1]])}


def test_generated_inputs():
    frame = root([0, 0, 5], draws=[0, 1, 0])
    made = context("g", kind, sampler=generated(flipped))
    block, rows = frame.source(made)
    assert rows.tolist() == [0, 1, 2]
    assert block["kind"].tolist() == DATA["kind"][[0, 0, 5]].tolist()
    again, _ = root([5], draws=[0]).source(context("g", kind, sampler=generated(flipped)))
    assert again["tokens"][0].tolist() == block["tokens"][2].tolist()  # in another batch the same
    child = drawn(frame, context("child", kind, parent=made))
    assert (kind(DATA)[child] == kind(DATA)[[0, 0, 5]]).all()  # below it, inputs of the dataset agree with it


def test_without_draws_everybody_holds_the_reference():
    frame = root([4, 2])
    frame.everyone_holds_the_reference = True
    assert drawn(frame, context("c", anything)).tolist() == [4, 2]
    below = frame.below(2, np.array([0, 1]), np.array([0, 1]), positions=4)
    assert drawn(below, context("each", anything, space=2)).tolist() == [4, 2]


def test_a_sample_for_printing_is_what_the_run_draws():
    outer = context("outer", kind)
    inner = context("inner", anything, parent=outer)
    found = sample_tree({"o": outer, "i": inner, "e": context("each", token, space=3)}, DATA, row=3, seed=5)
    frame = root([3], [0], seed=5)
    assert found == {"o": int(drawn(frame, outer)[0]), "i": int(drawn(frame, inner)[0])}


def test_nothing_to_draw_names_input_value_and_draw():
    lonely = Dataset({"kind": [0, 0, 1]}, ids=[5, 6, 7])
    by = Variable("kind", kind).agrees_on()
    claim = context("c", by, exclude_self=True)
    with pytest.raises(NothingToDraw) as caught:
        drawn(root([0, 2], [3, 4], data=lonely), claim)
    told = str(caught.value)
    assert "kind = 1" in told
    assert "reference input id 7, draw 4" in told


LENGTHS = RNG.integers(1, 5, 30)
PADDED = DATA.with_columns(mask=np.arange(4) < LENGTHS[:, None])


def next_token(data):
    """Outputs of a next-token loss; inputs of one token have none."""
    return np.pad(data["mask"][:, 1:], ((0, 0), (0, 1)))


@pytest.mark.parametrize("same_length", [False, True])
@pytest.mark.parametrize("by", [kind, anything, token], ids=str)
@pytest.mark.parametrize("exclude", [False, True])
def test_real_draws_are_exactly_the_agreeing_inputs_that_are_long_enough(same_length, by, exclude):
    real = RealDraws(next_token, same_length)
    values = by(PADDED)[:, 2] if by is token else by(PADDED)
    for row in range(30):
        needed = LENGTHS[row] - 1
        fits = LENGTHS[row] == LENGTHS if same_length else needed <= LENGTHS
        wanted = set(np.flatnonzero((values == values[row]) & (fits | (needed == 0)))) - ({row} if exclude else set())
        rows = np.full(400, row)
        frame = Frame.root(PADDED, rows, np.arange(400), 0, {}, real)
        claim = context("c", by, exclude_self=exclude, position=2 if by is token else None)
        if not wanted:
            with pytest.raises(NothingToDraw, match="real positions"):
                drawn(frame, claim)
            continue
        assert set(drawn(frame, claim)) == wanted
        assert set(np.concatenate(frame.counts[claim].agreed)) == {len(wanted) + exclude}


class Listed(Among):
    """Agreement, looked up input by input."""

    def allowed(self, held):
        return held.agreeing(held.feature)


@pytest.mark.parametrize("exclude", [False, True])
def test_a_sampler_of_ones_own_draws_the_same_real_inputs(exclude):
    """The same as those found by sorting, draw by draw; and what it makes up itself is checked."""
    real = RealDraws(next_token, same_length=False)
    rows = np.flatnonzero(LENGTHS < 4).repeat(20)
    frame = Frame.root(PADDED, rows, np.arange(len(rows)), 0, {}, real)
    sorted_once = drawn(frame, context("c", kind, exclude_self=exclude))
    assert (drawn(frame, context("c", kind, sampler=Listed(), exclude_self=exclude)) == sorted_once).all()
    shortest = context("f", anything, sampler=fixed(int(PADDED.ids[LENGTHS.argmin()])))
    with pytest.raises(NothingToDraw, match="real positions"):
        drawn(Frame.root(PADDED, np.arange(30), np.zeros(30, int), 0, {}, real), shortest)


@given(order=st.permutations(range(30)), split=st.integers(1, 29))
@settings(max_examples=20, deadline=None)
def test_neither_order_nor_batch_changes_a_real_draw(order, split):
    turned, real = PADDED.take(order), RealDraws(next_token, same_length=False)

    def ids(data, wanted):
        rows = np.array([int(np.flatnonzero(data.ids == one)[0]) for one in wanted])
        frame = Frame.root(data, rows, np.full(len(rows), 2), 3, {}, real)
        inner = context("inner", anything, parent=context("outer", kind))
        below = frame.below(2, np.arange(len(rows)), np.full(len(rows), 1), positions=4)
        each = context("each", token, parent=inner, space=2)
        return np.stack([data.ids[drawn(frame, inner)], data.ids[drawn(below, each)]])

    everyone = PADDED.ids
    whole = ids(PADDED, everyone)
    assert (ids(turned, everyone) == whole).all()
    assert (np.concatenate([ids(PADDED, part) for part in np.split(everyone, [split])], axis=1) == whole).all()
    needed = dict(zip(everyone, LENGTHS - 1, strict=True))
    length = dict(zip(everyone, LENGTHS, strict=True))
    assert all(length[one] >= needed[of] for row in whole for one, of in zip(row, everyone, strict=True))


def test_a_sample_for_printing_is_real_where_the_run_is():
    real, claim = RealDraws(next_token, same_length=False), context("c", anything)
    longest = int(LENGTHS.argmax())
    for draw in range(20):
        found = sample_tree({"c": claim}, PADDED, longest, draw=draw, real=real)
        assert found["c"] == int(
            drawn(Frame.root(PADDED, np.array([longest]), np.array([draw]), 0, {}, real), claim)[0]
        )
        assert LENGTHS[found["c"]] >= LENGTHS[longest] - 1
