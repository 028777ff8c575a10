"""Slices, candidates and roles of the induction task, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.induction import language
from benchmarks.induction.task import CORPORA, python_task, task
from hypotheses.induction.features import candidates, last_copy, repeated_bigram, repeated_candidate
from hypotheses.induction.ladder import ladder, left_out, without_heads
from hypotheses.induction.roles import Roles
from scrubbing import Dataset, Hypothesis, transformer_graph

TOKENS = np.array([[0, 1, 2, 1, 2, 2, 1, 3]])


def test_last_copy():
    assert last_copy(TOKENS).tolist() == [[-1, -1, -1, 1, 2, 4, 3, -1]]


def test_slices():
    """Token 1 is the only candidate: it repeats at 3 and 6, and is followed by what followed before only at 3."""
    data = Dataset({"tokens": TOKENS, "candidate": TOKENS == 1})
    assert np.flatnonzero(repeated_candidate(data)[0]).tolist() == [3, 6]
    assert np.flatnonzero(repeated_bigram(data)[0]).tolist() == [3]


def test_candidates_are_tokens_after_which_copying_helps():
    """Token 1 is followed by the same token within a text, any of ten over all; token 2 always by another."""
    rng = np.random.default_rng(0)
    own = rng.integers(10, 20, size=(300, 1))
    free = rng.integers(10, 20, size=(300, 4))
    rows = [np.full((300, 1), 1), own, np.full((300, 1), 2), free[:, :1]] * 4
    tokens = np.concatenate(rows, axis=1)
    tokens[:, 3::4] = free
    uniform = np.full(tokens.shape, np.log(10))
    chosen = candidates(tokens, uniform, 20)
    assert chosen[1] and not chosen[2] and not chosen[0]


def test_the_language_follows_from_its_seed():
    again = language.generate(50, 64, seed=3)
    assert (again == language.generate(50, 64, seed=3)).all() and (again != language.generate(50, 64, seed=4)).any()
    assert again.min() >= 0 and again.max() < language.VOCABULARY == len(set(language.words()))
    assert (again[:, 0] == language.BEGIN).all()


def test_family_names_follow_first_names_and_mostly_the_same_one():
    text = language.generate(400, 128, seed=5)
    copies = last_copy(text)[:, :-1]
    first = (text[:, :-1] >= language.FIRST) & (text[:, :-1] < language.FAMILY)
    following = text[:, 1:]
    then = np.take_along_axis(following, copies.clip(0), axis=1)
    same = (then == following)[first & (copies >= 0)].mean()
    assert 0.6 < same < 0.9


@pytest.mark.parametrize("which", CORPORA)
def test_roles_are_read_without_weights(which, tmp_path):
    from benchmarks.induction.task import HERE, roles

    found = roles(which)
    assert found.induction and found.previous and {layer for layer, _ in found.induction} == {1}
    assert np.shape(found.scores["induction"]) == (found.layers, found.heads) == (2, 8)
    assert f"1.{found.induction[0][1]}" in found.describe()
    found.save(tmp_path / "again.json")
    assert Roles.load(tmp_path / "again.json") == found == Roles.load(HERE / f"{which}_roles.json")


@pytest.mark.parametrize("one", [task, python_task], ids=lambda one: one.name)
def test_every_rung_is_legal_and_comes_back_from_json(one):
    graph = one.graph()
    for hypothesis in one.ladder():
        hypothesis.check(graph)
        assert Hypothesis.from_json(hypothesis.to_json()) == hypothesis


OTHERS = {
    "one head of each kind": (Roles(((0, 0),), (), ((1, 3),), 2, 4), {}),
    "no previous-token head": (Roles((), ((0, 1),), ((1, 3),), 2, 4), {}),
    "three layers": (Roles(((0, 0), (1, 2)), ((0, 1),), ((1, 3), (2, 0)), 3, 4), {}),
    "MLPs": (Roles(((0, 0), (1, 2)), ((0, 1),), ((1, 3), (2, 0), (2, 3)), 4, 4, True), {"d_mlp": 16}),
    "parallel": (Roles(((1, 2),), (), ((2, 0),), 3, 4, True), {"d_mlp": 16, "parallel": True}),
    "norms after": (Roles(((1, 2),), (), ((2, 0),), 3, 4, True), {"d_mlp": 16, "post_norms": True}),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_ladder_for_other_roles(case):
    roles, options = OTHERS[case]
    sizes = {"d_model": 8, "d_mlp": None, "positions": 9, "causal": True, "padded": False, **options}
    graph = transformer_graph(roles.layers, roles.heads, **sizes)
    skipped = left_out(roles)
    rungs = [one for one in ladder(roles) if one.name.rpartition("/")[2] not in skipped]
    assert len(rungs) == 12 - len(skipped)
    assert ("copies" in skipped) == (not roles.copies) and ("naive" in skipped) == (not roles.previous)
    for hypothesis in [*rungs, without_heads(roles), without_heads(roles, roles.previous or roles.copies)]:
        hypothesis.check(graph)
        assert Hypothesis.from_json(hypothesis.to_json()) == hypothesis
