"""Running a plan on one batch of rows: one tensor operation per value, nothing kept longer than needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.device import upload
from scrubbing.engine import values as v
from scrubbing.engine.demand import FOCUS, NOTHING, Demand, within
from scrubbing.engine.fitting import Fitting
from scrubbing.engine.parts import PartOps
from scrubbing.engine.plan import ScrubPlan, Space, reads, slot_demands
from scrubbing.engine.rows import FrameRows
from scrubbing.graph.nodes import Node
from scrubbing.models.protocol import RESULT
from scrubbing.models.tokens import Tokens
from scrubbing.parts import InnerPart, InputPart, OutputPart
from scrubbing.sampling.frames import Frame


class Reader(Protocol):
    """Source of clean items."""

    def gather(self, item: v.Item, rows: FrameRows, context: object, tokens: Tokens) -> Tensor:
        """The item at these tokens of the inputs a context holds, `[tokens, width]`."""
        ...


StatisticOf = Callable[[v.Statistic, FrameRows, Tokens], Tensor]
"""The stand-in for an ablated sum at these tokens, `[tokens, d]`."""


class Executor:
    """Runs one plan on frames; `parts` has what was found out about parts, for all plans about the same model."""

    def __init__(
        self, plan: ScrubPlan, store: Reader | None, statistic: StatisticOf | None, parts: PartOps | None = None
    ) -> None:
        self.plan = plan
        self.model = plan.model
        self.store = store
        self.statistic = statistic
        self.parts = parts or PartOps(plan.model, plan.graph.positions)

    @torch.inference_mode()
    def run(self, frame: Frame) -> dict[str, tuple[Tensor, Tokens]]:
        """Compute the requested values, each with its tokens."""
        rows = FrameRows(frame, self.model, self.plan.graph.positions)
        results = _SpaceRun(self, self.plan.space, rows).run(list(self.plan.roots.values()))
        return {
            name: (result, rows.tokens(demand, exactly=True))
            for (name, (_, demand)), result in zip(self.plan.roots.items(), results, strict=True)
        }

    @torch.inference_mode()
    def pieces(self, frame: Frame, most: int) -> Iterator[tuple[dict[str, Tensor], Tokens, bool]]:
        """Yield the requested outputs, which are all at the same tokens, in pieces of at most `most` tokens.

        With a large vocabulary, outputs take more memory than everything that leads to them. Outputs that read other
        tokens than their own come in one piece. Each piece comes with its tokens and whether it is the last.
        """
        rows = FrameRows(frame, self.model, self.plan.graph.positions)
        run = _SpaceRun(self, self.plan.space, rows)
        (demand,) = {demand for _, demand in self.plan.roots.values()}
        tokens, outputs = rows.tokens(demand, exactly=True), [value for value, _ in self.plan.roots.values()]
        slots = self.plan.graph.slots[self.plan.graph.output].values()
        if len(tokens) <= most or any(slot.reach != "same" for slot in slots):
            results = run.run([(value, demand) for value in outputs])
            yield dict(zip(self.plan.roots, results, strict=True)), tokens, True
            return
        read = dict.fromkeys(one for value in outputs for one in value.inputs())
        found = dict(zip(read, run.run([(value, demand) for value in read], without=outputs), strict=True))

        def outputs_at(which: NDArray[np.int64]) -> tuple[dict[str, Tensor], Tokens]:
            here = slice(int(which[0]), int(which[-1]) + 1)
            piece = Tokens(tokens.row[here], tokens.position[here], tokens.n_rows, tokens.device)
            made: dict[str, Tensor] = {}
            for name, (output, _) in self.plan.roots.items():
                assert isinstance(output, v.Evaluated)
                prepared = {slot: found[value][here] for slot, value in output.slots}
                (made[name],) = self.model.run([output.node], prepared, dict.fromkeys(prepared, piece), None, None)
            return made, piece

        fitting, everything = Fitting(self.model.device), np.arange(len(tokens))
        fitting.most = most
        for (made, piece), last in fitting.each(everything, outputs_at):
            yield made, piece, last


class _SpaceRun:
    """One space of the plan on its rows."""

    def __init__(self, executor: Executor, space: Space, rows: FrameRows) -> None:
        self.executor = executor
        self.model = executor.model
        self.graph = executor.plan.graph
        self.space = space
        self.rows = rows
        self.live: dict[v.Value, Tensor] = {}
        self.entered: dict[int, dict[v.Value, Tensor]] = {}

    def run(self, roots: list[tuple[v.Value, Demand]], without: Sequence[v.Value] = ()) -> list[Tensor]:
        """Compute every value in order but those left out, dropping each after its last reader; the roots come back at
        the tokens asked for.
        """
        keep = {value for value, _ in roots}
        left = Counter(read for value in self.space.order for read in reads(value))
        for value in self.space.order:
            if value not in self.live and value not in without:
                self._compute(value)
            for read in reads(value):
                left[read] -= 1
                if not left[read] and read not in keep:
                    self.live.pop(read, None)
        return [self._at(value, demand, exactly=True) for value, demand in roots]

    def _tokens(self, value: v.Value) -> Tokens:
        # A claim that draws per position must not draw for tokens nobody needs.
        return self.rows.tokens(self.space.demand[value], exactly=isinstance(value, v.PerPosition))

    def _at(self, value: v.Value, wanted: Demand, exactly: bool = False) -> Tensor:
        """A computed value at some of its tokens."""
        tensor = self.live[value]
        chosen = self.rows.select(self._tokens(value), self.rows.tokens(wanted, exactly))
        return tensor if chosen is None else tensor.index_select(0, chosen)

    def _compute(self, value: v.Value) -> None:
        tokens, rows, model = self._tokens(value), self.rows, self.model
        match value:
            case v.Clean():
                assert self.executor.store is not None
                result = self.executor.store.gather(value.item, rows, value.context, tokens)
            case v.Embedded():
                held = upload(rows.rows(value.context)[tokens.row], model.device)
                result = model.source(value.node, rows.inputs(value.context), held, tokens.positions)
            case v.Constant():
                return None  # added as a vector where it is read
            case v.Sum():
                result = self._sum(value)
            case v.Normed():
                demand = self.space.demand[value]
                scale = None if value.scale is None else self._at(value.scale, demand)
                result = model.prepare(value.norm_key, self._at(value.of, demand), tokens.positions, scale)
            case v.NormScale():
                result = model.scale(value.norm_key, self._at(value.of, self.space.demand[value]))
            case v.Evaluated():
                return self._run(value)
            case v.Apply():
                result = self._apply(value, tokens)
            case v.PerPosition():
                result = self._enter(value)
            case v.Statistic():
                assert self.executor.statistic is not None
                result = self.executor.statistic(value, rows, tokens)
            case _:
                raise AssertionError(value)
        self.live[value] = result

    def _sum(self, value: v.Sum) -> Tensor:
        demand = self.space.demand[value]
        if len(value.cells) == 1:
            return self._cell(value, value.cells[0][1], demand)
        tokens = self.rows.tokens(demand)
        total: Tensor | None = None
        for where, terms in value.cells:
            inside = within(demand, where, value.context, self.graph.positions)
            if inside == NOTHING:
                continue
            # Rectangles around cells of fixed positions do not meet; around cells of chosen positions they would.
            exactly = bool(where.conditions)
            part, here = self._cell(value, terms, inside, exactly), self.rows.tokens(inside, exactly)
            if here is tokens:
                return part
            if total is None:
                # Tokens that no cell covers are not needed, but must hold something finite: a NaN left in memory would
                # reach others through attention, whose weight of 0 does not stop it.
                total = (part.new_empty if tokens.needed is None else part.new_zeros)(len(tokens), part.shape[1])
            place = tokens.locate(here)
            if here.needed is not None and tokens.padded:
                there = np.flatnonzero(place >= 0)
                part, place = part.index_select(0, upload(there, part.device)), place[there]
            total.index_copy_(0, upload(place, part.device), part)
        assert total is not None
        return total

    def _cell(self, whole: v.Sum, terms: tuple[v.Term, ...], demand: Demand, exactly: bool = False) -> Tensor:
        """Add up signed terms. Raw values of one node are subtracted before they are written, once for all of them."""
        total = _Total()
        raws: dict[tuple[Node, InnerPart | None], _Total] = {}
        bias: Tensor | None = None
        for sign, value in terms:
            if isinstance(value, v.Constant):
                constant = self.model.constant(value.node, value.slot)
                assert constant is not None
                bias = sign * constant if bias is None else bias + sign * constant
                continue
            raw = v.written(value)
            into = total if raw is None else raws.setdefault(raw, _Total())
            into.add(self._at(value, demand, exactly), sign)
        if raws:
            total.add(self.model.write([(node, part, raw.tensor) for (node, part), raw in raws.items()]), 1, own=True)
        if total.empty:  # everything was ablated to zero
            writer = self.graph.slots[whole.node][whole.slot].parents[0]
            shape = len(self.rows.tokens(demand, exactly)), self.graph.d_model or self.model.raw_width(writer, None)
            total.add(torch.zeros(shape, dtype=self.model.dtype, device=self.model.device), 1, own=True)
        if bias is not None:
            total.add(bias, 1)
        return total.tensor

    def _run(self, value: v.Evaluated) -> None:
        """Evaluate a node together with every other head that reads the same inputs at the same tokens."""
        demand = self.space.demand[value]
        beside = (one for one in self.space.heads_beside.get(value, ()) if one is not value)
        together = [value, *(one for one in beside if one not in self.live and self._has_weights(one))]
        wanted = slot_demands(value, demand, self.graph)
        prepared = {name: self._at(read, wanted[name]) for name, read in value.inputs_but_weights}
        if v.WEIGHTS in wanted:
            weights = [self._at(dict(one.slots)[v.WEIGHTS], demand) for one in together]
            prepared[v.WEIGHTS] = torch.stack(weights, 1)
        tokens = {name: self.rows.tokens(needed) for name, needed in wanted.items()}
        if all(slot.reach != "same" for slot in self.graph.slots[value.node].values()):
            tokens[RESULT] = self.rows.tokens(demand)
        if not len(self.rows.tokens(demand)):
            empty = next(iter(prepared.values()))
            for one in together:
                self.live[one] = empty.new_empty(0, self.model.raw_width(one.node, one.part))
            return
        visible = None if value.mask is None else self.rows.visible(value.mask)
        results = self.model.run([one.node for one in together], prepared, tokens, visible, value.part)
        self.live.update(zip(together, results, strict=True))

    def _has_weights(self, run: v.Evaluated) -> bool:
        """Whether the weights that a run reads are there, after reading them from the store if need be."""
        weights = dict(run.slots).get(v.WEIGHTS)
        if isinstance(weights, v.Clean) and weights not in self.live:
            self._compute(weights)
        return weights is None or weights in self.live

    def _apply(self, value: v.Apply, tokens: Tokens) -> Tensor:
        parts, rows = self.executor.parts, self.rows
        if isinstance(value.part, InputPart):
            held = rows.rows(value.context)[tokens.row]
            return parts.of_input(value.part, rows.data(value.context), held, tokens.position, self.graph.d_model)
        assert value.of is not None and isinstance(value.part, OutputPart)
        output = self._at(value.of, self.space.demand[value])
        raw = v.written(value.of)
        return parts.of_output(value.part, output if raw is None else self.model.write([(*raw, output)]))

    def _enter(self, value: v.PerPosition) -> Tensor:
        region = value.region
        if region not in self.entered:
            below = self.rows.below(region, self.rows.tokens(self.space.entered[region], exactly=True))
            space = self.space.below[region]
            inner = [one.of for one in self.space.order if isinstance(one, v.PerPosition) and one.region == region]
            results = _SpaceRun(self.executor, space, below).run([(one, FOCUS) for one in inner])
            self.entered[region] = dict(zip(inner, results, strict=True))
        return self.entered[region][value.of]


class _Total:
    """A running sum that adds in place once it owns its tensor."""

    def __init__(self) -> None:
        self.tensor: Tensor = torch.empty(0)
        self.empty = True
        self._own = False

    def add(self, term: Tensor, sign: int, own: bool = False) -> None:
        if self.empty:
            self.tensor, self._own = (term, own) if sign > 0 else (-term, True)
            self.empty = False
        elif self._own:
            self.tensor.add_(term, alpha=sign)
        else:
            self.tensor, self._own = torch.add(self.tensor, term, alpha=sign), True
