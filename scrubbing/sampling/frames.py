"""Sampled inputs: for rows of (reference, draw, position), which dataset input each context holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import disagree, groups, locate
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import anything
from scrubbing.errors import IllegalHypothesis, NothingToDraw, fail, located
from scrubbing.rng import stream_key, uniform
from scrubbing.sampling.contexts import REFERENCE, Context
from scrubbing.sampling.real import RealDraws

Rows = NDArray[np.int64]


@dataclass
class DrawCounts:
    """What happened in the draws of one claim."""

    agreed: list[NDArray[np.int64]] = field(default_factory=list)
    """Per draw, how many inputs agreed with the held one."""
    returned_self: int = 0
    """Draws that returned the held input itself."""
    total: int = 0


@dataclass(eq=False)
class Frame:
    """A batch of rows, and the input each context holds in each of them. Contexts are drawn when first asked for.

    The root frame has a row per (reference, draw). A claim that draws per position opens a frame below it with a row
    per token of the enclosing one.
    """

    data: Dataset
    seed: int
    ids: Rows
    """Reference input id of each row."""
    draw: Rows
    """Draw number of each row."""
    held: dict[Context, Rows]
    """Dataset rows by context; starts with the reference."""
    space: int = 0
    counter: Rows | int = 0
    """Distinguishes positions in the random counter; 0 in the root frame."""
    focus: Rows | None = None
    """Position of each row, in frames below the root."""
    above: Frame | None = None
    row_above: Rows | None = None
    blocks: dict[Context, Dataset] = field(default_factory=dict)
    """Generated inputs, by the context that holds them; rows then index the block."""
    counts: dict[Context, DrawCounts] = field(default_factory=dict)
    everyone_holds_the_reference: bool = False
    """No draws: the check that a plan without swaps is the model."""
    real: RealDraws | None = None
    """Which inputs may be drawn at all; None for any."""

    @classmethod
    def root(
        cls,
        data: Dataset,
        references: Rows,
        draws: Rows,
        seed: int,
        counts: dict[Context, DrawCounts],
        real: RealDraws | None = None,
    ) -> Frame:
        """Rows for these dataset rows as references, with these draw numbers."""
        ids = data.ids[references].astype(np.int64)
        return cls(data, seed, ids, draws, {REFERENCE: references}, counts=counts, real=real)

    def below(self, space: int, row_above: Rows, focus: Rows, positions: int) -> Frame:
        """The frame of a claim that draws per position: one row per token of this frame."""
        counter = np.zeros_like(row_above) + self.counter if isinstance(self.counter, int) else self.counter[row_above]
        return Frame(
            self.data,
            self.seed,
            self.ids[row_above],
            self.draw[row_above],
            {},
            space,
            counter * (positions + 1) + focus + 1,
            focus,
            self,
            row_above,
            counts=self.counts,
            everyone_holds_the_reference=self.everyone_holds_the_reference,
            real=self.real,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def source(self, context: Context) -> tuple[Dataset, Rows]:
        """The dataset a context's inputs are from, and their rows in it.

        Raises:
            NothingToDraw: SCR-DRAW, no input agrees.
            IllegalHypothesis: SCR-GENERATED, generated inputs do not agree with the held ones.
        """
        if context.ablation is not None:
            raise AssertionError("a statistic is not an input")
        if self.everyone_holds_the_reference and self.above is None:
            return self.data, self.held[REFERENCE]
        if context.space != self.space or self.everyone_holds_the_reference:
            assert self.above is not None and self.row_above is not None
            data, rows = self.above.source(context)
            return data, rows[self.row_above]
        if context not in self.held:
            self.held[context] = self._drawn(context)
        return self.blocks.get(context, self.data), self.held[context]

    def _drawn(self, context: Context) -> Rows:
        assert context.sampler is not None and context.parent is not None
        sampler = context.sampler
        if sampler.kind == "fixed":
            rows = np.full(len(self), int(np.flatnonzero(self.data.ids == sampler.input_id)[0]))
            if self.real is not None:
                self.real.check(self.data, rows, self._needed(), self.ids, context.key)
            return rows
        data, held = self.source(context.parent)
        if sampler.kind == "generated":
            rows, made = np.arange(len(self)), self._generated(context, data, held)
            if self.real is not None:
                self.real.check(made, rows, self._needed(), self.ids, context.key)
            self.blocks[context] = made
            return rows
        return self._agreeing(context, data, held)

    def _agreeing(self, context: Context, data: Dataset, held: Rows) -> Rows:
        feature, sampler = context.feature, context.sampler
        assert feature is not None and sampler is not None
        table = groups(feature, self.data)
        position: Rows | None = None
        if feature.per == "position":
            position = self.focus if context.position is None else np.full(len(self), context.position)
            assert position is not None
        if data is self.data:
            group = table.group[held] if position is None else table.group[held, position]
        else:
            group = locate(feature, data, held, self.data, position)
        start, size = table.start[group], np.where(group < 0, 0, table.size[group])
        if self.real is not None:
            table, start, size = self.real.among(feature, self.data, group, self._needed())
        others = size - 1 if sampler.exclude_self and data is self.data else size
        if not (others > 0).all():
            _nothing(context, data, held, int(np.argmin(others > 0)), self)
        u = uniform(stream_key(self.seed, context.key), self.ids, self.draw, self.counter)
        pick = (u * others).astype(np.int64)
        if sampler.exclude_self and data is self.data:
            rank = table.rank[held] if position is None else table.rank[held, position]
            pick += pick >= rank - (start - table.start[group])
        rows = table.members[start + pick].astype(np.int64)
        if context.region is not None:
            count = self.counts.setdefault(context, DrawCounts())
            count.agreed.append(size)
            count.total += len(rows)
            count.returned_self += int((rows == held).sum()) if data is self.data else 0
        return rows

    def _needed(self) -> Rows:
        """Real positions that a draw of each row must have."""
        assert self.real is not None
        return self.real.needed(self.data)[self.source(REFERENCE)[1]]

    def _generated(self, context: Context, data: Dataset, held: Rows) -> Dataset:
        assert context.sampler is not None and context.sampler.generate is not None
        key = context.key

        def random(columns: int) -> NDArray[np.float64]:
            keys = (stream_key(self.seed, f"{key} / column {i}") for i in range(columns))
            return np.stack([uniform(k, self.ids, self.draw, self.counter) for k in keys], axis=1)

        asked = data.take(held) if len(np.unique(held)) == len(held) else _repeated(data, held)
        name = f"inputs generated for {key}"
        with located(name):
            made = self.data.like(context.sampler.generate(asked, random), name)
            _check_shapes(made, asked)
            differ = disagree(context.feature or anything, asked, made)
        if differ.any():
            row = int(np.argmax(differ))
            problem = (
                f"{int(differ.sum())} of {len(made)} generated inputs do not agree with the held one on "
                f"{context.feature}: {made.show(row)!r} for {asked.show(row)!r}."
            )
            fail(IllegalHypothesis, "SCR-GENERATED", problem, "Make inputs that agree on the feature.", key)
        return made


def _check_shapes(made: Dataset, asked: Dataset) -> None:
    """An input that lacks its mask, or is shorter, would be read as something else than it is."""
    for name in asked:
        if name in ("tokens", "mask") and name not in made:
            problem = f"they have no column {name!r}, and the held inputs have."
            fail(IllegalHypothesis, "SCR-GENERATED", problem, "Return every column that the model reads.")
        if name in made and made[name].shape != asked[name].shape:
            shapes = f"{list(made[name].shape)}, and that of the held inputs {list(asked[name].shape)}"
            problem = f"their column {name!r} has shape {shapes}."
            fail(IllegalHypothesis, "SCR-GENERATED", problem, "Return one input per held input, of the same length.")


def _repeated(data: Dataset, rows: Rows) -> Dataset:
    return data.like({name: data[name][rows] for name in data})


def _nothing(context: Context, data: Dataset, held: Rows, row: int, frame: Frame) -> None:
    assert context.feature is not None and context.sampler is not None
    place = frame.focus[row] if frame.focus is not None and context.feature.per == "position" else context.position
    position = None if place is None else int(place)
    value = context.feature.value_at(data, int(held[row]), position)
    never, remedy = "", "Use a coarser feature, more data, or a generated sampler."
    length = "" if frame.real is None else f"; {frame.real.told(int(frame._needed()[row]))}"
    if context.sampler.exclude_self:
        never, remedy = " other than itself", "Drop exclude_self, or use a coarser feature or more data."
    problem = (
        f"no input{never} has {context.feature} = {value!r}{'' if position is None else f' at position {position}'}, "
        f"the value of {data.show(int(held[row]))!r} (reference input id {int(frame.ids[row])}, "
        f"draw {int(frame.draw[row])}){length}."
    )
    fail(NothingToDraw, "SCR-DRAW", problem, remedy, context.key)


def sample_tree(
    contexts: Mapping[str, Context],
    data: Dataset,
    row: int,
    seed: int = 0,
    draw: int = 0,
    real: RealDraws | None = None,
) -> dict[str, int]:
    """For one reference input, the dataset row each claim path holds; for printing. Per-position claims are left
    out.
    """
    frame = Frame.root(data, np.array([row]), np.array([draw]), seed, {}, real)
    return {
        path: int(frame.source(context)[1][0])
        for path, context in contexts.items()
        if context.space == 0 and context.ablation is None and frame.source(context)[0] is data
    }


Uniform = Callable[[int], NDArray[np.float64]]
"""What a generating sampler gets as its randomness."""
