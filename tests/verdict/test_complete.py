"""What is left without the mechanism: shares worked out by hand, and the oracle's draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import (
    OUTPUT,
    Claim,
    Experiment,
    Hypothesis,
    NoFraction,
    RunRecord,
    Variable,
    head,
    mlp,
    node,
    reads,
)
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.experiment.verdict.complete import _chosen, _without
from scrubbing.experiment.verdict.runs import ALL_EXACT
from scrubbing.hypothesis.legality import legal
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.records.beyond import CompleteRecord
from scrubbing.report.terminal import record_view, verdict_view
from scrubbing.samplers import exact
from scrubbing.testing import Oracle, ProtocolNodes, expected_output
from scrubbing.testing.random_hypotheses import halves, thirds
from tests.verdict.toys import ANY, OUT, Nodes, bits, claimed, copy, experiment, same, shown, variable

X, Y, Z = map(variable, "xyz")
COPIES: Nodes = {"a": copy("x"), "b": copy("y"), "copy": copy("x")}


def on_bits(label: Callable[..., Any], nodes: Nodes) -> Experiment:
    columns = bits(0, 4000, "xyz")
    return experiment(nodes, columns, label(**columns))


def completed(label: Callable[..., Any], nodes: Nodes, *claims: Claim) -> CompleteRecord:
    made = on_bits(label, nodes)
    found = made.complete(made.run(claimed(*claims)))
    assert found is not None
    return found


def holds(number: Any, value: float) -> bool:
    """Whether one-sided 99.9 % bounds, about twice as far out as those of 95 %, hold a value."""
    return abs(number.value - value) <= 3.1 * number.se + 1e-12


AND: Nodes = COPIES | {"out": (lambda a, b: a * b, {"a": ["a"], "b": ["b"]})}
CLAIM_A, CLAIM_B = node("a").direct().carries(X), node("b").direct().carries(Y)


def test_nothing_is_left_without_a_complete_mechanism() -> None:
    """What is removed holds the input of the null, so losses are the null's own, draw by draw. At its mean, a is 1/2
    and b is 1/2, and the output 1/4 always: the constant prediction, which recovers half of the null's 2 p (1 - p).
    """
    found = completed(lambda x, y, **_: x * y, AND, CLAIM_A, CLAIM_B)
    for left in (found.paths, found.nodes):
        assert (left.value, left.low) == (0, 0)
        assert left.high is not None
        assert left.high < 0.01
    assert found.constant is not None
    assert found.mean.value == pytest.approx(found.constant.value, abs=0.05)
    assert holds(found.mean, 0.5)


def test_what_is_left_to_an_unclaimed_half_of_an_and() -> None:
    """With y exact and x' any, the error (x' - x)^2 y is 1/4; of the null's 2 * 1/4 * 3/4 = 3/8 that is two thirds.
    At its mean, a is 1/2: 1/4 y, an eighth of loss, a third of the null's.
    """
    found = completed(lambda x, y, **_: x * y, AND, CLAIM_A)
    assert holds(found.paths, 1 / 3)
    assert holds(found.mean, 2 / 3)
    (removed,) = found.removed
    assert removed.claims == []
    assert holds(removed.model, 1 / 3)
    assert holds(removed.hypothesis, 0)  # a and b are both another input's, each its own: no error less than the null's
    assert holds(removed.difference, 1 / 3)


def test_a_parallel_copy_shows_where_the_mechanism_is_resampled() -> None:
    """max(a, copy), a resampled: wrong only where x = 0 and x' = 1, a quarter; the null is wrong on a half."""
    nodes = COPIES | {"out": (lambda a, c: torch.maximum(a, c), {"a": ["a"], "c": ["copy"]})}
    found = completed(lambda x, **_: x, nodes, CLAIM_A)
    assert holds(found.paths, 1 / 2)


