"""The abstract base classes of parts, by where a part is computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.storable import Complaint, Storable


class Part(Storable, ABC):
    """One part of a node's output. By construction, the output is the sum of the part and the remainder.

    Claiming a part leaves the remainder unclaimed; several claims may take different parts of one node. A part of your
    own is a frozen dataclass that subclasses `OutputPart`, `InputPart`, `NeuronPart` or `AttentionPart`.
    """

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """Everything that rules this out as a part of a node: (problem, remedy) pairs, reported as SCR-PART.

        A subclass that adds its own begins with `yield from super().faults(graph, node)`.
        """
        yield from ()

    def overlaps(self, other: Part, graph: ModelGraph, node: Node) -> bool:
        """Whether two claims on one node may not take this part and the other; by default, whether they are equal."""
        return self == other

    def flops(self, d_model: int) -> float:
        """Floating-point operations per token, for cost estimates."""
        return 4.0 * d_model


class OutputPart(Part):
    """A function of the node's own output in the residual stream."""

    @abstractmethod
    def function(self, model: Any) -> Callable[[Any], Any]:
        """The function for a model: tensor `[tokens, d]` to tensor `[tokens, d]`, each token on its own.

        It is requested once per model, so that weights are searched only once. The function must not change its
        argument in place.
        """


class InputPart(Part):
    """An estimate of the node from the input alone; nothing upstream of it can be claimed."""

    @abstractmethod
    def values(self, data: Any) -> ArrayLike:
        """The estimate for every input of a dataset, `[n, d]` or `[n, positions, d]`; `[n]` or `[n, positions]` if the
        values multiply the vector `along`.
        """

    def along(self, model: Any) -> NDArray[np.float64] | None:
        """The vector `[d]` that the values multiply; None where they are vectors themselves."""
        return None

    def table(self, model: Any) -> NDArray[np.float64] | None:
        """Vectors `[k, d]` of which the values are numbers, integers `[n]` or `[n, positions]` with -1 for no vector at
        all: a program whose output the model's own weights spell out. None where there is no table.
        """
        return None


class InnerPart(Part):
    """A part that the model computes while it evaluates the node, instead of a function of the node's output.

    Models evaluate `NeuronPart`, `ReadPart` and `AttentionPart`. A model of your own may support further kinds, since
    `Model.run` receives the part.
    """


class NeuronPart(InnerPart):
    """What some neurons of an MLP write; the output bias stays in the remainder."""

    @abstractmethod
    def chosen(self, width: int) -> tuple[int, ...]:
        """Indices of the chosen neurons of an MLP with `width` neurons, ascending."""

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """See `Part.faults`: the node has no neurons, or fewer than the part names."""
        width = graph.widths.get(node, 0)
        if not width:
            yield f"{node} has no neurons.", "Only MLPs have neurons, and only those without a norm after them."
            return
        chosen = self.chosen(width)
        if outside := [index for index in chosen if not 0 <= index < width]:
            problem = f"{node} has {width} neurons, and neuron {outside[0]} is not among them."
            yield problem, f"Use 0 to {width - 1}."
        elif not chosen:
            yield f"{self} chooses none of the {width} neurons of {node}.", "Choose at least one."

    def overlaps(self, other: Part, graph: ModelGraph, node: Node) -> bool:
        """Whether the two parts share a neuron."""
        width = graph.widths.get(node, 0)
        return isinstance(other, NeuronPart) and bool({*self.chosen(width)} & {*other.chosen(width)})


class ReadPart(InnerPart):
    """A function of what an MLP reads, after its norm, such as some features of a transcoder."""

    @abstractmethod
    def function(self, model: Any) -> Callable[[Any], Any]:
        """The function for a model: what the MLP reads `[tokens, d]` to the part of what it writes `[tokens, d]`, each
        token on its own. It must not change its argument in place.
        """

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """See `Part.faults`: the node is no MLP, or a norm follows it."""
        if not graph.widths.get(node, 0):
            remedy = "Claim it of an MLP, and only of those without a norm after them."
            yield f"{node} is no MLP that reads through a norm of its own and writes as it is.", remedy


class AttentionPart(InnerPart):
    """What flows through chosen (query, key) pairs of a head, under the head's own attention pattern.

    The pattern stays the head's own, softmax over all keys included; what flows through other pairs is the remainder.
    """

    as_if: ClassVar[bool] = False
    """Whether chosen keys are mixed with weight one instead of the pattern's weights."""

    @abstractmethod
    def between(self, length: int) -> NDArray[np.bool_]:
        """The chosen (query, key) pairs for inputs of `length` positions, bool `[length, length]`."""

    @property
    def distances(self) -> tuple[int, ...]:
        """Distances of the keys from their query, ascending, where the part is whole diagonals; else empty.

        This is only an optimisation: a few weights of a pattern are then all that is needed from another input.
        """
        return ()

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """See `Part.faults`: the node is not an attention head, or no query can attend to the chosen keys."""
        if node.kind != "head" or "k" not in graph.slots[node]:
            yield f"{node} attends to nothing.", "Only heads have parts by key."
            return
        length, chosen = graph.positions, np.asarray(self.between(graph.positions))
        if chosen.shape != (length, length) or chosen.dtype.kind != "b":
            problem = f"between({length}) gave {chosen.dtype} of shape {list(chosen.shape)}."
            yield problem, f"Return booleans [{length}, {length}], queries first."
        elif self.distances and (chosen != diagonals(self.distances, length)).any():
            problem = f"between({length}) is not the diagonals {self.distances} that its distances name."
            yield problem, "Leave out distances: they are only an optimisation."
        elif not chosen.any():
            problem = f"{self} selects no key of inputs of {graph.positions} positions."
            yield problem, f"Use offsets of less than {graph.positions}."
        elif graph.slots[node]["k"].reach == "earlier" and np.triu(chosen, 1).any():
            problem = f"{self} has keys after their query, which a causal head never sees."
            yield problem, "Use offsets of 0 and below, and pairs on or below the diagonal."

    def overlaps(self, other: Part, graph: ModelGraph, node: Node) -> bool:
        """Whether the two parts share a pair. A part `as_if` is no share of the output; only an equal one overlaps."""
        if not isinstance(other, AttentionPart) or self.as_if or other.as_if:
            return self == other
        return bool((self.between(graph.positions) & other.between(graph.positions)).any())


def diagonals(distances: tuple[int, ...], length: int) -> NDArray[np.bool_]:
    """The (query, key) pairs at these distances of the key from its query, `[length, length]`."""
    chosen = np.zeros((length, length), dtype=bool)
    for distance in distances:
        chosen |= np.eye(length, k=distance, dtype=bool)
    return chosen
