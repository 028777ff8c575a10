"""`from_module`: a user's own `nn.Module` as a model whose nodes are its submodules."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scrubbing.data.dataset import Dataset
from scrubbing.device import multiplying, resolve
from scrubbing.errors import BadData, Fault, IllegalHypothesis, ModelMismatch, ScrubbingError, fail, nearest
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.models.check import check_mode, check_weights, self_check
from scrubbing.models.content import NoContent, content_hash
from scrubbing.models.module.layout import Layout
from scrubbing.models.module.naming import Columns, Spec
from scrubbing.models.module.probing import Reading, probed
from scrubbing.models.module.trace import Trace, always, by_export, by_fx, chosen, impossible
from scrubbing.models.precision import tolerance
from scrubbing.models.protocol import RESULT, Model, ModelInputs
from scrubbing.models.tokens import Tokens
from scrubbing.parts import InnerPart
from scrubbing.user_code import running

Named = str | Columns | tuple[str, Callable[[Any], Tensor]]
"""A submodule by its path, a group of columns of a linear layer, or a path with a function of what it returns."""
_EXAMPLES = 3


def columns(path: str, number: int, of: int) -> Columns:
    """The share of a linear layer that comes from one of `of` equal groups of the columns it reads, counted from 0.

    An attention layer ends in such a layer, which adds up its heads: `columns("attn.proj", 0, of=4)` is the first of
    four heads. The shares, and the bias as a node of its own, add up to what the layer writes.
    """
    return Columns(path, number, of)


def from_module(
    module: nn.Module,
    data: Dataset | None = None,
    *,
    nodes: Sequence[str] | Mapping[str, Named],
    inputs: Mapping[str, str] | None = None,
    output: str | int | None = None,
    positions: bool | None = None,
    name: str | None = None,
    device: str | torch.device | None = None,
) -> TracedModule:
    """Any module of your own as a model to scrub. It is copied; later changes to it do not reach the result.

    Its forward is traced, with `torch.fx` or, where that fails, `torch.export`. The named submodules are the nodes of
    the graph, and so are the arguments of forward; a node runs everything between it and the nodes it reads. Where
    forward adds values up, as in `x = x + attn(x)`, what reads the sum reads every writer. The nodes are compared with
    the module itself on examples before anything else happens.

    Args:
        module: in evaluation mode, in float32 or float64. The first axis of what it takes and returns is that of
            inputs, and each input is computed on its own.
        data: inputs to trace and check it with; three are used. Without them it is checked when first used, and
            `torch.export` cannot be tried.
        nodes: paths of submodules, such as `blocks.0.attn`, or a mapping of names to paths, to `columns(...)`, or to
            `(path, function)` for a function of what the submodule returns. A submodule that is called several times
            has the nodes `path.call0`, `path.call1` and so on.
        inputs: argument of forward to the column of the dataset that it reads; by default, arguments without a default
            value read the column of their own name.
        output: which of the values that forward returns is the output, by place or name; by default `logits`, or the
            first tensor.
        positions: whether values have a position axis after that of inputs, `[inputs, positions, ...]`, so that claims
            can be about positions. By default they have if the arguments are integers `[inputs, positions]` and every
            node keeps that axis. Otherwise a node's value is one vector per input.
        name: shown in reports; defaults to the class of the module.
        device: where to compute, such as `auto` or `cuda:1`; None is the module's own.

    Raises:
        ModelMismatch: SCR-NODE, no such submodule, or it is not called; SCR-TRACE, forward cannot be traced, or a value
            has no axis of inputs or positions; SCR-CHECK, the nodes do not add up to the module; SCR-MODE, SCR-DROPOUT,
            SCR-DTYPE, SCR-NAN.
        BadData: SCR-COLUMN, SCR-DATA: the columns are not there, or not numbers.
        UsageError: SCR-DEVICE; SCR-CODE, the module raises an exception on the examples.
    """
    called = name or type(module).__name__
    if not isinstance(module, nn.Module):
        problem = f"it is of type {type(module).__name__}, not an nn.Module."
        fail(ModelMismatch, "SCR-MODEL", problem, "Give the module itself.", called)
    check_mode([module], called)
    copied = copy.deepcopy(module).requires_grad_(False)
    floats = {key: x for key, x in copied.state_dict().items() if isinstance(x, Tensor) and x.is_floating_point()}
    dtype = next((x.dtype for x in floats.values()), torch.get_default_dtype())
    if dtype not in (torch.float32, torch.float64):
        problem = f"its weights are {dtype}."
        fail(ModelMismatch, "SCR-DTYPE", problem, "Make them float32 first: module.float().", called)
    check_weights(floats, dtype, called)
    specs = _specs(copied, nodes, called)
    arguments = _arguments(copied, inputs or {}, called)
    made = TracedModule(copied, specs, arguments, output, positions, called, dtype)
    made = made if device is None else made.to(device)
    if data is None:
        next(made.trace(None))
    else:
        made.graph(data)
    return made


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
        self._examples: Dataset | None = None
        self._layout: Layout | None = None
        self._graph: ModelGraph | None = None
        self._known: dict[Node, Reading] = {}

    @property
    def fingerprint(self) -> str:
        """Hash of the module's weights and code, and of what its nodes are.

        Where some of it cannot be read, it is a name unique to this object.
        """
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
        made.device = there
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

    def trace(self, examples: Mapping[str, Tensor] | None) -> Iterator[Trace]:
        """Traces of forward: that of torch.fx, and that of torch.export on examples if there are any.

        Raises:
            ModelMismatch: SCR-TRACE, neither can follow it; raised when a trace after the last is asked for.
        """
        errors: dict[str, Exception] = {}
        paths = list(dict.fromkeys(spec.path for spec in self._specs.values()))
        try:
            yield by_fx(self.module, paths, list(self.arguments))
        except Exception as error:
            errors["torch.fx"] = error
        if examples is not None:
            try:
                yield by_export(self.module, paths, examples)
            except Exception as error:
                errors["torch.export"] = error
        impossible(self.name, errors, tried_export=examples is not None)

    def _prepare(self, data: Dataset) -> None:
        """Trace, cut, probe and check: the first trace that passes is taken."""
        self._examples, examples = data, self._columns(data)
        with torch.no_grad(), multiplying(self.device):
            with running(self.name):
                self._called(examples)
            refused: ScrubbingError | None = None
            for trace in self.trace(examples):
                try:
                    layout = Layout(trace, self.module, examples, self._specs, self._which, self.dtype)
                    self._graph, self._known = probed(layout, examples, self._positions, self.name)
                    self._layout = layout
                    self._alone(examples)
                    self_check(self, data)
                    return
                except ScrubbingError as error:
                    self._graph, refused = None, refused or error
            assert refused is not None
            raise refused

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


def _specs(module: nn.Module, nodes: Sequence[str] | Mapping[str, Named], name: str) -> dict[str, Spec]:
    given = nodes.items() if isinstance(nodes, Mapping) else [(one, one) for one in _listed(nodes)]
    known = [path for path, _ in module.named_modules() if path]
    specs: dict[str, Spec] = {}
    faults: list[Fault] = []
    for key, one in given:
        match one:
            case str():
                spec = Spec(one)
            case Columns():
                spec = Spec(one.path, columns=one)
            case (str() as path, function) if callable(function):
                spec = Spec(path, function)
            case _:
                problem = f"{one!r} is no submodule."
                remedy = "Give a path, columns(...), or a path and a function."
                faults.append(Fault("SCR-NODE", f"{name}, node {key}", problem, remedy))
                continue
        if spec.path not in known:
            problem = f"there is no submodule {spec.path!r}."
            faults.append(Fault("SCR-NODE", name, problem, f"Did you mean: {nearest(spec.path, known)}?"))
        if not isinstance(key, str) or not key:
            faults.append(Fault("SCR-NAME", name, f"a node is called {key!r}.", "Give it a name, as text."))
        specs[str(key)] = spec
    if not specs and not faults:
        remedy = f"Name submodules, such as {nearest('', known, 3) or 'those of your module'}."
        faults.append(Fault("SCR-GRAPH", name, "no node was named.", remedy))
    if faults:
        raise ModelMismatch(faults, "These nodes cannot be made" if len(faults) > 1 else "")
    return specs


def _listed(nodes: Any) -> list[Any]:
    return [nodes] if isinstance(nodes, str) else list(nodes)


def _arguments(module: nn.Module, inputs: Mapping[str, str], name: str) -> dict[str, str]:
    taken = inspect.signature(module.forward).parameters
    plain = [key for key, one in taken.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    if unknown := [key for key in inputs if key not in plain]:
        problem = f"its forward takes no argument {unknown[0]!r}."
        fail(ModelMismatch, "SCR-COLUMN", problem, f"It takes {', '.join(plain) or 'none by name'}.", name)
    needed = [key for key in plain if taken[key].default is inspect.Parameter.empty]
    found = {key: inputs.get(key, key) for key in plain if key in needed or key in inputs}
    if not found:
        problem = "its forward takes no argument without a default value."
        fail(ModelMismatch, "SCR-COLUMN", problem, "Say which columns it reads: inputs={'argument': 'column'}.", name)
    return found


def _unique(rows: Tensor) -> tuple[Tensor, Tensor]:
    return torch.unique(rows, return_inverse=True)  # pyright: ignore; torch: no types
