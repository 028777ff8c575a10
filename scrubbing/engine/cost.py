"""What a plan costs: floating-point operations and bytes per scrubbed example, next to one plain forward pass."""

from __future__ import annotations

from dataclasses import dataclass

from scrubbing.engine import values as v
from scrubbing.engine.plan import ScrubPlan, Space, StatisticPlan, slot_demands
from scrubbing.graph.nodes import MASK
from scrubbing.models.protocol import Model

_NORM = 8
"""Operations per number of a norm."""


@dataclass(frozen=True)
class Cost:
    """The cost per scrubbed example (one reference input, one draw), with clean activations taken from the store."""

    flops: float
    moved: float
    """Bytes read and written by the steps."""
    gathered: float
    """Bytes read from the store, part of `moved`."""
    plain_flops: float
    """Floating-point operations of one forward pass of the model over every position."""
    once: float = 0.0
    """Floating-point operations of the statistics, which are computed once per run whatever the number of examples."""
    inputs: int = 0
    """Number of inputs that statistics are computed over; 0 where there are no statistics."""

    @property
    def ratio(self) -> float:
        """Floating-point operations per scrubbed example, in units of one plain forward pass."""
        return self.flops / self.plain_flops

    def total(self, examples: int) -> float:
        """Floating-point operations of a run with this many scrubbed examples, statistics included."""
        return self.flops * examples + self.once

    def describe(self, examples: int) -> str:
        """The cost as text, for this many scrubbed examples."""
        once = f"\nstatistics over {self.inputs:,} inputs: {_si(self.once)}flop, once" if self.inputs else ""
        return (
            f"per scrubbed example: {_si(self.flops)}flop, {_si(self.moved)}B moved, {_si(self.gathered)}B of it "
            "gathered "
            f"from the store\none plain forward pass: {_si(self.plain_flops)}flop; a scrubbed example is "
            f"{self.ratio:.3f} of it\n"
            f"{examples:,} examples: {_si(self.flops * examples)}flop, {_si(self.moved * examples)}B{once}"
        )


def cost(plan: ScrubPlan) -> Cost:
    """The cost of a plan, from expected numbers of tokens."""
    counted = _Counted(plan)
    counted.space(plan.space, 1.0)
    inputs = max((made.inputs for made in plan.statistics.values()), default=0)
    once = sum(_statistic(value, made) for value, made in plan.statistics.items())
    return Cost(counted.flops, counted.moved, counted.gathered, plain_flops(plan), once, inputs)


def _statistic(value: v.Statistic, made: StatisticPlan) -> float:
    """Operations of evaluating a sum over the dataset and averaging it, or its products."""
    counted, plan, (_, read) = _Counted(made.plan), made.plan, made.plan.roots["sum"]
    counted.space(plan.space, 1.0)
    numbers = float(max(plan.graph.d_model, 1))
    averaged = 2.0 * numbers**2 if value.kind == "noise" else numbers
    return made.inputs * (counted.flops + read.expected(plan.graph.positions, plan.real) * averaged)


def plain_flops(plan: ScrubPlan) -> float:
    """Operations of one forward pass that evaluates every node at every position."""
    model, graph = plan.model, plan.graph
    tokens = float(graph.positions)
    total = 0.0
    for node, slots in graph.slots.items():
        if slots:
            read = {name: tokens for name, slot in slots.items() if slot.parents != (MASK,)}
            total += model.flops([node], read, 1.0, None) + tokens * model.write_flops(node, None)
    return total


class _Counted:
    """Running totals over the spaces of a plan."""

    def __init__(self, plan: ScrubPlan) -> None:
        self.plan = plan
        self.model: Model = plan.model
        self.flops = self.moved = self.gathered = 0.0
        self.size = {"torch.float64": 8, "torch.float32": 4}.get(str(plan.model.dtype), 2)

    def space(self, space: Space, rows: float) -> None:
        graph, real = self.plan.graph, self.plan.real
        for value in space.order:
            demand = space.demand[value]
            tokens = rows * demand.expected(graph.positions, real)
            width = self._width(value)
            written = tokens * width * self.size
            read = sum(tokens * self._width(one) * self.size for one in value.inputs())
            self.moved += written + (read if not isinstance(value, v.PerPosition) else 0.0)
            if isinstance(value, v.Clean):
                self.gathered += written
            self.flops += self._flops(space, value, tokens, rows)
        for region, demand in space.entered.items():
            self.space(space.below[region], rows * demand.expected(graph.positions, real))

    def _flops(self, space: Space, value: v.Value, tokens: float, rows: float) -> float:
        graph, real, d = self.plan.graph, self.plan.real, float(max(self.plan.graph.d_model, 1))
        match value:
            case v.Evaluated():
                wanted = slot_demands(value, space.demand[value], graph)
                read = {name: rows * one.expected(graph.positions, real) for name, one in wanted.items()}
                return self.model.flops([value.node], read, rows, value.part)
            case v.Normed():
                return _NORM * d * tokens
            case v.Sum():
                raws = {raw for term in value.inputs() if (raw := v.written(term)) is not None}
                writes = sum(self.model.write_flops(*raw) for raw in raws)
                return tokens * (writes + d * len(list(value.inputs())))
            case v.Apply(part=part):
                raw = None if value.of is None else v.written(value.of)
                return tokens * (part.flops(int(d)) + (0.0 if raw is None else self.model.write_flops(*raw)))
            case _:
                return 0.0

    def _width(self, value: v.Value) -> float:
        raw = v.written(value)
        if raw is not None:
            return float(self.model.raw_width(*raw))
        if isinstance(value, v.Constant):
            return 0.0
        if isinstance(value, v.NormScale) or (isinstance(value, v.Clean) and value.item.kind == "scale"):
            return 1.0
        return float(max(self.plan.graph.d_model, 1))


def _si(number: float) -> str:
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.2f} {prefix}"
    return f"{number:.0f} "
