"""Variables and the interpretation they make up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scrubbing import OUTPUT, Dataset, Hypothesis, IllegalHypothesis, Interpretation, Variable, feature, head, mlp

DATA = Dataset({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "both": [0, 0, 0, 1]})


@feature
def first(data: Dataset) -> Any:
    return data["a"]


@feature
def second(data: Dataset) -> Any:
    return data["b"]


@feature
def conjunction(data: Dataset) -> Any:
    return data["both"]


@feature
def share(data: Dataset) -> Any:
    return data["a"] / 2


A, B = Variable("a", first), Variable("b", second)


def product(a, b):
    return a * b


def codes(variable, data=DATA):
    return list(Interpretation.of([variable], []).data_faults(data))


def test_a_value_function_is_a_feature():
    both = Variable("both", parents=(A, B), value=product)
    assert both.agrees_on()(DATA).tolist() == [0, 0, 0, 1]
    assert both.agrees_on().name == "both"
    grandchild = Variable("not", parents=(both,), value=lambda x: 1 - x)
    assert grandchild.agrees_on()(DATA).tolist() == [1, 1, 1, 0]


def test_parents_in_the_order_given():
    assert Variable("less", parents=(B, A), value=np.subtract).agrees_on()(DATA).tolist() == [0, 1, -1, 0]


def test_a_tuple_of_features_is_joint():
    assert Variable("pair", (first, second)).agrees_on().op == "joint"
    assert Variable("pair", (first, second)).bits(DATA) == 2.0
    assert A.bits(DATA) == 1.0


def test_feature_and_value_function_must_agree():
    assert Variable("both", conjunction, (A, B), product).mismatches(DATA) == 0
    wrong = Variable("both", conjunction, (A, B), np.maximum)
    assert wrong.mismatches(DATA) == 2
    assert A.mismatches(DATA) == 0
    (fault,) = codes(wrong)
    assert fault.code == "SCR-VALUE"
    assert "differ on 2 of 4" in fault.problem


def test_floats_need_a_rounding():
    (fault,) = codes(Variable("share", share))
    assert fault.code == "SCR-FLOAT"
    assert codes(Variable("share", share.rounded(0.1))) == []


def test_neither_feature_nor_value():
    with pytest.raises(IllegalHypothesis, match="SCR-FEATURE"):
        Variable("empty", parents=(A,)).agrees_on()


def test_edges_come_from_parents_and_from_the_tree_of_claims():
    """A claim below another is what the other is computed from, unless that one declares its parents."""
    both, out = Variable("both", parents=(A, B), value=product), Variable("out", conjunction)
    below = head(0, 0).direct().carries(A)
    made = Hypothesis("h", "c", OUTPUT.carries(out, mlp(1).direct().carries(both, below), mlp(0).direct().carries(B)))
    assert [v.name for v in made.interpretation.variables] == ["out", "both", "a", "b"]
    assert set(made.interpretation.edges) == {("a", "both"), ("b", "both"), ("both", "out"), ("b", "out")}
    assert set(made.interpretation.digraph.edges) == set(made.interpretation.edges)


def test_declared_parents_are_all_there_are():
    out = Variable("out", parents=(A,), value=lambda a: a)
    made = Hypothesis("h", "c", OUTPUT.carries(out, mlp(0).direct().carries(B)))
    assert made.interpretation.edges == (("a", "out"),)


def test_one_variable_below_itself_is_no_edge():
    made = Hypothesis("h", "c", OUTPUT.carries(A, mlp(0).direct().carries(A)))
    assert made.interpretation.edges == ()
    assert list(made.interpretation.faults([A])) == []


def test_faults_of_structure():
    a_again = Variable("a", second)
    (fault,) = Interpretation.of([A, a_again], []).faults([A, a_again])
    assert (fault.code, fault.where) == ("SCR-VARIABLE", "variable 'a'")
    round_ = Interpretation.of([A, B], [(A, B), (B, A)])
    (fault,) = round_.faults([A, B])
    assert fault.code == "SCR-CYCLE"
