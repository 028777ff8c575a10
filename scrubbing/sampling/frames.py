"""Sampled inputs: for rows of (reference, draw, position), which dataset input each context holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import groups, locate
from scrubbing.data.dataset import Dataset
from scrubbing.data.real import RealDraws
from scrubbing.rng import stream_key, uniform
from scrubbing.samplers import Asked
from scrubbing.sampling.contexts import REFERENCE, Context
from scrubbing.user_code import running

Rows = NDArray[np.int64]


@dataclass
class DrawCounts:
    """What happened in the draws of one claim."""

    agreed: list[NDArray[np.int64]] = field(default_factory=list[NDArray[np.int64]])
    """Per draw, how many inputs agreed with the held one."""
    returned_self: int = 0
    """Draws that returned the held input itself."""
    total: int = 0

    def add(self, other: DrawCounts) -> None:
        """Count further draws."""
        self.agreed += other.agreed
        self.returned_self += other.returned_self
        self.total += other.total


@dataclass(eq=False)
class Frame:
    """A batch of rows, and the input that each context holds in each row. Inputs are drawn when first requested.

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
    blocks: dict[Context, Dataset] = field(default_factory=dict[Context, Dataset])
    """Generated inputs, by the context that holds them; rows then index the block."""
    counts: dict[Context, DrawCounts] = field(default_factory=dict[Context, DrawCounts])
    everyone_holds_the_reference: bool = False
    """Replace every draw by the reference, to check that a plan without exchanges is the model."""
    real: RealDraws | None = None
    """Rule for which inputs may be drawn; None where any may."""

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
        """The root frame: row i has the reference in dataset row `references[i]`, and draw number `draws[i]`."""
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
        assert context.sampler is not None and context.feature is not None and context.parent is not None
        data, held = self.source(context.parent)
        place = self.focus if context.position is None else np.full(len(self), context.position)

        ids = self._first_agreeing(context, data, held, place) if context.shared else self.ids

        def random(columns: int) -> NDArray[np.float64]:
            names = (context.stream + (f" {column}" if column else "") for column in range(columns))
            keys = [stream_key(self.seed, name) for name in names]
            return np.stack([uniform(key, ids, self.draw, self.counter) for key in keys], axis=1)

        needed = None if self.real is None else self.real.needed(self.data)[self.source(REFERENCE)[1]]
        asked = Asked(
            self.data, context.feature, data, held, place, context.exclude_self, random, self.ids, self.draw,
            context.path, self.real, needed,
        )  # fmt: skip
        with running(f"sampler {context.sampler} of {context.path}"):
            drawn = context.sampler.draw(asked)
        if self.real is not None and needed is not None:
            self.real.check(drawn.made or self.data, drawn.rows, needed, self.ids, context.path)
        if drawn.made is not None:
            self.blocks[context] = drawn.made
        if context.region is not None and drawn.agreed is not None:
            count = self.counts.setdefault(context, DrawCounts())
            count.agreed.append(drawn.agreed)
            count.total += len(drawn.rows)
            count.returned_self += int((drawn.rows == held).sum()) if data is self.data else 0
        return drawn.rows

    def _first_agreeing(self, context: Context, source: Dataset, held: Rows, place: Rows | None) -> Rows:
        """Id of the first input that agrees with the held one, one for each value, `[rows]`; 0 where none does."""
        assert context.feature is not None
        table = groups(context.feature, self.data)
        place = place if context.feature.per == "position" else None
        if source is self.data:
            group = table.group[held] if place is None else table.group[held, place]
        else:
            group = locate(context.feature, source, held, self.data, place)
        first = self.data.ids[table.members[table.start[group]]].astype(np.int64)
        return np.where(group < 0, 0, first)


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