def test_a_backup_that_waits_for_trouble_shows_at_the_mean_only() -> None:
    """The copy counts only where a is no bit. Another input's a is one, a's mean is none."""

    def backed(a: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return torch.where((a == 0) | (a == 1), a, c)

    found = completed(lambda x, **_: x, COPIES | {"out": (backed, {"a": ["a"], "c": ["copy"]})}, CLAIM_A)
    assert (found.paths.value, found.mean.value) == (0, 1)
    assert found.constant is not None
    assert found.constant.value < 0.6


def test_paths_and_nodes_differ_where_a_claimed_node_reads_more_than_is_claimed() -> None:
    """out = both = a + copy, label 2 x; claimed is both, below it a. The null loses 2 Var(2 x) = 2, the model without
    the path (x' - x)^2 = 1/2, and without the node all.
    """
    nodes: Nodes = COPIES | {
        "both": (lambda a, c: a + c, {"a": ["a"], "c": ["copy"]}),
        "out": (same, {"both": ["both"]}),
    }
    found = completed(lambda x, **_: 2 * x, nodes, node("both").direct().carries(X, node("a").direct().carries(X)))
    assert holds(found.paths, 3 / 4)
    assert found.nodes.value == 0


def test_each_claim_removed_from_model_and_hypothesis() -> None:
    """x + y + z, x and y claimed, null 3/2. Without x the model loses 1/2 and the scrub 1/2 + 1/2, for x and z."""
    nodes = COPIES | {
        "c": copy("z"),
        "out": (lambda a, b, c: a + b + c, {"a": ["a"], "b": ["b"], "c": ["c"]}),
    }
    found = completed(lambda x, y, z: x + y + z, nodes, CLAIM_A, CLAIM_B)
    assert [one.claims for one in found.removed] == [["a directly"], ["b directly"], []]
    for one, model, hypothesis in zip(found.removed, (2 / 3, 2 / 3, 1 / 3), (1 / 3, 1 / 3, 0), strict=True):
        assert holds(one.model, model)
        assert holds(one.hypothesis, hypothesis)
        assert holds(one.difference, 1 / 3)
        assert one.difference.value == pytest.approx(one.model.value - one.hypothesis.value, abs=1e-9)


def test_claims_of_nothing_are_no_part_of_the_mechanism() -> None:
    nothing = node("b").direct().carries(ANY)
    assert completed(lambda x, y, **_: x * y, AND, CLAIM_A, nothing).paths.value > 0.2
    made = on_bits(lambda x, y, **_: x * y, AND)
    assert made.complete(made.run(claimed(nothing))) is None


def test_a_model_that_is_no_better_than_the_null() -> None:
    made = on_bits(lambda z, **_: z, AND)
    with pytest.raises(NoFraction, match="SCR-FRACTION"):
        made.complete(made.run(claimed(CLAIM_A)))


def test_sets_of_claims() -> None:
    few = _chosen([1, 2, 3], 8, seed=0)
    assert sorted(few) == [(1,), (1, 2), (1, 2, 3), (1, 3), (2,), (2, 3), (3,)]
    many = _chosen(range(1, 31), 8, seed=0)
    assert len(set(many)) == len(many) == 30 + 8 + 1
    assert many == _chosen(range(1, 31), 8, seed=0) != _chosen(range(1, 31), 8, seed=1)
    assert _chosen([4], 8, seed=0) == [(4,)]


def test_the_verdict_records_and_shows_it() -> None:
    made = on_bits(lambda x, y, **_: x * y, AND)
    result = made.verdict(claimed(CLAIM_A))
    record = RunRecord.model_validate_json(result.record().model_dump_json())
    assert record.tested is not None
    assert record.tested.complete is not None
    assert holds(record.tested.complete.paths, 1 / 3)
    for view in (verdict_view, record_view):
        assert "Without what is claimed, the model still recovers" in shown(view(record))


@pytest.mark.parametrize("case", ["one target", "part of a bundle", "a slot", "all"])
def test_removed_claims_are_those_that_carry_nothing_where_the_rest_is_exact(case: str, tiny_model: Any) -> None:
    """Against an enumeration of the hypothesis that says so, all that is removed holding one input."""
    model = tiny_model("native classifier")
    data = random_inputs(VOCABULARY, 3, padded=True, n=5, seed=4)
    half, third = Variable("half", halves), Variable("third", thirds)
    below = reads("v").carries(third)
    first = (head(1, 0).direct() | mlp(0).direct()) if case == "part of a bundle" else head(1, 0).direct()
    made = Hypothesis(
        "h", "As claimed.", OUTPUT.carries(OUT, first.carries(half, below), mlp(1).direct().carries(third))
    )
    engine = Engine(model, data, fixed((0, 1, 2)))
    tree = legal(made, engine.graph, data)
    regions = {"a slot": [2], "all": [1, 3]}.get(case, [1])
    gone = {
        "a slot": [head(1, 0).direct().carries(OUT, reads("v").carries(ANY), unclaimed=exact)],
        "all": [first.carries(ANY, group="removed"), mlp(1).direct().carries(ANY, group="removed")],
    }.get(case, [first.carries(ANY)])
    wanted = Hypothesis("w", "Removed.", OUTPUT.carries(OUT, *gone, unclaimed=exact))
    names = [tree.regions[one].path for one in regions]
    compiled = engine.compile(tree, _without(tree, ALL_EXACT, regions))
    sampled = engine.outputs(compiled, np.array([1]), draws=1500, seed=0)[:, 0, 0, 0].double().numpy()
    oracle = Oracle(ProtocolNodes(model), engine.graph, data, model)
    exactly = expected_output(oracle, wanted, 1, lambda output: float(output[0, 0]))
    assert sampled.std() > 0, names
    assert abs(sampled.mean() - exactly) < 4 * sampled.std(ddof=1) / np.sqrt(len(sampled)) + 1e-6


def test_removed_together_is_the_input_of_the_null(tiny_model: Any) -> None:
    """All that the output reads, removed: what is left is the output of the null, draw by draw."""
    model = tiny_model("native classifier")
    data = random_inputs(VOCABULARY, 3, padded=False, n=6, seed=4)
    engine = Engine(model, data, fixed((0, 1, 2)))
    made = Hypothesis("h", "As claimed.", OUTPUT.carries(OUT, reads().carries(Variable("half", halves))))
    tree = legal(made, engine.graph, data)
    removed, null = (
        engine.outputs(engine.compile(tree, mode), np.arange(6), draws=3, seed=0)
        for mode in (_without(tree, ALL_EXACT, [1]), replace(ALL_EXACT, output="another"))
    )
    assert torch.allclose(removed, null, atol=1e-6)
