"""The same claims about other nodes: hypotheses with their nodes exchanged, wherever targets and routes name them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, cast

from scrubbing.data.agreement import digest_of
from scrubbing.data.dataset import Dataset
from scrubbing.graph.nodes import Node
from scrubbing.guards import is_tuple
from scrubbing.hypothesis.claims import Claim, Target
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.routes import Route


def relabelled(hypothesis: Hypothesis, places: Mapping[Node, Node]) -> Hypothesis:
    """The hypothesis with each node replaced by another; nodes that are not in the mapping stay."""
    return replace(hypothesis, correspondence=_claim(hypothesis.correspondence, places))


def what_is_claimed(claim: Claim, data: Dataset, *, routes: bool = True) -> Hashable:
    """The claims below one and itself, whatever their order and names: two that say the same are equal.

    Args:
        claim: the topmost.
        data: inputs by whose values features are told apart.
        routes: whether it matters by which paths a node is reached.
    """
    below = Counter(what_is_claimed(child, data, routes=routes) for child in claim.children)
    return (
        frozenset(one if routes else replace(one, route=None) for one in claim.targets),
        digest_of(claim.variable.agrees_on(), data),
        (claim.sampler, claim.unclaimed, claim.group, claim.exclude_self, claim.freeze_norm),
        frozenset(below.items()),
    )


def _claim(claim: Claim, places: Mapping[Node, Node]) -> Claim:
    targets = tuple(_target(one, places) for one in claim.targets)
    return replace(claim, targets=targets, children=tuple(_claim(child, places) for child in claim.children))


def _target(target: Target, places: Mapping[Node, Node]) -> Target:
    node = target.node if target.node is None else places.get(target.node, target.node)
    return replace(target, node=node, route=None if target.route is None else route_of(target.route, places))


def route_of(route: Route, places: Mapping[Node, Node]) -> Route:
    """A route, ours or another's, with the nodes in its fields replaced: every route is a frozen dataclass."""
    named: Any = route
    return replace(named, **{one.name: _value(getattr(route, one.name), places) for one in dataclasses.fields(named)})


def _value(value: Any, places: Mapping[Node, Node]) -> Any:
    if isinstance(value, Node):
        return places.get(value, value)
    if is_tuple(value):
        return tuple(_value(one, places) for one in value)
    if isinstance(value, frozenset):
        return frozenset(_value(one, places) for one in cast("frozenset[Any]", value))
    return value
