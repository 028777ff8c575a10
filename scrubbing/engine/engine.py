"""The engine: one model on one dataset, compiling hypotheses to plans and running them in batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.data.real import RealDraws
from scrubbing.device import upload
from scrubbing.engine import values as v
from scrubbing.engine.batches import rows_at_once, tokens_at_once
from scrubbing.engine.build import Builder, Compiler
from scrubbing.engine.cost import Cost, cost
from scrubbing.engine.demand import Demand
from scrubbing.engine.execute import Executor
from scrubbing.engine.fitting import Fitting
from scrubbing.engine.memory import MemoryBudget, reuse_freed_memory
from scrubbing.engine.padding import PaddingReads
from scrubbing.engine.parts import PartOps
from scrubbing.engine.plan import ScrubPlan, make_plan
from scrubbing.engine.rows import FrameRows
from scrubbing.engine.statistics import MOST_INPUTS, Moments, moments, stand_in
from scrubbing.engine.store import Store
from scrubbing.errors import BadData, IllegalHypothesis, ModelMismatch, fail
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.legality import legal
from scrubbing.hypothesis.treeify import Tree
from scrubbing.models.check import check_finite
from scrubbing.models.precision import tolerance, wide
from scrubbing.models.protocol import Model
from scrubbing.models.tokens import Tokens
from scrubbing.sampling.contexts import REFERENCE, SCRUB, Context, Contexts, Mode
from scrubbing.sampling.frames import DrawCounts, Frame

DEFAULT_MEMORY = 2**30
"""Bytes for activations; a laptop's worth."""

_CHECKED = 4
"""References on which every plan is compared with the model."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """A hypothesis compiled for an engine's model and data."""

    hypothesis: Hypothesis
    mode: Mode
    data: Dataset
    """The dataset within the hypothesis's scope."""
    tree: Tree
    contexts: Contexts
    plan: ScrubPlan
    real: RealDraws | None = None
    """Rule for which inputs may be drawn; None where any may."""

    @property
    def cost(self) -> Cost:
        """The cost of running the plan, per scrubbed example."""
        return cost(self.plan)


@dataclass(frozen=True, eq=False)
class Batch:
    """The outputs of some rows, or a piece of them."""

    index: NDArray[np.int64]
    """Place of each row in the list of references, `[rows]`."""
    draw: NDArray[np.int64]
    """Draw number of each row, `[rows]`."""
    outputs: dict[str, Tensor]
    """Outputs `[tokens, d_out]` by name: that of the scrubbed model and, if requested, that of the model."""
    tokens: Tokens
    """The tokens of this piece."""
    padding: NDArray[np.int64] | None = None
    """How many inputs, held by a claim or unclaimed, were read at padding, `[rows]`; None where that is not counted."""
    last: bool = True
    """Whether this is the last piece of a batch, which is of these rows unless the device ran out of memory."""
    complete: bool = True
    """Whether this is the last piece of these rows."""

    def part(self, which: slice) -> Batch:
        """Some of the tokens of this piece."""
        row, position = self.tokens.row[which], self.tokens.position[which]
        tokens = Tokens(row, position, self.tokens.n_rows, self.tokens.device)
        outputs = {name: output[which] for name, output in self.outputs.items()}
        return Batch(self.index, self.draw, outputs, tokens, self.padding, last=False, complete=False)


@dataclass(frozen=True, eq=False)
class _Part:
    """Rows that are computed together."""

    index: NDArray[np.int64]
    draw: NDArray[np.int64]
    frame: Frame
    pieces: Iterator[tuple[dict[str, Tensor], Tokens, bool]]


