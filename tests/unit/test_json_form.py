"""Hypotheses as JSON: what is stored comes back equal, whatever is in it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypotheses.parens import original
from scrubbing import OUTPUT, Hypothesis, Variable, everything, head, joint, mlp, project, transformer_graph
from scrubbing.models.check import random_inputs
from scrubbing.parts import activation, function, neurons
from scrubbing.samplers import agree, exact, fixed, generated, separate
from scrubbing.testing.random_hypotheses import (
    half,
    halves,
    odd_positions,
    random_hypothesis,
    thirds,
    token_parity,
    wave,
)

SIZES = {"d_model": 8, "d_mlp": 6, "positions": 5, "causal": True}
GRAPHS = [
    transformer_graph(2, 2, **SIZES, padded=False),
    transformer_graph(3, 1, **SIZES, padded=True),
    transformer_graph(2, 2, **SIZES, padded=True, post_norms=True),
]
DATA = [random_inputs(50, 5, padded="mask" in map(str, graph.slots), n=13) for graph in GRAPHS]


def same_inputs(held, uniform):
    return {name: held[name] for name in held}


def product(a, b):
    return a * b


def through_json(hypothesis):
    return Hypothesis.from_json(json.loads(json.dumps(hypothesis.to_json())))


@given(which=st.integers(0, 2), seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_round_trip_of_any_hypothesis(which, seed):
    made = random_hypothesis(GRAPHS[which], DATA[which], seed)
    back = through_json(made)
    assert back == made
    assert back.hash == made.hash
    assert str(back) == str(made)
    back.check(GRAPHS[which], DATA[which])


A, B = Variable("a", halves), Variable("b", thirds)
CLAIMS = {
    "value function": mlp(0).direct().carries(Variable("both", None, (A, B), product)),
    "all three": mlp(0).direct().carries(Variable("both", halves & halves, (A, B), product)),
    "rounding": mlp(0).direct().carries(Variable("r", joint(halves.rounded(0.5), thirds.at_most(1, 1e-6)))),
    "each": mlp(0).direct().each().carries(Variable("p", joint(token_parity, ~halves))),
    "generated": mlp(0).direct().carries(A, sampler=generated(same_inputs)),
    "fixed": mlp(0).direct().carries(A, sampler=fixed(7), unclaimed=separate(agree(halves, thirds))),
    "choices": mlp(0).direct().carries(A, exclude_self=True, freeze_norm=True, group="g", unclaimed=exact),
    "chosen positions": mlp(0).direct().at(odd_positions).carries(A),
    "slice": mlp(0).direct().at(slice(None, -1, 2)).carries(A),
    "last": head(0, 0).via("m0").into("x").at("last").carries(A),
    "project": mlp(0).direct().part(project([[1.0, 0.1], [0.0, 1 / 3]])).carries(A),
    "direction": mlp(0).direct().part(original.PROJECTION).carries(A),
    "neurons": mlp(0).direct().part(neurons([4, 1])).carries(A),
    "function": mlp(0).direct().part(function(wave, along=[0.1, 0.2])).carries(A),
    "feature as a function": mlp(0).direct().part(function(halves, along=original.open_direction)).carries(A),
    "activation": mlp(0).direct().part(activation(half)).carries(A),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_round_trip(case):
    made = Hypothesis(
        "h", "c", OUTPUT.carries(Variable("out", everything), CLAIMS[case]), scope=~token_parity.everywhere()
    )
    assert through_json(made) == made


def test_the_original_ladder_comes_back():
    for rung in original.ladder():
        assert through_json(rung) == rung


def test_a_variable_used_twice_is_one_variable():
    claims = (head(0, h).direct().carries(A) for h in (0, 1))
    stored = Hypothesis("h", "c", OUTPUT.carries(B, *claims)).to_json()
    assert sorted(stored["variables"]) == ["a", "b"]
    first, second = Hypothesis.from_json(stored).correspondence.children
    assert first.variable is second.variable


def test_the_hash_is_of_what_is_claimed():
    one = Hypothesis("h", "c", OUTPUT.carries(A, mlp(0).direct().carries(B)))
    others = [
        Hypothesis("h", "d", one.correspondence),
        Hypothesis("h", "c", one.correspondence, scope=halves),
        Hypothesis("h", "c", OUTPUT.carries(A, mlp(0).direct().carries(A))),
        Hypothesis("h", "c", OUTPUT.carries(A, mlp(0).direct().carries(B, group="g"))),
        Hypothesis("h", "c", OUTPUT.carries(A, mlp(0).direct().at(0).carries(B))),
        Hypothesis("h", "c", OUTPUT.carries(A, mlp(1).direct().carries(B))),
    ]
    assert len({made.hash for made in [one, *others]}) == 7
    assert Hypothesis("h", "c", OUTPUT.carries(A, mlp(0).direct().carries(B))).hash == one.hash


def test_the_hash_is_the_same_in_another_process():
    code = "from hypotheses.parens.original import ladder; print(ladder()[-1].hash)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == original.ladder()[-1].hash
