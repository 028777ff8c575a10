"""Hypotheses by which loss recovered is fooled, and the verdict is not: the number that fools, and the word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.parens.task import task
from scrubbing import Claim, Classification, Perturb, Variable, everything, joint, node
from scrubbing.experiment.result import Result
from tests.verdict.toys import (
    ANY,
    OUT,
    Nodes,
    bits,
    claimed,
    column,
    copy,
    experiment,
    reasons,
    recovered,
    same,
    variable,
    verdict_of,
    word,
)

BITS = bits(0, 2000, "xyzw")
N = len(BITS["x"])
X, Y, Z, W = map(variable, "xyzw")


def verdict(nodes: Nodes, label: Callable[..., Any], *claims: Claim, root: Variable = OUT, **more: Any) -> Result:
    """Of claims about a graph that reads bits, and columns that are given by name; other names are settings."""
    columns = BITS | {name: more.pop(name) for name in list(more) if isinstance(more[name], np.ndarray)}
    return experiment(nodes, columns, label(**columns), **more).verdict(claimed(*claims, root=root))


def fooled(result: Result) -> bool:
    """Whether the plain score accepts it."""
    return recovered(result) >= 0.99


def verdicts(result: Result) -> tuple[str, str]:
    """The word, and what it rests on."""
    return word(result), reasons(result)[0]


AND: Nodes = {
    "a": copy("x"),
    "b": copy("y"),
    "idle": copy("z"),
    "logits": (lambda a, b, c: a * b + 0 * c, {"a": ["a"], "b": ["b"], "c": ["idle"]}),
}


def product(x: Any, y: Any, **_: Any) -> Any:
    return x * y


def a(variable: Variable) -> Claim:
    return node("a").direct().carries(variable)


def b(variable: Variable) -> Claim:
    return node("b").direct().carries(variable)


def test_what_is_true_and_no_more_is_tight() -> None:
    result = verdict(AND, product, a(X), b(Y))
    assert (word(result), reasons(result)) == ("tight", [])
    found = verdict_of(result)
    assert (found.bits, found.unneeded) == (pytest.approx(2, abs=0.01), 0)


# --- overclaims

WHOLE = Variable("whole", everything)
ALL = Variable("all", joint(*map(column, "xyzw")))


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ([node(name).direct().carries(WHOLE) for name in ("a", "b", "idle")], ("vacuous", "nothing-exchanged")),
        ([node(name).direct().carries(OUT) for name in ("a", "b")], ("undecided", "fineness?")),
        ([a(ALL), b(ALL)], ("wider or finer than needed", "finer")),
    ],
    ids=["everything matters", "whole inputs", "all that is known"],
)
def test_a_trivial_explanation(claims: list[Claim], said: tuple[str, str]) -> None:
    result = verdict(AND, product, *claims)
    assert fooled(result)
    assert verdicts(result) == said


def test_an_idle_node_that_keeps_whole_inputs() -> None:
    result = verdict(AND, product, a(WHOLE), b(Y), node("idle").direct().carries(WHOLE))
    assert fooled(result)
    assert [one.what for one in verdict_of(result).claims if one.crossed.outcome == "idle"] == ["idle directly"]


def test_a_vacuously_fine_feature() -> None:
    """`a` need not tell apart what `z` is."""
    result = verdict(AND, product, a(Variable("x and z", joint(column("x"), column("z")))), b(Y))
    assert fooled(result)
    assert verdicts(result) == ("wider or finer than needed", "finer")
    found = verdict_of(result)
    (one, _) = found.claims
    assert one.coarser is not None
    assert one.coarser.classes == [["(0, 0)", "(0, 1)"], ["(1, 0)", "(1, 1)"]]
    assert found.unneeded == pytest.approx(1, abs=0.02)


def test_a_correlated_feature() -> None:
    """`z` is `x` on 97 % of inputs: it may be claimed beside `x` at no loss, and not in its place."""
    x = BITS["x"]
    z = np.where(np.random.default_rng(5).random(N) < 0.03, 1 - x, x)
    result = verdict(AND, product, a(Variable("x and z", joint(column("x"), column("z")))), b(Y), z=z)
    assert fooled(result)
    assert word(result) == "wider or finer than needed"
    instead = verdict(AND, product, a(Z), b(Y), z=z)
    assert recovered(instead) > 0.9
    assert word(instead) == "insufficient"


# --- nodes that hide each other


def test_masked_redundancy() -> None:
    """y = a OR (b1 XOR b2), all copies of x: drawn together, b1 and b2 agree and say nothing."""
    nodes: Nodes = {
        **{name: copy("x") for name in ("a", "b1", "b2")},
        "logits": (lambda a, b, c: torch.clamp(a + (b - c).abs(), max=1.0), {"a": ["a"], "b": ["b1"], "c": ["b2"]}),
    }
    result = verdict(nodes, lambda x, **_: x, a(X))
    assert fooled(result)
    assert result.losses["mean rest"].mean() == pytest.approx(0, abs=1e-9)
    assert verdicts(result) == ("insufficient", "apart")


def test_three_redundant_copies() -> None:
    """Each alone is enough, so each alone is idle; all three are not."""
    nodes: Nodes = {
        **{f"c{i}": copy("x") for i in range(3)},
        "logits": (lambda a, b, c: ((a + b + c) > 1.5).double(), {"a": ["c0"], "b": ["c1"], "c": ["c2"]}),
    }
    result = verdict(nodes, lambda x, **_: x, *(node(f"c{i}").direct().carries(X) for i in range(3)))
    assert fooled(result)
    assert verdicts(result) == ("redundant", "redundant")


# --- losses that cancel

NOISY: Nodes = {"a": copy("x"), "b": copy("z")}


def test_cancellation_in_a_regression() -> None:
    """The model adds z to what it should say: exchanging z lets the loss fall as often as it rises."""
    nodes = NOISY | {"logits": (lambda a, b: 3 * a + b, {"a": ["a"], "b": ["b"]})}
    result = verdict(nodes, lambda x, w, **_: 3 * x + w, a(X))  # the model's z has nothing to do with it
    assert fooled(result)
    assert verdicts(result) == ("insufficient", "cancels")


def test_cancellation_in_a_classifier() -> None:
    """z moves the logits up or down, and the label does not depend on it: where x is wrong, that helps by chance."""
    nodes = NOISY | {
        "logits": (lambda a, b: torch.cat([0 * a, 6 * a - 3 + 4 * b - 2], dim=1), {"a": ["a"], "b": ["b"]}),
    }
    wrong = np.random.default_rng(3).random(N) < 0.1
    result = verdict(
        nodes, lambda x, **_: np.where(wrong, 1 - x, x).astype(np.int64), a(X), loss=Classification("label")
    )
    assert fooled(result)
    assert verdicts(result) == ("insufficient", "cancels")


# --- values and equations


def test_a_rare_value_of_which_the_hypothesis_is_wrong() -> None:
    """One input of fifty holds something else too; on average it hardly shows."""
    v = (np.random.default_rng(2).random(N) < 0.02) * 1.0
    nodes: Nodes = {
        "a": copy("x"),
        "b": (lambda v, z: v * (1 - 2 * z), {"v": ["v"], "z": ["z"]}),
        "logits": (lambda a, b: a + b, {"a": ["a"], "b": ["b"]}),
    }
    result = verdict(nodes, lambda x, v, z, **_: x + v * (1 - 2 * z), a(X), b(variable("v")), v=v)
    assert recovered(result) > 0.9
    assert word(result) == "insufficient"
    assert "values" in reasons(result)
    assert any((one.variable, one.value) == ("v", "1") for one in verdict_of(result).wrong)


def answer(equation: Callable[..., Any], *parents: Variable) -> Variable:
    """A variable for the output that says how it is computed."""
    return Variable("answer", parents=parents, value=equation)


def times(x: Any, y: Any) -> Any:
    return x * y


def test_right_values_and_equation() -> None:
    result = verdict(AND, product, a(X), b(Y), root=answer(times, X, Y))
    assert word(result) == "tight"
    run = verdict_of(result).interpretation
    assert run is not None
    assert (run.label, run.model) == (1.0, 1.0)
    assert {one.variable: one.share for one in run.nodes} == {"x": 1.0, "y": 1.0}


@pytest.mark.parametrize(
    ("inside", "outside"),
    [(lambda x: 1 - x, lambda a: 1 - a), (lambda x: 3 * x, lambda a: a / 3)],
    ids=["inverted", "tripled"],
)
def test_wrong_values_in_the_right_partition(inside: Any, outside: Any) -> None:
    nodes: Nodes = {**AND, "a": (inside, {"x": ["x"]}), "logits": (lambda a, b, c: outside(a) * b, AND["logits"][1])}
    result = verdict(nodes, product, a(X), b(Y), root=answer(times, X, Y))
    assert fooled(result)
    assert verdicts(result) == ("wrong values", "wrong values")


def test_a_wrong_equation() -> None:
    """Where x and y are never both 1, OR and XOR are the same on the data; set one by one, they are not."""
    both = (BITS["x"] == 1) & (BITS["y"] == 1)
    columns = {name: values[~both] for name, values in BITS.items()}
    nodes: Nodes = {**AND, "logits": (lambda a, b, c: (a - b).abs(), AND["logits"][1])}
    made = experiment(nodes, columns, columns["x"] + columns["y"])
    wrong, right = (
        made.verdict(claimed(a(X), b(Y), root=answer(equation, X, Y)))
        for equation in (lambda x, y: np.minimum(x + y, 1), lambda x, y: np.abs(x - y))
    )
    assert fooled(wrong)
    assert word(wrong) == "wrong values"
    assert word(right) == "tight"


def test_a_wrong_output_equation() -> None:
    """An output variable whose equation is not the label's: agreement alone never looks at it."""
    result = verdict(AND, product, a(X), b(Y), root=answer(lambda x, y: 1 - x * y, X, Y))
    assert fooled(result)
    assert verdicts(result) == ("wrong values", "wrong values")
    run = verdict_of(result).interpretation
    assert run is not None
    assert run.label == 0.0


