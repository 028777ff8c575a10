"""The activation store: clean items of dataset inputs, computed once per distinct input and gathered by index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.device import upload
from scrubbing.engine import values as v
from scrubbing.engine.batches import rows_at_once
from scrubbing.engine.build import Builder
from scrubbing.engine.demand import Demand, fixed, union
from scrubbing.engine.distinct import DistinctInputs
from scrubbing.engine.execute import Executor
from scrubbing.engine.fitting import Fitting
from scrubbing.engine.memory import Block, MemoryBudget
from scrubbing.engine.padding import PaddingReads
from scrubbing.engine.plan import ScrubPlan, make_plan
from scrubbing.engine.rows import FrameRows
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.models.protocol import Model
from scrubbing.models.tokens import Tokens
from scrubbing.parts import AttentionPart
from scrubbing.progress import bar
from scrubbing.sampling.contexts import REFERENCE, Context
from scrubbing.sampling.frames import Frame

Ints = NDArray[np.int64]


@dataclass(eq=False)
class _Kept:
    """One item: at fixed positions of every input, or at all real positions."""

    positions: tuple[int, ...] | None
    column: Ints | None
    """Index of each position among the fixed ones, -1 at others."""
    rows: int
    width: int
    _block: Block | None = None

    @property
    def block(self) -> Block:
        """The numbers, once their shelf has been read."""
        assert self._block is not None
        return self._block

    def allocate(self, room: MemoryBudget, model: Model, value: float) -> None:
        """Make room for all inputs, and put something finite there: what nothing needs may be read before it is
        written, and norm scales are divided by.
        """
        if self._block is None:
            self._block = room.block(self.rows, self.width, model.dtype, model.device)
            if value:
                self._block.values.fill_(value)

    def free(self, room: MemoryBudget) -> None:
        """Give the room back."""
        if self._block is not None:
            room.give_back(self._block)
            self._block = None


@dataclass(eq=False)
class _Shelf:
    """Items that were requested together, and the inputs they have been computed for."""

    plan: ScrubPlan
    kept: dict[v.Item, _Kept]
    filled: NDArray[np.bool_]
    """`[distinct]`."""
    key: str
    """Number of the shelf, the same in every process that registers the same items in the same order."""

    def free(self, room: MemoryBudget) -> None:
        """Give the room back."""
        for kept in self.kept.values():
            kept.free(room)


@dataclass(eq=False)
class _Padding:
    """Items at padded positions, of the inputs where something reads them; on shelves of their own, since few are."""

    plan: ScrubPlan
    items: tuple[v.Item, ...]
    start: Ints
    """Place of each input's padded positions, -1 where not computed; `[distinct]`."""
    key: str
    """As of a shelf."""
    size: int = 0
    values: dict[v.Item, Tensor] = field(default_factory=dict[v.Item, Tensor])


