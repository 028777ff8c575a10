"""A model graph of plain functions, for theory-sized examples whose numbers can be worked out by hand."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.device import resolve
from scrubbing.errors import BadData, Fault, IllegalHypothesis, ModelMismatch, counted, fail
from scrubbing.graph.model_graph import ModelGraph, Slot
from scrubbing.graph.nodes import MASK, Node
from scrubbing.models.content import NoContent, content_hash
from scrubbing.models.protocol import Model, ModelInputs
from scrubbing.models.tokens import Tokens
from scrubbing.parts import InnerPart
from scrubbing.user_code import running

Compute = Callable[..., Tensor]


class ToyModel(Model):
    """A model whose nodes are plain functions, for tests and examples.

    Example:
        >>> toy = ToyModel(
        ...     sources={"a": "a", "b": "b"},
        ...     nodes={"both": (lambda x: x, {"x": ["a", "b"]}), "logits": (lambda x: 2 * x, {"x": ["both"]})},
        ... )

    Args:
        sources: source node to the dataset column it reads, `[n]`, `[n, positions]` or `[n, positions, width]`; with
            one position, also `[n, width]`.
        nodes: node to its function and slots, in order of computation; the last one is the output. A slot lists the
            nodes that it reads, whose outputs are summed. Functions take one tensor `[tokens, width]` per slot, by
            name, and treat every token on its own. The function of a node with one slot may call its argument
            something else, as `nn.Linear` does.
        positions: length of the position axis.
        dtype: precision of all values, and of the weights of layers among the functions.

    Raises:
        ModelMismatch: SCR-GRAPH, a node reads nothing, or its function does not take its slots.
        IllegalHypothesis: SCR-GRAPH, the graph is malformed; SCR-NAME.
    """

    def __init__(
        self,
        sources: Mapping[str, str],
        nodes: Mapping[str, tuple[Compute, Mapping[str, Sequence[str]]]],
        *,
        positions: int = 1,
        dtype: torch.dtype = torch.float64,
        name: str = "toy",
    ) -> None:
        self.name = name
        self.dtype = dtype
        if not nodes:
            remedy = "Give at least one node; the last is the output."
            fail(ModelMismatch, "SCR-GRAPH", "it has no node that computes anything.", remedy, name)
        self.sources = {Node.parse(node): column for node, column in sources.items()}
        self.functions = {Node.parse(node): function for node, (function, _) in nodes.items()}
        slots: dict[Node, dict[str, Slot]] = {node: {} for node in self.sources}
        for node, (_, reads) in nodes.items():
            # A single name is a sequence too, of its letters.
            named = {key: (read,) if isinstance(read, str) else read for key, read in reads.items()}
            slots[Node.parse(node)] = {key: Slot(tuple(map(Node.parse, read))) for key, read in named.items()}
        idle = next((node for node in self.functions if not slots[node]), None)
        if idle is not None:
            problem = f"node {idle} reads nothing."
            fail(ModelMismatch, "SCR-GRAPH", problem, "Give it a slot, or list it under sources.", name)
        self._by_place: set[Node] = set()
        self._match(slots)
        if MASK in slots:
            fail(ModelMismatch, "SCR-GRAPH", "a toy graph has no attention, so no mask node.", "Rename the node.", name)
        self._graph = ModelGraph(slots, Node.parse(list(nodes)[-1]), positions)
        self._widths: dict[Node, int] = {}

    def _match(self, slots: Mapping[Node, Mapping[str, Slot]]) -> None:
        """Functions must take what their slots are called, or one argument for one slot."""
        faults: list[Fault] = []
        for node, function in self.functions.items():
            try:
                signature = inspect.signature(getattr(function, "forward", function))
            except (TypeError, ValueError):  # a compiled function does not say
                continue
            if _takes(signature, **slots[node]):
                continue
            if len(slots[node]) == 1 and _takes(signature, None):
                self._by_place.add(node)
                continue
            problem = f"its function takes {signature}, and its slots are {', '.join(slots[node])}."
            faults.append(
                Fault("SCR-GRAPH", f"node {node}", problem, "Call the slots what the function's arguments are.")
            )
        if faults:
            raise ModelMismatch(faults)

    @property
    def fingerprint(self) -> str:
        """Hash of the graph and of what its functions compute: code, constants, closures, weights.

        Where the content of a function cannot be read, it is a name unique to this object, with the reason, so that a
        run of this model is never taken for a run of another.
        """
        graph = [(node.name, [(key, [n.name for n in slot.parents]) for key, slot in slots.items()])
                 for node, slots in self._graph.slots.items()]  # fmt: skip
        columns = {node.name: column for node, column in self.sources.items()}
        made = hashlib.blake2b(repr([graph, columns, self._graph.positions, str(self.dtype)]).encode(), digest_size=16)
        for node, function in self.functions.items():
            try:
                made.update(content_hash(function).encode())
            except NoContent as reason:
                return f"{self._unreadable} (of this object only: at node {node.name}, {reason})"
        return made.hexdigest()

    def graph(self, data: Dataset) -> ModelGraph:
        """The graph for a dataset. The first input is run through it once to find the widths of the nodes."""
        if not self._widths:
            self._forward(self.inputs(data), torch.zeros(1, dtype=torch.int64, device=self.device))
        return self._graph

    def to(self, device: torch.device | str | None = None) -> ToyModel:
        """The same graph on inputs that are on another device; what its functions hold is not moved.

        Raises:
            UsageError: SCR-DEVICE, there is no such device.
        """
        made = copy.copy(self)
        made.device = self.device if device is None else resolve(device, self.name)
        return made

    def inputs(self, data: Dataset) -> ModelInputs:
        """The source columns, `[n, positions, width]`."""
        columns: dict[str, Tensor] = {}
        for column in self.sources.values():
            given, positions = data[column], self._graph.positions
            if positions == 1 and given.ndim == 2:
                given = given[:, None]
            if given.dtype.kind not in "biuf" or given.ndim > 3 or (given.ndim > 1 and given.shape[1] != positions):
                problem = f"column {column!r}, which {self.name} reads, is {given.dtype} of shape {list(given.shape)}."
                shapes = (
                    "[n], [n, width] or [n, 1, width]"
                    if positions == 1
                    else f"[n], [n, {positions}] or [n, {positions}, width]"
                )
                remedy = f"Give numbers {shapes}."
                fail(BadData, "SCR-DATA", problem, remedy, data.name)
            values = torch.as_tensor(np.array(given), dtype=self.dtype, device=self.device)
            if values.ndim == 1:
                values = values[:, None].expand(-1, positions)
            columns[column] = values[..., None] if values.ndim == 2 else values
        return ModelInputs(columns, None)

    def source(self, node: Node, inputs: ModelInputs, rows: Tensor, positions: Tensor) -> Tensor:
        """See `Model.source`."""
        return inputs.columns[self.sources[node]][rows, positions]

    def run(
        self,
        nodes: Sequence[Node],
        prepared: Mapping[str, Tensor],
        tokens: Mapping[str, Tokens],
        visible: Tensor | None,
        part: InnerPart | None,
    ) -> list[Tensor]:
        """See `Model.run`; nodes have no inner parts."""
        (node,) = nodes
        if part is not None:
            problem = f"the nodes of {self.name} are plain functions, which have no {part} inside."
            fail(IllegalHypothesis, "SCR-PART", problem, "Claim a part of what the node writes.", f"node {node}")
        return [self._computed(node, prepared)]

    def raw_width(self, node: Node, part: InnerPart | None) -> int:
        """See `Model.raw_width`."""
        return self._widths[node]

    def own_output(self, inputs: ModelInputs, rows: Tensor) -> Tensor:
        """See `Model.own_output`."""
        return self._forward(inputs, rows)

    def _forward(self, inputs: ModelInputs, rows: Tensor) -> Tensor:
        n, positions = len(rows), self._graph.positions
        values: dict[Node, Tensor] = {}
        for node, slots in self._graph.slots.items():
            if node in self.sources:
                values[node] = inputs.columns[self.sources[node]][rows].reshape(n * positions, -1)
            else:
                read = {key: torch.stack([values[p] for p in slot.parents]).sum(0) for key, slot in slots.items()}
                values[node] = self._computed(node, read)
            self._widths[node] = values[node].shape[-1]
        return values[self._graph.output].reshape(n, positions, -1)

    def _computed(self, node: Node, read: Mapping[str, Tensor]) -> Tensor:
        # What is run may be trained: without gradients, which no activation of inference mode can have, unless asked.
        asked = any(one.requires_grad for one in read.values())
        with torch.set_grad_enabled(asked), running(f"node {node}"):
            by_place = node in self._by_place
            result = self.functions[node](*read.values()) if by_place else self.functions[node](**read)
        tokens = len(next(iter(read.values())))
        if not isinstance(result, Tensor) or result.ndim != 2 or len(result) != tokens:
            told = f"shape {list(result.shape)}" if isinstance(result, Tensor) else type(result).__name__
            problem = f"it returned {told} for {counted(tokens, 'token')}."
            fail(ModelMismatch, "SCR-CHECK", problem, "Return a tensor [tokens, width].", f"node {node}")
        return result


def _takes(signature: inspect.Signature, *arguments: Any, **named: Any) -> bool:
    try:
        signature.bind(*arguments, **named)
    except TypeError:
        return False
    return True
