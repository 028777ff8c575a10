"""The slow recursive oracle: causal scrubbing as it is defined, one tree node at a time, sharing no code with the
planner.

Parts, samplers and routes are asked for their own definitions: which inputs are allowed, which path is covered, which
function of an output. How these are stored, found, shared and batched is the engine's, and nothing here.

For one reference input it walks every path from the output. Paths are matched by looking at the whole path, values are
whole sequences, draws look through the dataset. It decides who is right; it is far too slow for anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import MASK, Node
from scrubbing.graph.positions import Positions
from scrubbing.hypothesis.claims import Claim, Target
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.streams import ROOT, Streams
from scrubbing.parts import InnerPart, InputPart, OutputPart, Part
from scrubbing.rng import stream_key, uniform
from scrubbing.samplers import Agree, Held, Sampler
from scrubbing.testing.drawable import Drawable
from scrubbing.testing.nodes import NodeEvaluator

Choose = Callable[[str, list[int], int, int, int], int]
"""Stream name, agreeing rows in order of id, reference id, draw number, position counter: which row is drawn."""


def by_seed(seed: int) -> Choose:
    """The engine's own rule: the k-th agreeing input, k from the counter-based uniform number."""

    def choose(name: str, options: list[int], reference: int, draw: int, counter: int) -> int:
        u = float(uniform(stream_key(seed, name), np.array([reference]), draw, counter)[0])
        return options[int(u * len(options))]

    return choose


@dataclass(frozen=True)
class _Claimed:
    """A claim in force: the input it holds."""

    claim: Claim
    name: str
    """Name of the claim's random stream."""
    row: int
    node: Node
    focus: int | None
    counter: int


Below = tuple[str, Claim]
"""A child claim with the name of its stream."""
Step = tuple[Node, str]
"""A reading node and the slot it reads by."""
_Source = tuple[Literal["claimed", "mixed", "unclaimed"], tuple[tuple[str, int], ...]]
"""Where a contribution comes from; if it is claimed, each claim on it by the name of its stream, and which target."""


