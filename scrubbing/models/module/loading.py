"""`from_module`: what a user says of a module, checked, and made a model."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scrubbing.data.dataset import Dataset
from scrubbing.errors import Fault, ModelMismatch, fail, nearest
from scrubbing.models.check import check_mode, check_weights
from scrubbing.models.module.model import TracedModule
from scrubbing.models.module.naming import Columns, Spec

Named = str | Columns | tuple[str, Callable[[Any], Tensor]]
"""A submodule by its path, a group of columns of a linear layer, or a path with a function of what it returns."""


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

    Its forward is traced, by `torch.fx` or else `torch.export`. Named submodules and the arguments of forward are the
    nodes of the graph; a node runs everything between it and the nodes it reads. Where forward adds values up, as in
    `x = x + attn(x)`, what reads the sum reads every writer. The nodes are compared with the module on examples.

    Args:
        module: in evaluation mode, in float32 or float64. The first axis of what it takes and returns is that of
            inputs, and each input is computed on its own.
        data: inputs to trace and check it with, three of them. Without, it is checked when first used, by `torch.fx`.
        nodes: paths of submodules, such as `blocks.0.attn`, or a mapping of names to paths, to `columns(...)`, or to
            `(path, function)` for a function of what it returns. If called several times: `path.call0`, `path.call1`.
        inputs: argument of forward to the column of the dataset that it reads; by default, arguments without a default
            value read the column of their own name.
        output: which of the values that forward returns is the output, by place or name; by default `logits`, or the
            first tensor.
        positions: whether values have a position axis, `[inputs, positions, ...]`. By default they have if arguments
            are integers `[inputs, positions]` and every node keeps it; else a value is one vector per input.
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
    copied = _copied(module, called)
    specs, arguments = _specs(copied, nodes, called), _arguments(copied, inputs or {}, called)
    made = TracedModule(copied, specs, arguments, output, positions, called, _precision(copied, called))
    made = made if device is None else made.to(device)
    if data is None:
        made.followed()
    else:
        made.graph(data)
    return made


def _copied(module: Any, name: str) -> nn.Module:
    if not isinstance(module, nn.Module):
        problem = f"it is of type {type(module).__name__}, not an nn.Module."
        fail(ModelMismatch, "SCR-MODEL", problem, "Give the module itself.", name)
    check_mode([module], name)
    return copy.deepcopy(module).requires_grad_(False)


def _precision(module: nn.Module, name: str) -> torch.dtype:
    floats = {key: x for key, x in module.state_dict().items() if isinstance(x, Tensor) and x.is_floating_point()}
    dtype = next((x.dtype for x in floats.values()), torch.get_default_dtype())
    if dtype not in (torch.float32, torch.float64):
        problem = f"its weights are {dtype}."
        fail(ModelMismatch, "SCR-DTYPE", problem, "Make them float32 first: module.float().", name)
    check_weights(floats, dtype, name)
    return dtype


def _specs(module: nn.Module, nodes: Sequence[str] | Mapping[str, Named], name: str) -> dict[str, Spec]:
    given = nodes.items() if isinstance(nodes, Mapping) else [(one, one) for one in _listed(nodes)]
    anything: Any = module
    known = [str(path) for path, _ in anything.named_modules() if path]
    specs: dict[str, Spec] = {}
    faults: list[Fault] = []
    for key, one in given:
        match one:
            case str():
                spec = Spec(one)
            case Columns():
                spec = Spec(one.path, columns=one)
            case (str() as path, function) if callable(function):
                applied: Any = function
                spec = Spec(path, applied)
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
