"""What a user named in a module, found among the operations of its trace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from scrubbing.errors import Fault, ModelMismatch
from scrubbing.graph.nodes import Node
from scrubbing.models.module.trace import Trace, always, chosen
from scrubbing.user_code import running

Function = Callable[[Any], Tensor]
_RESERVED = {"mask", "head", "mlp", "attn"}
"""Names that other kinds of node have."""
_ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-6}
"""How closely a function must give a value of forward to be that value."""
_MIXED = "its submodule is divided by columns and by functions."


@dataclass(frozen=True)
class Columns:
    """What a linear layer writes from a group of the columns it reads, such as those of one attention head."""

    path: str
    number: int
    of: int


@dataclass(frozen=True)
class Spec:
    """What a user named as a node: a submodule, a function of its output, or columns of a linear layer."""

    path: str
    function: Function | None = None
    columns: Columns | None = None


@dataclass(frozen=True)
class Piece:
    """One of several nodes that together write a value."""

    node: Node
    read: fx.Node
    """What `after` is applied to."""
    after: Function | None
    of: Literal["value", "read", "nothing"]
    """Whether that is the value itself, what the module reads, or only its shape."""
    call: fx.Node
    """The value."""


class Named:
    """Which operations of a trace are what the user named.

    Args:
        trace: of the module's forward.
        module: the module.
        values: of every operation on the examples.
        depends: operations that depend on the arguments.
        examples: three inputs, by argument.
        specs: what is a node, by name.

    Raises:
        ModelMismatch: SCR-NODE, something is no value of this forward.
    """

    def __init__(
        self,
        trace: Trace,
        module: nn.Module,
        values: Mapping[fx.Node, Tensor],
        depends: set[fx.Node],
        examples: Mapping[str, Tensor],
        specs: Mapping[str, Spec],
    ) -> None:
        self.trace, self.module, self.values, self.depends = trace, module, values, depends
        self.writers: dict[fx.Node, tuple[Node, ...]] = {}
        """By operation, the nodes that write its value; several if they add up to it."""
        self.columns: dict[Node, str] = {}
        """Arguments of forward that are nodes."""
        self.pieces: list[Piece] = []
        self.wholes: dict[fx.Node, Node] = {}
        """By operation that is divided by functions, the node that these read."""
        self.told: dict[str, str] = {}
        """By name that a user gave, the name of the node."""
        self._taken: set[str] = set()
        self._name_arguments(specs)
        self._resolve(specs, _returned(module, {spec.path for spec in specs.values()}, examples))

    def node(self, name: str) -> Node:
        """A node of this name, changed where it is taken or no name of a node."""
        plain = _plain(name)
        plain = f"input.{plain}" if plain in _RESERVED or plain in self._taken else plain
        while plain in self._taken:
            plain += "_"
        self._taken.add(plain)
        return Node.parse(plain)

    def _name_arguments(self, specs: Mapping[str, Spec]) -> None:
        self._taken |= set(specs)
        for name, one in self.trace.arguments.items():
            node = self.node(name)
            self.writers[one], self.columns[node] = (node,), name
        self._taken -= set(specs)

    def _resolve(self, specs: Mapping[str, Spec], returned: Mapping[str, list[Any]]) -> None:
        faults: list[Fault] = []
        splits: dict[fx.Node, list[tuple[Node, Spec]]] = {}
        for name, spec in specs.items():
            calls = self.trace.calls.get(spec.path, [])
            self.told[name] = _plain(name)
            if not calls:
                problem = f"forward does not call its submodule {spec.path}, or that returns what it was given."
                faults.append(Fault("SCR-NODE", name, problem, "Name one that computes something, or leave it out."))
            for i, call in enumerate(calls):
                node = self.node(name if len(calls) == 1 else f"{name}.call{i}")
                function = spec.function or (_first if call is None else None)
                if spec.columns is not None and call is not None:
                    splits.setdefault(call, []).append((node, spec))
                    continue
                found = call
                if function is not None:
                    given = returned.get(spec.path, [])
                    with running(f"node {name}"):
                        wanted = function(given[i]) if i < len(given) else None
                    found = self._with_value(wanted)
                    if found is None and call is not None and _alike(wanted, self.values.get(call)):
                        splits.setdefault(call, []).append((node, spec))
                        continue
                if found is None or found in self.writers:
                    problem = f"forward computes no single tensor that is {_told(spec)}."
                    if found is not None:
                        problem = f"it is the same value as {self.writers[found][0]}."
                    remedy = "Name another submodule, or a function of its output: {'name': ('path', function)}."
                    faults.append(Fault("SCR-NODE", name, problem, remedy))
                    continue
                self.writers[found] = (node,)
        for call, parts in splits.items():
            faults += self._by_columns(call, parts) if parts[0][1].columns else self._by_functions(call, parts)
        if faults:
            raise ModelMismatch(faults, "These nodes were not found in the module")

    def _by_functions(self, call: fx.Node, parts: list[tuple[Node, Spec]]) -> Iterator[Fault]:
        """Let a value be written by functions of it, and the rest."""
        if mixed := next((node for node, spec in parts if spec.columns is not None), None):
            yield Fault("SCR-NODE", str(mixed), _MIXED, "Divide it in one way.")
            return
        base = self.writers.get(call, (None,))[0] or self.node(parts[0][1].path)
        functions = tuple(spec.function for _, spec in parts if spec.function is not None)
        rest = self.node(f"{base}.rest")
        self.pieces += [Piece(node, call, spec.function, "value", call) for node, spec in parts]
        self.pieces.append(Piece(rest, call, _rest_of(functions), "value", call))
        self.wholes[call] = base
        self.writers[call] = (*(node for node, _ in parts), rest)

    def _by_columns(self, call: fx.Node, parts: list[tuple[Node, Spec]]) -> Iterator[Fault]:
        """Let what a linear layer writes be written by groups of its columns, the bias, and the rest if any is left."""
        path, first = parts[0][1].path, str(parts[0][0])
        layer, read = self.module.get_submodule(path), call.args[0]
        if not isinstance(layer, nn.Linear) or not isinstance(read, fx.Node):
            problem = f"{path} is of type {type(layer).__name__}, and only an nn.Linear is divided by columns."
            yield Fault("SCR-NODE", first, problem, "Name a linear layer.")
            return
        left = set(range(layer.in_features))
        for node, spec in parts:
            one = spec.columns
            if one is None:
                yield Fault("SCR-NODE", str(node), _MIXED, "Divide it in one way.")
                return
            size = layer.in_features // max(one.of, 1)
            group = set(range(one.number * size, (one.number + 1) * size))
            if one.of < 1 or layer.in_features % one.of or not 0 <= one.number < one.of or not group <= left:
                problem = (
                    f"{layer.in_features} columns have no group {one.number} of {one.of} equal ones, or it is taken."
                )
                yield Fault("SCR-NODE", str(node), problem, "Count groups of equal size from 0, and name each once.")
                return
            left -= group
            self.pieces.append(Piece(node, read, _linear(layer, sorted(group), None), "read", call))
        self.writers[call] = tuple(node for node, _ in parts)
        bias: Any = layer.bias  # None without one, whatever torch's types say
        if left or bias is not None:
            rest = self.node(f"{path}.{'rest' if left else 'bias'}")
            after = _linear(layer, sorted(left), bias)
            self.pieces.append(Piece(rest, read, after, "read" if left else "nothing", call))
            self.writers[call] += (rest,)

    def _with_value(self, wanted: Any) -> fx.Node | None:
        """The first operation with this value on the examples."""
        if not isinstance(wanted, Tensor):
            return None
        close = _ROUNDING.get(wanted.dtype, 0.0)
        for one, value in self.values.items():
            made = one in self.depends and one not in self.trace.arguments.values()
            if made and _alike(value, wanted) and torch.allclose(value, wanted, rtol=close, atol=close):
                return one
        return None


def _returned(module: nn.Module, paths: set[str], examples: Mapping[str, Tensor]) -> dict[str, list[Any]]:
    """What submodules really return on the examples, call by call."""
    found: dict[str, list[Any]] = {}

    def keep(path: str) -> Callable[..., None]:
        def hook(inner: nn.Module, read: Any, given: Any) -> None:
            found.setdefault(path, []).append(given.clone() if isinstance(given, Tensor) else given)

        return hook

    handles = [module.get_submodule(path).register_forward_hook(keep(path)) for path in paths]
    try:
        module(**examples, **always(module))
    finally:
        for handle in handles:
            handle.remove()
    return found


def _linear(layer: nn.Linear, group: Sequence[int], bias: Tensor | None) -> Function:
    chosen_columns = list(group)

    def written(z: Tensor) -> Tensor:
        return nn.functional.linear(z[..., chosen_columns], layer.weight[:, chosen_columns], bias)

    return written


def _plain(name: str) -> str:
    """A name with the characters that names of nodes have."""
    plain = re.sub(r"[^A-Za-z0-9_.]", "_", name)
    return f"layer{plain}" if plain[0].isdigit() else plain


def _rest_of(functions: Sequence[Function]) -> Function:
    def rest(y: Tensor) -> Tensor:
        return y - torch.stack([function(y) for function in functions]).sum(0)

    return rest


def _first(returned: Any) -> Any:
    return chosen(returned, None)


def _alike(one: Any, other: Any) -> bool:
    both = isinstance(one, Tensor) and isinstance(other, Tensor)
    return both and one.shape == other.shape and one.dtype == other.dtype


def _told(spec: Spec) -> str:
    return f"what {spec.path} returns" if spec.function is None else f"this function of what {spec.path} returns"
