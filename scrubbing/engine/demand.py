"""Which tokens of a value anything reads, said before any input is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from scrubbing.graph.positions import Where

if TYPE_CHECKING:
    from scrubbing.sampling.contexts import Context

Bools = NDArray[np.bool_]


class Rows(Protocol):
    """What turns a demand into tokens: the rows of a frame, with their inputs. All of it is on the host."""

    positions: int

    @property
    def focus(self) -> NDArray[np.int64] | None:
        """Position of each row, in frames that draw per position, `[rows]`."""
        ...

    def __len__(self) -> int: ...

    def seen(self, context: Context) -> Bools | None:
        """Padding mask of the inputs a context holds, bool `[rows, positions]`; None where nothing is padded."""
        ...

    def satisfied(self, where: Where, context: Context) -> Bools:
        """Whether each (row, position) meets the conditions of a cell, bool `[rows, positions]`."""
        ...


@dataclass(frozen=True)
class Demand:
    """A set of tokens; `kind` says how it is computed."""

    kind: str
    """`fixed`, `focus`, `seen`, `upto`, `within`, `union`, `both`."""
    fixed: tuple[int, ...] = ()
    of: frozenset[Demand] = frozenset()
    context: Context | None = None
    where: Where | None = None

    @cached_property
    def _hash(self) -> int:
        return hash((self.kind, self.fixed, self.of, self.context, self.where))

    def __hash__(self) -> int:
        return self._hash  # looked up for every value of every batch

    def chosen(self, rows: Rows) -> Bools:
        """The set as bool `[rows, positions]`."""
        shape = (len(rows), rows.positions)
        match self.kind:
            case "fixed":
                chosen = np.zeros(rows.positions, dtype=bool)
                chosen[list(self.fixed)] = True
                return np.broadcast_to(chosen, shape)
            case "focus":
                assert rows.focus is not None
                return rows.focus[:, None] == np.arange(rows.positions)
            case "seen":
                assert self.context is not None
                seen = rows.seen(self.context)
                return np.ones(shape, dtype=bool) if seen is None else seen
            case "upto":
                (inner,) = self.of
                return np.logical_or.accumulate(inner.chosen(rows)[:, ::-1], axis=1)[:, ::-1]
            case "within":
                (inner,) = self.of
                assert self.where is not None and self.context is not None
                return inner.chosen(rows) & rows.satisfied(self.where, self.context)
            case _:
                parts = [part.chosen(rows) for part in self.of]
                both = self.kind == "both"
                whole = parts[0]
                for part in parts[1:]:
                    whole = whole & part if both else whole | part
                return whole

    def expected(self, positions: int, real: float) -> float:
        """Expected tokens per row, where inputs have `real` real positions on average; for cost estimates."""
        match self.kind:
            case "fixed":
                return float(len(self.fixed))
            case "focus":
                return 1.0
            case "seen":
                return real
            case "upto":
                (inner,) = self.of
                return 0.5 * positions if inner.kind == "focus" else inner.expected(positions, real)
            case "within":
                (inner,) = self.of
                assert self.where is not None
                return inner.expected(positions, real) * len(self.where.fixed) / positions
            case _:
                sizes = [part.expected(positions, real) for part in self.of]
                return min(sizes) if self.kind == "both" else min(sum(sizes), float(positions))

    def __str__(self) -> str:
        match self.kind:
            case "fixed":
                return "@" + (str(Where(self.fixed)) if self.fixed else "none")
            case "focus":
                return "@own"
            case "seen":
                return "@real"
            case "upto":
                return "@upto" + "".join(map(str, self.of))
            case "within":
                return f"{next(iter(self.of))}∩{self.where}"
            case _:
                return ("∩" if self.kind == "both" else "+").join(sorted(map(str, self.of)))


FOCUS = Demand("focus")
"""Each row's own position, in frames that draw per position."""


NOTHING = Demand("fixed")
"""No token."""


def fixed(positions: tuple[int, ...]) -> Demand:
    """The same positions in every row."""
    return Demand("fixed", tuple(sorted(set(positions))))


def union(first: Demand, second: Demand) -> Demand:
    """Tokens in either."""
    if first == second:
        return first
    if first.kind == second.kind == "fixed":
        return fixed(first.fixed + second.fixed)
    for small, large in ((first, second), (second, first)):
        if large.kind == "union" and small in large.of:
            return large
    parts = (first.of if first.kind == "union" else {first}) | (second.of if second.kind == "union" else {second})
    return Demand("union", of=frozenset(parts))


def within(demand: Demand, where: Where, context: Context, positions: int) -> Demand:
    """The tokens of a demand that lie in a cell; `context` is whose input the cell's conditions are about."""
    if not where.conditions:
        if len(where.fixed) == positions:
            return demand
        if demand.kind == "fixed":
            return fixed(tuple(p for p in demand.fixed if p in where.fixed))
        if demand.kind == "union":
            parts = [within(part, where, context, positions) for part in demand.of]
            whole = NOTHING
            for part in parts:
                whole = part if whole == NOTHING else whole if part == NOTHING else union(whole, part)
            return whole
    return Demand("within", of=frozenset({demand}), context=context, where=where)


def widened(demand: Demand) -> Demand:
    """A cheaper superset, where there is one: a single position in some rows becomes that position in every row.

    Computing a value at more tokens than are read changes no result.
    """
    if demand.kind == "within" and demand.where is not None and not demand.where.conditions:
        (inner,) = demand.of
        if len(demand.where.fixed) == 1 and inner.kind != "focus":
            return fixed(demand.where.fixed)
    return demand


def keys(queries: Demand, causal: bool, mask: Context | None, positions: int) -> Demand:
    """The keys that attention at these queries reads."""
    everything = fixed(tuple(range(positions)))
    earlier = everything
    if causal:
        dense = queries.kind == "fixed"
        earlier = (
            fixed(tuple(range(max(queries.fixed, default=-1) + 1)))
            if dense
            else Demand("upto", of=frozenset({queries}))
        )
    if mask is None:
        return earlier
    seen = Demand("seen", context=mask)
    return seen if earlier == everything else Demand("both", of=frozenset({seen, earlier}))