# --- what the data never vary

CONFOUNDED: Nodes = {
    "a": copy("z"),
    "b": copy("y"),
    "logits": (lambda a, b: a * b, {"a": ["a"], "b": ["b"]}),
}
APART = Perturb("z apart from x", lambda data, uniform: {"z": np.round(uniform(1)[:, 0])})


def test_a_confound_off_the_data() -> None:
    """z is x on every input, and the model reads z: that it reads x is seen only where the two are taken apart."""
    on_data, beside, right = (
        verdict(CONFOUNDED, product, a(claim), b(Y), z=BITS["x"], perturbations=declared)
        for claim, declared in ((X, []), (X, [APART]), (Z, [APART]))
    )
    assert fooled(on_data)
    assert word(on_data) == "tight"  # what is not declared is not seen
    assert fooled(beside)
    assert verdicts(beside) == ("insufficient", "perturbed")
    assert (word(right), reasons(right)) == ("tight", [])


def test_a_value_that_the_data_never_take() -> None:
    """The model squares x, which is 0 or 1 on the data; that it copies x is seen only where x is 2."""
    nodes: Nodes = {**AND, "logits": (lambda a, b, c: a * a * b, AND["logits"][1])}
    two = Perturb("x = 2", lambda data, uniform: {"x": np.full(len(data), 2.0)})
    copied, squared = (
        verdict(nodes, product, a(X), b(Y), root=answer(equation, X, Y), perturbations=[two])
        for equation in (times, lambda x, y: x * x * y)
    )
    assert fooled(copied)
    assert verdicts(copied) == ("wrong values", "perturbed values")
    assert word(squared) == "tight"