class Engine:
    """Compiles and runs hypotheses about one model on one dataset.

    Args:
        model: the model to explain, in evaluation mode and self-checked, as loaders return it.
        data: inputs to draw from; references are among them.
        positions: tokens at which the output is read.
        store: keep clean activations of dataset inputs (`True`), or recompute them where they are needed. Results do
            not depend on it.
        memory: bytes for activations. A fifth is for the batch at hand; a fifth for its outputs and their losses, or
            for filling the store; two fifths for the store. What does not fit there goes to temporary files, whose
            mapped pages take at most the last fifth.
        spill: folder for these files; None is the system's.
        room: memory budget of the store, where several engines share one; None for a share of `memory`.
        read: function dataset -> bool `[n, positions]` of the outputs that a loss reads; inputs are then drawn only if
            they are real wherever these outputs depend on them. With None any input is drawn.
        by_groups: compute clean activations in groups of inputs that are the same whatever is read first.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        positions: Demand,
        *,
        read: Callable[[Dataset], NDArray[np.bool_]] | None = None,
        store: bool = True,
        memory: int = DEFAULT_MEMORY,
        spill: str | None = None,
        room: MemoryBudget | None = None,
        by_groups: bool = False,
    ) -> None:
        self.graph = graph_of(model, data)
        reuse_freed_memory()
        self.model, self.data, self.positions = model, data, positions
        self.memory = memory // 5
        room = room or MemoryBudget(2 * memory // 5, spill, memory // 5)
        self.store = Store(model, self.graph, data, room, self.memory, by_groups) if store else None
        self.real = float(self.graph.positions) if data.lengths is None else float(data.lengths.mean())
        """Mean number of real positions per input."""
        self.fitting = Fitting(model.device)
        """How many rows at a time fit the device, if that is fewer than the budget says."""
        self.ops = PartOps(model, self.graph.positions)
        self._executors: WeakKeyDictionary[Compiled, Executor] = WeakKeyDictionary()
        self.real_draws: RealDraws | None = None
        if read is not None and data.mask is not None:
            self.real_draws = RealDraws(read, same_length=self.graph.looks_ahead)

    def compile(
        self,
        hypothesis: Hypothesis | Tree,
        mode: Mode = SCRUB,
        with_model: bool = False,
        *,
        data: Dataset | None = None,
        real: RealDraws | None = None,
        positions: Demand | None = None,
        announce: bool = True,
    ) -> Compiled:
        """Turn a hypothesis into a plan.

        Args:
            hypothesis: a hypothesis, which is checked here, or its tree from `legal`, which has been checked.
            mode: the scrub, or one of the baselines made from the hypothesis.
            with_model: also compute the model's own output, under the name `model`.
            data: inputs to draw from, among the engine's; None for those in the hypothesis's scope.
            real: rule for which of them may be drawn, by where they are padding; None for the rule that follows from
                the engine's `read`.
            positions: tokens at which the output is read; None for the engine's own.
            announce: register with the store what the plan reads, which may be done for several plans at once.

        Raises:
            IllegalHypothesis: lists every fault found.
        """
        tree = hypothesis if isinstance(hypothesis, Tree) else legal(hypothesis, self.graph, self.data)
        assert tree.data is not None and isinstance(tree.hypothesis, Hypothesis)
        data = tree.data if data is None else data
        contexts = Contexts(tree, mode)
        builder = Builder(self.graph, self.model, stored=self.store is not None)
        compiler = Compiler(builder, tree, contexts)
        roots = {"scrubbed": (compiler.output(), positions or self.positions)}
        if with_model:
            roots["model"] = (compiler.clean_output(), positions or self.positions)
        plan = make_plan(self.graph, self.model, roots, self.real, inputs=min(len(data), MOST_INPUTS))
        if announce and self.store is not None:
            self.store.register(plan)
        return Compiled(tree.hypothesis, mode, data, tree, contexts, plan, real or self.real_draws)

    def run(
        self,
        compiled: Compiled,
        references: NDArray[np.int64],
        draws: int,
        seed: int,
        counts: dict[Context, DrawCounts] | None = None,
        batch: int | None = None,
        skip: int = 0,
        padding_reads: bool = True,
    ) -> Iterator[Batch]:
        """Run a plan over references and draws.

        Args:
            compiled: from `compile`.
            references: rows of `compiled.data`.
            draws: complete resamplings per reference.
            seed: of the run.
            counts: filled with the counts of the draws of each context.
            batch: rows per batch; by default chosen from the memory budget. Results do not depend on it.
            skip: number of batches to leave out at the beginning, for a run that is resumed.
            padding_reads: count the inputs that are read at padding.

        Yields:
            Batches draw by draw, or of several draws where the references do not fill one, each in pieces whose
            outputs fit the memory budget. Within them, references whose padding masks are of similar length come
            together, so that little of a batch is padding. Where the device runs out of memory, a batch comes in
            parts, of fewer rows.

        Raises:
            NothingToDraw: SCR-DRAW, no input agrees with a held one.
        """
        size = batch or rows_at_once(compiled.plan, self.memory)
        most = tokens_at_once(compiled.plan, self.memory)
        counts = {} if counts is None else counts
        padded = compiled.data.lengths is not None and bool((compiled.data.lengths < self.graph.positions).any())
        padding = PaddingReads.of(compiled.plan) if padded and padding_reads else None
        n = len(references)
        together = max(1, size // max(1, n))
        starts = [
            (first, start)
            for first in range(0, draws, together)
            for start in range(0, n * min(together, draws - first), size)
        ]
        for first, each in itertools.groupby(starts[skip:], key=lambda start: start[0]):
            number, index = np.divmod(np.arange(n * min(together, draws - first)), n)
            number += first
            order = self._order(compiled, references[index], number, seed)
            for _, start in each:
                rows = order[start : start + size]
                batch_of = index[rows], number[rows]
                for part, last_part in self._parts(compiled, references, *batch_of, seed, counts, most):
                    for outputs, tokens, last in part.pieces:
                        read = None
                        if padding is not None and last:
                            read = padding.count(FrameRows(part.frame, self.model, self.graph.positions))
                        yield Batch(part.index, part.draw, outputs, tokens, read, last and last_part, last)

    def _parts(
        self,
        compiled: Compiled,
        references: NDArray[np.int64],
        index: NDArray[np.int64],
        draw: NDArray[np.int64],
        seed: int,
        counts: dict[Context, DrawCounts],
        most: int,
    ) -> Iterator[tuple[_Part, bool]]:
        """A batch, or parts of it that fit the device, each computed up to its first piece; and whether it is the last.

        What a part that did not fit had drawn does not count.
        """
        executor = self._executor(compiled)

        def begun(rows: NDArray[np.int64]) -> _Part:
            drawn: dict[Context, DrawCounts] = {}
            held = references[index[rows]]
            frame = Frame.root(compiled.data, held, draw[rows], seed, drawn, compiled.real)
            pieces = executor.pieces(frame, most)
            first = next(pieces)  # everything but further outputs is computed, and everything is drawn
            for context, count in drawn.items():
                counts.setdefault(context, DrawCounts()).add(count)
            return _Part(index[rows], draw[rows], frame, itertools.chain([first], pieces))

        yield from self.fitting.each(np.arange(len(index)), begun)

    def outputs(
        self, compiled: Compiled, references: NDArray[np.int64], draws: int, seed: int, batch: int | None = None
    ) -> Tensor:
        """The scrubbed outputs of a run at fixed positions, `[draws, references, positions, d_out]`."""
        found: Tensor | None = None
        column = np.full(self.graph.positions, -1)
        column[list(self.positions.fixed)] = np.arange(len(self.positions.fixed))
        for one in self.run(compiled, references, draws, seed, batch=batch):
            output = one.outputs["scrubbed"]
            if found is None:
                found = output.new_empty(draws, len(references), len(self.positions.fixed), output.shape[1])
            row = one.tokens.row
            at = (one.draw[row], one.index[row], column[one.tokens.position])
            found[tuple(upload(places, output.device) for places in at)] = output
        assert found is not None
        return found

    def _order(
        self, compiled: Compiled, references: NDArray[np.int64], numbers: NDArray[np.int64], seed: int
    ) -> NDArray[np.int64]:
        """References by length of the mask that the costliest attention looks through."""
        mask = compiled.plan.costliest_mask()
        if mask is None or compiled.data.lengths is None:
            return np.arange(len(references))
        data, rows = Frame.root(compiled.data, references, numbers, seed, {}, compiled.real).source(mask)
        assert data.lengths is not None
        return np.argsort(data.lengths[rows], kind="stable")

    def verify(self, compiled: Compiled, references: NDArray[np.int64]) -> None:
        """Check that the rewritten model computes the same as the model.

        With every draw replaced by the reference itself, the plan must return the model's own output, up to rounding
        errors in the model's precision (`models.precision`).

        Raises:
            IllegalHypothesis: SCR-SUM, a rewrite does not add up in this precision.
            ModelMismatch: SCR-NAN, the model's output is not finite; SCR-CHECK, it is wrong without any rewrite.
        """
        if compiled.mode != SCRUB:
            return
        wrong = self._difference(compiled, references[:_CHECKED])
        if wrong <= tolerance(self.model):
            return
        parts = [str(t.only) for r in compiled.tree.regions for t in r.claim.targets if t.only is not None]
        told = f"differs from the model's by {wrong:.2g} of its size" if np.isfinite(wrong) else "is not finite"
        problem = f"with every draw replaced by the reference, the output {told}"
        where = compiled.hypothesis.name
        if not parts:
            remedy = "The model's nodes do not add up on these inputs: see scrubbing.testing.check_model."
            fail(ModelMismatch, "SCR-CHECK", f"{problem}.", remedy, where)
        remedy = "A part plus its remainder must equal the node: make the part finite and of the node's own size."
        fail(IllegalHypothesis, "SCR-SUM", f"{problem}; the rewrites are {', '.join(parts)}.", remedy, where)

    def _difference(self, compiled: Compiled, references: NDArray[np.int64]) -> float:
        """How far the plan without draws is from the model's own output, as a share of its largest number (at least 1).

        Raises:
            ModelMismatch: SCR-NAN, the model's output is not finite.
        """
        most = tokens_at_once(compiled.plan, self.memory)
        size = min(max(1, most // self.graph.positions), rows_at_once(compiled.plan, self.memory))
        executor, device = self._executor(compiled), self.model.device

        def compared(rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
            largest, difference = torch.ones((), device=device), torch.zeros((), device=device)
            frame = Frame.root(compiled.data, rows, np.zeros_like(rows), 0, {})
            frame.everyone_holds_the_reference = True
            inputs = FrameRows(frame, self.model, self.graph.positions).inputs(REFERENCE)
            own = self.model.own_output(inputs, upload(rows, device))
            for outputs, tokens, _ in executor.pieces(frame, most):
                found, wanted = outputs["scrubbed"], own[tokens.rows, tokens.positions]
                check_finite(wanted, self.model.name)
                found, wanted = wide(found), wide(wanted.to(found.device))
                largest = torch.maximum(largest, wanted.abs().max())
                difference = torch.maximum(difference, (found - wanted).abs().max())  # a NaN stays one
            return largest, difference

        starts = range(0, len(references), size)
        found = [one for start in starts for one, _ in self.fitting.each(references[start : start + size], compared)]
        largest, difference = (torch.stack(each).max() for each in zip(*found, strict=True))
        return float(difference / largest)

    def forget(self) -> None:
        """Compute clean activations and statistics anew when they are next read."""
        self._executors.clear()
        if self.store is not None:
            self.store.forget()

    def _executor(self, compiled: Compiled) -> Executor:
        """The executor of a plan, which remembers its statistics."""
        if compiled not in self._executors:
            taken: dict[v.Statistic, Moments] = {}
            plan, data = compiled.plan, compiled.data  # a closure over `compiled` would keep it for ever

            def statistic(value: v.Statistic, rows: FrameRows, tokens: Tokens) -> Tensor:
                if value not in taken:
                    made = plan.statistics[value]
                    taken[value] = moments(value, made, data, self.store, self.memory, self.ops)
                return stand_in(value, taken[value], rows, tokens)

            self._executors[compiled] = Executor(plan, self.store, statistic, self.ops)
        return self._executors[compiled]


def graph_of(model: Model, data: Dataset) -> ModelGraph:
    """The model graph on this dataset, once both are known to be what they should be.

    Raises:
        ModelMismatch: SCR-MODEL, not a scrubbable model.
        BadData: SCR-DATA, not a dataset; SCR-TOKENS.
    """
    if not callable(getattr(model, "graph", None)):
        problem = f"it is of type {type(model).__name__}, whose nodes cannot be evaluated one at a time."
        remedy = "Load it with scrubbing.load_model, or with from_bridge of scrubbing.models.transformer_lens."
        fail(ModelMismatch, "SCR-MODEL", problem, remedy, "model")
    if not isinstance(data, Dataset):
        problem = f"it is of type {type(data).__name__}, not a Dataset."
        fail(BadData, "SCR-DATA", problem, 'Write Dataset({"tokens": tokens}).', "dataset")
    return data.remember(("graph", model), lambda: model.graph(data))
