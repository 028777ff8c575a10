"""Rewording changes no draw, claiming something else does."""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scrubbing import (
    EMBED,
    OUTPUT,
    Claim,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    Variable,
    anything,
    everything,
    feature,
    head,
    mlp,
    project,
    reads,
    transformer_graph,
)
from scrubbing.engine.demand import fixed as at
from scrubbing.engine.engine import Engine
from scrubbing.hypothesis.legality import legal
from scrubbing.models.check import random_inputs
from scrubbing.parts import activation, function, neurons, offsets, pairs
from scrubbing.samplers import agree, fixed, generated, separate, uniform
from scrubbing.sampling.contexts import Context, Contexts
from scrubbing.testing.random_hypotheses import (
    half,
    halves,
    odd_positions,
    random_hypothesis,
    thirds,
    token_parity,
    wave,
)

LENGTH = 5
GRAPH = transformer_graph(2, 2, d_model=8, d_mlp=6, positions=LENGTH, causal=True, padded=True)
DATA = random_inputs(50, LENGTH, padded=True, n=13)
OUT = Variable("output", everything)


def reworded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every class of the package that has words for its objects gets other, meaningless ones."""
    number = itertools.count()
    modules = [module for name, module in sorted(sys.modules.items()) if name.partition(".")[0] == "scrubbing"]
    kinds = {kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)}
    kinds = {kind for kind in kinds if kind.__module__.startswith("scrubbing.") and "__str__" in vars(kind)}
    assert len(kinds) > 20
    for kind in kinds:
        if not issubclass(kind, Exception):
            monkeypatch.setattr(kind, "__str__", lambda self: f"words {next(number)}")


def renamed(made: Hypothesis) -> Hypothesis:
    """Other names for the hypothesis and all its variables."""

    def claim(one: Claim) -> Claim:
        variable = replace(one.variable, name=f"~{one.variable.name} as we say now")
        return replace(one, variable=variable, children=tuple(map(claim, one.children)))

    return replace(made, name="other/name", sentence="Said otherwise.", correspondence=claim(made.correspondence))


@pytest.mark.parametrize("family", ["native classifier", "GPT-2"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rewording_changes_no_output(family: str, seed: int, tiny_model: Callable[[str], Any]) -> None:
    model = tiny_model(family)
    made = random_hypothesis(model.graph(DATA), DATA, seed)

    def outputs(one: Hypothesis) -> torch.Tensor:
        engine = Engine(model, DATA, at((0, LENGTH - 1)))
        return engine.outputs(engine.compile(one), np.arange(13), draws=2, seed=3)

    before = outputs(made)
    with pytest.MonkeyPatch.context() as patched:
        reworded(patched)
        assert "words " in str(made.correspondence.targets[0])
        assert torch.equal(outputs(renamed(made)), before)


@pytest.mark.parametrize("seed", range(6))
def test_rewording_changes_no_loss(
    seed: int, tiny_model: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the front door, with every baseline."""
    data = random_inputs(50, LENGTH, padded=True, n=24).with_columns(label=np.arange(24) % 2)
    model = tiny_model("native classifier")
    made = random_hypothesis(model.graph(data), data, seed)

    def losses(one: Hypothesis) -> dict[str, Any]:
        return dict(Experiment(model, data, Classification("label"), draws=2).run(one).losses)

    before = losses(made)
    reworded(monkeypatch)
    after = losses(renamed(made))
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert np.array_equal(values, after[name]), name


def contexts(*claims: Claim, data: Dataset = DATA, **options: Any) -> list[Context]:
    """Of each claim below the root, and last of what the root leaves unclaimed."""
    made = Contexts(legal(Hypothesis("h", "c", OUTPUT.carries(OUT, *claims), **options), GRAPH, data))
    return [*(made.of(region.index) for region in made.tree.regions[1:]), made.unclaimed(0, EMBED.node)]


def streams(*claims: Claim, **options: Any) -> list[str]:
    return [context.stream for context in contexts(*claims, **options)]


@feature(name="halves in other words")
def twice_halves(data: Dataset) -> Any:
    return 2 * (data.ids % 2) + 7


@feature
def sixths(data: Dataset) -> Any:
    return data.ids % 6


def same(held: Dataset, uniform: Callable[[int], Any]) -> Any:
    return {name: held[name] for name in held}


