"""Hypotheses by which loss recovered is fooled, and the verdict is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import (
    OUTPUT,
    Claim,
    Dataset,
    Experiment,
    Feature,
    Hypothesis,
    SquaredError,
    ToyModel,
    Variable,
    anything,
    everything,
    feature,
    joint,
    node,
)
from scrubbing.experiment.result import Result

Nodes = Mapping[str, tuple[Callable[..., torch.Tensor], Mapping[str, Sequence[str]]]]

BITS = np.random.default_rng(0).integers(0, 2, (2000, 4))


def bit(name: str) -> Feature:
    def compute(data: Dataset) -> Any:
        return data[name].astype(np.int64)

    return Feature(name, compute=compute)


X, Y, Z, W = (Variable(name, bit(name)) for name in "xyzw")
OUT = Variable("output", everything)


def same(**read: torch.Tensor) -> torch.Tensor:
    (value,) = read.values()
    return value


def data(label: Callable[..., Any], noise: float = 0.0, **more: Any) -> Dataset:
    columns = dict(zip("xyzw", BITS.T.astype(np.float64), strict=True)) | more
    shift = noise * np.random.default_rng(1).normal(size=len(BITS))
    return Dataset(columns | {"label": label(**columns) + shift}, name="bits")


def verdict(nodes: Nodes, inputs: Dataset, *claims: Claim, sources: str = "xyzw") -> Result:
    model = ToyModel({name: name for name in sources}, nodes)
    hypothesis = Hypothesis("toy", "As claimed.", OUTPUT.carries(OUT, *claims))
    return Experiment(model, inputs, SquaredError("label"), references=1000).verdict(hypothesis)


def word(result: Result) -> str:
    assert result.tested is not None
    return result.tested.word


def reasons(result: Result) -> list[str]:
    assert result.tested is not None
    return result.tested.reasons


def recovered(result: Result) -> float:
    model, scrubbed, null = (result.losses[name].mean() for name in ("model", "scrubbed", "null"))
    return float(1 - (scrubbed - model) / (null - model))


def fooled(result: Result, least: float = 0.99) -> bool:
    return recovered(result) >= least


AND: Nodes = {
    "a": (same, {"x": ["x"]}),
    "b": (same, {"y": ["y"]}),
    "idle": (same, {"z": ["z"]}),
    "logits": (lambda a, b, c: a * b + 0 * c, {"a": ["a"], "b": ["b"], "c": ["idle"]}),
}
PRODUCT = data(lambda x, y, **_: x * y)


def a(variable: Variable, *below: Claim) -> Claim:
    return node("a").direct().carries(variable, *below)


def b(variable: Variable, *below: Claim) -> Claim:
    return node("b").direct().carries(variable, *below)


def test_what_is_true_and_no_more_is_tight() -> None:
    result = verdict(AND, PRODUCT, a(X), b(Y))
    assert (word(result), reasons(result)) == ("tight", [])
    assert result.tested is not None
    assert (result.tested.bits, result.tested.unneeded) == (pytest.approx(2, abs=0.01), 0)


WHOLE = Variable("whole", everything)
ALL = Variable("all", joint(*(variable.agrees_on() for variable in (X, Y, Z, W))))


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
    result = verdict(AND, PRODUCT, *claims)
    assert fooled(result)
    assert (word(result), reasons(result)[0]) == said


def test_an_idle_node_that_keeps_whole_inputs() -> None:
    result = verdict(AND, PRODUCT, a(WHOLE), b(Y), node("idle").direct().carries(WHOLE))
    assert result.tested is not None
    assert [one.what for one in result.tested.claims if one.crossed.outcome == "idle"] == ["idle directly"]


def test_a_vacuously_fine_feature() -> None:
    """`a` need not tell apart what `z` is."""
    result = verdict(AND, PRODUCT, a(Variable("x and z", joint(X.agrees_on(), Z.agrees_on()))), b(Y))
    assert fooled(result)
    assert (word(result), reasons(result)[0]) == ("wider or finer than needed", "finer")
    assert result.tested is not None
    (one, _) = result.tested.claims
    assert one.coarser is not None
    assert one.coarser.classes == [["(0, 0)", "(0, 1)"], ["(1, 0)", "(1, 1)"]]
    assert result.tested.unneeded == pytest.approx(1, abs=0.02)


def test_a_correlated_feature() -> None:
    """`z` is `x` on 97 % of inputs: it may be claimed beside `x` at no loss, and not in its place."""
    z = np.where(np.random.default_rng(5).random(len(BITS)) < 0.03, 1 - BITS[:, 0], BITS[:, 0]).astype(np.float64)
    inputs = data(lambda x, y, **_: x * y, z=z)
    result = verdict(AND, inputs, a(Variable("x and z", joint(X.agrees_on(), Z.agrees_on()))), b(Y))
    assert fooled(result)
    assert word(result) == "wider or finer than needed"
    assert word(verdict(AND, inputs, a(Z), b(Y))) == "insufficient"


MASKED: Nodes = {
    "a": (same, {"x": ["x"]}),
    "b1": (same, {"x": ["x"]}),
    "b2": (same, {"x": ["x"]}),
    "logits": (
        lambda a, b, c: torch.clamp(a + (b - c).abs(), max=1.0),
        {"a": ["a"], "b": ["b1"], "c": ["b2"]},
    ),
}


def test_masked_redundancy() -> None:
    """y = a OR (b1 XOR b2), all copies of x: drawn together, b1 and b2 agree and say nothing."""
    result = verdict(MASKED, data(lambda x, **_: x), a(X))
    assert fooled(result)
    assert result.losses["mean rest"].mean() == pytest.approx(0, abs=1e-9)
    assert (word(result), reasons(result)[0]) == ("insufficient", "apart")


def test_three_redundant_copies() -> None:
    """Each alone is enough, so each alone is idle; all three are not."""
    nodes: Nodes = {
        **{f"c{i}": (same, {"x": ["x"]}) for i in range(3)},
        "logits": (lambda a, b, c: torch.clamp(a + b + c, max=1.0) * 0 + ((a + b + c) > 1.5).double(),
                   {"a": ["c0"], "b": ["c1"], "c": ["c2"]}),
    }  # fmt: skip
    result = verdict(nodes, data(lambda x, **_: x), *(node(f"c{i}").direct().carries(X) for i in range(3)))
    assert fooled(result)
    assert (word(result), reasons(result)[0]) == ("redundant", "redundant")


def test_cancellation_in_a_regression() -> None:
    """The model adds z to what it should say: exchanging z lets the loss fall as often as it rises."""
    nodes: Nodes = {
        "a": (same, {"x": ["x"]}),
        "b": (same, {"z": ["z"]}),
        "logits": (lambda a, b: 3 * a + b, {"a": ["a"], "b": ["b"]}),
    }
    inputs = data(lambda x, w, **_: 3 * x + w)  # the model's z has nothing to do with it
    result = verdict(nodes, inputs, a(X))
    assert fooled(result)
    assert (word(result), reasons(result)[0]) == ("insufficient", "cancels")


def test_a_rare_value_of_which_the_hypothesis_is_wrong() -> None:
    """One value of ten holds something else too; on average it hardly shows."""
    v = (np.random.default_rng(2).random(len(BITS)) < 0.02) * 1.0
    inputs = data(lambda x, v, z, **_: x + v * (1 - 2 * z), v=v)
    nodes: Nodes = {
        "a": (same, {"x": ["x"]}),
        "b": (lambda v, z: v * (1 - 2 * z), {"v": ["v"], "z": ["z"]}),
        "logits": (lambda a, b: a + b, {"a": ["a"], "b": ["b"]}),
    }
    result = verdict(nodes, inputs, a(X), b(Variable("v", bit("v"))), sources="xzv")
    assert recovered(result) > 0.9
    assert word(result) == "insufficient"
    assert "values" in reasons(result)
    assert result.tested is not None
    assert any((one.variable, one.value) == ("v", "1") for one in result.tested.wrong)


# --- values and equations


def executable(equation: Callable[..., Any], **parents: Variable) -> Variable:
    def computed(*values: Any) -> Any:
        return equation(**dict(zip(parents, values, strict=True)))

    return Variable("answer", None, tuple(parents.values()), computed)


def run(nodes: Nodes, inputs: Dataset, root: Variable, *claims: Claim) -> Result:
    model = ToyModel({name: name for name in "xyzw"}, nodes)
    hypothesis = Hypothesis("toy", "As claimed.", OUTPUT.carries(root, *claims))
    return Experiment(model, inputs, SquaredError("label"), references=1000).verdict(hypothesis)


def test_right_values_and_equation() -> None:
    result = run(AND, PRODUCT, executable(lambda x, y: x * y, x=X, y=Y), a(X), b(Y))
    assert word(result) == "tight"
    assert result.tested is not None
    assert result.tested.interpretation is not None
    assert (result.tested.interpretation.label, result.tested.interpretation.model) == (1.0, 1.0)
    assert {one.variable: one.share for one in result.tested.interpretation.nodes} == {"x": 1.0, "y": 1.0}


@pytest.mark.parametrize(
    ("inside", "outside"),
    [(lambda x: 1 - x, lambda a: 1 - a), (lambda x: 3 * x, lambda a: a / 3)],
    ids=["inverted", "tripled"],
)
def test_wrong_values_in_the_right_partition(inside: Any, outside: Any) -> None:
    nodes: Nodes = {**AND, "a": (inside, {"x": ["x"]}), "logits": (lambda a, b, c: outside(a) * b, AND["logits"][1])}
    result = run(nodes, PRODUCT, executable(lambda x, y: x * y, x=X, y=Y), a(X), b(Y))
    assert fooled(result)
    assert word(result) == "wrong values"


def test_a_wrong_equation() -> None:
    """Where x and y are never both 1, OR and XOR are the same on the data; set one by one, they are not."""
    kept = ~((BITS[:, 0] == 1) & (BITS[:, 1] == 1))
    columns = dict(zip("xyzw", BITS[kept].T.astype(np.float64), strict=True))
    inputs = Dataset(columns | {"label": columns["x"] + columns["y"]}, name="never both")
    nodes: Nodes = {**AND, "logits": (lambda a, b, c: (a - b).abs(), AND["logits"][1])}
    claims = a(X), b(Y)
    wrong = run(nodes, inputs, executable(lambda x, y: np.minimum(x + y, 1), x=X, y=Y), *claims)
    assert fooled(wrong)
    assert word(wrong) == "wrong values"
    right = run(nodes, inputs, executable(lambda x, y: np.abs(x - y), x=X, y=Y), *claims)
    assert word(right) == "tight"


def test_the_root_is_compared_with_label_and_model() -> None:
    """An output variable whose equation is not the label's: agreement alone never looks at it."""
    result = run(AND, PRODUCT, executable(lambda x, y: 1 - x * y, x=X, y=Y), a(X), b(Y))
    assert fooled(result)
    assert result.tested is not None
    assert result.tested.interpretation is not None
    assert result.tested.interpretation.label == 0.0
    assert word(result) == "wrong values"


