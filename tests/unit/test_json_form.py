"""Hypotheses as JSON: what is stored comes back equal, whatever is in it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypotheses.parens import original
from scrubbing import OUTPUT, Hypothesis, UsageError, Variable, everything, head, joint, mlp, project, transformer_graph
from scrubbing.models.check import random_inputs
from scrubbing.parts import activation, attending_to, function, neurons, offsets, pairs
from scrubbing.samplers import agree, exact, fixed, generated, separate, uniform
from scrubbing.testing.random_hypotheses import (
    half,
    halves,
    odd_positions,
    random_hypothesis,
    thirds,
    token_parity,
    wave,
)

ROOT, HOME = Path(__file__).parents[2], "scrubbing.testing.random_hypotheses"
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


def test_what_holds_for_a_whole_hypothesis_comes_back():
    for rule in (separate(), exact, separate(agree(halves)), fixed(3)):
        made = Hypothesis("h", "c", OUTPUT.carries(Variable("out", everything)), unclaimed=rule)
        assert through_json(made) == made
        assert made.hash != replace(made, unclaimed=uniform).hash
    assert "unclaimed" not in replace(made, unclaimed=uniform).to_json()
    assert replace(made, unclaimed=uniform) == Hypothesis("h", "c", made.correspondence)


def test_defaults_are_left_out():
    """So that a field which is added later changes no hypothesis that does not use it."""
    claim = mlp(0).direct().carries(A)
    assert Hypothesis("h", "c", OUTPUT.carries(B, claim)).to_json()["correspondence"]["children"] == [
        {
            "class": "claim",
            "targets": [
                {"class": "target", "node": {"class": "node", "name": "m0"}, "route": {"class": "direct"}},
            ],
            "variable": {"variable": "a"},
        }
    ]


def test_nothing_is_imported_for_a_hypothesis_of_unknown_kind(tmp_path, monkeypatch):
    (tmp_path / "has_effects.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)
    stored = Hypothesis("h", "c", OUTPUT.carries(A, mlp(0).direct().carries(B))).to_json()
    claim = stored["correspondence"]["children"][0]
    for mine in ({"class": "has_effects:Part"}, {"class": "activation", "compute": {"at": "has_effects:f"}}):
        claim["targets"][0]["only"] = mine
        claim["sampler"] = {"class": "gibbs"}
        with pytest.raises(UsageError, match="there is no 'gibbs'"):
            Hypothesis.from_json(stored)
        del claim["sampler"]
        with pytest.raises(UsageError, match="it ran"):  # had it been known
            Hypothesis.from_json(stored)


@pytest.mark.parametrize("at", ["downloaded.py:f", "downloaded:f", "sub.downloaded:f", "/tmp/downloaded.py:f"])
def test_what_is_not_installed_runs_only_if_told(at, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("", str(tmp_path)):
        monkeypatch.syspath_prepend(path)
    monkeypatch.setattr(sys, "path", [*sys.path, ""])
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub"):
        (folder / "downloaded.py").write_text("raise ValueError('it ran')")
    at = at.replace("/tmp", str(tmp_path))
    stored = Hypothesis("h", "c", OUTPUT.carries(A, mlp(0).direct().carries(B))).to_json()
    stored["correspondence"]["children"][0]["targets"][0]["only"] = {"class": "activation", "compute": {"at": at}}
    with pytest.raises(UsageError, match="neither installed nor imported"):
        Hypothesis.from_json(stored)
    with pytest.raises(UsageError, match="it ran"):
        Hypothesis.from_json(stored, run_files=True)
    for name in ("sub", "sub.downloaded", "downloaded"):
        sys.modules.pop(name, None)


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


STORED = sorted([*ROOT.glob("tests/compat/records/*.json"), *ROOT.glob("hypotheses/snapshots/*.json")])


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_hypotheses_of_older_forms_can_be_read(path):
    """Those of released records; read, they are what the present form stores."""
    stored = json.loads(path.read_text())["stored"]
    made = Hypothesis.from_json(stored)
    assert through_json(made) == made
    assert made.name == stored["name"]
    assert sum(1 for _ in made.correspondence.walk()) == json.dumps(stored).count('"targets"')


FIRST_PARTS = {
    "project": ({"kind": "project", "vectors": [[1.0, 0.5]], "indices": [], "compute": None}, project([1.0, 0.5])),
    "direction": (
        {"kind": "project", "vectors": "hypotheses.parens.original:open_direction", "indices": [], "compute": None},
        project(original.open_direction),
    ),
    "neurons": ({"kind": "neurons", "vectors": None, "indices": [1, 4], "compute": None}, neurons([4, 1])),
    "offsets": ({"kind": "offsets", "vectors": None, "indices": [-1, 0], "compute": None}, offsets(0, -1)),
    "as if": ({"kind": "as_if", "vectors": None, "indices": [-1], "compute": None}, attending_to(-1)),
    "pairs": (
        {"kind": "pairs", "vectors": None, "indices": [], "compute": None, "pairs": [[0], [0, 1]]},
        pairs([[True, False], [True, True]]),
    ),
    "activation": (
        {"kind": "activation", "vectors": None, "indices": [], "compute": f"{HOME}:half"},
        activation(half),
    ),
    "function": (
        {"kind": "function", "vectors": [[1.0, 2.0]], "indices": [], "compute": f"{HOME}:wave"},
        function(wave, along=[1.0, 2.0]),
    ),
    "function that is a feature": (
        {"kind": "function", "vectors": None, "indices": [], "compute": {"op": "leaf", "at": f"{HOME}:halves"}},
        function(halves),
    ),
}
FIRST_SAMPLERS = {
    "agree": ({"kind": "agree", "feature": {"op": "leaf", "at": f"{HOME}:thirds"}}, agree(thirds)),
    "exact": ({"kind": "exact", "feature": None}, exact),
    "fixed": ({"kind": "fixed", "feature": None, "input": 7}, fixed(7)),
    "generated": ({"kind": "generated", "feature": None, "generate": f"{HOME}:wave"}, generated(wave)),
}


def first_form(part=None, sampler=None):
    """A hypothesis as version 0.1 stored it."""
    empty = {"feature": None, "input": -1, "generate": None, "exclude_self": False}
    uniform_then = {**empty, "kind": "agree", "feature": {
        "op": "constant", "name": "anything", "per": "input", "numbers": [], "of": []}}  # fmt: skip

    def claim(target, variable, children=(), **more):
        plain = {"node": None, "route": None, "into": [], "reads": [], "positions": None, "each": False, "part": None}
        rule = {"sampler": uniform_then, "separately": bool(children)}
        return {"targets": [plain | target], "variable": variable, "sampler": None, "unclaimed": rule, "group": None,
                "exclude_self": False, "freeze_norm": True, "children": list(children)} | more  # fmt: skip

    inner = {"node": "m0", "route": {"kind": "any", "avoid": ["a1.h0"], "through": []}, "part": part}
    inner["positions"] = {"fixed": [1, 3], "slice": False, "last": False, "chosen_by": None}
    below = claim(inner, "half", sampler=None if sampler is None else empty | sampler)
    output = {"op": "identity", "name": "everything", "per": "input", "numbers": [], "of": []}
    leaf = {"op": "leaf", "at": f"{HOME}:halves"}
    return {
        "format": "scrubbing.hypothesis/1", "name": "h", "claim": "c", "scope": leaf,
        "variables": {"output": {"feature": output, "parents": ["half"], "value": f"{HOME}:wave"},
                      "half": {"feature": leaf, "parents": [], "value": None}},
        "correspondence": claim({"node": "logits"}, "output", [below]),
    }  # fmt: skip


@pytest.mark.parametrize("case", [*FIRST_PARTS, *FIRST_SAMPLERS])
def test_every_kind_of_the_first_form(case):
    part, sampler = FIRST_PARTS.get(case), FIRST_SAMPLERS.get(case)
    target = mlp(0).any_path(avoid="a1.h0").at([1, 3])
    inner = (target if part is None else target.part(part[1])).carries(
        Variable("half", halves), sampler=None if sampler is None else sampler[1], freeze_norm=True
    )
    output = Variable("output", everything, (Variable("half", halves),), wave)
    root = OUTPUT.carries(output, inner, unclaimed=separate(), freeze_norm=True)
    stored = first_form(part and part[0], sampler and sampler[0])
    assert Hypothesis.from_json(stored) == Hypothesis("h", "c", root, halves)


def test_the_hash_is_the_same_in_another_process():
    code = "from hypotheses.parens.original import ladder; print(ladder()[-1].hash)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == original.ladder()[-1].hash
