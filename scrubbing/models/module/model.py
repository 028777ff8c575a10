"""A user's own module evaluated node by node."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scrubbing.data.dataset import Dataset
from scrubbing.device import multiplying, resolve
from scrubbing.errors import BadData, IllegalHypothesis, ModelMismatch, ScrubbingError, fail
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.models.check import self_check
from scrubbing.models.content import NoContent, content_hash
from scrubbing.models.module.layout import Layout
from scrubbing.models.module.naming import Spec
from scrubbing.models.module.probing import Reading, probed
from scrubbing.models.module.trace import Trace, always, by_export, by_fx, chosen, impossible
from scrubbing.models.precision import tolerance
from scrubbing.models.protocol import RESULT, Model, ModelInputs
from scrubbing.models.tokens import Tokens
from scrubbing.parts import InnerPart
from scrubbing.user_code import running

_EXAMPLES = 3


class TracedModule(Model):
    """A module of the user's, evaluated node by node; see `from_module`."""

    def __init__(
        self,
        module: nn.Module,
        specs: Mapping[str, Spec],
        arguments: Mapping[str, str],
        output: str | int | None,
        positions: bool | None,
        name: str,
        dtype: torch.dtype,
    ) -> None:
        self.name, self.dtype = name, dtype
        self.device = next((x.device for x in (*module.parameters(), *module.buffers())), torch.device("cpu"))
        self.module = module
        self.arguments = dict(arguments)
        """Argument of forward to the column it reads."""
        self._specs, self._which, self._positions = dict(specs), output, positions
        self._hashed: str | None = None
        """Of the module that this one is a copy of on another device."""
        self._examples: Dataset | None = None
        self._layout: Layout | None = None
        self._graph: ModelGraph | None = None
        self._known: dict[Node, Reading] = {}

    @property
    def fingerprint(self) -> str:
        """Hash of the module's weights and code, and of what its nodes are.

        Where some of it cannot be read, it is a name unique to this object.
        """
        if self._hashed is not None:
            return self._hashed
        try:
            return content_hash((self.module, self._specs, self.arguments, self._which, self._positions))
        except NoContent as reason:
            return f"{self._unreadable} (of this object only: {reason})"

    def to(self, device: torch.device | str | None = None) -> TracedModule:
        """The same module on another device, traced and checked again there.

        Raises:
            UsageError: SCR-DEVICE, there is no such device.
        """
        there = self.device if device is None else resolve(device, self.name)
        if there == self.device:
            return self
        module = copy.deepcopy(self.module).to(there)
        made = TracedModule(module, self._specs, self.arguments, self._which, self._positions, self.name, self.dtype)
        made.device, made._hashed = there, self.fingerprint
        if self._examples is not None:
            made.graph(self._examples)
        return made

    def graph(self, data: Dataset) -> ModelGraph:
        """The graph of nodes. The first dataset that it is asked for fixes the shape of all inputs.

        Raises:
            ModelMismatch: SCR-TRACE, SCR-NODE, SCR-CHECK: see `from_module`.
            BadData: SCR-DATA, inputs of another shape than the first ones; SCR-COLUMN.
        """
        if self._graph is None:
            rows = np.arange(_EXAMPLES) % len(data)
            self._prepare(Dataset({column: data[column][rows] for column in self.arguments.values()}, name=data.name))
        else:
            self._check_shape(data)
        assert self._graph is not None
        return self._graph

    def what(self, node: Node) -> str:
        """What a node is in the module, in a few words."""
        layout, _ = self._made()
        if node in layout.columns:
            return f"argument {layout.columns[node]}"
        name = str(node)
        found = {layout.named.told.get(one): spec for one, spec in self._specs.items()}
        spec = found.get(name) or found.get(name.rpartition(".call")[0])
        if spec is None and node == layout.output:
            return "what forward returns"
        if spec is None:
            return "the rest of it" if layout.programs[node].slots else "a constant"
        kind = type(self.module.get_submodule(spec.path)).__name__
        return f"{'columns of ' if spec.columns else 'a function of ' if spec.function else ''}{kind} {spec.path}"

    def followed(self) -> None:
        """Try torch.fx, which needs no examples.

        Raises:
            ModelMismatch: SCR-TRACE, it cannot follow forward.
        """
        try:
            by_fx(self.module, self._paths(), list(self.arguments))
        except Exception as error:
            impossible(self.name, {"torch.fx": error}, tried_export=False)

    def _paths(self) -> list[str]:
        return list(dict.fromkeys(spec.path for spec in self._specs.values()))

    def _prepare(self, data: Dataset) -> None:
        """Trace, cut, probe and check: the first trace that passes is taken."""
        self._examples, examples = data, self._columns(data)
        ways: dict[str, Callable[[], Trace]] = {
            "torch.fx": lambda: by_fx(self.module, self._paths(), list(self.arguments)),
            "torch.export": lambda: by_export(self.module, self._paths(), examples),
        }
        errors: dict[str, Exception] = {}
        with torch.no_grad(), multiplying(self.device):
            with running(self.name):
                self._called(examples)
            for tool, trace in ways.items():
                try:
                    self._take(Layout(trace(), self.module, examples, self._specs, self._which, self.dtype), examples)
                    return
                except Exception as error:
                    errors[tool], self._graph = error, None
        for error in errors.values():
            if isinstance(error, ScrubbingError):
                raise error
        impossible(self.name, errors, tried_export=True)

    def _take(self, layout: Layout, examples: Mapping[str, Tensor]) -> None:
        assert self._examples is not None
        self._graph, self._known = probed(layout, examples, self._positions, self.name)
        self._layout = layout
        self._alone(examples)
        self_check(self, self._examples)

    def _alone(self, examples: Mapping[str, Tensor]) -> None:
        """Inputs must be computed each on its own."""
        together = chosen(self._called(examples), self._which)
        single = chosen(self._called({key: x[:1] for key, x in examples.items()}), self._which)
        error, size = (together[:1] - single).abs().max(), together.abs().max().clamp(min=1)
        if not bool(error <= tolerance(self) * size):
            problem = (
                f"what it returns for an input depends on the others in its batch: it differs by {float(error):.2g}."
            )
            remedy = "Normalise within an input, or call .eval() on what keeps running means."
            fail(ModelMismatch, "SCR-CHECK", problem, remedy, self.name)

    def _called(self, arguments: Mapping[str, Tensor]) -> Any:
        return self.module(**arguments, **always(self.module))

    # The protocol

    def inputs(self, data: Dataset) -> ModelInputs:
        """The columns that forward reads, by argument."""
        self._check_shape(data)
        return ModelInputs(self._columns(data), None)

    def _columns(self, data: Dataset) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for argument, column in self.arguments.items():
            given = data[column]
            if given.dtype.kind not in "biuf":
                problem = f"column {column!r}, which {self.name} reads, is {given.dtype}."
                fail(BadData, "SCR-DATA", problem, "Give numbers.", data.name)
            kind = {"f": self.dtype, "b": torch.bool}.get(given.dtype.kind, torch.int64)
            found[argument] = torch.as_tensor(np.array(given), dtype=kind, device=self.device)
        return found

    def _check_shape(self, data: Dataset) -> None:
        for column in self.arguments.values():
            if self._examples is not None and data[column].shape[1:] != self._examples[column].shape[1:]:
                was, now = (list(one[column].shape[1:]) for one in (self._examples, data))
                problem = f"column {column!r} has the shape {now} for each input, and {self.name} was traced on {was}."
                fail(BadData, "SCR-DATA", problem, "Make a model for these with from_module.", data.name)

    def source(self, node: Node, inputs: ModelInputs, rows: Tensor, positions: Tensor) -> Tensor:
        """See `Model.source`: an argument, an embedding of it, or a constant."""
        layout, known = self._made()
        if node in layout.columns:
            column = inputs.columns[layout.columns[node]].to(self.dtype)
            if layout.positional:
                return column[rows, positions].reshape(len(rows), -1)
            return column[rows].reshape(len(rows), -1)
        if not len(rows):
            return torch.empty(0, known[node].width, dtype=self.dtype, device=self.device)
        distinct, place = _unique(rows)
        arguments = {name: x[distinct] for name, x in inputs.columns.items()}
        value = layout.evaluate(layout.programs[node], {}, len(distinct), arguments)
        return known[node].flat(value, len(distinct))[place, positions].to(self.dtype)

    def run(
        self,
        nodes: Sequence[Node],
        prepared: Mapping[str, Tensor],
        tokens: Mapping[str, Tokens],
        visible: Tensor | None,
        part: InnerPart | None,
    ) -> list[Tensor]:
        """See `Model.run`; nodes have no inner parts."""
        if part is not None:
            problem = f"what is inside the submodules of {self.name} is not known, so there is no {part}."
            remedy = "Claim a part of what the node writes, or name an inner submodule under nodes=."
            fail(IllegalHypothesis, "SCR-PART", problem, remedy, f"node {nodes[0]}")
        with torch.no_grad():
            return [self._run(node, prepared, tokens).to(self.dtype) for node in nodes]

    def _run(self, node: Node, prepared: Mapping[str, Tensor], tokens: Mapping[str, Tokens]) -> Tensor:
        layout, known = self._made()
        program, reading = layout.programs[node], known[node]
        own = next((slot for slot in prepared if reading.reach[slot] == "same"), next(iter(prepared)))
        wanted = tokens.get(RESULT, tokens[own])
        if not len(wanted):
            return torch.empty(0, reading.width, dtype=self.dtype, device=self.device)
        if reading.alone:
            given = {slot: x[:, None] for slot, x in prepared.items()}
            return reading.flat(layout.evaluate(program, given, len(wanted)), len(wanted), 1)[:, 0]
        whole = {slot: self._whole(x, tokens[slot]) for slot, x in prepared.items()}
        value = layout.evaluate(program, whole, wanted.n_rows)
        return reading.flat(value, wanted.n_rows)[wanted.rows, wanted.positions]

    def _whole(self, x: Tensor, tokens: Tokens) -> Tensor:
        """`[rows, positions, width]`, zero where nothing is read."""
        assert self._graph is not None
        length = self._graph.positions
        made = x.new_zeros(tokens.n_rows * length, x.shape[-1])
        made.index_copy_(0, tokens.rows * length + tokens.positions, x)
        return made.reshape(tokens.n_rows, length, -1)

    def raw_width(self, node: Node, part: InnerPart | None) -> int:
        """See `Model.raw_width`."""
        return self._made()[1][node].width

    def own_output(self, inputs: ModelInputs, rows: Tensor) -> Tensor:
        """See `Model.own_output`: what the module itself returns."""
        _, known = self._made()
        assert self._graph is not None
        with torch.no_grad(), running(self.name):
            returned = self._called({name: x[rows] for name, x in inputs.columns.items()})
        return known[self._graph.output].flat(chosen(returned, self._which), len(rows))

    def _made(self) -> tuple[Layout, dict[Node, Reading]]:
        if self._layout is None:
            problem = "its forward has not been traced yet."
            fail(
                ModelMismatch, "SCR-TRACE", problem, "Pass data= to from_module, or call graph(data) first.", self.name
            )
        return self._layout, self._known


def _unique(rows: Tensor) -> tuple[Tensor, Tensor]:
    numbers, place = np.unique(rows.cpu().numpy(), return_inverse=True)
    return torch.as_tensor(numbers, device=rows.device), torch.as_tensor(place, device=rows.device)