# --- where there is nothing to find


def test_a_model_that_is_no_better_than_the_constant() -> None:
    result = verdict({"a": (same, {"x": ["x"]}), "logits": (lambda a: a, {"a": ["a"]})}, data(lambda w, **_: w), a(X))
    assert word(result) == "nothing to explain"


def test_claims_of_anything_are_vacuous() -> None:
    result = verdict(AND, PRODUCT, a(Variable("anything", anything)))
    assert word(result) == "vacuous"


@feature
def parity(inputs: Dataset) -> Any:
    return (inputs["x"] + inputs["z"]) % 2


def test_what_is_undecided_says_so() -> None:
    """A claim that costs the margin: crossing z costs k^2, of a gap of 3/8 + k^2 / 2, and labels are noisy."""
    k = (0.01 * 0.375 / 0.995) ** 0.5
    nodes: Nodes = {**AND, "logits": (lambda a, b, c: a * b + k * c, AND["logits"][1])}
    inputs = data(lambda x, y, z, **_: x * y + k * z, noise=0.5)
    result = verdict(nodes, inputs, a(X), b(Y), node("idle").direct().carries(Z))
    assert (word(result), reasons(result)) == ("undecided", ["claims?"])
    assert result.tested is not None
    assert [one.crossed.outcome for one in result.tested.claims] == ["needed", "needed", "undecided"]
