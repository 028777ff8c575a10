"""What a part is: four abstract classes, by where a part is computed, of which every part is a subclass."""

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
    """One part of a node's output. The node is this part plus what is left, by construction.

    Claiming a part leaves the remainder unclaimed; several claims may take different parts of one node. A part of your
    own is a frozen dataclass that subclasses `OutputPart`, `InputPart`, `NeuronPart` or `AttentionPart`.
    """

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """What makes it impossible as a part of this node: pairs of a problem and a remedy, reported as SCR-PART.

        A subclass that adds its own begins with `yield from super().faults(graph, node)`.
        """
        yield from ()

    def overlaps(self, other: Part, graph: ModelGraph, node: Node) -> bool:
        """Whether what one claim has of this node another would have too; directions may share what they please."""
        return self == other

    def flops(self, d_model: int) -> float:
        """Floating-point operations per token, for cost estimates."""
        return 4.0 * d_model


class OutputPart(Part):
    """A function of the node's own output in the residual stream."""

    @abstractmethod
    def function(self, model: Any) -> Callable[[Any], Any]:
        """The function for this model: tensor `[tokens, d]` to tensor `[tokens, d]`, each token on its own.

        Asked for once per model, so that what is found in its weights is found once. The function must not change its
        argument in place.
        """


class InputPart(Part):
    """An estimate of the node from the input alone; nothing upstream of it can be claimed."""

    @abstractmethod
    def values(self, data: Any) -> ArrayLike:
        """For every input of a dataset: numbers `[n, d]` or `[n, positions, d]`; `[n]` or `[n, positions]` if they
        multiply a vector.
        """

    def along(self, model: Any) -> NDArray[np.float64] | None:
        """The vector `[d]` that the values multiply; None where they are vectors themselves."""
        return None


class InnerPart(Part):
    """A part that the model computes while it evaluates the node, instead of a function of what comes out.

    Models evaluate the two kinds below. A model of yours may evaluate others: it is given the part.
    """


class NeuronPart(InnerPart):
    """What some neurons of an MLP write; the output bias stays in the remainder."""

    @abstractmethod
    def chosen(self, width: int) -> tuple[int, ...]:
        """The neurons, ascending, of an MLP of this many."""

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """The node has no neurons, or not these."""
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
        """Whether they share a neuron."""
        width = graph.widths.get(node, 0)
        return isinstance(other, NeuronPart) and bool({*self.chosen(width)} & {*other.chosen(width)})


class AttentionPart(InnerPart):
    """What flows through some (query, key) pairs of a head, under the head's own pattern.

    The pattern stays the head's own, softmax over all keys included; what flows through other pairs is the remainder.
    """

    as_if: ClassVar[bool] = False
    """Whether chosen keys are mixed with weight one instead of the pattern's weights."""

    @abstractmethod
    def between(self, length: int) -> NDArray[np.bool_]:
        """The (query, key) pairs, for inputs of this many positions: `[length, length]`."""

    @property
    def distances(self) -> tuple[int, ...]:
        """Distances of the keys from their query, ascending, where the part is whole diagonals; else empty.

        Only an optimisation: few weights of a pattern are then all that is needed of another input.
        """
        return ()

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """The node does not attend, or never to these keys."""
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
        """Whether something flows through both; what a head would write `as_if` is no share of what it writes."""
        if not isinstance(other, AttentionPart) or self.as_if or other.as_if:
            return self == other
        return bool((self.between(graph.positions) & other.between(graph.positions)).any())


def diagonals(distances: tuple[int, ...], length: int) -> NDArray[np.bool_]:
    """The (query, key) pairs at these distances of the key from its query, `[length, length]`."""
    chosen = np.zeros((length, length), dtype=bool)
    for distance in distances:
        chosen |= np.eye(length, k=distance, dtype=bool)
    return chosen
