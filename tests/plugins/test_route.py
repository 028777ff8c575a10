"""Routes from outside: through at most so many components, and through attention of some layer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from scrubbing import (
    OUTPUT,
    Dataset,
    Hypothesis,
    IllegalHypothesis,
    ModelGraph,
    Node,
    SquaredError,
    ToyModel,
    Variable,
    everything,
    feature,
    node,
    scrub,
)
from scrubbing.routes import Route
from scrubbing.testing import check_hypothesis


@dataclass(frozen=True)
class AtMost(Route):
    """Through no more than some number of components."""

    between: int

    def step(self, state: Any, node: Node) -> Any:
        return state + 1 if state < self.between else None

    def faults(self, graph: ModelGraph) -> Iterator[tuple[str, str]]:
        if self.between < 0:
            yield f"there are no paths through {self.between} components.", "Give 0 or more."

    def why_not(self, parent: str, node: Node) -> str:
        return f"more than {self.between} components lie between"

    def __str__(self) -> str:
        return f"through at most {self.between}"


@dataclass(frozen=True)
class Through(Route):
    """Through this component at some point, whatever else is passed."""

    node: Node

    def step(self, state: Any, node: Node) -> Any:
        return 1 if node == self.node else state

    def may_end(self, state: Any) -> bool:
        return state == 1

    @property
    def named(self) -> tuple[Node, ...]:
        return (self.node,)


@feature
def bit(data: Dataset) -> Any:
    return data["x"] > 0


OUT, BIT = Variable("output", everything), Variable("bit", bit)
X = torch.randn(12, generator=torch.Generator().manual_seed(0)).double().numpy()
DATA = Dataset({"x": X, "y": X[::-1].copy(), "label": X})


def chain() -> ToyModel:
    """x enters at every stage: 1 path through no component, 2 through one, 1 through two."""
    return ToyModel(
        {"x": "x", "y": "y"},
        {
            "first": (lambda a: torch.tanh(a), {"a": ["x", "y"]}),
            "second": (lambda a: a.square(), {"a": ["x", "first"]}),
            "logits": (lambda a: a, {"a": ["x", "first", "second"]}),
        },
    )


def by(route: Route, *names: str) -> Hypothesis:
    claims = [node(name).by(route).carries(BIT) for name in names or ("x",)]
    return Hypothesis("route", "x matters by some paths.", OUTPUT.carries(OUT, *claims))


def losses(made: Hypothesis) -> float:
    return scrub(made, chain(), DATA, SquaredError(), draws=16, baselines=False).loss().value


@pytest.mark.parametrize("route", [AtMost(0), AtMost(1), AtMost(2), Through(Node("first"))], ids=str)
def test_the_engine_follows_the_paths_the_oracle_follows(route: Route) -> None:
    plan = check_hypothesis(by(route), chain(), DATA, references=12)
    assert "logits" in plan


@pytest.mark.parametrize(
    ("own", "ours"),
    [
        (AtMost(0), node("x").direct()),
        (AtMost(9), node("x").any_path()),
    ],
    ids=str,
)
def test_the_same_paths_give_the_same_numbers(own: Route, ours: Any) -> None:
    """Given the same draws: claims that agree on everything hold the reference itself."""
    same = Variable("all", everything)
    made = [Hypothesis("r", "c", OUTPUT.carries(OUT, target.carries(same))) for target in (node("x").by(own), ours)]
    assert losses(made[0]) == losses(made[1])


def test_every_further_component_matters() -> None:
    same = Variable("all", everything)
    paths = [
        Hypothesis("r", "c", OUTPUT.carries(OUT, node("x").by(AtMost(k)).carries(same))) for k in range(3)
    ]  # fmt: skip
    assert len({losses(made) for made in paths}) == 3


def test_two_routes_of_one_node_overlap_where_a_path_is_of_both() -> None:
    with pytest.raises(IllegalHypothesis, match="SCR-OVERLAP"):
        Hypothesis(
            "r", "c", OUTPUT.carries(OUT, node("x").by(AtMost(1)).carries(BIT), node("x").via("first").carries(BIT))
        ).check(chain().graph(DATA), DATA)
    apart = OUTPUT.carries(OUT, node("x").by(AtMost(0)).carries(BIT), node("x").via("first").carries(BIT))
    check_hypothesis(Hypothesis("r", "c", apart), chain(), DATA)


def test_faults_are_told() -> None:
    graph = chain().graph(DATA)
    with pytest.raises(IllegalHypothesis, match=r"\[SCR-ROUTE\].*there are no paths through -1 components"):
        by(AtMost(-1)).check(graph, DATA)
    with pytest.raises(
        IllegalHypothesis, match=r"\[SCR-PATH\].* reach logits through at most 0: more than 0 components"
    ):
        by(AtMost(0), "y").check(graph, DATA)
    with pytest.raises(IllegalHypothesis, match=r"\[SCR-NODE\].*the model has no node third"):
        by(Through(Node("third"))).check(graph, DATA)


def test_stored_printed_and_recorded() -> None:
    for route in (AtMost(1), Through(Node("first"))):
        made = by(route)
        assert Hypothesis.from_json(json.loads(json.dumps(made.to_json()))) == made
        assert f"x {route} carries bit" in str(made)
        record = scrub(made, chain(), DATA, SquaredError(), draws=2).record()
        assert Hypothesis.from_json(record.stored or {}) == made
        assert str(route) in record.branches[1].line
