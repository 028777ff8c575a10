"""The slow recursive oracle: causal scrubbing as it is defined, one tree node at a time, sharing no code with the
planner.

For one reference input it walks every path from the output. Paths are matched by looking at the whole path, values are
whole sequences, draws look through the dataset. It decides who is right; it is far too slow for anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
from scrubbing.hypothesis.parts import Direction, Part
from scrubbing.hypothesis.samplers import Sampler
from scrubbing.rng import stream_key, uniform
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
class _Held:
    """A claim in force: the input it holds, under the name of its stream."""

    claim: Claim
    path: str
    row: int
    node: Node
    focus: int | None
    counter: int


Step = tuple[Node, str]
"""A reading node and the slot it reads by."""


class Oracle:
    """Evaluates a hypothesis on one reference input at a time.

    Args:
        nodes: evaluates single nodes; the model's own modules where there are any.
        graph: of the model on this dataset.
        data: within the hypothesis's scope.
        model: passed to directions; may be None without them.
        read: outputs that the loss reads, bool `[n, positions]`, for which draws have to be real; None draws any.
    """

    def __init__(
        self, nodes: NodeEvaluator, graph: ModelGraph, data: Dataset, model: object = None, read: Any = None
    ) -> None:
        self.nodes = nodes
        self.graph = graph
        self.data = data
        self.model = model
        self.drawable = Drawable(graph, data, read)
        self._clean: dict[tuple[int, Node, Part | None], Tensor] = {}

    def output(self, hypothesis: Hypothesis, row: int, draw: int, choose: Choose) -> Tensor:
        """The scrubbed output for the reference input in this row, `[positions, d_out]`.

        Raises:
            NothingToDraw: SCR-DRAW, no input may be drawn for a claim.
        """
        self.row, self.reference, self.draw, self.choose = row, int(self.data.ids[row]), draw, choose
        self._drawn: dict[tuple[str, int], int] = {}
        root = hypothesis.correspondence
        held = _Held(root, root.label, row, self.graph.output, None, 0)
        with torch.inference_mode():
            if not root.children:
                return self._clean_value(self.graph.output, row)
            return self._mixed(held, self.graph.output, ())

    def visible_positions(self, row: int) -> list[int]:
        """Positions of an input that are real; outputs elsewhere mean nothing."""
        visible = self._visible(row)
        return list(range(self.graph.positions)) if visible is None else visible.nonzero()[:, 0].tolist()

    # --- draws
    # ---------------------------------------------------------------------------------------------------------

    def _draw(self, name: str, sampler: Sampler, feature: Feature | None, held: _Held, position: int | None) -> int:
        if sampler.kind == "exact":
            return held.row
        if sampler.kind == "fixed":
            return self.drawable.among([[int(i) for i in self.data.ids].index(sampler.input_id)], self.row, name)[0]
        if (name, held.counter) not in self._drawn:
            assert feature is not None
            values = feature(self.data)
            if feature.per == "position":
                values = values[:, position]
            agreeing = [r for r in range(len(self.data)) if np.array_equal(values[r], values[held.row])]
            agreeing = self.drawable.among(agreeing, self.row, name, held.row if sampler.exclude_self else None)
            picked = self.choose(name, agreeing, self.reference, self.draw, held.counter)
            self._drawn[name, held.counter] = picked
        return self._drawn[name, held.counter]

    def _descend(self, above: _Held, path: str, claim: Claim, node: Node, position: int | None) -> _Held:
        """The child claim in force; `position` is the row of a claim that draws per position."""
        sampler = claim.sampler or Sampler("agree")
        feature = sampler.feature or claim.variable.agrees_on()
        if claim.exclude_self:
            sampler = Sampler(sampler.kind, sampler.feature, sampler.input_id, exclude_self=True)
        if feature.op == "identity" and sampler.kind == "agree":
            sampler = Sampler("exact")
        focus, counter = above.focus, above.counter
        if position is not None:
            focus, counter = position, above.counter * (self.graph.positions + 1) + position + 1
        where = focus
        if feature.per == "position" and focus is None:
            chosen = claim.targets[0].positions
            assert chosen is not None
            where = (chosen.resolve(self.graph.positions, MASK in self.graph.slots) or (None,))[0]
        name = f"group {claim.group}" if claim.group is not None else path
        row = self._draw(name, sampler, feature, _Held(claim, path, above.row, node, focus, counter), where)
        return _Held(claim, path, row, node, focus, counter)

    def _unclaimed(self, held: _Held, node: Node) -> int:
        spec = held.claim.unclaimed
        name = f"{held.path} / ~unclaimed" + (f" {node}" if spec.separately else "")
        return self._draw(name, spec.sampler, spec.sampler.feature, held, None)

    # --- values
    # --------------------------------------------------------------------------------------------------------

    def _clean_value(self, node: Node, row: int, part: Part | None = None) -> Tensor:
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
        return torch.from_numpy(np.array(self.data["mask"][row]).astype(bool)) if MASK in self.graph.slots else None

    def _value(self, held: _Held, part: Part | None = None) -> Tensor:
        """The claimed node of a claim in force."""
        if not held.claim.children:
            return self._clean_value(held.node, held.row, part)
        own = [(p, c) for p, c in held.claim.paths(held.path) if c.targets[0].node is None and c.targets[0].only]
        if own:
            unclaimed = self._unclaimed(held, held.node)
            total = self._clean_value(held.node, unclaimed)
            for path, child in own:
                piece = child.targets[0].only
                assert piece is not None
                total = total - self._part_of_clean(piece, held.node, unclaimed)
                total = total + self._claimed(held, path, child, child.targets[0], held.node)
            return total
        if not self.graph.slots[held.node]:
            return self._clean_value(held.node, held.row, part)
        return self._mixed(held, held.node, (), part)

    def _claimed(self, above: _Held, path: str, claim: Claim, target: Target, node: Node) -> Tensor:
        """What a child claim contributes at a node: the whole of it or a part, each position on its own if it says
        so.
        """
        if not claim.each:
            held = self._descend(above, path, claim, node, None)
            return self._whole_or_part(held, target.only)
        rows = [self._descend(above, path, claim, node, j) for j in range(self.graph.positions)]
        return torch.stack([self._whole_or_part(held, target.only)[j] for j, held in enumerate(rows)])

    def _whole_or_part(self, held: _Held, part: Part | None) -> Tensor:
        if part is None:
            return self._value(held)
        if part.inner:
            return self._value(held, part)
        if part.kind == "function":
            return self._function(part, held.row)
        return self._of_output(part, self._value(held))

    def _part_of_clean(self, part: Part, node: Node, row: int) -> Tensor:
        if part.inner:
            return self._clean_value(node, row, part)
        return (
            self._function(part, row)
            if part.kind == "function"
            else self._of_output(part, self._clean_value(node, row))
        )

    def _of_output(self, part: Part, value: Tensor) -> Tensor:
        if part.kind == "activation":
            assert part.compute is not None
            return part.compute(value)
        vectors = part.vectors.vectors(self.model) if isinstance(part.vectors, Direction) else part.vectors
        assert vectors is not None
        span = torch.tensor(vectors.array(), dtype=torch.float64)
        return (value.double() @ torch.linalg.pinv(span) @ span).to(value.dtype)

    def _function(self, part: Part, row: int) -> Tensor:
        assert part.compute is not None
        value = torch.as_tensor(np.asarray(part.compute(self.data))[row], dtype=torch.float64)
        if part.vectors is not None:
            vectors = part.vectors.vectors(self.model) if isinstance(part.vectors, Direction) else part.vectors
            value = value.reshape(-1, 1) * torch.tensor(vectors.array()[0])
        return value.reshape(-1, value.shape[-1]).expand(self.graph.positions, -1).to(self._dtype())

    def _dtype(self) -> torch.dtype:
        return self._clean_value(next(n for n, s in self.graph.slots.items() if not s and n != MASK), 0).dtype

    def _mixed(self, held: _Held, node: Node, path: tuple[Step, ...], part: Part | None = None) -> Tensor:
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

    def _slot(self, held: _Held, node: Node, path: tuple[Step, ...], slot: str) -> Tensor:
        """A slot's input, put together position by position."""
        positions = range(self.graph.positions)
        made: dict[object, Tensor] = {}
        columns: list[Tensor] = []
        for j in positions:
            reader = next((r for r in self._readers(held, node, path, slot) if self._at(r[2], j, held.row)), None)
            if reader is not None:
                key: object = reader[0]
                if key not in made:
                    made[key] = self._read(held, reader[0], reader[1], node, slot)
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
        self, held: _Held, node: Node, path: tuple[Step, ...], slot: str
    ) -> list[tuple[str, Claim, Positions | None]]:
        """Child claims on what this slot reads."""
        return [
            (below, claim, target.positions)
            for below, claim in held.claim.paths(held.path)
            for target in claim.targets
            if target.claims_slot(slot)
            and (
                (not path and target.route is None and target.node in (None, node))
                or (bool(path) and target.node == node and _matches(target, path, node))
            )
        ]

    def _read(self, above: _Held, path: str, claim: Claim, node: Node, slot: str) -> Tensor:
        def value(held: _Held) -> Tensor:
            return self._slot(held, node, (), slot) if claim.children else self._clean_slot(node, slot, held.row)

        if not claim.each:
            return value(self._descend(above, path, claim, node, None))
        rows = [self._descend(above, path, claim, node, j) for j in range(self.graph.positions)]
        return torch.stack([value(held)[j] for j, held in enumerate(rows)])

    def _source(self, held: _Held, path: tuple[Step, ...], parent: Node, j: int) -> tuple[object, ...]:
        """Where one writer's contribution at a position comes from: claims on it, a mixture, or nothing claimed."""
        hits = tuple(
            (below, k)
            for below, claim in held.claim.paths(held.path)
            for k, target in enumerate(claim.targets)
            if not target.read_slots and target.node == parent and _matches(target, path, parent)
            if self._at(target.positions, j, held.row)
        )
        if hits:
            return ("claimed", *hits)
        claims = [(claim, target) for _, claim in held.claim.paths(held.path) for target in claim.targets]
        if any(self._leads_on(target, path, parent) for _, target in claims):
            return ("mixed",)
        return ("unclaimed",)

    def _contribution(self, held: _Held, path: tuple[Step, ...], parent: Node, source: tuple[object, ...]) -> Tensor:
        if source[0] == "mixed":
            return self._mixed(held, parent, path)
        if source[0] == "unclaimed":
            return self._clean_value(parent, self._unclaimed(held, parent))
        claims = dict(held.claim.paths(held.path))
        total: Tensor | None = None
        for below, k in source[1:]:  # pyright: ignore[reportGeneralTypeIssues]
            claim = claims[below]
            target = claim.targets[k]
            value = self._claimed(held, below, claim, target, parent)
            if target.only is None:
                return value
            if total is None:
                total = self._clean_value(parent, self._unclaimed(held, parent))
            total = total + value - self._part_of_clean(target.only, parent, self._unclaimed(held, parent))
        assert total is not None
        return total

    def _mask_row(self, held: _Held, node: Node, path: tuple[Step, ...], slot: str) -> int:
        for below, claim, _ in self._readers(held, node, path, slot):
            inner = self._descend(held, below, claim, node, None)
            return self._mask_row(inner, node, (), slot) if claim.children else inner.row
        for below, claim in held.claim.paths(held.path):
            for target in claim.targets:
                if target.node == MASK and _matches(target, (*path, (node, slot)), MASK):
                    return self._descend(held, below, claim, MASK, None).row
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
                if self._allowed(target, longer) and self._leads_on(target, longer, parent):
                    return True
        return False

    def _allowed(self, target: Target, path: tuple[Step, ...]) -> bool:
        """Whether a path's components so far are ones the target's route may pass."""
        assert target.route is not None
        between = [node for node, _ in path[1:]]
        if target.into_slots and path[0][1] not in target.into_slots:
            return False
        if target.route.kind == "direct":
            return not between
        if target.route.kind == "via":
            return tuple(between) == target.route.through[: len(between)]
        return not set(between) & target.route.avoid


def _matches(target: Target, path: tuple[Step, ...], end: Node) -> bool:
    """Whether the whole path from a claim's node to `end` is one of the target's."""
    if target.route is None or target.node != end:
        return False
    if target.into_slots and path[0][1] not in target.into_slots:
        return False
    between = tuple(node for node, _ in path[1:])
    match target.route.kind:
        case "direct":
            return not between
        case "via":
            return between == target.route.through
    return not set(between) & target.route.avoid
