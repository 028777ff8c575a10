"""Counting the inputs that are read where they are padding: what stands there is nobody's text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scrubbing.engine import values as v
from scrubbing.engine.demand import FOCUS, NOTHING, Demand, union
from scrubbing.engine.plan import ScrubPlan, Space, wanted
from scrubbing.engine.rows import FrameRows
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.models.tokens import Tokens
from scrubbing.sampling.contexts import Context


@dataclass(eq=False)
class PaddingReads:
    """Where a plan reads the inputs that its contexts hold, but for where these are real by themselves.

    A plan computes some values at more tokens than are read, because that is cheaper; here only what reaches the
    output counts.
    """

    held: dict[Context, dict[Demand, None]] = field(default_factory=dict[Context, dict[Demand, None]])
    """Reads in this space, by whose input is read."""
    kept: dict[v.Item, None] = field(default_factory=dict[v.Item, None])
    """The items among them."""
    below: dict[int, tuple[Demand, PaddingReads]] = field(default_factory=dict[int, tuple[Demand, "PaddingReads"]])
    """Claims that draw per position: the tokens that become rows, and what is read in these."""

    @classmethod
    def of(cls, plan: ScrubPlan) -> PaddingReads:
        """The padding reads of the scrubbed outputs of a plan."""
        return _reads(plan.space, [root for name, root in plan.roots.items() if name != "model"], plan.graph)

    @classmethod
    def items(cls, plan: ScrubPlan) -> dict[v.Item, None]:
        """The clean items that a plan may read where inputs are padded."""
        found: dict[v.Item, None] = {}
        for reads in cls.of(plan)._walk():
            found |= reads.kept
        return found

    def _walk(self) -> Iterator[PaddingReads]:
        yield self
        for _, inner in self.below.values():
            yield from inner._walk()

    def count(self, rows: FrameRows) -> NDArray[np.int64]:
        """How many held inputs are read at padding, `[rows]`."""
        total = np.zeros(len(rows), dtype=np.int64)
        known: dict[Demand, NDArray[np.bool_]] = {}

        def chosen(demand: Demand) -> NDArray[np.bool_]:
            if demand not in known:
                known[demand] = demand.chosen(rows)
            return known[demand]

        for context, demands in self.held.items():
            real = rows.real(context)
            if real is not None and not real.all():
                hidden = ~real
                total += np.any([(chosen(demand) & hidden).any(axis=1) for demand in demands], axis=0)
        for region, (demand, inner) in self.below.items():
            tokens = Tokens.where(chosen(demand), rows.device, exactly=True)
            if len(tokens):
                below = rows.below(region, tokens)
                below.frame.counts = {}  # these draws were counted when they were made
                np.add.at(total, tokens.row, inner.count(below))
        return total


def _reads(space: Space, roots: Sequence[tuple[v.Value, Demand]], graph: ModelGraph) -> PaddingReads:
    needed: dict[v.Value, Demand] = {}
    for value, demand in roots:
        needed[value] = union(needed.get(value, demand), demand)
    entered: dict[int, list[tuple[v.Value, Demand]]] = {}
    found = PaddingReads()
    for value in reversed(space.order):
        if value not in needed:
            continue
        for read, tokens in wanted(value, needed[value], graph):
            if tokens != NOTHING:
                needed[read] = union(needed.get(read, tokens), tokens)
        if isinstance(value, v.PerPosition):
            entered.setdefault(value.region, []).append((value.of, needed[value]))
        context = _whose(value)
        if context is not None and not _visible(needed[value], context):
            found.held.setdefault(context, {})[needed[value]] = None
            if isinstance(value, v.Clean):
                found.kept[value.item] = None
    for region, values in entered.items():
        tokens = values[0][1]
        for _, demand in values[1:]:
            tokens = union(tokens, demand)
        inner = _reads(space.below[region], [(value, FOCUS) for value, _ in values], graph)
        if inner.held or inner.below:
            found.below[region] = tokens, inner
    return found


def _whose(value: v.Value) -> Context | None:
    """The context whose input a value is read from; None where it does not depend on an input."""
    if isinstance(value, v.Clean) or (isinstance(value, v.Embedded) and value.node.kind != "pos"):
        return None if value.context.ablation is not None else value.context
    return None


def _visible(demand: Demand, context: Context) -> bool:
    """Whether a demand asks only for real positions of the input it reads."""
    match demand.kind:
        case "seen":
            return demand.context is context
        case "both":
            return any(_visible(part, context) for part in demand.of)
        case "union" | "within":
            return all(_visible(part, context) for part in demand.of)
        case _:
            return False
