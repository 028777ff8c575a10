"""Random legal hypotheses over any model graph, for property tests of the engine and of backends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, anything, everything, feature, joint
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import MASK, Node
from scrubbing.graph.positions import PositionsLike, Where
from scrubbing.hypothesis.claims import OUTPUT, Bundle, Claim, Target, reads
from scrubbing.hypothesis.claims import part as own_part
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.legality import faults
from scrubbing.hypothesis.variables import Variable
from scrubbing.parts import Part, activation, attending_to, function, neurons, offsets, pairs, project
from scrubbing.samplers import Sampler, Unclaimed, agree, exact, fixed, separate, uniform

Rng = np.random.Generator


@feature
def halves(data: Dataset) -> NDArray[np.int64]:
    """Two classes by id."""
    return data.ids % 2


@feature
def thirds(data: Dataset) -> NDArray[np.int64]:
    """Three classes by id."""
    return data.ids % 3


@feature(per="position")
def token_parity(data: Dataset) -> NDArray[np.int64]:
    """Two classes by token, at each position."""
    return data["tokens"] % 2


def wave(data: Dataset) -> NDArray[np.float64]:
    """A number per input, for rewrites by a function of the input."""
    return np.sin(1.0 + data.ids)


def half(x: Any) -> Any:
    """A nonlinear function of an activation."""
    return 0.5 * x.clamp(min=0)


def odd_positions(data: Dataset) -> NDArray[np.bool_]:
    """Positions chosen by a function of the input."""
    length: int = data["tokens"].shape[1]
    return (np.arange(length)[None] + data.ids[:, None]) % 2 == 1


def random_hypothesis(
    graph: ModelGraph, data: Dataset, seed: int, claims: int = 8, read: Where | None = None
) -> Hypothesis:
    """A legal hypothesis with every kind of route, position, part, sampler and unclaimed rule turning up over seeds.

    Claims are added one by one at random places; an addition that would be illegal is not made.

    Args:
        graph: of the model on this dataset.
        data: inputs with enough variety for the features above; twelve consecutive ids do.
        seed: equal seeds, equal hypotheses.
        claims: additions tried.
        read: positions at which a loss reads the output; None for all.
    """
    maker = _Maker(graph, data, np.random.default_rng(seed))
    root = OUTPUT.carries(Variable("output", everything), unclaimed=maker.unclaimed())
    made = Hypothesis(f"random/{seed}", "made at random", root)
    made = replace(made, unclaimed=_everywhere(data, seed))
    for _ in range(claims):
        longer = replace(made, correspondence=maker.grown(made.correspondence, graph.output, each=False))
        if longer != made and not faults(longer, graph, data, read):
            made = longer
    return made


def _everywhere(data: Dataset, seed: int) -> Unclaimed:
    """The rule of the hypothesis, most often the default; by random numbers of its own, so as to change no claim."""
    rng = np.random.default_rng([seed, 1])
    rules = [Unclaimed(), Unclaimed(), separate(), Unclaimed(agree(thirds)), Unclaimed(fixed(int(data.ids[-1])))]
    return rules[int(rng.integers(len(rules)))]


class _Maker:
    """Draws claims below given nodes."""

    def __init__(self, graph: ModelGraph, data: Dataset, rng: Rng) -> None:
        self.graph = graph
        self.data = data
        self.rng = rng
        self.per_position = "tokens" in data and graph.positions > 1

    def grown(self, claim: Claim, node: Node, each: bool) -> Claim:
        """The claim with one more claim somewhere below it."""
        if claim.children and self._chance(0.6):
            i = int(self.rng.integers(len(claim.children)))
            child = claim.children[i]
            at = child.targets[0].node or node
            grown = self.grown(child, at, each or child.each)
            return replace(claim, children=(*claim.children[:i], grown, *claim.children[i + 1 :]))
        if not self.graph.slots[node]:
            return claim
        return replace(claim, children=(*claim.children, self._claim(node, each)))

    def unclaimed(self) -> Unclaimed | None:
        """Any of the rules, that of the hypothesis most often."""
        rule = self.rng.choice(["uniform", "uniform", "uniform", "separate", "exact", "agree", "fixed"])
        sampler = {"exact": exact, "agree": agree(halves), "fixed": fixed(int(self.data.ids[0]))}.get(rule, uniform)
        if rule == "uniform":
            return None
        return separate(sampler) if rule == "separate" else Unclaimed(sampler)

    def _chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def _pick(self, items: list[Node]) -> Node:
        return items[int(self.rng.integers(len(items)))]

    def _claim(self, own: Node, each: bool) -> Claim:
        """A claim without children, below a claim on this node."""
        kind = self.rng.choice(["routed", "routed", "routed", "reads", "own part"])
        part = self._part(own)
        if kind == "own part" and part is not None and own != self.graph.output:
            return own_part(part).carries(self._variable(each), sampler=self._sampler())
        if kind == "reads":
            target, node = self._reads(own), own
        else:
            node = self._pick(sorted(self.graph.upstream[own]))
            target = self._routed(own, node)
        if node != MASK and "mask" not in target.read_slots:
            if self._chance(0.3):
                target = target.at(self._positions())
            if self.per_position and self._chance(0.2):
                target = target.each()
            part = self._part(node)
            if part is not None and not target.read_slots and self._chance(0.4):
                target = target.part(part)
        bundle = Bundle((target,))
        if self._chance(0.15) and not target.read_slots:
            bundle = bundle | self._routed(own, self._pick(sorted(self.graph.upstream[own])))
        return bundle.carries(
            self._variable(each or target.each_position),
            unclaimed=self.unclaimed(),
            sampler=self._sampler(),
            group="together" if self._chance(0.15) else None,
            exclude_self=self._chance(0.15),
            freeze_norm=self._chance(0.15),
        )

    def _reads(self, node: Node) -> Target:
        slots = [slot for slot in self.graph.slots[node] if self._chance(0.6)]
        return reads(*slots) if slots and self._chance(0.7) else reads()

    def _routed(self, reader: Node, node: Node) -> Target:
        target = Target(node)
        between = sorted(other for other in self.graph.upstream[reader] if node in self.graph.upstream[other])
        kind = self.rng.choice(["direct", "any", "avoid", "via"])
        if kind == "direct" or not between:
            target = target.direct()
        elif kind == "via":
            target = target.via(self._pick(between))
        else:
            target = target.any_path(tuple(Target(n) for n in between if kind == "avoid" and self._chance(0.4)))
        slots = [slot for slot in self.graph.slots[reader] if slot != "mask"]
        if len(slots) > 1 and self._chance(0.3):
            target = target.into(slots[int(self.rng.integers(len(slots)))])
        if node in self.graph.slots and self.graph.slots[node] and self._chance(0.1):
            target = target.reads(*[s for s in self.graph.slots[node] if s != "mask"][:1])
        return target

    def _positions(self) -> PositionsLike:
        length = self.graph.positions
        kinds: list[PositionsLike] = [int(self.rng.integers(length)), slice(0, max(1, length // 2)), "last"]
        if self.per_position:
            kinds.append(odd_positions)
        return kinds[int(self.rng.integers(len(kinds)))]

    def _part(self, node: Node) -> Part | None:
        if not self.graph.d_model:
            return None
        d = self.graph.d_model
        parts: list[Part] = [
            project(self.rng.normal(size=d)),
            project(self.rng.normal(size=(2, d))),
            function(wave, along=self.rng.normal(size=d)),
            activation(half),
        ]
        if "k" in self.graph.slots.get(node, ()):
            parts += [*self._attention_parts(node), *self._attention_parts(node)]
        if width := self.graph.widths.get(node, 0):
            parts.append(neurons(self.rng.choice(width, size=max(1, width // 3), replace=False)))
        return parts[int(self.rng.integers(len(parts)))]

    def _attention_parts(self, node: Node) -> list[Part]:
        length = self.graph.positions
        mask = self.rng.random((length, length)) < 0.4
        if self.graph.slots[node]["k"].reach == "earlier":
            mask = np.tril(mask)
        mask[0, 0] = True
        return [offsets(0, -1), offsets(-1), pairs(mask), attending_to(0), attending_to(-1)]

    def _variable(self, each: bool) -> Variable:
        features: list[Feature] = [halves, thirds, anything, everything, joint(halves, thirds)]
        if each:
            features += [token_parity, token_parity]
        chosen = features[int(self.rng.integers(len(features)))]
        return Variable(chosen.name, chosen)

    def _sampler(self) -> Sampler | None:
        if self._chance(0.85):
            return None
        return [exact, uniform, agree(thirds)][int(self.rng.integers(3))]
