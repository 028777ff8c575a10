"""Toy graphs whose scrubbed losses are worked out by hand in each docstring.

All inputs are the four pairs of bits (x, y), each equally likely. The oracle's enumeration must give the number
exactly, the engine's sample must agree with it within sampling error.
"""

from __future__ import annotations

import itertools
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
    Hypothesis,
    SquaredError,
    ToyModel,
    Variable,
    anything,
    everything,
    feature,
    node,
    reads,
)
from scrubbing.samplers import agree, exact, separate
from scrubbing.testing import Oracle, ProtocolNodes, expected_output

Nodes = Mapping[str, tuple[Callable[..., torch.Tensor], Mapping[str, Sequence[str]]]]

OUT = Variable("output", everything)
ANY = Variable("anything", anything)


@feature
def bit_x(data: Dataset) -> Any:
    return data["x"] == 1


@feature
def bit_y(data: Dataset) -> Any:
    return data["y"] == 1


X, Y = Variable("x", bit_x), Variable("y", bit_y)


def bits(label: Callable[[Any, Any], Any], copies: int = 1) -> Dataset:
    pairs = np.array(list(itertools.product((0, 1), repeat=2)) * copies, dtype=np.float64)
    x, y = pairs.T
    return Dataset({"x": x, "y": y, "label": label(x, y)}, name="bits")


def scrubbed_loss(nodes: Nodes, data: Dataset, claims: Claim, sources: Sequence[str] = ("x", "y")) -> float:
    """The exact expected loss, after checking that the engine's sample agrees with it."""
    model = ToyModel({name: name for name in sources}, nodes)
    hypothesis = Hypothesis("toy", "worked by hand", claims)
    oracle = Oracle(ProtocolNodes(model), model.graph(data), data, model)
    total = 0.0
    for row in range(len(data)):
        target = float(data["label"][row])
        total += expected_output(oracle, hypothesis, row, lambda out, t=target: (float(out[0, 0]) - t) ** 2) / len(data)
    options = {"references": None, "draws": 400, "baselines": False}
    result = Experiment(model, data, SquaredError(), **options).run(hypothesis)  # pyright: ignore[reportArgumentType]
    sampled = result.losses["scrubbed"]
    error = sampled.std(axis=1, ddof=1).mean() / np.sqrt(sampled.size)
    assert abs(sampled.mean() - total) <= 5 * error + 1e-9
    return total


SUM: Nodes = {"logits": (lambda a, b: a + b, {"a": ["x"], "b": ["y"]})}
RESIDUAL: Nodes = {"logits": (lambda x: x, {"x": ["x", "y"]})}
AND: Nodes = {
    "both": (lambda a, b: a * b, {"a": ["x"], "b": ["y"]}),
    "logits": (lambda a: a, {"a": ["both"]}),
}


@pytest.mark.parametrize("nodes", [SUM, RESIDUAL], ids=["two slots", "one residual slot"])
def test_half_of_a_sum(nodes: Nodes) -> None:
    """x claimed, y resampled: the error is (y - y')^2, one half of the time 1, so 0.5."""
    claims = OUTPUT.carries(OUT, node("x").direct().carries(X))
    assert scrubbed_loss(nodes, bits(lambda x, y: x + y), claims) == pytest.approx(0.5)


def test_whole_sum() -> None:
    """Both claimed: nothing is lost."""
    claims = OUTPUT.carries(OUT, node("x").direct().carries(X), node("y").direct().carries(Y))
    assert scrubbed_loss(SUM, bits(lambda x, y: x + y), claims) == pytest.approx(0.0)


def test_nothing_of_a_sum() -> None:
    """The whole input resampled: the error is (s - s')^2 for two independent sums, 2 Var(s) = 2 * 1/2 = 1."""
    claims = OUTPUT.carries(OUT, reads().carries(ANY))
    assert scrubbed_loss(SUM, bits(lambda x, y: x + y), claims) == pytest.approx(1.0)


