"""A model with gates on what its nodes read: each writer between its own value and that on another input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.errors import UsageError, brief, fail
from scrubbing.experiment.jobs import Subject
from scrubbing.experiment.verdict.needed import MARGIN, MOVED
from scrubbing.graph.nodes import MASK, Node
from scrubbing.metrics.slices import MAIN
from scrubbing.models.tokens import Tokens
from scrubbing.rng import stream_key, uniform
from scrubbing.search.gates import Gate, Gates

Ints = NDArray[np.int64]

POOL = 2**28
"""Bytes for what nodes write on the inputs that gates are fitted on."""
AT_ONCE = 2**21
"""Numbers of one stack of writers, which says how many inputs one step takes."""
SHIFTED = 0.3
"""Share of the gap that outputs count for which shift as far as in the null, where it is measured what is lost."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some inputs of the pool, and for each node the inputs whose values stand in for its own."""

    rows: Ints
    others: Mapping[Node, Ints]


@dataclass(eq=False)
class Gated:
    """Evaluates a subject's model with gates, so that its loss can be differentiated by them.

    Source: ours; gates on edges are from Cao et al. 2021 (subnetwork probing) and Bhaskar et al. 2024 (edge pruning),
    which put a constant or one other input in place of what is gated.
    """

    subject: Subject
    through: Sequence[str]
    depth: int | None
    seed: int
    gap: float
    """Loss of the null minus that of the model."""
    spread: float
    """How far outputs are from the model's own in the null."""
    examples: int = field(default=0, init=False)
    """Forward passes so far; a gradient counts as two more."""

    def __post_init__(self) -> None:
        self.model, self.graph = self.subject.model, self.subject.graph
        self.gates = Gates.of(self.graph, self.subject.read.fixed, self.through, self.depth)
        self.writers = [one for one in self.graph.slots if one not in (MASK, self.graph.output)]
        self.where = {one: i for i, one in enumerate(self.graph.slots)}
        self._index: dict[tuple[Node, str, tuple[Node, ...]], tuple[Tensor, Tensor]] = {}
        width = self.graph.d_model or 64
        each = len(self.writers) * self.graph.positions * width
        data, pool = self.subject.data, max(64, POOL // (each * (torch.finfo(self.model.dtype).bits // 8)))
        order = np.argsort(uniform(stream_key(self.seed, "pool of the gates"), data.ids, 0), kind="stable")
        self.rows: Ints = np.sort(order[:pool])
        self.room = max(4, AT_ONCE // each)
        """Inputs that are run at once, at most."""
        self.size = min(self.room, 32)
        """Inputs of one step."""
        self.inputs = self.model.inputs(data.take(self.rows))
        self.pool = data.take(self.rows)
        self.counted = self.subject.slices.of(data)[MAIN][self.rows]

    @property
    def _below(self) -> int:
        """Of gates, as `Run` has it."""
        return -1 if self.depth is None else self.depth

    @cached_property
    def clean(self) -> dict[Node, Tensor]:
        """What each node writes on the inputs of the pool, `[inputs, positions, d]`."""
        some = [np.arange(at, min(at + 256, len(self.rows))) for at in range(0, len(self.rows), 256)]
        made: dict[Node, list[Tensor]] = {one: [] for one in self.writers}
        with torch.no_grad():
            for rows in some:
                run = Run(self, Batch(rows, {}), None, -1)
                for one in self.writers:
                    made[one].append(run.value(one, -1))
        self.examples += len(self.rows)
        return {one: torch.cat(parts) for one, parts in made.items()}

    def batch(self, step: int, size: int | None = None) -> Batch:
        """Inputs for one step, those that stand in being drawn anew: one for all nodes, or in every second step one
        for each.

        Args:
            step: its number.
            size: how many inputs, or all there are; None for as many as usual.
        """
        n, key = len(self.rows), stream_key(self.seed, f"gates, step {step}")
        rows = np.argsort(uniform(key, np.arange(n), 0), kind="stable")[: size or self.size].astype(np.int64)
        apart = step % 2 == 0
        others = {one: self._drawn(rows, key, 1 + i * apart) for i, one in enumerate(self.graph.slots)}
        return Batch(rows, others)

    def _drawn(self, rows: Ints, key: int, draw: int) -> Ints:
        chance, real = uniform(key, rows, draw), self.subject.real
        if real is None:
            return (chance * len(self.rows)).astype(np.int64)
        needed, lengths = real.needed(self.pool)[rows], self.pool.lengths
        assert lengths is not None
        fits = [np.flatnonzero(real.fits(lengths, np.full_like(lengths, one))) for one in needed.tolist()]
        return np.array([some[int(c * len(some))] for some, c in zip(fits, chance.tolist(), strict=True)])

    def cost(self, batch: Batch, gates: Tensor) -> Tensor:
        """What gates cost on average, as a share of the gap: rise of the loss, fall at half its price, and how far
        outputs move, on the scale of a verdict's terms.

        Args:
            batch: the inputs.
            gates: between 0 (of another input) and 1 (of this one), `[inputs, gates]`.

        Raises:
            UsageError: SCR-GRADIENT, the model or the loss cannot be differentiated.
        """
        run = Run(self, batch, gates, self._below)
        return self.cost_of(run, differentiable=gates.requires_grad)

    def cost_of(self, run: Run, differentiable: bool) -> Tensor:
        """What a run costs; see `cost`."""
        try:
            cost = self._cost(run.batch, run.output())
        except RuntimeError as error:
            self.refuse(brief(error))
        if differentiable and not cost.requires_grad:
            self.refuse("torch cannot follow how it depends on them")
        self.examples += 3 * len(run.batch.rows)
        return cost

    def gradient(self, cost: Tensor, of: Tensor) -> Tensor:
        """Of a cost by what it was computed from.

        Raises:
            UsageError: SCR-GRADIENT, the model or the loss cannot be differentiated.
        """
        try:
            (found,) = torch.autograd.grad(cost, of)
        except RuntimeError as error:
            self.refuse(brief(error))
        if not bool(found.isfinite().all()):
            self.refuse("a gradient is not finite")
        return found

    def refuse(self, told: str) -> NoReturn:
        """Say why there are no gradients."""
        problem = f"gradients of {self.subject.loss.name} by what nodes of the model read cannot be computed: {told}."
        remedy = 'Search by tests alone, with by="tests".'
        fail(UsageError, "SCR-GRADIENT", problem, remedy, self.model.name)

    def losses(self, batch: Batch, masks: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each of several masks loses on the same inputs with the same others, `[masks]`: the largest of the three
        terms of a cost, each in mean over outputs, as in a test, and `SHIFTED` of how far outputs shift.

        Where a model is sure of its answer, its loss hardly changes with what it reads, and on few inputs nothing
        seems to be lost by what decides others.

        Args:
            batch: the inputs.
            masks: 1 where a gate is open and 0 where it is closed, `[masks, gates]`.
        """
        n, made = len(batch.rows), np.empty(len(masks))
        for some in np.array_split(np.arange(len(masks)), max(1, -(-n * len(masks) // self.room))):
            if not len(some):
                continue
            tiled = Batch(
                np.tile(batch.rows, len(some)), {one: np.tile(rows, len(some)) for one, rows in batch.others.items()}
            )
            gates = torch.as_tensor(np.repeat(masks[some], n, axis=0), device=self.model.device)
            with torch.no_grad():
                output = Run(self, tiled, gates, self._below).output()
                terms = [*self._terms(tiled, output), SHIFTED * self._shift(output - self._own(tiled)) / self.shift]
            *lost, far = (term.reshape(len(some), -1).mean(1) for term in terms)
            made[some] = (torch.stack(lost).max(0).values + far).cpu().numpy()
            self.examples += len(tiled.rows)
        return made

    def shifts(self, batch: Batch, level: float) -> NDArray[np.float64]:
        """How far outputs would shift with each gate closed alone, to go by gradients, `[gates]`, as a share of the
        null.

        The gradient of one random combination of outputs, squared, is in mean the square of how far they shift.

        Args:
            batch: the inputs.
            level: at which all gates are, from 0, closed, to 1, open.

        Raises:
            UsageError: SCR-GRADIENT, the model or the loss cannot be differentiated.
        """
        shape = len(batch.rows), len(self.gates.gates)
        gates = torch.full(shape, level, dtype=torch.float64, device=self.model.device)
        output = Run(self, batch, gates.requires_grad_(), self._below).output()
        generator = torch.Generator().manual_seed(stream_key(self.seed, f"combinations of {batch.rows.tolist()}") >> 1)
        drawn = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output)
        self.examples += 3 * len(batch.rows)
        found = self.gradient((output * self._free(drawn)).sum(), gates)
        return found.double().square().sum(0).cpu().numpy() / len(output) / self.shift

    @cached_property
    def shift(self) -> float:
        """How far outputs are from the model's own in the null, before anything makes them probabilities."""
        batch = self.batch(-1, self.room)
        closed = torch.zeros(len(batch.rows), len(self.gates.gates), device=self.model.device)
        with torch.no_grad():
            output = Run(self, batch, closed, self._below).output()
        found = self._shift(output - self._own(batch))
        self.examples += len(batch.rows)
        return max(float(found.mean()), 1e-300)

    def _shift(self, apart: Tensor) -> Tensor:
        """Squares of how far outputs are apart, `[outputs]`."""
        return self._free(apart).double().square().sum(1)

    def _free(self, output: Tensor) -> Tensor:
        """Outputs but for what does not matter of them: of logits, their mean."""
        return output - output.mean(1, keepdim=True) if self.subject.loss.outputs == "classes" else output

    def _own(self, batch: Batch) -> Tensor:
        """Outputs of the model itself, `[outputs, d_out]`."""
        with torch.no_grad():
            return Run(self, batch, None, 0).output()

    def _cost(self, batch: Batch, output: Tensor) -> Tensor:
        rise, fall, moved = self._terms(batch, output)
        return (rise.clamp(min=0) + fall + moved).mean()

    def _terms(self, batch: Batch, output: Tensor) -> Tensor:
        """Rise of the loss, fall at half its price, and how far outputs move, `[3, outputs]`."""
        loss, data = self.subject.loss, self.pool
        row, at = (one.astype(np.int64) for one in np.nonzero(self.counted[batch.rows]))
        own = self._own(batch)
        with torch.no_grad():
            before = loss.per_token(own, data, batch.rows[row], at)
        rise = (loss.per_token(output, data, batch.rows[row], at) - before) / self.gap
        if loss.outputs == "classes":
            likely, given = own.double().log_softmax(1), output.double().log_softmax(1)
            moved = (likely.exp() * (likely - given)).sum(1)
        else:
            moved = (output - own).double().square().sum(1)
        moved = moved / max(self.spread, 1e-300) * (MARGIN / MOVED)
        return torch.stack([rise, rise.clamp(max=0).abs() / 2, moved])

    def index(self, reader: Node, slot: str, parents: tuple[Node, ...]) -> tuple[Tensor, Tensor]:
        """Where the gates of what one slot reads stand, `[writers]`, and of its positions, `[positions, writers]`."""
        if (reader, slot, parents) not in self._index:
            known, none, places = self.gates.index, self.gates.none, range(self.graph.positions)
            edges = [known.get(Gate(reader, one, slot), none) for one in parents]
            at = [[known.get(Gate(reader, one, place), none) for one in parents] for place in places]
            made = torch.tensor(edges), torch.tensor(at)
            self._index[reader, slot, parents] = made[0].to(self.model.device), made[1].to(self.model.device)
        return self._index[reader, slot, parents]


class Run:
    """One evaluation of some inputs of the pool.

    Args:
        of: the model.
        batch: the inputs, in order.
        gates: `[inputs, gates]`; None where nothing is exchanged.
        depth: below which nodes have their own value; 0 has only the output computed, negative has everything.
    """

    def __init__(self, of: Gated, batch: Batch, gates: Tensor | None, depth: int) -> None:
        self.of, self.batch, self.depth = of, batch, depth
        self.gates = None if gates is None else torch.cat([gates, torch.ones_like(gates[:, :1])], 1)
        self.model, self.graph = of.model, of.graph
        self.device = of.model.device
        self.n, self.length = len(batch.rows), of.graph.positions
        self.tokens = Tokens.rectangle(self.n, tuple(range(self.length)), self.device)
        self.at = torch.as_tensor(batch.rows, device=self.device)
        self.fixed: dict[Node, Tensor] = {}
        """What some nodes write in any case, `[inputs, positions, d]`."""
        self._values: dict[tuple[Node, int], Tensor] = {}
        self._copies: dict[tuple[Node, str, Node, int], Tensor] = {}
        self._stacks: dict[tuple[tuple[Node, ...], int], tuple[Tensor, Tensor]] = {}

    def output(self) -> Tensor:
        """What the model gives where the loss reads it, `[outputs, d_out]`."""
        node, counted = self.graph.output, np.flatnonzero(self.of.counted[self.batch.rows])
        slots = self.graph.slots[node]
        read = {name: self._input(node, name, node, name, self.depth) for name in slots}
        tokens = self.tokens
        if all(slot.reach == "same" for slot in slots.values()):
            here = torch.as_tensor(counted, device=self.device)
            read = {name: x[here] for name, x in read.items()}
            tokens = Tokens(tokens.row[counted], tokens.position[counted], self.n, self.device)
            counted = np.arange(len(counted))
        read = {name: self._prepared(node, name, x, tokens) for name, x in read.items()}
        (found,) = self.model.run([node], read, dict.fromkeys(read, tokens), self._visible(self.batch.rows), None)
        return found[torch.as_tensor(counted, device=self.device)]

    def value(self, node: Node, depth: int) -> Tensor:
        """What a node writes, `[inputs, positions, d]`."""
        if node in self.fixed:
            return self.fixed[node]
        if (self.gates is not None or depth == 0) and (depth == 0 or not self.graph.slots[node]):
            return self.of.clean[node][self.at]
        if (node, depth) not in self._values:
            if not self.graph.slots[node]:
                raw = self.model.source(node, self.of.inputs, self.at[self.tokens.rows], self.tokens.positions)
                made = self.model.write([(node, None, raw)])
            else:
                made = self._written(node, node, None, depth)
            self._values[node, depth] = made.reshape(self.n, self.length, -1)
        return self._values[node, depth]

    def _written(self, node: Node, reader: Node, through: str | None, depth: int) -> Tensor:
        """What a node writes, `[tokens, d]`, which has the gates of a reader: its own, or that of what it is looked
        through for, at one of that one's slots.
        """
        slots = [name for name, slot in self.graph.slots[node].items() if slot.parents != (MASK,)]
        read = {
            name: self._prepared(node, name, self._input(node, name, reader, through or name, depth), self.tokens)
            for name in slots
        }

        def run(rows: Ints) -> Tensor:
            (raw,) = self.model.run([node], read, dict.fromkeys(read, self.tokens), self._visible(rows), None)
            if any(x.requires_grad for x in read.values()) and not raw.requires_grad:
                self.of.refuse(f"torch cannot follow how {node} depends on what it reads")
            return self.model.write([(node, None, raw)])

        masked = next((name for name, slot in self.graph.slots[node].items() if slot.parents == (MASK,)), None)
        own = run(self.batch.rows)
        if self.gates is None or masked is None:
            return own
        edge, _ = self.of.index(reader, through or masked, (MASK,))
        seen = self.gates[:, edge].repeat_interleave(self.length, 0).to(own.dtype)
        return seen * own + (1 - seen) * run(self.batch.others[MASK])

    def _visible(self, rows: Ints) -> Tensor | None:
        visible = self.of.inputs.visible
        return None if visible is None else visible[torch.as_tensor(rows, device=self.device)]

    def _prepared(self, node: Node, name: str, x: Tensor, tokens: Tokens) -> Tensor:
        constant = self.model.constant(node, name)
        x = x if constant is None else x + constant
        return self.model.prepare(self.model.norm_key(node, name), x, tokens.positions, None)

    def _input(self, node: Node, name: str, reader: Node, slot: str, depth: int) -> Tensor:
        """What a node reads at a slot, `[tokens, d]`."""
        seen_through: Sequence[str] = () if self.gates is None else self.of.through
        parents = self.graph.slots[node][name].parents
        copied = [one for one in parents if one.kind in seen_through and self.graph.slots[one]]
        plain = tuple(one for one in parents if one not in copied)
        total = self._gated(reader, slot, plain, depth).reshape(self.n * self.length, -1) if plain else None
        for one in copied:
            key = (reader, slot, one, depth)
            if key not in self._copies:
                self._copies[key] = self._written(one, reader, slot, depth)
            total = self._copies[key] if total is None else total + self._copies[key]
        assert total is not None
        return total

    def _gated(self, reader: Node, slot: str, parents: tuple[Node, ...], depth: int) -> Tensor:
        below = max(depth - 1, 0) if depth >= 0 else depth
        if self.gates is None:
            return torch.stack([self.value(one, below) for one in parents]).sum(0)
        if (parents, below) not in self._stacks:
            other = [self.of.clean[one][torch.as_tensor(self.batch.others[one], device=self.device)] for one in parents]
            own = torch.stack([self.value(one, below) for one in parents], 2)
            rest = torch.stack(other, 2)
            self._stacks[parents, below] = own - rest, rest.sum(2)
        apart, rest = self._stacks[parents, below]
        edges, places = self.of.index(reader, slot, parents)
        open_ = (self.gates[:, None, edges] * self.gates[:, places]).to(apart.dtype)  # [inputs, positions, writers]
        return (open_[:, :, None] @ apart)[:, :, 0] + rest