# --- worse than knowing nothing


def test_a_score_worse_than_a_constant() -> None:
    """Confident and wrong on one input of ten: four fifths of the null recovered, and worse than the base rate."""
    u = (np.random.default_rng(4).random(N) < 0.05) * 1.0
    nodes: Nodes = {
        "a": copy("x"),
        "b": copy("u"),
        "logits": (lambda a, b: torch.cat([0 * a, 40 * (a - b).abs() - 20], dim=1), {"a": ["a"], "b": ["b"]}),
    }
    result = verdict(nodes, lambda x, u, **_: (x != u).astype(np.int64), a(X), u=u, loss=Classification("label"))
    assert recovered(result) > 0.75
    assert recovered(result, "constant") < 0
    assert verdicts(result) == ("insufficient", "loses")


@pytest.mark.original
@pytest.mark.slow
@pytest.mark.parametrize("rung", ["3a", "3b"])
def test_a_published_rung_worse_than_a_constant(rung: str, original_folder: Path) -> None:
    """Over half of the null recovered, as published; and worse than always predicting the base rate."""
    of = task.variant("redwood", original_folder)
    result = of.experiment(references=1000, baselines=["null", "constant"], controls=()).verdict(of.rung(rung))
    assert recovered(result) > 0.5
    assert recovered(result, "constant") < 0
    assert word(result) == "insufficient"


# --- where there is nothing to find


def test_a_model_that_is_no_better_than_the_constant() -> None:
    result = verdict({"a": copy("x"), "logits": (same, {"a": ["a"]})}, lambda w, **_: w, a(X))
    assert word(result) == "nothing to explain"


def test_claims_of_anything_are_vacuous() -> None:
    assert word(verdict(AND, product, a(ANY))) == "vacuous"


def test_what_is_undecided_says_so() -> None:
    """A claim that costs the margin: crossing z costs k^2, of a gap of 3/8 + k^2 / 2, and labels are noisy."""
    k = (0.01 * 0.375 / 0.995) ** 0.5
    nodes: Nodes = {**AND, "logits": (lambda a, b, c: a * b + k * c, AND["logits"][1])}
    noise = 0.5 * np.random.default_rng(1).normal(size=N)
    result = verdict(nodes, lambda x, y, z, **_: x * y + k * z + noise, a(X), b(Y), node("idle").direct().carries(Z))
    assert (word(result), reasons(result)) == ("undecided", ["claims?"])
    assert [one.crossed.outcome for one in verdict_of(result).claims] == ["needed", "needed", "undecided"]
