"""Parts in the residual stream: projections, functions of a node's output, and estimates from the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.errors import IllegalHypothesis, fail
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.parts.base import InputPart, OutputPart
from scrubbing.parts.vectors import Direction, Vectors, given
from scrubbing.storable import Complaint, named


@named("project")
@dataclass(frozen=True)
class Project(OutputPart):
    """The orthogonal projection of a node's output on the span of some vectors; see `project`."""

    vectors: Vectors | Direction

    def function(self, model: Any) -> Callable[[Any], Any]:
        """See `OutputPart.function`."""
        array = self.vectors.vectors(model).array()
        left, size, _ = np.linalg.svd(array.T, full_matrices=False)
        basis = left[:, size > size[0] * 1e-10]
        placed: dict[Any, Any] = {}

        def project(output: Any) -> Any:
            _check_width(array.shape[1], output.shape[-1], str(self))
            key = output.dtype, output.device
            if key not in placed:
                placed[key] = output.new_tensor(basis)
            return (output @ placed[key]) @ placed[key].T

        return project

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """See `Part.faults`: the vectors do not have the width of the residual stream."""
        yield from self.vectors.faults(graph)

    def flops(self, d_model: int) -> float:
        """See `Part.flops`."""
        return 4.0 * d_model * (self.vectors.shape[0] if isinstance(self.vectors, Vectors) else 1)

    def __str__(self) -> str:
        return f"project({self.vectors})"


@named("activation")
@dataclass(frozen=True)
class Activation(OutputPart):
    """Any function of the node's own output; see `activation`."""

    compute: Callable[[Any], Any]

    def function(self, model: Any) -> Callable[[Any], Any]:
        """See `OutputPart.function`."""
        return self.compute

    def __str__(self) -> str:
        return f"activation({_name(self.compute)})"


@named("function")
@dataclass(frozen=True)
class Function(InputPart):
    """An estimate of a node's output from the input alone; see `function`."""

    compute: Callable[[Any], ArrayLike]
    vector: Vectors | Direction | None = None
    """The vector that scalar values multiply; None where the values are vectors."""

    def values(self, data: Any) -> ArrayLike:
        """See `InputPart.values`."""
        return self.compute(data)

    def along(self, model: Any) -> NDArray[np.float64] | None:
        """See `InputPart.along`.

        Raises:
            IllegalHypothesis: SCR-PART, a direction gave several vectors.
        """
        if self.vector is None:
            return None
        array = self.vector.vectors(model).array()
        if len(array) != 1:
            problem = f"{len(array)} vectors were given to multiply one number."
            fail(IllegalHypothesis, "SCR-PART", problem, "Give one vector.", str(self))
        return array[0]

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """See `Part.faults`: `along` is not a single vector, or does not have the width of the residual stream."""
        if self.vector is None:
            return
        yield from self.vector.faults(graph)
        if isinstance(self.vector, Vectors) and self.vector.shape[0] != 1:
            problem = f"{self} multiplies a single vector, and {self.vector.shape[0]} were given."
            yield problem, "Give one vector, or return [n, d] and leave out along=."

    def __str__(self) -> str:
        return f"function({_name(self.compute)}{'' if self.vector is None else f', {self.vector}'})"


def project(vectors: ArrayLike | Direction) -> Project:
    """The part of a node's output that is its orthogonal projection on a direction `[d]`, or on the span of several
    `[k, d]`.

    Raises:
        UsageError: SCR-VECTORS, another shape, a zero vector, or a number that is not finite.
    """
    return Project(given(vectors))


def activation(compute: Callable[[Any], Any]) -> Activation:
    """The part of a node's output that a function computes from it.

    The function takes and returns a tensor `[tokens, d]`, treats each token on its own, and need not be linear.
    """
    return Activation(compute)


def function(compute: Callable[[Any], ArrayLike], along: ArrayLike | Direction | None = None) -> Function:
    """The part of a node's output that a function estimates from the input alone; the error is the remainder.

    Args:
        compute: `dataset -> float`, `[n]` or `[n, positions]` if `along` is given, else `[n, d]` or `[n, positions,
            d]`.
        along: a single vector that the values multiply.

    Raises:
        UsageError: SCR-VECTORS, `along` is not a single vector.
    """
    return Function(compute, None if along is None else given(along))


def _check_width(ours: int, theirs: int, where: str) -> None:
    if ours != theirs:
        problem = f"its vectors have {ours} numbers; the residual stream has {theirs}."
        fail(IllegalHypothesis, "SCR-PART", problem, "Give vectors of the residual stream.", where)


def _name(compute: Callable[..., Any]) -> str:
    return getattr(compute, "__name__", "") or getattr(compute, "name", "")
