"""Vectors of the residual stream: given as numbers, or found in the weights of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.errors import UsageError, fail, located
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.storable import Complaint, named
from scrubbing.user_code import array_of, running


@named("vectors")
@dataclass(frozen=True)
class Vectors:
    """One or more vectors of the residual stream, compared and hashed by value."""

    shape: tuple[int, int]
    values: tuple[float, ...]

    @classmethod
    def of(cls, written: ArrayLike) -> Vectors:
        """Vectors from an array or a tensor on the CPU, `[d]` or `[k, d]`.

        Raises:
            UsageError: SCR-VECTORS, another shape, or a value that is not finite, or a zero vector.
        """
        remedy = "Give one vector [d] or several [k, d]."
        array = array_of(written, "SCR-VECTORS", remedy)
        if array.dtype.kind not in "biuf":
            fail(UsageError, "SCR-VECTORS", f"these are not vectors of real numbers, but of {array.dtype}.", remedy)
        array = array.astype(np.float64)
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
        """The vectors as an array `[k, d]`."""
        return np.array(self.values).reshape(self.shape)

    def vectors(self, model: Any) -> Vectors:
        """The vectors themselves, whatever the model; see `Direction.vectors`."""
        return self

    def faults(self, graph: ModelGraph) -> Iterator[Complaint]:
        """What rules the vectors out: their width is not that of the residual stream."""
        if graph.d_model and self.shape[1] != graph.d_model:
            problem = f"its vectors have {self.shape[1]} numbers; the residual stream has {graph.d_model}."
            yield problem, "Give vectors of the residual stream."

    def __str__(self) -> str:
        return f"{len(self.values)} numbers"


@named("direction")
@dataclass(frozen=True)
class Direction:
    """Vectors that are found in a model's weights by a function `model -> [d]` or `[k, d]`, so that a hypothesis can be
    written without weights.
    """

    compute: Callable[[Any], ArrayLike]

    @property
    def name(self) -> str:
        """The name of the function."""
        return getattr(self.compute, "__name__", "direction")

    def vectors(self, model: Any) -> Vectors:
        """The vectors that the function finds in a model."""
        with running(f"direction {self.name}"):
            found = self.compute(model)
        with located(f"direction {self.name}"):
            return Vectors.of(found)

    def faults(self, graph: ModelGraph) -> Iterator[Complaint]:
        """No fault: the width is only known once there is a model."""
        yield from ()

    @classmethod
    def restored(cls, fields: dict[str, Any]) -> Direction:
        """The direction with these stored fields. The function's address may by now hold the decorated direction."""
        found = fields["compute"]
        return found if isinstance(found, Direction) else cls(found)

    def __str__(self) -> str:
        return self.name


def direction(compute: Callable[[Any], ArrayLike], /) -> Direction:
    """Decorator that turns a function of a model, which returns `[d]` or `[k, d]`, into a direction."""
    return Direction(compute)


def given(written: ArrayLike | Vectors | Direction) -> Vectors | Direction:
    """What a user wrote, as vectors that can be compared."""
    return written if isinstance(written, (Vectors, Direction)) else Vectors.of(written)
