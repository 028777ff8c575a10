"""A control on the claims: other hypotheses of the same size, and how many do as well."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np

from scrubbing.experiment.relabel import route_of, what_is_claimed
from scrubbing.experiment.shuffled import shuffled
from scrubbing.experiment.trial import Control, Trial, inapplicable
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import EMBED, MASK, POS, Node
from scrubbing.hypothesis.claims import Claim, Target
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.legality import faults
from scrubbing.routes import AnyPath, Direct

NUMBER = 200
REFERENCES, DRAWS = 100, 2
"""Of each, at most: what claims that much of other nodes is far off, or as good."""
_TRIES = 30
"""For each that is wanted, of which most may be illegal or there already."""
COMPONENTS = ("head", "mlp", "attn")


def random_hypotheses(number: int = NUMBER, seed: int = 0) -> Control:
    """The control in which the same features are claimed of other nodes, reached by other paths, at random.

    Nodes take the place of nodes of their kind: heads of heads, MLPs of MLPs, and in a toy graph sources of sources.
    Embeddings and masks stay. Where there are too few such places, all of them are tried, and beside them random
    features: those of the hypothesis with the values of other inputs, at its own or other places. Of those that lose
    no more than the hypothesis on the same references, with outputs no further from the model's own, and do not rely on
    unclaimed nodes having one draw together, p = (1 + those) / (1 + all of them). Source: ours, after the random
    circuits of Shi et al. 2024; the formula is that of a Monte Carlo test (Davison and Hinkley 1997).

    Args:
        number: how many; fewer if there are neither more places nor features to shuffle.
        seed: of their places and features; others than 0 are in the control's name.
    """
    name = f"random-hypotheses-{seed}" if seed else "random-hypotheses"

    def change(trial: Trial) -> list[Trial]:
        rng = np.random.default_rng(seed)
        found = _Found(trial)
        found.fill(number, lambda _: _elsewhere(trial.hypothesis, found.subject.graph, rng))
        places = len(found.hypotheses)

        def other(attempt: int) -> Hypothesis:
            at = _elsewhere(trial.hypothesis, found.subject.graph, rng) if rng.random() < 0.5 else None
            return shuffled(at or trial.hypothesis, f"{name}, {attempt}")

        found.fill(number, other)
        if not found.hypotheses:
            problem = f"there is no other place in {trial.model.name} for the claims of {trial.hypothesis.name}"
            inapplicable(name, f"{problem}, and their features are the same however they are shuffled.")
        return [
            replace(trial, hypothesis=one, other_values=i >= places) for i, one in enumerate(found.hypotheses.values())
        ]

    meaning = "the same features claimed of other nodes and paths at random, or random ones; mean over these hypotheses"
    needs = "other places in the model for the claims, or features to shuffle"
    return Control(name, meaning, "fails", change, REFERENCES, DRAWS, needs, number)


class _Found:
    """Different hypotheses that are legal, by what they claim."""

    def __init__(self, trial: Trial) -> None:
        from scrubbing.experiment.jobs import Subject  # which imports the controls

        self.subject = Subject.of(trial.model, trial.data, trial.loss)
        self.own = what_is_claimed(trial.hypothesis.correspondence, trial.data, routes=False)
        self.hypotheses: dict[Hashable, Hypothesis] = {}
        self.seen: set[Hashable] = set()

    def fill(self, number: int, make: Callable[[int], Hypothesis | None]) -> None:
        """Add what is made, until there are so many."""
        for attempt in range(_TRIES * (number - len(self.hypotheses))):
            if len(self.hypotheses) >= number:
                return
            made = make(attempt)
            if made is not None:
                self._add(made)

    def _add(self, made: Hypothesis) -> None:
        data = self.subject.data
        # The same features of the same nodes, such as of two that change places, are no other hypothesis.
        if what_is_claimed(made.correspondence, data, routes=False) == self.own:
            return
        if (claimed := what_is_claimed(made.correspondence, data)) in self.seen:
            return
        self.seen.add(claimed)
        if not faults(made, self.subject.graph, data, self.subject.read):
            self.hypotheses[claimed] = replace(made, name=f"{made.name}, another {len(self.hypotheses) + 1}")


def _elsewhere(hypothesis: Hypothesis, graph: ModelGraph, rng: np.random.Generator) -> Hypothesis | None:
    """The same claims about other nodes; None if there is no room for them, or none is about another node."""
    places: dict[Node, Node] = {}
    made = _moved(hypothesis.correspondence, graph.output, graph, places, rng)
    if made is None or all(one == other for one, other in places.items()):
        return None
    return replace(hypothesis, correspondence=made)


def _moved(
    claim: Claim, at: Node, graph: ModelGraph, places: dict[Node, Node], rng: np.random.Generator
) -> Claim | None:
    """The claim with everything below it moved; what is claimed of one node stays claimed of one node."""
    children: list[Claim] = []
    for child in claim.children:
        targets: list[Target] = []
        for target in child.targets:
            if target.node is not None and not _place(target.node, at, graph, places, rng):
                return None
            targets.append(replace(target, node=None if target.node is None else places[target.node]))
        below = _moved(replace(child, targets=tuple(targets)), targets[0].node or at, graph, places, rng)
        if below is None:
            return None
        children.append(below)
    taken = {target.node for child in children for target in child.targets if target.node is not None}
    routed = [
        replace(child, targets=tuple(_routed(one, at, graph, taken, places, rng) for one in child.targets))
        for child in children
    ]
    return replace(claim, children=tuple(routed))


def _place(node: Node, above: Node, graph: ModelGraph, places: dict[Node, Node], rng: np.random.Generator) -> bool:
    """Find a place for a node that has none yet; whether it has one that the node above can read."""
    if node not in places:
        kind = _kind(node, graph)
        if kind is None:
            places[node] = node
            return True
        free = [
            one for one in sorted(graph.upstream[above]) if _kind(one, graph) == kind and one not in places.values()
        ]
        if not free:
            return False
        places[node] = free[int(rng.integers(len(free)))]
    return places[node] in graph.upstream[above]


def _kind(node: Node, graph: ModelGraph) -> str | None:
    """What a node may take the place of; None for one that stays where it is."""
    if node.kind in COMPONENTS:
        return node.kind
    if node in (EMBED, POS, MASK, graph.output):
        return None
    return "inner" if graph.slots.get(node) else "source"


def _routed(
    target: Target, above: Node, graph: ModelGraph, taken: set[Node], places: dict[Node, Node], rng: np.random.Generator
) -> Target:
    """A target with a route of its own: directly, or by any path around what is claimed beside it.

    A path that is said in two ways is one: only nodes between the two can be passed or avoided.
    """
    if target.route is None or target.node is None:
        return target
    if not isinstance(target.route, (Direct, AnyPath)) or target.node.kind not in COMPONENTS:
        return replace(target, route=route_of(target.route, places))
    between = {one for one in graph.upstream[above] if target.node in graph.upstream.get(one, ())}
    if rng.random() < 0.5 or between <= taken:
        return target.direct()
    return target.any_path(sorted(taken & between))
