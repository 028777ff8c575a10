"""A module's own forward as a graph of operations: by torch.fx, or by torch.export where fx cannot follow it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from scrubbing.errors import ModelMismatch, brief, fail
from scrubbing.guards import is_mapping, is_sequence
from scrubbing.user_code import line_of

_SEVERAL = re.compile(r"@(\d+)$")
"""How torch.export marks the second call of a module, and those after it, in some of its releases."""


@dataclass
class Trace:
    """What a forward pass computes, operation by operation."""

    graph: fx.Graph
    root: nn.Module
    """Holds what the graph refers to by name: parameters, and modules that are run whole."""
    arguments: dict[str, fx.Node]
    outputs: Any
    """What forward returns, with operations in place of tensors."""
    calls: dict[str, list[fx.Node | None]] = field(default_factory=dict[str, "list[fx.Node | None]"])
    """By path of a module, the operation whose result each call of it returns; None if it returns no single tensor."""


def by_fx(module: nn.Module, paths: Sequence[str], arguments: Sequence[str]) -> Trace:
    """Follow the forward with stand-ins for tensors. Modules at these paths run whole, unless others lie within them.

    Raises whatever the forward raises on stand-ins, such as `torch.fx.proxy.TraceError`.
    """
    tracer = _Tracer({id(module.get_submodule(path)): path for path in paths})
    signature = inspect.signature(module.forward)
    fixed = {name: one.default for name, one in signature.parameters.items()
             if name not in arguments and one.default is not inspect.Parameter.empty}  # fmt: skip
    fixed |= always(module)
    graph = tracer.trace(module, concrete_args=fixed or None)
    holders = {str(one.target): one for one in graph.nodes if one.op == "placeholder"}
    (output,) = (one for one in graph.nodes if one.op == "output")
    return Trace(graph, module, {name: holders[name] for name in arguments}, output.args[0], tracer.calls)


def always(module: nn.Module) -> dict[str, Any]:
    """Arguments that every call gets: models of `transformers` return no cache, which is no tensor."""
    return {"use_cache": False} if "use_cache" in inspect.signature(module.forward).parameters else {}


class _Tracer(fx.Tracer):
    def __init__(self, named: Mapping[int, str]) -> None:
        super().__init__()
        self.named = named
        self.calls: dict[str, list[fx.Node | None]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if any(id(inner) in self.named for inner in m.modules() if inner is not m):
            return False
        return id(m) in self.named or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        found = super().call_module(m, forward, args, kwargs)
        if id(m) in self.named:
            result = found.node if isinstance(found, fx.Proxy) else None
            self.calls.setdefault(self.named[id(m)], []).append(result)
        return found


def by_export(module: nn.Module, paths: Sequence[str], examples: Mapping[str, Tensor]) -> Trace:
    """Run the forward on examples, whose first axis may have any length afterwards, and keep what it did.

    Raises whatever torch.export raises.
    """
    more = always(module)
    size: dict[str, Any] = {name: {0: torch.export.Dim.DYNAMIC} for name in examples} | dict.fromkeys(more)
    exported = torch.export.export(module, (), kwargs={**examples, **more}, dynamic_shapes=size, strict=False)
    made = exported.module()
    assert isinstance(made, fx.GraphModule)
    holders = {str(one.target): one for one in made.graph.nodes if one.op == "placeholder"}
    (output,) = (one for one in made.graph.nodes if one.op == "output")
    shape, flat = exported.call_spec.out_spec, output.args[0]
    assert shape is not None
    outputs = pytree.tree_unflatten(list(flat), shape)
    calls = {path: _returned(made.graph, path) for path in paths}
    arguments = {name: holders[name] for name in examples}
    return Trace(made.graph, made, arguments, outputs, {path: found for path, found in calls.items() if found})


def _returned(graph: fx.Graph, path: str) -> list[fx.Node | None]:
    """What each call of a module gives to the operations outside of it."""
    calls: dict[tuple[str, ...], list[fx.Node]] = {}
    for one in graph.nodes:
        stack = {} if one.target == "_guards_fn" else entered_by(one)
        entered = [key for key, at in stack.items() if _SEVERAL.sub("", at) == path]
        if entered:  # keys tell the calls of a module apart, and those of what contains it
            keys = list(stack)
            calls.setdefault(tuple(keys[: keys.index(entered[0]) + 1]), []).append(one)
    found: list[fx.Node | None] = []
    for members in calls.values():
        given = [one for one in members if one.op != "get_attr" and any(user not in members for user in one.users)]
        found.append(given[0] if len(given) == 1 else None)
    return found


def entered_by(one: fx.Node) -> dict[str, str]:
    """The modules within which an operation was run, outermost first: their paths, by a key for each call."""
    stack: dict[str, tuple[str, Any]] = one.meta.get("nn_module_stack") or {}
    return {key: str(path) for key, (path, _) in stack.items()}


def impossible(name: str, errors: Mapping[str, Exception], tried_export: bool) -> None:
    """Say that a forward cannot be traced, where it stops, and what to do.

    Raises:
        ModelMismatch: SCR-TRACE.
    """
    told = "; ".join(f"{tool} stops{line_of(error)} ({_sentence(error)})" for tool, error in errors.items())
    remedy = (
        "What depends on values, such as `if x.sum() > 0`, cannot be followed: move it into a submodule and list that "
        "under nodes=, which runs it whole, or write it with torch.where."
    )
    if not tried_export:
        remedy = f"Pass data=, so that torch.export can run it on examples. {remedy}"
    fail(ModelMismatch, "SCR-TRACE", f"its forward cannot be traced: {told}.", remedy, name)


def _sentence(error: Exception) -> str:
    return brief(error).split(". ")[0]


def chosen(returned: Any, output: str | int | None) -> Any:
    """The tensor, or stand-in for one, that counts as the output; None if there is none.

    Args:
        returned: a tensor, or a tuple, list, mapping or dataclass of such.
        output: which of them: a place or a name; None is `logits`, or else the first.
    """
    if isinstance(returned, (Tensor, fx.Node)):
        return returned if output is None else None
    if is_sequence(returned) and not isinstance(output, str):
        several = list(returned)
        if output is not None:
            return several[output] if -len(several) <= output < len(several) else None
        return next((one for one in several if isinstance(one, (Tensor, fx.Node))), None)
    named: dict[Any, Any] = dict(returned if is_mapping(returned) else getattr(returned, "__dict__", {}))
    if output is None:
        first = next((one for one in named.values() if isinstance(one, (Tensor, fx.Node))), None)
        return named.get("logits", first)
    return named.get(str(output))
