"""Sets of positions: fixed ones, and ones that depend on the input."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import Fault, IllegalHypothesis, UsageError, fail, located
from scrubbing.storable import named
from scrubbing.user_code import running

PositionsLike = int | slice | str | Iterable[int] | Callable[[Any], NDArray[Any]]
"""Argument of `at`: an index, a slice, `"last"`, a list of indices, or a function dataset -> bool `[n, positions]`."""
_MOST = 2**20
"""Indices of one claim; an iterable may be endless."""


@named("positions")
@dataclass(frozen=True)
class Positions:
    """Positions as the user wrote them. Indices may count from the end; `last` is each input's last real position."""

    fixed: tuple[int, ...] | tuple[int | None, int | None, int | None] = ()
    is_slice: bool = False
    last: bool = False
    chosen_by: Callable[[Any], NDArray[Any]] | None = None
    """`dataset -> bool [n, positions]`."""

    def __post_init__(self) -> None:
        if not all(index is None or _is_index(index) for index in self.fixed):
            fail(UsageError, "SCR-POSITION", f"{self.fixed!r} are no indices of positions.", "Give integers.")

    @classmethod
    def of(cls, written: PositionsLike) -> Positions:
        """Convert an argument to positions: an index, a list of indices, a slice, `"last"`, or a function of a dataset.

        Raises:
            UsageError: SCR-POSITION, the argument is none of these.
        """
        if isinstance(written, str):
            if written == "last":
                return cls(last=True)
        elif isinstance(written, slice):
            bounds = (written.start, written.stop, written.step)
            if all(bound is None or _is_index(bound) for bound in bounds) and written.step != 0:
                return cls(bounds, is_slice=True)
        elif callable(written):
            return cls(chosen_by=written)
        else:
            some: Any = written if isinstance(written, Iterable) and getattr(written, "ndim", 1) else (written,)
            indices: tuple[Any, ...] = tuple(islice(some, _MOST + 1))
            if len(indices) <= _MOST and all(_is_index(index) for index in indices):
                return cls(tuple(int(index) for index in indices))
        fail(
            UsageError,
            "SCR-POSITION",
            f"{written!r} does not name positions.",
            'Give an index, a list of indices, a slice, "last", or a function dataset -> bool [n, positions].',
        )

    @property
    def depends_on_input(self) -> bool:
        """Whether the selected positions may differ between inputs."""
        return self.last or self.chosen_by is not None

    def resolve(self, length: int, padded: bool) -> tuple[int, ...] | None:
        """The selected indices for inputs of this length; None when they depend on the input.

        Indices outside the input are dropped; `faults` reports them.
        """
        if self.chosen_by is not None or (self.last and padded):
            return None
        if self.last:
            return (length - 1,)
        if self.is_slice:
            return tuple(range(*slice(*self.fixed).indices(length)))
        wrapped = [index + length if index is not None and index < 0 else index for index in self.fixed]
        return tuple(sorted({index for index in wrapped if index is not None and 0 <= index < length}))

    def faults(self, length: int, where: str) -> list[Fault]:
        """Everything that is wrong with these positions for inputs of this length, as faults."""
        if self.depends_on_input:
            return []
        outside = [] if self.is_slice else [i for i in self.fixed if i is not None and not -length <= i < length]
        if outside:
            told = f"position {outside[0]} is" if len(outside) == 1 else f"positions {', '.join(map(str, outside))} are"
            problem = f"{told} outside inputs of {length} positions."
            return [Fault("SCR-POSITION", where, problem, f"Use 0 to {length - 1}, or count from the end with -1.")]
        if not self.resolve(length, padded=True):
            problem = f"{self} selects none of the {length} positions."
            return [Fault("SCR-POSITION", where, problem, "Select at least one.")]
        return []

    def chosen(self, data: Any, length: int) -> NDArray[np.bool_]:
        """The positions selected in each input of a dataset, bool `[n, positions]`, where they depend on the input.

        Raises:
            IllegalHypothesis: SCR-POSITION, the function did not return bool `[n, positions]`.
        """
        if self.last:
            last = np.full(len(data), length - 1) if data.lengths is None else data.lengths - 1
            return np.arange(length)[None] == last[:, None]
        assert self.chosen_by is not None
        with located(f"positions {self}"):
            with running(f"positions {self}"):
                chosen = np.array(self.chosen_by(data))  # a feature gives out arrays that may not be written to
            if chosen.shape != (len(data), length) or chosen.dtype.kind != "b":
                problem = f"the function returned {chosen.dtype} of shape {list(chosen.shape)} for {len(data)} inputs."
                fail(IllegalHypothesis, "SCR-POSITION", problem, f"Return booleans of shape [{len(data)}, {length}].")
        return chosen

    def __str__(self) -> str:
        if self.last:
            return "last"
        if self.chosen_by is not None:
            return getattr(self.chosen_by, "__name__", None) or getattr(self.chosen_by, "name", "chosen")
        if self.is_slice:
            start, stop, step = ("" if part is None else str(part) for part in self.fixed)
            return f"{start}:{stop}" + (f":{step}" if step else "")
        return ",".join(map(str, self.fixed)) or "[]"


def _is_index(value: Any) -> bool:
    # True and False are integers to Python; a list of them is meant as a mask.
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


@dataclass(frozen=True)
class Where:
    """A set of positions: fixed ones, narrowed by conditions on the input that a claim holds."""

    fixed: tuple[int, ...]
    conditions: tuple[tuple[Positions, bool], ...] = ()
    """Selectors, each with whether it must be true or false at a position."""

    def split(self, by: Positions, length: int, padded: bool) -> tuple[Where | None, Where | None]:
        """Split this set into the part inside `by` and the part outside; an empty part is None."""
        chosen = by.resolve(length, padded)
        if chosen is None:
            known = dict(self.conditions)
            if by in known:
                return (self, None) if known[by] else (None, self)
            return Where(self.fixed, (*self.conditions, (by, True))), Where(self.fixed, (*self.conditions, (by, False)))
        inside = tuple(index for index in self.fixed if index in chosen)
        outside = tuple(index for index in self.fixed if index not in chosen)
        return (
            Where(inside, self.conditions) if inside else None,
            Where(outside, self.conditions) if outside else None,
        )

    def __str__(self) -> str:
        runs = _runs(self.fixed)
        return " ".join([runs, *(f"{'' if true else 'not '}{by}" for by, true in self.conditions)])


def _runs(indices: tuple[int, ...]) -> str:
    parts: list[str] = []
    start = 0
    for i in range(1, len(indices) + 1):
        if i == len(indices) or indices[i] != indices[i - 1] + 1:
            first, last = indices[start], indices[i - 1]
            parts.append(f"{first}" if first == last else f"{first}-{last}")
            start = i
    return ",".join(parts)
