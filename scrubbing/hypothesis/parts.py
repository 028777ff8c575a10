"""Rewrites: a node as a sum of named parts and a remainder, equal to the node whatever the parts are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.errors import UsageError, brief, fail, located


@dataclass(frozen=True)
class Vectors:
    """One or more vectors of the residual stream, compared and hashed by value."""

    shape: tuple[int, int]
    values: tuple[float, ...]

    @classmethod
    def of(cls, written: ArrayLike) -> Vectors:
        """From an array `[d]` or `[k, d]`, or a tensor on the CPU.

        Raises:
            UsageError: SCR-VECTORS, another shape, or a value that is not finite, or a zero vector.
        """
        remedy = "Give one vector [d] or several [k, d]."
        plain: Any = written.detach() if hasattr(written, "detach") else written  # pyright: ignore
        try:
            array = np.asarray(plain, dtype=np.float64)
        except (TypeError, ValueError) as error:
            fail(UsageError, "SCR-VECTORS", f"these are not vectors of numbers ({brief(error)}).", remedy)
        if array.ndim not in (1, 2) or not array.size:
            fail(UsageError, "SCR-VECTORS", f"vectors were expected, and the shape is {list(array.shape)}.", remedy)
        array = np.atleast_2d(array)
        for i, row in enumerate(array):
            if not np.isfinite(row).all() or not row.any():
                told = "is zero" if not row.any() else "is not finite"
                problem = f"vector {i} of {len(array)} {told}." if len(array) > 1 else f"the vector {told}."
                fail(UsageError, "SCR-VECTORS", problem, "Every vector needs a direction and a finite length.")
        return cls((array.shape[0], array.shape[1]), tuple(array.ravel().tolist()))

    def array(self) -> NDArray[np.float64]:
        """`[k, d]`."""
        return np.array(self.values).reshape(self.shape)


@dataclass(frozen=True)
class Direction:
    """Vectors found in a model's weights: `model -> [d]` or `[k, d]`, so that a hypothesis needs no weights to be
    written.
    """

    compute: Callable[[Any], ArrayLike]

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.compute, "__name__", "direction")

    def vectors(self, model: Any) -> Vectors:
        """The vectors in this model."""
        found = self.compute(model)
        with located(f"direction {self.name}"):
            return Vectors.of(found.detach().cpu() if hasattr(found, "detach") else found)  # pyright: ignore


def direction(compute: Callable[[Any], ArrayLike], /) -> Direction:
    """Decorator: a function of the model as a direction."""
    return Direction(compute)


@dataclass(frozen=True)
class Part:
    """One part of a node's output. The node is this part plus what is left, by construction.

    Claiming a part leaves the remainder unclaimed; several claims may take different parts of one node.
    """

    kind: Literal["project", "neurons", "function", "activation", "offsets", "pairs", "as_if"]
    vectors: Vectors | Direction | None = None
    """`project`: what to project on. `function`: what a scalar function is multiplied with."""
    indices: tuple[int, ...] = ()
    """`neurons`: which. `offsets`, `as_if`: keys, counted from the query."""
    pairs: tuple[tuple[int, ...], ...] = ()
    """`pairs`: the keys of each query."""
    compute: Callable[[Any], Any] | None = None
    """`function`: of the dataset. `activation`: of the node's output."""

    @property
    def of_input(self) -> bool:
        """Whether the part is a function of the input alone, so that nothing upstream of it can be claimed."""
        return self.kind == "function"

    @property
    def inner(self) -> bool:
        """Whether it is computed inside the node, as part of its evaluation, rather than from its output."""
        return self.kind == "neurons" or self.of_attention

    @property
    def of_attention(self) -> bool:
        """Whether it is what flows through some (query, key) pairs of a head."""
        return self.kind in ("offsets", "pairs", "as_if")

    def between(self, length: int) -> NDArray[np.bool_]:
        """The (query, key) pairs of a part of attention, bool `[length, length]`."""
        chosen = np.zeros((length, length), dtype=bool)
        if self.kind == "pairs":
            for query, keys in enumerate(self.pairs[:length]):
                chosen[query, [key for key in keys if key < length]] = True
        for offset in self.indices if self.kind != "pairs" else ():
            chosen |= np.eye(length, k=offset, dtype=bool)
        return chosen

    def overlaps(self, other: Part) -> bool:
        """Whether what one claim has of a node another would have too; directions may share what they please."""
        if self == other:
            return True
        if self.kind == other.kind and self.kind in ("neurons", "offsets"):
            return bool({*self.indices} & {*other.indices})
        if "pairs" in (self.kind, other.kind) and {self.kind, other.kind} <= {"pairs", "offsets"}:
            length = max(len(self.pairs), len(other.pairs))
            return bool((self.between(length) & other.between(length)).any())
        return False

    def __str__(self) -> str:
        along = (
            self.vectors.name
            if isinstance(self.vectors, Direction)
            else f"{len(self.vectors.values)} numbers"
            if self.vectors
            else ""
        )
        if self.kind == "neurons":
            shown = ",".join(map(str, self.indices[:8])) + (",..." if len(self.indices) > 8 else "")
            return f"neurons({shown})"
        if self.of_attention:
            shown = ", ".join(map(str, self.indices)) or f"{sum(map(len, self.pairs))} in all"
            return f"{self.kind}({shown})"
        told = getattr(self.compute, "__name__", "") or getattr(self.compute, "name", "")
        return f"{self.kind}({', '.join(filter(None, [told, along]))})"