def test_swapped_variables() -> None:
    """x claimed to carry y and y to carry x: what arrives is an x' and y' unrelated to x and y but uniform, so 2
    Var(s) = 1.
    """
    claims = OUTPUT.carries(OUT, node("x").direct().carries(Y), node("y").direct().carries(X))
    assert scrubbed_loss(SUM, bits(lambda x, y: x + y), claims) == pytest.approx(1.0)


def test_right_feature_of_an_intermediate() -> None:
    """`both` claimed by its own value: any input agreeing on x AND y gives the same output."""

    @feature
    def conjunction(data: Dataset) -> Any:
        return (data["x"] * data["y"]) == 1

    claims = OUTPUT.carries(OUT, node("both").direct().carries(Variable("and", conjunction)))
    assert scrubbed_loss(AND, bits(lambda x, y: x * y), claims) == pytest.approx(0.0)


def test_one_input_of_a_conjunction() -> None:
    """`both` on an input agreeing on x AND y, its y resampled: the output is (x' of that input) * y''.

    If x AND y (1/4): x' = 1, output y'', wrong half the time: 1/2. Otherwise x' is 1 in one of three inputs, output
    1/2 of the time then: 1/6. Together 1/4 * 1/2 + 3/4 * 1/6 = 1/4.
    """

    @feature
    def conjunction(data: Dataset) -> Any:
        return (data["x"] * data["y"]) == 1

    inner = node("x").direct().carries(X)
    claims = OUTPUT.carries(OUT, node("both").direct().carries(Variable("and", conjunction), inner))
    assert scrubbed_loss(AND, bits(lambda x, y: x * y), claims) == pytest.approx(0.25)


CANCELLING: Nodes = {
    "plus": (lambda a, b: a + 3 * b, {"a": ["x"], "b": ["y"]}),
    "minus": (lambda b: -3 * b, {"b": ["y"]}),
    "logits": (lambda x: x, {"x": ["plus", "minus"]}),
}


def test_cancelling_intermediates_are_found() -> None:
    """The model computes x, through two nodes whose 3y cancel. Claiming only x in each lets the y's differ.

    plus(x, y') + minus(y'') = x + 3 (y' - y''): the error is 9 E[(y' - y'')^2] = 4.5, though the plain model is
    perfect.
    """
    claims = OUTPUT.carries(OUT, node("plus").direct().carries(X), node("minus").direct().carries(X))
    assert scrubbed_loss(CANCELLING, bits(lambda x, y: x), claims) == pytest.approx(4.5)


def test_cancelling_intermediates_on_one_draw() -> None:
    """The same claim on one shared draw: y' = y'', and they cancel again."""
    claims = OUTPUT.carries(OUT, (node("plus").direct() | node("minus").direct()).carries(X))
    assert scrubbed_loss(CANCELLING, bits(lambda x, y: x), claims) == pytest.approx(0.0)


def test_unclaimed_together_and_separately() -> None:
    """Nothing claimed of plus + minus: together the 3y cancel, leaving (x - x')^2 = 1/2; separately 1/2 + 4.5 = 5."""
    data = bits(lambda x, y: x)
    shared = OUTPUT.carries(OUT, reads().carries(ANY))
    assert scrubbed_loss(CANCELLING, data, shared) == pytest.approx(0.5)
    apart = OUTPUT.carries(OUT, node("x").via("plus").carries(X), unclaimed=separate())
    assert scrubbed_loss(CANCELLING, data, apart) == pytest.approx(4.5)


def test_unclaimed_by_a_feature_and_exact() -> None:
    """y unclaimed but drawn among inputs agreeing on y, or kept: nothing is lost."""
    data = bits(lambda x, y: x + y)
    for rule in (agree(bit_y), exact):
        claims = OUTPUT.carries(OUT, node("x").direct().carries(X), unclaimed=rule)
        assert scrubbed_loss(SUM, data, claims) == pytest.approx(0.0)