class Oracle:
    """Evaluates a hypothesis on one reference input at a time.

    Args:
        nodes: evaluates single nodes, with the model's own modules where there are any.
        graph: the model's graph for this dataset.
        data: the inputs in the hypothesis's scope.
        model: the model, which is passed to directions; may be None without them.
        read: outputs that the loss reads, bool `[n, positions]`; draws must be real where these depend on them. With
            None any input may be drawn.
    """

    def __init__(
        self, nodes: NodeEvaluator, graph: ModelGraph, data: Dataset, model: object = None, read: Any = None
    ) -> None:
        self.nodes = nodes
        self.graph = graph
        self.data = data
        self.model = model
        self.streams = Streams(data, graph.positions)
        self.drawable = Drawable(graph, data, read)
        self._clean: dict[tuple[int, Node, InnerPart | None], Tensor] = {}

    def output(self, hypothesis: Hypothesis, row: int, draw: int, choose: Choose) -> Tensor:
        """The scrubbed output for the reference input in this row, `[positions, d_out]`.

        Raises:
            NothingToDraw: SCR-DRAW, no input may be drawn for a claim.
        """
        self.row, self.reference, self.draw, self.choose = row, int(self.data.ids[row]), draw, choose
        self._drawn: dict[tuple[str, int], int] = {}
        self.hypothesis, root = hypothesis, hypothesis.correspondence
        held = _Claimed(root, ROOT, row, self.graph.output, None, 0)
        with torch.inference_mode():
            if not root.children:
                return self._clean_value(self.graph.output, row)
            return self._mixed(held, self.graph.output, ())

    def visible_positions(self, row: int) -> list[int]:
        """Positions of an input that are real; outputs elsewhere mean nothing."""
        visible = self._visible(row)
        return list(range(self.graph.positions)) if visible is None else visible.nonzero()[:, 0].cpu().numpy().tolist()

    # --- draws
    # ---------------------------------------------------------------------------------------------------------

    def _draw(
        self, name: str, sampler: Sampler, feature: Feature, held: _Claimed, position: int | None, others: bool = False
    ) -> int:
        if sampler.keeps(feature):
            return held.row
        if (name, held.counter) not in self._drawn:
            strata = sampler.strata(Held(self.data, feature, self.data, held.row, position))
            sets = [np.flatnonzero(allowed).tolist() for allowed in strata]
            sets = [rows for rows in sets if self.drawable.any_of(rows, self.row)] or sets[:1]
            at = (self.reference, self.draw, held.counter)
            chosen = sets[0] if len(sets) == 1 else sets[self.choose(f"{name} 1", list(range(len(sets))), *at)]
            options = self.drawable.among(chosen, self.row, name, held.row if others else None)
            self._drawn[name, held.counter] = self.choose(name, options, *at)
        return self._drawn[name, held.counter]

    def _below(self, held: _Claimed) -> list[Below]:
        return list(zip(self.streams.below(held.claim, held.name), held.claim.children, strict=True))

    def _descend(self, above: _Claimed, below: Below, node: Node, position: int | None) -> _Claimed:
        """The child claim in force; `position` is the row of a claim that draws per position."""
        name, claim = below
        sampler = claim.sampler or Agree()
        feature = sampler.compares(claim.variable.agrees_on())
        focus, counter = above.focus, above.counter
        if position is not None:
            focus, counter = position, above.counter * (self.graph.positions + 1) + position + 1
        where = focus
        if feature.per == "position" and focus is None:
            chosen = claim.targets[0].positions
            assert chosen is not None
            where = (chosen.resolve(self.graph.positions, MASK in self.graph.slots) or (None,))[0]
        held = _Claimed(claim, name, above.row, node, focus, counter)
        row = self._draw(self.streams.drawn(claim, name), sampler, feature, held, where, claim.exclude_self)
        return _Claimed(claim, name, row, node, focus, counter)

    def _unclaimed(self, held: _Claimed, node: Node) -> int:
        rule = self.hypothesis.rule(held.claim)
        name = self.streams.unclaimed(rule, held.name, node if rule.separately else None)
        return self._draw(name, rule.sampler, rule.feature, held, held.focus)

    # --- values
    # --------------------------------------------------------------------------------------------------------

    def _clean_value(self, node: Node, row: int, part: InnerPart | None = None) -> Tensor:
        """A node on one input alone."""
        key = (row, node, part)
        if key not in self._clean:
            slots = self.graph.slots[node]
            if not slots:
                self._clean[key] = self.nodes.source(node, self.data, row)
            else:
                read = {name: self._clean_slot(node, name, row) for name in slots if slots[name].parents != (MASK,)}
                self._clean[key] = self.nodes.evaluate(node, read, self._visible(row), None, part)
        return self._clean[key]

    def _clean_slot(self, node: Node, slot: str, row: int) -> Tensor:
        parents = self.graph.slots[node][slot].parents
        return sum((self._clean_value(parent, row) for parent in parents), start=torch.tensor(0.0)) + self.nodes.extra(
            node, slot
        )

    def _visible(self, row: int) -> Tensor | None:
        return (
            torch.as_tensor(np.array(self.data["mask"][row]).astype(bool), device="cpu")
            if MASK in self.graph.slots
            else None
        )

    def _value(self, held: _Claimed, part: InnerPart | None = None) -> Tensor:
        """The claimed node of a claim in force."""
        if not held.claim.children:
            return self._clean_value(held.node, held.row, part)
        own = [(n, c) for n, c in self._below(held) if c.targets[0].node is None and c.targets[0].only]
        if own:
            unclaimed = self._unclaimed(held, held.node)
            total = self._clean_value(held.node, unclaimed)
            for below in own:
                target = below[1].targets[0]
                assert target.only is not None
                total = total - self._part_of_clean(target.only, held.node, unclaimed)
                total = total + self._claimed(held, below, target, held.node)
            return total
        if not self.graph.slots[held.node]:
            return self._clean_value(held.node, held.row, part)
        return self._mixed(held, held.node, (), part)

    def _claimed(self, above: _Claimed, below: Below, target: Target, node: Node) -> Tensor:
        """What a child claim contributes at a node: the whole of it or a part, each position on its own if it says
        so.
        """
        if not below[1].each:
            return self._whole_or_part(self._descend(above, below, node, None), target.only)
        rows = [self._descend(above, below, node, j) for j in range(self.graph.positions)]
        return torch.stack([self._whole_or_part(held, target.only)[j] for j, held in enumerate(rows)])

    def _whole_or_part(self, held: _Claimed, part: Part | None) -> Tensor:
        if part is None or isinstance(part, InnerPart):
            return self._value(held, part)
        if isinstance(part, InputPart):
            return self._of_input(part, held.row)
        return self._of_output(part, self._value(held))

    def _part_of_clean(self, part: Part, node: Node, row: int) -> Tensor:
        if isinstance(part, InnerPart):
            return self._clean_value(node, row, part)
        if isinstance(part, InputPart):
            return self._of_input(part, row)
        return self._of_output(part, self._clean_value(node, row))

    def _of_output(self, part: Part, value: Tensor) -> Tensor:
        assert isinstance(part, OutputPart)
        return part.function(self.model)(value.clone())

    def _of_input(self, part: InputPart, row: int) -> Tensor:
        value, along = np.asarray(part.values(self.data))[row].astype(np.float64), part.along(self.model)
        if (table := part.table(self.model)) is not None:
            value = np.stack([table[int(i)] * (i >= 0) for i in np.broadcast_to(value, (self.graph.positions,))])
        if along is not None:
            value = value.reshape(-1, 1) * along
        like = self._clean_value(next(n for n, s in self.graph.slots.items() if not s and n != MASK), 0)
        found = torch.as_tensor(value.reshape(-1, value.shape[-1]), device="cpu").expand(self.graph.positions, -1)
        return found.to(like.dtype).to(like.device)

    def _mixed(self, held: _Claimed, node: Node, path: tuple[Step, ...], part: InnerPart | None = None) -> Tensor:
        """A node on the path from a claim's own node, recomputed on its mixture."""
        slots = self.graph.slots[node]
        read: dict[str, Tensor] = {}
        visible: Tensor | None = None
        for slot in slots:
            if slots[slot].parents == (MASK,):
                visible = self._visible(self._mask_row(held, node, path, slot))
            else:
                read[slot] = self._slot(held, node, path, slot)
        frozen = None
        if held.claim.freeze_norm:
            frozen = {slot: self._clean_slot(node, slot, held.row) for slot in read}
        return self.nodes.evaluate(node, read, visible, frozen, part)

    def _slot(self, held: _Claimed, node: Node, path: tuple[Step, ...], slot: str) -> Tensor:
        """A slot's input, put together position by position."""
        positions = range(self.graph.positions)
        made: dict[object, Tensor] = {}
        columns: list[Tensor] = []
        for j in positions:
            reader = next((r for r in self._readers(held, node, path, slot) if self._at(r[2], j, held.row)), None)
            if reader is not None:
                key: object = reader[0]
                if key not in made:
                    made[key] = self._read(held, (reader[0], reader[1]), node, slot)
                columns.append(made[key][j])
                continue
            total: Tensor | float = self.nodes.extra(node, slot)
            for parent in self.graph.slots[node][slot].parents:
                source = self._source(held, (*path, (node, slot)), parent, j)
                key = (parent, *source)
                if key not in made:
                    made[key] = self._contribution(held, (*path, (node, slot)), parent, source)
                total = total + made[key][j]
            assert isinstance(total, Tensor)
            columns.append(total)
        return torch.stack(columns)

    def _readers(
        self, held: _Claimed, node: Node, path: tuple[Step, ...], slot: str
    ) -> list[tuple[str, Claim, Positions | None]]:
        """Child claims on what this slot reads."""
        return [
            (below, claim, target.positions)
            for below, claim in self._below(held)
            for target in claim.targets
            if target.claims_slot(slot)
            and (
                (not path and target.route is None and target.node in (None, node))
                or (bool(path) and target.node == node and _matches(target, path, node))
            )
        ]

    def _read(self, above: _Claimed, below: Below, node: Node, slot: str) -> Tensor:
        claim = below[1]

        def value(held: _Claimed) -> Tensor:
            return self._slot(held, node, (), slot) if claim.children else self._clean_slot(node, slot, held.row)

        if not claim.each:
            return value(self._descend(above, below, node, None))
        rows = [self._descend(above, below, node, j) for j in range(self.graph.positions)]
        return torch.stack([value(held)[j] for j, held in enumerate(rows)])

    def _source(self, held: _Claimed, path: tuple[Step, ...], parent: Node, j: int) -> _Source:
        """Where one writer's contribution at a position comes from: claims on it, a mixture, or nothing claimed."""
        hits = tuple(
            (below, k)
            for below, claim in self._below(held)
            for k, target in enumerate(claim.targets)
            if not target.read_slots and target.node == parent and _matches(target, path, parent)
            if self._at(target.positions, j, held.row) and self._taken(target, path, parent, j, held.row)
        )
        if hits:
            return "claimed", hits
        targets = [target for claim in held.claim.children for target in claim.targets]
        taken = [target for target in targets if self._taken(target, path, parent, j, held.row)]
        if any(self._leads_on(target, path, parent) for target in taken):
            return "mixed", ()
        return "unclaimed", ()

    def _contribution(self, held: _Claimed, path: tuple[Step, ...], parent: Node, source: _Source) -> Tensor:
        kind, hits = source
        if kind == "mixed":
            return self._mixed(held, parent, path)
        if kind == "unclaimed":
            return self._clean_value(parent, self._unclaimed(held, parent))
        claims = dict(self._below(held))
        total: Tensor | None = None
        for below, k in hits:
            claim = claims[below]
            target = claim.targets[k]
            value = self._claimed(held, (below, claim), target, parent)
            if target.only is None:
                return value
            if total is None:
                total = self._clean_value(parent, self._unclaimed(held, parent))
            total = total + value - self._part_of_clean(target.only, parent, self._unclaimed(held, parent))
        assert total is not None
        return total

    def _mask_row(self, held: _Claimed, node: Node, path: tuple[Step, ...], slot: str) -> int:
        for below, claim, _ in self._readers(held, node, path, slot):
            inner = self._descend(held, (below, claim), node, None)
            return self._mask_row(inner, node, (), slot) if claim.children else inner.row
        for below in self._below(held):
            for target in below[1].targets:
                if target.node == MASK and _matches(target, (*path, (node, slot)), MASK):
                    return self._descend(held, below, MASK, None).row
        return self._unclaimed(held, MASK)

    def _at(self, positions: Positions | None, j: int, row: int) -> bool:
        if positions is None:
            return True
        chosen = positions.resolve(self.graph.positions, MASK in self.graph.slots)
        if chosen is not None:
            return j in chosen
        if positions.last:
            return j == int(np.array(self.data["mask"][row]).sum()) - 1
        assert positions.chosen_by is not None
        return bool(np.asarray(positions.chosen_by(self.data))[row, j])

    def _taken(self, target: Target, path: tuple[Step, ...], parent: Node, j: int, row: int) -> bool:
        """Whether the target's route goes up the last edge of a path at a position."""
        return target.route is not None and self._at(target.route.at(*path[-1], parent), j, row)

    def _leads_on(self, target: Target, path: tuple[Step, ...], at: Node) -> bool:
        """Whether a path may go on from here to the target."""
        if target.route is None or target.node is None:
            return False
        if at == target.node:
            return bool(target.read_slots) and _matches(target, path, at)
        for slot, read in self.graph.slots[at].items():
            for parent in read.parents:
                longer = (*path, (at, slot))
                if parent == target.node and _matches(target, longer, parent):
                    return True
                if _walked(target, longer, parent) and self._leads_on(target, longer, parent):
                    return True
        return False


def _walked(target: Target, path: tuple[Step, ...], end: Node) -> tuple[Hashable] | None:
    """The state in which the target's route arrives at `end`, or None if it does not go that way."""
    assert target.route is not None
    if target.into_slots and path[0][1] not in target.into_slots:
        return None
    state: Hashable | None = target.route.start()
    for i, (node, slot) in enumerate(path):
        writer = path[i + 1][0] if i + 1 < len(path) else end
        state = target.route.step(state, node) if i and state is not None else state
        state = None if state is None else target.route.edge(state, node, slot, writer)
    return None if state is None else (state,)


def _matches(target: Target, path: tuple[Step, ...], end: Node) -> bool:
    """Whether the whole path from a claim's node to `end` is one of the target's."""
    if target.route is None or target.node != end:
        return False
    walked = _walked(target, path, end)
    return walked is not None and target.route.may_end(*walked)