HALF, THIRD, PARITY = Variable("half", halves), Variable("third", thirds), Variable("parity", token_parity)
PLAIN = mlp(0).direct().carries(HALF)
V, W = np.eye(8)[0], np.eye(8)[1]
SAME = {
    "another name for the variable": mlp(0).direct().carries(Variable("x", halves)),
    "another function with equal classes": mlp(0).direct().carries(Variable("x", twice_halves)),
    "the negation": mlp(0).direct().carries(Variable("x", ~(halves.at_most(0, 0.0)))),
    "a lambda": mlp(0).direct().carries(Variable("x", feature(name="f")(lambda data: data.ids % 2))),
    "what the variable says, said by the sampler": mlp(0).direct().carries(THIRD, sampler=agree(halves)),
    "a value function": mlp(0).direct().carries(Variable("x", parents=(HALF,), value=lambda half: 1 - half)),
    "a frozen norm": mlp(0).direct().carries(HALF, freeze_norm=True),
}
OTHER = {
    "node": mlp(1).direct().carries(HALF),
    "route": mlp(0).any_path(avoid=mlp(1)).carries(HALF),
    "avoided": mlp(0).any_path(avoid=head(1, 0)).carries(HALF),
    "via": mlp(0).via("a1.h0").carries(HALF),
    "feature": mlp(0).direct().carries(THIRD),
    "a finer feature": mlp(0).direct().carries(Variable("half", sixths)),
    "position": mlp(0).direct().at(1).carries(HALF),
    "another position": mlp(0).direct().at(2).carries(HALF),
    "chosen positions": mlp(0).direct().at(odd_positions).carries(HALF),
    "the last position": mlp(0).direct().at("last").carries(HALF),
    "each": mlp(0).direct().each().carries(HALF),
    "part": mlp(0).direct().part(neurons([0])).carries(HALF),
    "another part": mlp(0).direct().part(neurons([1])).carries(HALF),
    "direction": mlp(0).direct().part(project(V)).carries(HALF),
    "another direction": mlp(0).direct().part(project(W)).carries(HALF),
    "function": mlp(0).direct().part(function(wave, along=V)).carries(HALF),
    "activation": mlp(0).direct().part(activation(half)).carries(HALF),
    "slot": head(1, 0).direct().reads("q").carries(HALF),
    "another slot": head(1, 0).direct().reads("k").carries(HALF),
    "offsets": head(1, 0).direct().part(offsets(-1)).carries(HALF),
    "pairs": head(1, 0).direct().part(pairs(np.eye(LENGTH, dtype=bool))).carries(HALF),
    "sampler": mlp(0).direct().carries(HALF, sampler=uniform),
    "one input": mlp(0).direct().carries(HALF, sampler=fixed(3)),
    "generator": mlp(0).direct().carries(HALF, sampler=generated(same)),
    "never itself": mlp(0).direct().carries(HALF, exclude_self=True),
    "group": mlp(0).direct().carries(HALF, group="g"),
    "bundle": (mlp(0).direct() | mlp(1).direct()).carries(HALF),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_claim_draws_the_same(case: str) -> None:
    assert streams(SAME[case]) == streams(PLAIN)


def test_another_claim_draws_otherwise() -> None:
    names = [streams(claim)[0] for claim in (PLAIN, *OTHER.values())]
    assert len(set(names)) == len(names), [case for case in OTHER if names.count(streams(OTHER[case])[0]) > 1]


def test_adding_a_claim_leaves_the_draws_of_others() -> None:
    below = head(1, 0).direct().carries(HALF, EMBED.direct().carries(THIRD))
    alone = streams(below)
    more = streams(PLAIN, below, mlp(1).direct().carries(THIRD))
    assert more[1:3] == alone[:2]
    assert more[-1] == alone[-1]


def test_below_another_claim_it_is_another() -> None:
    def inner(variable: Variable, index: int = 0) -> str:
        return streams(head(1, index).direct().carries(variable, EMBED.direct().carries(THIRD)))[1]

    assert len({inner(HALF), inner(THIRD), inner(HALF, 1)}) == 3
    assert inner(HALF) == inner(Variable("called otherwise", twice_halves))


def test_what_is_unclaimed() -> None:
    names = [
        streams(PLAIN, unclaimed=rule)[-1] for rule in (uniform, agree(halves), separate(), separate(agree(thirds)))
    ]
    assert len(set(names)) == 4
    assert names[0] == streams(PLAIN)[-1] == streams(PLAIN, unclaimed=agree(anything))[-1]
    assert names[1] == streams(PLAIN, unclaimed=agree(twice_halves))[-1]


def test_a_group_is_known_by_its_name() -> None:
    one = mlp(0).direct().carries(HALF, group="g")
    other = head(1, 1).direct().carries(HALF, group="g")
    assert streams(one)[0] == streams(other)[0] != streams(mlp(0).direct().carries(HALF, group="h"))[0]


def test_nameless_twins_are_numbered() -> None:
    """Two functions that cannot be told apart by name are two claims all the same."""
    parts = [activation(lambda x: x / 2), activation(lambda x: x / 3)]
    first, second, _ = streams(*(mlp(0).direct().part(part).carries(HALF) for part in parts))
    assert first != second


@given(order=st.permutations(range(13)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_dataset_changes_no_name(order: list[int]) -> None:
    claims = [PLAIN, mlp(1).direct().at(odd_positions).carries(THIRD), head(1, 0).direct().each().carries(PARITY)]
    claims.append(head(1, 1).direct().carries(HALF, reads("v").carries(THIRD)))
    turned = DATA.take(np.array(order))
    assert streams(*claims, data=turned) == streams(*claims)


def test_a_feature_that_changes_one_class_changes_the_draws() -> None:
    def moved(ids: set[int]) -> Variable:
        return Variable("half", feature(name="halves")(lambda data: (data.ids % 2) ^ np.isin(data.ids, list(ids))))

    names = [streams(mlp(0).direct().carries(moved(ids)))[0] for ids in (set(), {4}, {5}, {4, 5})]
    assert len(set(names)) == 4
    assert names[0] == streams(PLAIN)[0]