def test_exclude_self_on_a_group_of_two() -> None:
    """y drawn among the others that agree on x: always the other y, so the error is always 1."""
    claims = OUTPUT.carries(OUT, node("x").direct().carries(X), node("y").direct().carries(X, exclude_self=True))
    assert scrubbed_loss(SUM, bits(lambda x, y: x + y), claims) == pytest.approx(1.0)


def test_correlated_data_hide_a_wrong_claim() -> None:
    """Where y always equals x, claiming that y carries x loses nothing: the method cannot tell them apart on these
    data.
    """
    pairs = np.array([0.0, 1.0])
    data = Dataset({"x": pairs, "y": pairs, "label": 2 * pairs})
    claims = OUTPUT.carries(OUT, node("x").direct().carries(X), node("y").direct().carries(X))
    assert scrubbed_loss(SUM, data, claims) == pytest.approx(0.0)


def test_tiny_deviation_stays_tiny() -> None:
    """The model adds 0.01 y to x; leaving y out costs 0.01^2 E[(y - y')^2] = 0.00005."""
    nodes: Nodes = {"logits": (lambda a, b: a + 0.01 * b, {"a": ["x"], "b": ["y"]})}
    data = bits(lambda x, y: x + 0.01 * y)
    claims = OUTPUT.carries(OUT, node("x").direct().carries(X))
    assert scrubbed_loss(nodes, data, claims) == pytest.approx(5e-5)


SHARED_NODE: Nodes = {
    "square": (lambda a: a * a, {"a": ["x"]}),
    "sum": (lambda a, b: a + b, {"a": ["square"], "b": ["x"]}),
    "logits": (lambda x: x, {"x": ["sum", "square"]}),
}


def test_one_node_on_two_paths_holds_two_inputs() -> None:
    """logits = (x^2 + x) + x^2. Claimed: `square` by the direct path only, carrying x.

    The copy inside `sum` is unclaimed, as is x there: sum' = 2x' for bits. Output x + 2x' against 3x: 4 (x - x')^2 = 2.
    """
    data = bits(lambda x, y: 3 * x)
    claims = OUTPUT.carries(OUT, node("square").direct().carries(X))
    assert scrubbed_loss(SHARED_NODE, data, claims, sources=("x",)) == pytest.approx(2.0)


def test_any_path_reaches_both_copies() -> None:
    """`square` by any path, and x by any path around it: everything x feeds is claimed, each on its own draw but
    agreeing.
    """
    data = bits(lambda x, y: 3 * x)
    claims = OUTPUT.carries(
        OUT, node("square").any_path().carries(X), node("x").any_path(avoid=node("square")).carries(X)
    )
    assert scrubbed_loss(SHARED_NODE, data, claims, sources=("x",)) == pytest.approx(0.0)


def test_via_one_path_only() -> None:
    """x via `sum` only: the x inside `sum` is kept, both squares resampled together: x + 2x' against 3x, again 2."""
    data = bits(lambda x, y: 3 * x)
    claims = OUTPUT.carries(OUT, node("x").via("sum").carries(X))
    assert scrubbed_loss(SHARED_NODE, data, claims, sources=("x",)) == pytest.approx(2.0)


def test_loss_recovered_of_half_a_sum() -> None:
    """Model 0, scrubbed 0.5, null 1: half is recovered; the constant model (variance 1/2) is exactly as good."""
    data = bits(lambda x, y: x + y, copies=200)
    model = ToyModel({"x": "x", "y": "y"}, SUM)
    claims = OUTPUT.carries(OUT, node("x").direct().carries(X))
    result = Experiment(model, data, SquaredError(), draws=8).run(Hypothesis("half", "only x matters", claims))
    assert result.loss("model").value == 0.0
    assert result.loss("constant").value == pytest.approx(0.5)
    for baseline, wanted in (("null", 0.5), ("constant", 0.0)):
        estimate = result.loss_recovered(baseline)
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low - 0.02 < wanted < estimate.high + 0.02
