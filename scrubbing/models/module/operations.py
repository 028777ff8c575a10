"""What single operations of a traced forward are: sums, the same value again, questions of shape; and running them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

_SUMS: set[Any] = {operator.add, operator.iadd, torch.add, "add", "add_"}  # pyright: ignore[reportUnknownMemberType]
_SAME = {torch.clone, torch.detach, "contiguous", "clone", "detach"}
_SHAPES = {len, torch.numel, torch.zeros_like, torch.ones_like, torch.empty_like, torch.full_like, "size", "dim",
           "numel", "stride", "new_zeros", "new_ones", "new_full", "new_empty"}  # fmt: skip
_ABOUT = {"shape", "device", "dtype", "ndim"}
_ATEN_SUMS = {"aten.add.Tensor", "aten.add_.Tensor"}
_ATEN_SAME = {"aten.clone.default", "aten.contiguous.default", "aten.alias.default", "aten.detach.default"}
_ATEN_SHAPES = {"aten.sym_size.int", "aten.sym_numel.default", "aten.zeros_like.default", "aten.ones_like.default",
                "aten.new_zeros.default", "aten.new_ones.default", "aten.full_like.default"}  # fmt: skip
Value = Any
"""What an operation gives: most often a tensor."""


def addends(one: fx.Node) -> tuple[fx.Node, fx.Node] | None:
    """The two tensors that an operation adds; None for another operation."""
    kind = one.target in _SUMS or str(one.target) in _ATEN_SUMS
    if one.op not in ("call_function", "call_method") or not kind or len(one.args) != 2 or one.kwargs:
        return None
    found = [read for read in one.args if isinstance(read, fx.Node)]
    return (found[0], found[1]) if len(found) == 2 else None


def same_as(one: fx.Node, root: nn.Module) -> fx.Node | None:
    """The operation whose value this one repeats, as dropout does in evaluation mode; None if it makes another."""
    if not one.args or not isinstance(one.args[0], fx.Node):
        return None
    if one.op == "call_module":
        return one.args[0] if isinstance(root.get_submodule(str(one.target)), (nn.Identity, nn.Dropout)) else None
    if one.target is nn.functional.dropout or str(one.target) == "aten.dropout.default":
        arguments: list[Any] = list(one.args)
        training = arguments[2] if len(arguments) > 2 else one.kwargs.get("training", True)
        return one.args[0] if training is False else None
    return one.args[0] if one.target in _SAME or str(one.target) in _ATEN_SAME else None


def asks_of_shape(one: fx.Node) -> bool:
    """Whether an operation depends on the shape, type or device of what it is given, and not on its values."""
    if one.target is getattr:
        return one.args[1] in _ABOUT
    return one.op in ("call_function", "call_method") and (one.target in _SHAPES or str(one.target) in _ATEN_SHAPES)


def dependent(graph: fx.Graph, arguments: Iterable[fx.Node]) -> set[fx.Node]:
    """The operations whose values depend on those of the arguments."""
    found = set(arguments)
    for one in graph.nodes:
        if not asks_of_shape(one) and any(read in found for read in one.all_input_nodes):
            found.add(one)
    return found


def run(one: fx.Node, root: nn.Module, known: Mapping[fx.Node, Value]) -> Value:
    """The value of one operation, given those it reads."""
    if one.op == "get_attr":
        found: Any = root
        for name in str(one.target).split("."):
            found = getattr(found, name)
        return found
    arguments: Any = fx.map_arg(one.args, lambda read: known[read])
    named: Any = fx.map_arg(one.kwargs, lambda read: known[read])
    if one.op == "call_method":
        return getattr(arguments[0], str(one.target))(*arguments[1:], **named)
    called: Any = root.get_submodule(str(one.target)) if one.op == "call_module" else one.target
    return called(*arguments, **named)


@dataclass(frozen=True)
class Shape:
    """How the shape of a value grows with the number of inputs."""

    fixed: tuple[int, ...]
    """Each axis for no input at all."""
    growing: tuple[int, ...]
    """What each axis gains per input."""
    dtype: torch.dtype

    @classmethod
    def between(cls, two: Tensor, three: Tensor) -> Shape | None:
        """The shape, from values on two and on three inputs; None if the number of axes differs."""
        if two.ndim != three.ndim:
            return None
        growing = tuple(more - less for less, more in zip(two.shape, three.shape, strict=True))
        fixed = tuple(less - 2 * step for less, step in zip(two.shape, growing, strict=True))
        return cls(fixed, growing, two.dtype)

    @property
    def constant(self) -> bool:
        """Whether there is no axis of inputs."""
        return not any(self.growing)

    @property
    def by_input(self) -> bool:
        """Whether the first axis is that of inputs, and no other depends on their number."""
        return bool(self.fixed) and (self.fixed[0], self.growing[0]) == (0, 1) and not any(self.growing[1:])

    def of(self, rows: int) -> tuple[int, ...]:
        """The shape for this many inputs."""
        return tuple(base + rows * step for base, step in zip(self.fixed, self.growing, strict=True))

    def stand_in(self, rows: int, device: torch.device) -> Tensor:
        """A tensor of this shape, where only the shape is asked for."""
        return torch.zeros((), dtype=self.dtype, device=device).expand(self.of(rows))
