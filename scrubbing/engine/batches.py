"""How much of a plan is computed at a time: rows, and tokens of its output, so that a budget of bytes holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from scrubbing.engine import values as v
from scrubbing.engine.demand import Demand
from scrubbing.engine.plan import ScrubPlan, Space, reads, slot_demands

_MOST_ROWS = 2**16
_FEW_ROWS = 64
"""Below this, what each step costs whatever its size is more than what the caches of a CPU save."""
_CACHED = 2**20
"""Numbers of one value that stay in the caches of a CPU."""
_INDEX = 4
"""Numbers that the row and position of a token take, and its place in another list."""
_SCORES = 3
"""Copies of a pattern that attention holds at once: scores, masked, and after the softmax."""
_LOSS, _LOSS_ON_A_DEVICE = 12, 48
"""Bytes that losses take per number of an output. On a CPU ours are taken in small pieces, and this is for those of
users; on a device there are both outputs' log-probabilities in double, and what KL makes, all at once."""


def rows_at_once(plan: ScrubPlan, budget: int, kept: bool = False) -> int:
    """Rows of a batch: within a budget of bytes and, on a CPU, small enough for its caches.

    Args:
        plan: what each row computes.
        budget: bytes; a single row is computed even where it does not fit.
        kept: whether the roots are there as a whole at the end. Otherwise they are outputs, computed in pieces.
    """
    sizes = _Sizes(plan)
    roots = [value for value, _ in plan.roots.values()]
    most = max(1.0, sizes.peak(plan.space, roots, kept))
    by_memory = budget / (most * _bytes(plan))
    widest = max(size for size in (1.0, *sizes.each(plan.space, () if kept else roots)))
    by_cache = max(_FEW_ROWS, _CACHED / widest) if plan.model.device.type == "cpu" else by_memory
    return int(max(1, min(by_memory, by_cache, _MOST_ROWS)))


def tokens_at_once(plan: ScrubPlan, budget: int) -> int:
    """Tokens at which the outputs of a plan are computed and their losses taken, within a budget of bytes."""
    outputs = {value for value, _ in plan.roots.values()}
    width = max(plan.model.raw_width(value.node, None) for value in outputs if isinstance(value, v.Evaluated))
    losses = _LOSS if plan.model.device.type == "cpu" else _LOSS_ON_A_DEVICE
    return int(max(1, budget // (width * (_bytes(plan) * len(outputs) + losses))))


def pattern_sizes(plan: ScrubPlan) -> float:
    """Numbers of all attention patterns that a row of a plan computes."""
    sizes = _Sizes(plan)
    return sum(size for size in sizes.scores(plan.space))


def _bytes(plan: ScrubPlan) -> int:
    return torch.finfo(plan.model.dtype).bits // 8


class _Sizes:
    """Numbers that the values of a plan take, per row of its first space."""

    def __init__(self, plan: ScrubPlan) -> None:
        self.plan, self.model, self.graph = plan, plan.model, plan.graph

    def peak(self, space: Space, roots: list[v.Value], kept: bool, rows: float = 1.0) -> float:
        """The most that is there at a time: each value from when it is computed until it was last read."""
        left = Counter(read for value in space.order for read in reads(value))
        left.update(roots)
        there = most = 0.0
        entered: set[int] = set()
        for value in space.order:
            if value in roots and not kept:
                continue
            working = 0.0
            if isinstance(value, v.PerPosition) and value.region not in entered:
                entered.add(value.region)
                below = space.below[value.region]
                inner = [one.of for one in space.order if isinstance(one, v.PerPosition) and one.region == value.region]
                working = self.peak(below, inner, True, rows * self._tokens(space.entered[value.region]))
            elif isinstance(value, v.Evaluated):
                working = rows * self._working(value, space.demand[value])
            there += rows * self._numbers(value, space.demand[value])
            most = max(most, there + working)
            for read in reads(value):
                left[read] -= 1
                if not left[read] and read in space.demand:
                    there -= rows * self._numbers(read, space.demand[read])
        return most

    def each(self, space: Space, without: Sequence[v.Value], rows: float = 1.0) -> Iterator[float]:
        """How many numbers each value takes, together with its attention pattern."""
        for value, demand in space.demand.items():
            if value not in without:
                yield rows * (self._tokens(demand) * self._width(value) + self._scores(value, demand))
        for region, demand in space.entered.items():
            yield from self.each(space.below[region], (), rows * self._tokens(demand))

    def scores(self, space: Space, rows: float = 1.0) -> Iterator[float]:
        """Numbers of the pattern of each head."""
        for value, demand in space.demand.items():
            if isinstance(value, v.Evaluated) and any(name == "k" for name, _ in value.slots):
                yield rows * self._tokens(demand) * self._tokens(slot_demands(value, demand, self.graph)["k"])
        for region, demand in space.entered.items():
            yield from self.scores(space.below[region], rows * self._tokens(demand))

    def _tokens(self, demand: Demand) -> float:
        return demand.expected(self.graph.positions, self.plan.real)

    def _width(self, value: v.Value) -> int:
        raw = v.written(value)
        return max(1, self.model.raw_width(*raw) if raw is not None else self.graph.d_model)

    def _numbers(self, value: v.Value, demand: Demand) -> float:
        return self._tokens(demand) * (self._width(value) + _INDEX)

    def _scores(self, value: v.Value, demand: Demand) -> float:
        if not isinstance(value, v.Evaluated) or all(name != "k" for name, _ in value.slots):
            return 0.0
        return self._tokens(demand) * self.graph.positions * self._together(value)

    def _together(self, value: v.Evaluated) -> int:
        """Heads that read the same inputs run as one."""
        return sum(node.kind == "head" and node.layer == value.node.layer for node in self.graph.slots)

    def _working(self, value: v.Evaluated, demand: Demand) -> float:
        """What evaluating a node takes beside its inputs and its result."""
        if value.node.kind == "head":
            read = sum(self._tokens(one) for one in slot_demands(value, demand, self.graph).values())
            return self._together(value) * read * self._width(value) + _SCORES * self._scores(value, demand)
        if value.node.kind != "mlp":
            return 0.0
        neurons = self.graph.widths.get(value.node, 4 * self.graph.d_model)
        return 2.0 * neurons * self._tokens(demand)  # before and after the activation
