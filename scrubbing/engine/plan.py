"""The scrub plan: values in order of computation, the tokens each is needed at, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from scrubbing.engine import values as v
from scrubbing.engine.demand import FOCUS, NOTHING, Demand, fixed, keys, union, widened, within
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.models.protocol import Model
from scrubbing.sampling.contexts import REFERENCE, Context


@dataclass
class Space:
    """The part of a plan that is computed on one kind of row: references, or tokens of a per-position claim."""

    region: int
    order: list[v.Value] = field(default_factory=list[v.Value])
    """Every value after its inputs."""
    demand: dict[v.Value, Demand] = field(default_factory=dict[v.Value, Demand])
    below: dict[int, Space] = field(default_factory=dict[int, "Space"])
    """Per-position claims entered from here."""
    entered: dict[int, Demand] = field(default_factory=dict[int, Demand])
    """Tokens of this space that become the rows of each space below."""

    @cached_property
    def heads_beside(self) -> dict[v.Value, list[v.Evaluated]]:
        """By head, those of its layer that read the same inputs at the same tokens, which may be evaluated as one."""
        heads = [one for one in self.order if isinstance(one, v.Evaluated) and one.node.kind == "head"]
        found: dict[object, list[v.Evaluated]] = {}
        alike = [
            found.setdefault((one.node.layer, one.inputs_but_weights, one.mask, one.part, self.demand[one]), [])
            for one in heads
        ]
        for one, others in zip(heads, alike, strict=True):
            others.append(one)
        return dict(zip(heads, alike, strict=True))

    def walk(self) -> Iterator[Space]:
        """This space and all below it."""
        yield self
        for space in self.below.values():
            yield from space.walk()


@dataclass(eq=False)
class ScrubPlan:
    """The computation of a run as a printable DAG of values, before any tensor is computed."""

    graph: ModelGraph
    model: Model
    roots: dict[str, tuple[v.Value, Demand]]
    """The requested outputs by name, each with the tokens at which it is read."""
    space: Space
    real: float
    """Mean number of real positions per input, for cost estimates."""
    statistics: dict[v.Statistic, StatisticPlan] = field(default_factory=dict[v.Statistic, "StatisticPlan"])
    """Means (and covariances) over the dataset that are computed before the first batch."""

    def values(self) -> Iterator[v.Value]:
        """Every value, once per space."""
        for space in self.space.walk():
            yield from space.order

    def costliest_mask(self) -> Context | None:
        """Context of the padding mask used by the attention with the most queries, of that with a row per reference."""
        best: Context | None = None
        most = 0.0
        for value, demand in self.space.demand.items():
            if isinstance(value, v.Evaluated) and value.mask is not None and value.mask.space == 0:
                queries = demand.expected(self.graph.positions, self.real)
                if queries > most:
                    best, most = value.mask, queries
        return best

    def items(self) -> dict[v.Item, Demand]:
        """The clean items that are read from the store, each with the tokens needed."""
        needed: dict[v.Item, Demand] = {}
        everywhere = tuple(range(self.graph.positions))
        for space in self.space.walk():
            for value, demand in space.demand.items():
                if isinstance(value, v.Clean) and value.context.ablation is None:
                    wanted = fixed(demand.fixed if demand.kind == "fixed" else everywhere)
                    needed[value.item] = union(needed.get(value.item, wanted), wanted)
        for made in self.statistics.values():
            for value in made.plan.values():
                if isinstance(value, v.Clean):
                    wanted = fixed(made.positions)
                    needed[value.item] = union(needed.get(value.item, wanted), wanted)
        return needed


@dataclass(frozen=True, eq=False)
class StatisticPlan:
    """How the replacement of an ablated sum is computed: the sum, evaluated once per run on inputs of the dataset."""

    plan: ScrubPlan
    positions: tuple[int, ...]
    """The positions at which the replacement is read."""
    inputs: int
    """Number of inputs that the sum is evaluated on."""


def make_plan(
    graph: ModelGraph, model: Model, roots: dict[str, tuple[v.Value, Demand]], real: float, inputs: int = 0
) -> ScrubPlan:
    """Order values, and work backwards which tokens of each are needed.

    Args:
        graph: of the model on this dataset.
        model: what the plan will run on.
        roots: by name, the values asked for and the tokens they are needed at.
        real: mean number of real positions per input.
        inputs: of the dataset that statistics are taken over, for plans that have any.
    """
    space = _space(0, graph, list(roots.values()))
    everywhere = fixed(tuple(range(graph.positions)))
    statistics: dict[v.Statistic, StatisticPlan] = {}
    for value in (value for one in space.walk() for value in one.order if isinstance(value, v.Statistic)):
        demand = space.demand.get(value, everywhere)
        positions = (demand if demand.kind == "fixed" else everywhere).fixed
        # At real positions only: a mean over padding would be a mean of nothing.
        read = Demand("both", of=frozenset({fixed(positions), Demand("seen", context=REFERENCE)}))
        made = make_plan(graph, model, {"sum": (value.of, read)}, real)
        statistics[value] = StatisticPlan(made, positions, inputs)
    return ScrubPlan(graph, model, roots, space, real, statistics)


def _space(region: int, graph: ModelGraph, roots: list[tuple[v.Value, Demand]]) -> Space:
    space = Space(region)
    _order(space, [value for value, _ in roots])
    for value, demand in roots:
        space.demand[value] = union(space.demand.get(value, demand), demand)
    for value in reversed(space.order):
        if value not in space.demand:
            continue  # read only in a cell that no needed token lies in
        for read, tokens in wanted(value, space.demand[value], graph):
            tokens = widened(tokens)
            if tokens != NOTHING:
                space.demand[read] = union(space.demand.get(read, tokens), tokens)
    space.order = [value for value in space.order if value in space.demand]
    entered: dict[int, list[v.Value]] = {}
    for value in space.order:
        if isinstance(value, v.PerPosition):
            entered.setdefault(value.region, []).append(value)
    for index, values in entered.items():
        tokens = space.demand[values[0]]
        for value in values[1:]:
            tokens = union(tokens, space.demand[value])
        for value in values:
            space.demand[value] = tokens
        space.entered[index] = tokens
        space.below[index] = _space(
            index, graph, [(value.of, FOCUS) for value in values if isinstance(value, v.PerPosition)]
        )
    return space


def _order(space: Space, roots: list[v.Value]) -> None:
    """Depth first, without recursion: plans of deep models are deep."""
    done: set[v.Value] = set()
    stack: list[tuple[v.Value, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        value, ready = stack.pop()
        if value in done:
            continue
        if ready:
            done.add(value)
            space.order.append(value)
            continue
        stack.append((value, True))
        stack += [(read, False) for read in reads(value) if read not in done]


def reads(value: v.Value) -> Iterator[v.Value]:
    """Inputs in the same space: what is inside a per-position claim is computed there, a statistic elsewhere."""
    if not isinstance(value, (v.PerPosition, v.Statistic)):
        yield from value.inputs()


def wanted(value: v.Value, demand: Demand, graph: ModelGraph) -> Iterator[tuple[v.Value, Demand]]:
    """The tokens of each input that these tokens of a value need."""
    if isinstance(value, v.Sum):
        cells = [(within(demand, where, value.context, graph.positions), terms) for where, terms in value.cells]
        in_cells = Counter(term for _, terms in cells for term in dict.fromkeys(term for _, term in terms))
        for term, count in in_cells.items():
            if count == len(cells):
                yield term, demand
        for inside, terms in cells:
            for _, term in terms:
                if in_cells[term] < len(cells):
                    yield term, inside
    elif isinstance(value, v.Evaluated):
        for name, read in value.slots:
            if name == v.WEIGHTS or graph.slots[value.node][name].reach == "same":
                yield read, demand
            else:
                earlier = graph.slots[value.node][name].reach == "earlier"
                yield read, keys(demand, earlier, value.mask, graph.positions)
    else:
        for read in reads(value):
            yield read, demand


def slot_demands(value: v.Evaluated, demand: Demand, graph: ModelGraph) -> dict[str, Demand]:
    """The tokens a node reads at each slot, to be computed at these tokens."""
    needed = [tokens for _, tokens in wanted(value, demand, graph)]
    return dict(zip((name for name, _ in value.slots), needed, strict=True))