def project(vectors: ArrayLike | Direction) -> Part:
    """The orthogonal projection on a direction `[d]` or on the span of several `[k, d]`."""
    return Part("project", vectors=vectors if isinstance(vectors, Direction) else Vectors.of(vectors))


def neurons(indices: ArrayLike) -> Part:
    """What these neurons of an MLP write; the output bias stays in the remainder.

    Raises:
        UsageError: SCR-PART, the indices are not integers, or there are none.
    """
    array = np.ravel(np.asarray(indices))
    if array.dtype.kind not in "iu" or not array.size:
        problem = f"neurons are chosen by indices, not by {array.dtype}." if array.size else "no neuron is chosen."
        fail(UsageError, "SCR-PART", problem, "Give at least one integer; of a mask, np.flatnonzero(mask).")
    return Part("neurons", indices=tuple(sorted({int(index) for index in array})))


def function(compute: Callable[[Any], ArrayLike], along: ArrayLike | Direction | None = None) -> Part:
    """An estimate of the node from the input alone; what it misses is the remainder.

    Args:
        compute: `dataset -> float`, `[n]` or `[n, positions]` if `along` is given, else `[n, d]` or `[n, positions,
            d]`.
        along: a single vector that the values multiply.
    """
    vectors = along if along is None or isinstance(along, Direction) else Vectors.of(along)
    return Part("function", vectors=vectors, compute=compute)


def activation(compute: Callable[[Any], Any]) -> Part:
    """Any function of the node's own output: `tensor [tokens, d] -> tensor [tokens, d]`, each token on its own."""
    return Part("activation", compute=compute)


def offsets(*chosen: int) -> Part:
    """What a head writes from keys at these distances from the query: 0 is the current token, -1 the previous one.

    The pattern stays the head's own, softmax over all keys included; what flows from other keys is the remainder.

    Raises:
        UsageError: SCR-PART, no offset, or one is not an integer.
    """
    if not chosen or not all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in chosen):
        problem = f"offsets({', '.join(map(repr, chosen))}) does not name distances between key and query."
        fail(UsageError, "SCR-PART", problem, "Give integers: 0 for the current token, -1 for the previous one.")
    return Part("offsets", indices=tuple(sorted({int(one) for one in chosen})))


def pairs(mask: ArrayLike) -> Part:
    """What a head writes through these (query, key) pairs, bool `[positions, positions]`, under its own pattern.

    Raises:
        UsageError: SCR-PART, the mask is not square and boolean, or nothing is chosen.
    """
    array = np.asarray(mask)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.dtype.kind != "b" or not array.any():
        problem = f"the pairs are {array.dtype} of shape {list(array.shape)}" + (
            "." if array.any() else ", none chosen."
        )
        fail(UsageError, "SCR-PART", problem, "Give booleans [positions, positions], true for at least one pair.")
    return Part("pairs", pairs=tuple(tuple(np.flatnonzero(row).tolist()) for row in array))


def attending_to(offset: int) -> Part:
    """What a head would write if every query attended wholly to the key at this distance: `attending_to(0)` is the head
    as if its pattern were the identity. The remainder is how the head differs from that. A query without such a key
    writes nothing.

    Raises:
        UsageError: SCR-PART, the offset is not an integer.
    """
    return Part("as_if", indices=offsets(offset).indices)
