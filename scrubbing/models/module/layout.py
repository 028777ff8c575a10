"""A traced forward cut into nodes: which operations each node runs, and which nodes write what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from scrubbing.errors import Fault, ModelMismatch
from scrubbing.graph.nodes import Node
from scrubbing.guards import is_mapping, is_sequence
from scrubbing.models.module.naming import Function, Named, Spec
from scrubbing.models.module.operations import Shape, addends, asks_of_shape, dependent, run, same_as
from scrubbing.models.module.trace import Trace, chosen, entered_by


@dataclass
class Program:
    """How a node computes what it writes from what its slots read."""

    value: fx.Node
    slots: dict[str, tuple[Node, ...]] = field(default_factory=dict[str, tuple[Node, ...]])
    given: dict[fx.Node, str] = field(default_factory=dict[fx.Node, str])
    """Operations whose value is the input of a slot."""
    order: list[fx.Node] = field(default_factory=list[fx.Node])
    """Operations to run."""
    after: Function | None = None
    """Applied to the value."""
    argument: bool = False
    """Whether the slots are replaced by the module's argument itself, as for an embedding."""


class Layout:
    """The nodes of a traced forward.

    Args:
        trace: what the forward computes.
        module: whose forward it is.
        examples: three inputs, by argument.
        specs: what is a node, by name.
        output: which of the values that forward returns counts.
        dtype: in which nodes write.

    Raises:
        ModelMismatch: SCR-NODE, what was named is no value of this forward.
    """

    def __init__(
        self,
        trace: Trace,
        module: nn.Module,
        examples: Mapping[str, Tensor],
        specs: Mapping[str, Spec],
        output: str | int | None,
        dtype: torch.dtype,
    ) -> None:
        self.trace, self.root = trace, trace.root
        self.place = {one: i for i, one in enumerate(trace.graph.nodes)}
        self.values, self.shapes = _examined(trace, examples)
        self.depends = dependent(trace.graph, trace.arguments.values())
        self.named = Named(trace, module, self.values, self.depends, examples, specs)
        self.writers, self.columns = self.named.writers, self.named.columns
        self.programs: dict[Node, Program] = {}
        self.positional = False
        """Whether values have a position axis, the second."""
        self.broadcast: dict[fx.Node, Shape] = {}
        """The shape that a value without an axis of inputs has in the sum it is part of."""
        self.written: dict[Node, fx.Node] = {}
        """By node, the value that it writes, or is a piece of."""
        self.dtype = dtype
        self.result = chosen(trace.outputs, output)
        self.output = self._output()
        self._sums()
        self._write_programs()
        self._keep_what_is_read(specs)

    def evaluate(
        self, program: Program, given: Mapping[str, Tensor], rows: int, arguments: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """What a node writes, in the module's own axes: `[rows, ...]`, or without the first where it is constant.

        Args:
            program: the node's.
            given: by slot, what it reads, `[rows, positions, width]`.
            rows: how many inputs.
            arguments: of forward, for programs that read these.
        """
        known: dict[fx.Node, Any] = {}
        for one, slot in program.given.items():
            if program.argument and arguments is not None:
                known[one] = arguments[str(one.target)]
            else:
                known[one] = self._shaped(given[slot], one)
        device = next(iter(self.values.values())).device
        for one in program.order:
            for read in one.all_input_nodes:
                if read not in known:  # only its shape is asked for
                    known[read] = self.shapes[read].stand_in(rows, device)
            known[one] = run(one, self.root, known)
        if program.value not in known:
            known[program.value] = self.shapes[program.value].stand_in(rows, device)
        value = known[program.value]
        return value if program.after is None else program.after(value)

    def _shaped(self, x: Tensor, one: fx.Node) -> Tensor:
        """What a slot reads, in the shape and type that the module has there, and its own to write to."""
        shape = self.shapes[one]
        axes = (len(x), x.shape[1], *shape.fixed[2:]) if self.positional else (len(x), *shape.fixed[1:])
        made = x.reshape(axes) if shape.by_input else x[0].reshape(shape.fixed)
        if shape.dtype.is_floating_point:
            return made.to(shape.dtype, copy=True)
        return made > 0.5 if shape.dtype == torch.bool else made.round().to(shape.dtype)

    def shape(self, node: Node) -> Shape | None:
        """The shape of what a node writes; of a constant, that of the sum it is part of."""
        one = self.written[node]
        found = self.shapes.get(one)
        return found if found is None or found.by_input else self.broadcast.get(one, found)

    def told(self, node: Node) -> str:
        """The shape of what a node writes on three inputs, for messages."""
        value = self.values.get(self.written[node])
        return "of no tensor" if value is None else str(list(value.shape))

    def reads_integers(self, program: Program, slot: str) -> bool:
        """Whether a slot holds tokens or other integers."""
        return any(not self.shapes[one].dtype.is_floating_point for one, at in program.given.items() if at == slot)

    # Sums and programs

    def _output(self) -> Node:
        if not isinstance(self.result, fx.Node) or self.result not in self.depends:
            problem = "what forward returns has no tensor there that depends on its arguments."
            raise ModelMismatch(Fault("SCR-NODE", "output", problem, "Say which value counts with output=."))
        marked = self.writers.get(self.result, ())
        if len(marked) == 1 and self.result not in self.trace.arguments.values():
            return marked[0]
        return self.named.node("output")

    def _sums(self) -> None:
        """By operation, the nodes whose values it adds up, and nothing else."""
        self._ranks = {node: self.place[one] for one, nodes in self.writers.items() for node in nodes}
        self.plain: dict[fx.Node, tuple[Node, ...]] = {}
        self.sums: dict[fx.Node, tuple[Node, ...]] = {}
        for one in self.trace.graph.nodes:
            again, pair = same_as(one, self.root), addends(one)
            if again is not None and again in self.sums:
                self.plain[one] = self.sums[again]
            elif pair is not None and one in self.depends and one in self.shapes:
                self._constant(one, *pair)
                self._constant(one, *reversed(pair))
                read = [self.sums.get(side) for side in pair if self._fits(side, one)]
                if len(read) == 2 and read[0] and read[1] and not set(read[0]) & set(read[1]):
                    self.plain[one] = tuple(sorted((*read[0], *read[1]), key=self._rank))
            if one in self.writers:
                self.sums[one] = self.writers[one]
            elif one in self.plain:
                self.sums[one] = self.plain[one]

    def _constant(self, total: fx.Node, one: fx.Node, other: fx.Node) -> None:
        """What is added to a sum of nodes, and is the same for every input, becomes a node."""
        if one in self.depends or not isinstance(self.values.get(one), Tensor):
            return
        if other in self.sums and one not in self.sums:
            made = self.named.node(_made_by(one) or "constant")
            self.sums[one] = self.writers[one] = (made,)
            self._ranks[made] = self.place[one]
        if one in self.sums and not self.shapes[one].by_input:
            self.broadcast[one] = self.shapes[total]

    def _rank(self, node: Node) -> int:
        return self._ranks[node]

    def _fits(self, side: fx.Node, total: fx.Node) -> bool:
        return side not in self.depends or self.shapes.get(side) == self.shapes[total]

    def _write_programs(self) -> None:
        pieces = {piece.node for piece in self.named.pieces}
        for one, nodes in self.writers.items():
            if one not in self.trace.arguments.values() and one not in self.named.wholes and nodes[0] not in pieces:
                self.programs[nodes[0]], self.written[nodes[0]] = self._program(one), one
        for piece in self.named.pieces:
            self.written[piece.node] = piece.call
        for call, base in self.named.wholes.items():
            self.programs[base], self.written[base] = self._program(call), call
        for piece in self.named.pieces:
            if piece.of == "value":
                made = Program(piece.read, {"x": (self.named.wholes[piece.read],)}, {piece.read: "x"})
            else:
                made = self._program(piece.read, whole=False) if piece.of == "read" else Program(piece.read)
            made.after = piece.after
            self.programs[piece.node] = made
        if self.output not in self.programs:
            self.programs[self.output], self.written[self.output] = self._program(self.result), self.result

    def _program(self, value: fx.Node, whole: bool = True) -> Program:
        """The operations from what other nodes write to a value; `whole` if these include the one that makes it."""
        made, leaves = Program(value), dict[fx.Node, tuple[Node, ...]]()
        pending, seen = [value], set[fx.Node]()
        while pending:
            one = pending.pop()
            if one in seen:
                continue
            seen.add(one)
            known = self.plain if one is value and whole else self.sums
            if one in known:
                leaves[one] = known[one]
                continue
            made.order.append(one)
            by_shape = asks_of_shape(one)
            pending += [read for read in one.all_input_nodes if not (by_shape and read in self.shapes)]
        made.order.sort(key=self.place.__getitem__)
        named = _slot_names(list(dict.fromkeys(leaves[one] for one in sorted(leaves, key=self.place.__getitem__))))
        made.given = {one: named[nodes] for one, nodes in leaves.items()}
        made.slots = {slot: nodes for nodes, slot in named.items()}
        return made

    def embeddings(self, mixing: set[Node]) -> dict[Node, set[Node]]:
        """Make sources of the nodes that read a single argument of integers, position by position, if nothing else
        reads it.

        Args:
            mixing: nodes that read other positions than their own.

        Returns:
            By argument that is no node any more, the nodes that read it.
        """
        reads = {node: {one for nodes in made.slots.values() for one in nodes} for node, made in self.programs.items()}
        found: dict[Node, set[Node]] = {}
        for node, name in self.columns.items():
            readers = {reader for reader, read in reads.items() if node in read}
            integers = not self.shapes[self.trace.arguments[name]].dtype.is_floating_point
            alone = all(reads[one] == {node} and one != self.output for one in readers)
            if integers and alone and not readers & mixing:
                found[node] = readers
                for one in readers:
                    self.programs[one].slots, self.programs[one].argument = {}, True
        self.columns = {node: name for node, name in self.columns.items() if node not in found}
        return found

    def _keep_what_is_read(self, specs: Mapping[str, Spec]) -> None:
        """Leave out what does not reach the output; what the user named must."""
        needed, pending = set[Node](), [self.output]
        while pending:
            node = pending.pop()
            if node not in needed:
                needed.add(node)
                made = self.programs.get(node)
                pending += [one for nodes in made.slots.values() for one in nodes] if made else []
        faults = [
            Fault("SCR-NODE", str(node), "the output does not depend on it.", "Leave it out, or choose output=.")
            for node in self.programs
            if node not in needed and (str(node) in specs or str(node).rpartition(".call")[0] in specs)
        ]
        if faults:
            raise ModelMismatch(faults, "Some nodes lead nowhere")
        order = {node: self.place[made.value] for node, made in self.programs.items()}
        late = {piece.node for piece in self.named.pieces}
        kept = sorted((one for one in self.programs if one in needed), key=lambda one: (order[one], one in late))
        self.programs = {node: self.programs[node] for node in kept}
        self.columns = {node: name for node, name in self.columns.items() if node in needed}


def _examined(trace: Trace, examples: Mapping[str, Tensor]) -> tuple[dict[fx.Node, Tensor], dict[fx.Node, Shape]]:
    """Every tensor of the forward on three inputs, and how its shape depends on their number."""
    needed, pending = set[fx.Node](), [*_stand_ins(trace.outputs), *_stand_ins(trace.calls)]
    while pending:  # assertions about arguments that were left out are not
        one = pending.pop()
        if one not in needed:
            needed.add(one)
            pending += one.all_input_nodes
    found: list[dict[fx.Node, Any]] = []
    for rows in (2, 3):
        known: dict[fx.Node, Any] = {one: examples[name][:rows].clone() for name, one in trace.arguments.items()}
        kept: dict[fx.Node, Any] = {one: x.clone() for one, x in known.items()}
        for one in trace.graph.nodes:
            if one in known or one not in needed:
                continue
            if one.op == "placeholder":
                known[one] = one.args[0] if one.args else None
                continue
            value = known[one] = run(one, trace.root, known)
            kept[one] = value.clone() if isinstance(value, Tensor) else value
        found.append(kept)
    two, three = found
    values = {one: x for one, x in three.items() if isinstance(x, Tensor)}
    shapes = {one: Shape.between(two[one], x) for one, x in values.items()}
    return values, {one: shape for one, shape in shapes.items() if shape is not None}


def _stand_ins(held: Any) -> list[fx.Node]:
    """The operations in what forward returns, or in another structure."""
    found: list[fx.Node] = []
    plain = is_sequence(held) or is_mapping(held) or isinstance(held, fx.Node)
    fx.map_arg(held if plain else list(getattr(held, "__dict__", {}).values()), found.append)
    return found


def _made_by(one: fx.Node) -> str:
    """The module or parameter that a constant comes from: the innermost on the way to it."""
    found, pending = "", [one]
    while pending:
        at = pending.pop()
        stack = list(entered_by(at).values())
        path = str(at.target) if at.op in ("get_attr", "call_module") else stack[-1] if stack else ""
        if at.op != "get_attr" or at is one:
            found = path if path.count(".") >= found.count(".") and len(path) > len(found) else found
        pending += at.all_input_nodes
    return found


def _slot_names(read: list[tuple[Node, ...]]) -> dict[tuple[Node, ...], str]:
    """A name for each slot: `x` if there is one, else that of the only writer, or `x`, `x2`, ... for sums."""
    if len(read) == 1:
        return {read[0]: "x"}
    named: dict[tuple[Node, ...], str] = {}
    for nodes in read:
        name, more = (str(nodes[0]) if len(nodes) == 1 else "x"), 1
        while name in named.values():
            more += 1
            name = f"x{more}"
        named[nodes] = name
    return named
