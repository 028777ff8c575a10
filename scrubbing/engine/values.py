"""The vocabulary of a plan: values, each computed once, that build up to the output."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from scrubbing.graph.nodes import Node
from scrubbing.graph.positions import Where
from scrubbing.parts import InnerPart, Part
from scrubbing.sampling.contexts import Context

WEIGHTS = "weights"
"""What a head's part reads in place of queries and keys, by the name of a slot."""


@dataclass(frozen=True)
class Item:
    """Something a clean run of an input produces and the store may keep."""

    kind: str
    """`output`: a node's raw value. `input`: what a slot reads. `scale`: the norm scale of what a slot reads.
    `weights`: the pattern's weights at the offsets of a part."""
    node: Node
    slot: str = ""
    part: InnerPart | None = None

    def __str__(self) -> str:
        if self.kind == "output":
            return str(self.node) + (f"[{self.part}]" if self.part else "")
        if self.kind == "weights":
            return f"pattern of {self.node}[{self.part}]"
        return f"{'resid' if self.kind == 'input' else 'norm scale'}→{self.node}.{self.slot}"


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the plan. Values are interned by the builder, so identity is equality."""

    def inputs(self) -> Iterator[Value]:
        """The values it is computed from."""
        yield from ()


@dataclass(frozen=True, eq=False)
class Clean(Value):
    """An item of the clean run of the input a context holds."""

    item: Item
    context: Context

    def __str__(self) -> str:
        return f"{self.item} of {self.context!r}"


@dataclass(frozen=True, eq=False)
class Embedded(Value):
    """A node without slots, on the input a context holds."""

    node: Node
    context: Context

    def __str__(self) -> str:
        return f"{self.node} of {self.context!r}"


@dataclass(frozen=True, eq=False)
class Constant(Value):
    """What a slot reads beside its parents."""

    node: Node
    slot: str

    def __str__(self) -> str:
        return f"biases before {self.node}"


Term = tuple[int, Value]
"""A sign and a value; raw values are written to the residual stream before they are added."""


@dataclass(frozen=True, eq=False)
class Sum(Value):
    """A residual input, assembled per cell of positions from signed terms."""

    cells: tuple[tuple[Where, tuple[Term, ...]], ...]
    context: Context
    """The context on whose input the conditions of the cells are evaluated."""
    node: Node
    slot: str

    def inputs(self) -> Iterator[Value]:
        """Every term once."""
        yield from dict.fromkeys(value for _, terms in self.cells for _, value in terms)

    def __str__(self) -> str:
        def told(terms: tuple[Term, ...]) -> str:
            return " ".join(f"{'+' if sign > 0 else '-'} {{{value}}}" for sign, value in terms)

        if len(self.cells) == 1:
            return told(self.cells[0][1])
        return "; ".join(f"at {where}: {told(terms)}" for where, terms in self.cells)


@dataclass(frozen=True, eq=False)
class Normed(Value):
    """A residual input as a node uses it: normed."""

    norm_key: Hashable
    of: Value
    scale: Value | None

    def inputs(self) -> Iterator[Value]:
        """The residual, and the frozen scale if there is one."""
        yield self.of
        if self.scale is not None:
            yield self.scale


@dataclass(frozen=True, eq=False)
class NormScale(Value):
    """The norm scale of a residual input."""

    norm_key: Hashable
    of: Value

    def inputs(self) -> Iterator[Value]:
        """The residual."""
        yield self.of


@dataclass(frozen=True, eq=False)
class Evaluated(Value):
    """A node evaluated on given slots: its raw value. A head's part is also evaluated in two steps: `q` and `k` alone
    give the weights of its keys, and `v` with these `weights`, as if they were a slot, the raw value.
    """

    node: Node
    slots: tuple[tuple[str, Value], ...]
    mask: Context | None
    part: InnerPart | None = None

    @property
    def inputs_but_weights(self) -> tuple[tuple[str, Value], ...]:
        """The slots; those of heads that are evaluated together are the same, and their weights are not."""
        return tuple((name, read) for name, read in self.slots if name != WEIGHTS)

    def inputs(self) -> Iterator[Value]:
        """The slots."""
        yield from dict.fromkeys(value for _, value in self.slots)


@dataclass(frozen=True, eq=False)
class Apply(Value):
    """A part of a node's output, in the residual stream: a function of the output, or of the input alone."""

    part: Part
    of: Value | None
    context: Context
    """The context to whose input a function of the input is applied."""

    def inputs(self) -> Iterator[Value]:
        """The output, if it is a function of that."""
        if self.of is not None:
            yield self.of


@dataclass(frozen=True, eq=False)
class PerPosition(Value):
    """A value computed in the frame of a claim that draws per position, each token in a row of its own."""

    region: int
    of: Value

    def __str__(self) -> str:
        return f"each position: {self.of}"


@dataclass(frozen=True, eq=False)
class Statistic(Value):
    """What stands in for an ablated sum: its mean over the dataset, or Gaussian noise of its mean and covariance."""

    kind: str
    of: Sum
    """The sum on the reference input; evaluated over the dataset, not over the rows at hand."""
    context: Context
    is_input: bool
    """Whether it stands for everything a slot reads, constants included."""

    def __str__(self) -> str:
        return f"{self.kind} over the dataset of {{{self.of}}}"


def written(value: Value) -> tuple[Node, InnerPart | None] | None:
    """Node and part of a raw value; None if the value is already in the residual stream."""
    match value:
        case Clean(item=item) if item.kind == "output":
            return item.node, item.part
        case Embedded(node=node):
            return node, None
        case Evaluated(node=node, part=part):
            return node, part
        case PerPosition(of=inner):
            return written(inner)
        case _:
            return None