@dataclass(eq=False)
class Store:
    """Clean items of one dataset under one model. Results do not depend on it, only the time they take.

    Inputs are computed when first read, once per distinct input; padded positions only if something reads them. Which
    they are, and where, is known on the host; the device is asked for nothing but the numbers themselves.
    """

    model: Model
    graph: ModelGraph
    data: Dataset
    room: MemoryBudget
    memory: int
    """Bytes for computing what is missing."""
    by_groups: bool = False
    """Compute inputs in groups that are the same whatever is read first, so that no number depends on what was read
    before; otherwise what is missing is computed together."""
    _shelf_of: dict[v.Item, _Shelf] = field(default_factory=dict[v.Item, _Shelf])
    _padding: dict[v.Item, _Padding] = field(default_factory=dict[v.Item, _Padding])
    _shelves: int = 0
    _dropped: int = 0
    """How often everything was given up."""
    fills: dict[str, list[Ints]] = field(default_factory=dict[str, list[Ints]])
    """Inputs computed together, by shelf, in order. Matrix products of other batches differ in the last bit, so a
    resumed run computes what an interrupted one had computed in the same batches."""
    replay: dict[str, list[Ints]] = field(default_factory=dict[str, list[Ints]])
    """Fills of an interrupted run that are still to be repeated, each when its shelf is first read."""

    def __post_init__(self) -> None:
        self.inputs = DistinctInputs.of(self.data, self.model, self.graph.positions)
        self._fitting = Fitting(self.model.device)
        self._padded_somewhere = bool((self.inputs.length < self.graph.positions).any())
        self._rows: WeakKeyDictionary[ScrubPlan, int] = WeakKeyDictionary()
        """How many inputs each plan computes at a time."""
        self._everywhere = fixed(tuple(range(self.graph.positions)))

    def register(self, *plans: ScrubPlan) -> None:
        """Announce what plans read, so that all of it comes out of one pass; known items cost nothing.

        An item asked for at further positions is kept anew at these and at the earlier ones: plans that were made
        before still read there.
        """
        wanted: dict[v.Item, Demand] = {}
        for item, demand in (one for plan in plans for one in plan.items().items()):
            wanted[item] = union(wanted.get(item, demand), demand)
        self._keep(wanted)
        if self._padded_somewhere:
            read = dict.fromkeys(item for plan in plans for item in PaddingReads.items(plan))
            self._keep_padding([item for item in read if self._shelf_of[item].kept[item].positions is None])

    def _keep(self, wanted: dict[v.Item, Demand]) -> None:
        new = {item: self._with_known(item, demand) for item, demand in wanted.items() if not self._has(item, demand)}
        if not new:
            return
        real = Demand("seen", context=REFERENCE)
        demands = {item: real if demand == self._everywhere else demand for item, demand in new.items()}
        kept = {item: self._empty(item, demand) for item, demand in new.items()}
        shelf = _Shelf(self._plan(demands), kept, np.zeros(len(self.inputs), dtype=bool), str(self._shelves))
        self._shelf_of.update(dict.fromkeys(new, shelf))
        self._shelves += 1

    def _keep_padding(self, items: list[v.Item]) -> None:
        new = tuple(item for item in items if item not in self._padding)
        if new:
            key = f"padding {self._dropped} of {', '.join(map(str, new))}"
            plan = self._plan(dict.fromkeys(new, self._everywhere))
            self._padding.update(dict.fromkeys(new, _Padding(plan, new, np.full(len(self.inputs), -1), key)))

    def gather(self, item: v.Item, rows: FrameRows, context: object, tokens: Tokens) -> Tensor:
        """See `execute.Reader`."""
        assert isinstance(context, Context)
        shelf = self._shelf_of[item]
        kept = shelf.kept[item]
        inputs = self._distinct(rows.data(context))[rows.rows(context)]
        self._fill(shelf, inputs)
        place = rows.index((context, tokens, kept.positions), lambda: self._places(kept, inputs, tokens))
        assert place is not None
        found = kept.block.take(place)
        beyond = None
        if kept.positions is None:
            beyond = rows.index((context, tokens, "padding"), lambda: self._beyond(inputs, tokens))
        if beyond is not None:
            needed = beyond.on_host
            padded = self._padded(item, inputs[tokens.row[needed]], tokens.position[needed])
            found.index_copy_(0, beyond.there, padded)
        return found

    def forget(self) -> None:
        """Compute everything anew when it is next read; until then it takes no memory."""
        for shelf in self._each_shelf():
            shelf.filled[:] = False
            shelf.free(self.room)
        for padding in self._padding.values():
            padding.start[:], padding.size = -1, 0
            padding.values.clear()
        self.fills.clear()

    def drop(self) -> None:
        """Give up all items and their memory; what plans read has to be announced anew."""
        for shelf in self._each_shelf():
            shelf.free(self.room)
        self._shelf_of.clear()
        self._padding.clear()
        self._dropped += 1

    def _places(self, kept: _Kept, inputs: Ints, tokens: Tokens) -> Ints:
        """Where the tokens of these inputs are in a block; padded ones, which are not, are anywhere."""
        if kept.column is not None and kept.positions is not None:
            return (inputs * len(kept.positions))[tokens.row] + kept.column[tokens.position]
        place = self.inputs.start[inputs][tokens.row] + tokens.position
        if self._padded_somewhere:
            place[tokens.position >= self.inputs.length[inputs][tokens.row]] = 0
        return place

    def _beyond(self, inputs: Ints, tokens: Tokens) -> Ints | None:
        """Which tokens are needed where the inputs are padded; None if none is."""
        if not self._padded_somewhere:
            return None
        beyond = tokens.position >= self.inputs.length[inputs][tokens.row]
        needed = np.flatnonzero(beyond if tokens.needed is None else beyond & tokens.needed)
        return needed if len(needed) else None

    def plans(self) -> list[ScrubPlan]:
        """What computes the items, those that were announced together at once."""
        return [shelf.plan for shelf in self._each_shelf()]

    def plans_of_padding(self) -> list[ScrubPlan]:
        """What computes items where inputs are padded, once something reads them there."""
        return [one.plan for one in {id(one): one for one in self._padding.values()}.values()]

    def nbytes(self) -> int:
        """Bytes of all items if every input were computed."""
        kept = sum(one.rows * one.width for shelf in self._each_shelf() for one in shelf.kept.values())
        return kept * self.model.dtype.itemsize + sum(
            p.values[item].nbytes for item, p in self._padding.items() if item in p.values
        )

    def _each_shelf(self) -> list[_Shelf]:
        return list({id(one): one for one in self._shelf_of.values()}.values())

    def _plan(self, demands: dict[v.Item, Demand]) -> ScrubPlan:
        builder = Builder(self.graph, self.model, stored=False)
        roots = {str(i): (builder.clean(item, REFERENCE), demand) for i, (item, demand) in enumerate(demands.items())}
        return make_plan(self.graph, self.model, roots, float(self.inputs.length.mean()))

    def _distinct(self, data: Dataset) -> Ints:
        """Number of the distinct input in each row of the dataset, or of a selection of it."""
        if data is self.data:
            return self.inputs.of_row
        return data.remember(("distinct", self), lambda: self._selected(data))

    def _selected(self, data: Dataset) -> Ints:
        order = np.argsort(self.data.ids)
        rows = order[np.searchsorted(self.data.ids, data.ids, sorter=order)]
        return self.inputs.of_row[rows]

    def _has(self, item: v.Item, demand: Demand) -> bool:
        if item not in self._shelf_of:
            return False
        kept = self._shelf_of[item].kept[item].positions
        return kept is None or set(demand.fixed) <= set(kept)

    def _with_known(self, item: v.Item, demand: Demand) -> Demand:
        known = self._shelf_of[item].kept[item].positions if item in self._shelf_of else None
        return fixed(tuple(sorted({*known, *demand.fixed}))) if known else demand

    def _width(self, item: v.Item) -> int:
        if item.kind == "scale":
            return 1
        if item.kind == "weights":
            assert isinstance(item.part, AttentionPart)
            return len(item.part.distances)
        if item.kind == "input":
            return self.graph.d_model or self.model.raw_width(self.graph.slots[item.node][item.slot].parents[0], None)
        return self.model.raw_width(item.node, item.part)

    def _empty(self, item: v.Item, demand: Demand) -> _Kept:
        width = self._width(item)
        if demand == self._everywhere:
            return _Kept(None, None, int(self.inputs.length.sum()), width)
        column = np.full(self.graph.positions, -1)
        column[list(demand.fixed)] = np.arange(len(demand.fixed))
        return _Kept(demand.fixed, column, len(self.inputs) * len(demand.fixed), width)

    def _fill(self, shelf: _Shelf, inputs: Ints) -> None:
        for before in self.replay.pop(shelf.key, []):
            self._fill(shelf, before)
        missing = np.unique(inputs[~shelf.filled[inputs]])
        if not len(missing):
            return
        batches = list(self._batches(missing, shelf.plan))
        missing = np.concatenate(batches)
        self.fills.setdefault(shelf.key, []).append(missing)
        # Small items get the memory first. What is announced long before it is read takes none until then.
        for item, kept in sorted(shelf.kept.items(), key=lambda one: one[1].rows * one[1].width):
            kept.allocate(self.room, self.model, float(item.kind == "scale"))
        with bar("computing clean activations", len(missing)) as progress:
            for batch in batches:
                for number, _ in self._fitting.each(batch, lambda batch: self._put(shelf, batch)):
                    progress.advance(number)
        shelf.filled[missing] = True

    def _put(self, shelf: _Shelf, batch: Ints) -> int:
        """Compute and keep all items of these inputs."""
        for item, flat, tokens in self._compute(shelf.plan, list(shelf.kept), batch):
            kept, here = shelf.kept[item], batch[tokens.row]
            if kept.column is not None and kept.positions is not None:
                kept.block.put(here * len(kept.positions) + kept.column[tokens.position], flat)
            else:
                kept.block.put(self.inputs.start[here] + tokens.position, flat)
        return len(batch)

    def _padded(self, item: v.Item, inputs: Ints, positions: Ints) -> Tensor:
        """An item at padded positions."""
        self._keep_padding([item])
        padding = self._padding[item]
        for before in self.replay.pop(padding.key, []):
            self._padded(item, before, self.inputs.length[before])
        missing = np.unique(inputs[padding.start[inputs] < 0])
        if len(missing):
            missing = np.concatenate(list(self._batches(missing, padding.plan)))
            self.fills.setdefault(padding.key, []).append(missing)
            self._fill_padding(padding, missing)
        place, values = padding.start[inputs] + positions - self.inputs.length[inputs], padding.values[item]
        return values.index_select(0, upload(place, values.device))

    def _fill_padding(self, padding: _Padding, missing: Ints) -> None:
        extra = self.graph.positions - self.inputs.length[missing]
        padding.start[missing] = padding.size + extra.cumsum() - extra
        padding.size += int(extra.sum())
        for item in padding.items:
            before = padding.values.get(item)
            if before is None or len(before) < padding.size:
                # Untouched memory is not resident, so growing by doubling costs address space only.
                shape = 2 * padding.size, self._width(item)
                grown = torch.zeros(shape, dtype=self.model.dtype, device=self.model.device)
                if item.kind == "scale":
                    grown.fill_(1.0)
                if before is not None:
                    grown[: len(before)] = before
                padding.values[item] = grown
        for batch in self._batches(missing, padding.plan):
            for _ in self._fitting.each(batch, lambda batch: self._put_padding(padding, batch)):
                pass

    def _put_padding(self, padding: _Padding, batch: Ints) -> int:
        for item, flat, tokens in self._compute(padding.plan, list(padding.items), batch):
            here = batch[tokens.row]
            beyond = np.flatnonzero(tokens.position >= self.inputs.length[here])
            place = padding.start[here] + tokens.position - self.inputs.length[here]
            rows = flat.index_select(0, upload(beyond, flat.device))
            padding.values[item].index_copy_(0, upload(place[beyond], flat.device), rows)
        return len(batch)

    def _batches(self, inputs: Ints, plan: ScrubPlan) -> Iterator[Ints]:
        """Inputs of similar length together, so that little of a padded batch is padding; with `by_groups`, the whole
        groups that they are in.
        """
        if plan not in self._rows:
            self._rows[plan] = rows_at_once(plan, self.memory, kept=True)
        size = self._rows[plan]
        every = np.arange(len(self.inputs)) if self.by_groups else inputs
        order = every[np.argsort(self.inputs.length[every], kind="stable")]
        starts = range(0, len(order), size)
        if self.by_groups:
            place = np.empty_like(order)
            place[order] = np.arange(len(order))
            starts = np.unique(place[inputs] // size) * size
        yield from (order[start : start + size] for start in starts)

    def _compute(self, plan: ScrubPlan, items: list[v.Item], batch: Ints) -> Iterator[tuple[v.Item, Tensor, Tokens]]:
        references = self.inputs.row_of[batch]
        frame = Frame.root(self.data, references, np.zeros_like(references), 0, {})
        found = Executor(plan, None, None).run(frame)
        for i, item in enumerate(items):
            yield item, *found[str(i)]
