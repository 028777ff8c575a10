"""The self-check every model must pass: nodes composed one by one are the model itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scrubbing.data.dataset import Dataset
from scrubbing.device import multiplying
from scrubbing.errors import BadData, Fault, ModelMismatch, counted, fail
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import MASK, Node
from scrubbing.models.precision import check_dtypes, tolerance, wide
from scrubbing.models.protocol import Model, ModelInputs
from scrubbing.models.tokens import Tokens

Residuals = Callable[[Tensor, Tensor | None], Sequence[Tensor]]
"""Tokens and mask to the model's own residual stream after each block, `[rows, positions, d]`."""


def self_check(model: Model, data: Dataset, residuals: Residuals | None = None, own: Tensor | None = None) -> None:
    """Evaluate every node of a model separately, and check that together they give the model's own forward pass.

    Args:
        model: to be checked.
        data: inputs; every row is used, and real positions are compared.
        residuals: gives the model's own residual stream, so that the error can name the first block that differs.
        own: output to compare with, `[rows, positions, outputs]`; None for that of `model.own_output`.

    Raises:
        ModelMismatch: SCR-CHECK, the two differ by more than `precision.tolerance`; SCR-NAN, the model's own output is
            not finite; SCR-DTYPE, the precision is not supported.
    """
    allowed = tolerance(model)
    graph = model.graph(data)
    inputs = model.inputs(data)
    rows = torch.arange(len(data), device=model.device)
    real = inputs.visible
    if real is None:
        real = torch.ones(len(data), graph.positions, dtype=torch.bool, device=model.device)
    with torch.inference_mode(), multiplying(model.device):
        composed, stream = compose(model, graph, inputs, len(data))
        own = wide((model.own_output(inputs, rows) if own is None else own).to(model.device))
        check_finite(own[real], model.name)
        error, size = (wide(composed) - own)[real].abs().max(), own[real].abs().max().clamp(min=1)
        if bool(error <= allowed * size):
            return
        at = _first_difference(stream, residuals, inputs, real, allowed)
    raise ModelMismatch(
        Fault(
            "SCR-CHECK",
            model.name,
            f"nodes evaluated one by one do not add up to the model: logits differ by {float(error):.2g}{at}.",
            "Its forward pass does something that its spec (or its node functions) leaves out. Correct that first: as "
            "long as they differ, every number is about another model.",
        )
    )


def compose(model: Model, graph: ModelGraph, inputs: ModelInputs, n: int) -> tuple[Tensor, dict[Node, Tensor]]:
    """Output `[n, positions, d_out]`, and what each node reads, as `[n, positions, d]`."""
    everywhere = Tokens.rectangle(n, tuple(range(graph.positions)), model.device)
    written: dict[Node, Tensor] = {}
    read: dict[Node, Tensor] = {}
    raw = torch.empty(0)
    for node, slots in graph.slots.items():
        if node == MASK:
            continue
        if not slots:
            raw = model.source(node, inputs, everywhere.rows, everywhere.positions)
        else:
            prepared: dict[str, Tensor] = {}
            for name, slot in slots.items():
                if slot.parents == (MASK,):
                    continue
                total = torch.stack([written[parent] for parent in slot.parents]).sum(0)
                constant = model.constant(node, name)
                total = total if constant is None else total + constant
                prepared[name] = model.prepare(model.norm_key(node, name), total, everywhere.positions, None)
                read[node] = total.reshape(n, graph.positions, -1)
            (raw,) = model.run([node], prepared, dict.fromkeys(prepared, everywhere), inputs.visible, None)
        if node != graph.output:
            written[node] = model.write([(node, None, raw)])
    return raw.reshape(n, graph.positions, -1), read


def _first_difference(
    read: dict[Node, Tensor], residuals: Residuals | None, inputs: ModelInputs, real: Tensor, allowed: float
) -> str:
    if residuals is None or "tokens" not in inputs.columns:
        return ""
    own = residuals(inputs.columns["tokens"], inputs.visible)
    before_layer = {node.layer: x for node, x in read.items() if node.kind == "head"}
    final = next(x for node, x in read.items() if node.kind == "logits")
    for layer, block in enumerate(own):
        composed = before_layer.get(layer + 1, final)
        if bool(
            (wide(composed) - wide(block.to(composed.device)))[real].abs().max()
            > allowed * block[real].abs().max().clamp(min=1)
        ):
            return f"; the first block that differs is {layer}"
    return "; every block agrees, so the difference is in the final norm or the output layer"


def check_mode(modules: Sequence[nn.Module], name: str) -> None:
    """Refuse a model that is in training mode.

    Raises:
        ModelMismatch: SCR-MODE, some module trains; SCR-DROPOUT, one of them drops activations at random.
    """
    everything = {id(inner): inner for module in modules for inner in module.modules()}.values()
    training = [inner for inner in everything if inner.training]
    dropping = [inner for inner in training if isinstance(inner, nn.Dropout) and inner.p > 0]
    faults: list[Fault] = []
    if dropping:
        problem = f"active dropout in {counted(len(dropping), 'module')} (p = {dropping[0].p}); two runs would differ."
        faults.append(Fault("SCR-DROPOUT", name, problem, "Call .eval() on the model."))
    if training:
        problem = f"{counted(len(training), 'module')} in training mode, first {type(training[0]).__name__}."
        faults.append(Fault("SCR-MODE", name, problem, "Call .eval() on the model, after wrapping it."))
    if faults:
        raise ModelMismatch(faults)


def check_weights(tensors: Mapping[str, Tensor], dtype: torch.dtype, name: str) -> None:
    """Refuse weights that are not all in one precision, or not all finite.

    Raises:
        ModelMismatch: SCR-DTYPE; SCR-NAN.
    """
    check_dtypes({key: tensor.dtype for key, tensor in tensors.items()}, dtype, name)
    broken = [key for key, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        more = f" and {len(broken) - 8} more" if len(broken) > 8 else ""
        problem = f"its weights are NaN or infinite in {', '.join(broken[:8])}{more}."
        remedy = "Load them again, or use a precision with a larger range."
        fail(ModelMismatch, "SCR-NAN", problem, remedy, name)


def check_finite(output: Tensor, name: str) -> None:
    """Refuse a model whose own output is not finite.

    Raises:
        ModelMismatch: SCR-NAN.
    """
    if not bool(torch.isfinite(output).all()):
        problem = "the model's own output is NaN or infinite."
        fail(ModelMismatch, "SCR-NAN", problem, "Load its weights again, or use a precision with a larger range.", name)


def random_inputs(vocabulary: int, positions: int, padded: bool, n: int = 4, seed: int = 0) -> Dataset:
    """A few random inputs of different lengths, for checks."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {"tokens": rng.integers(0, vocabulary, size=(n, positions))}
    if padded:
        lengths = np.maximum(1, positions - np.arange(n) * max(1, positions // (n + 1)))
        columns["mask"] = np.arange(positions)[None] < lengths[:, None]
    return Dataset(columns, name="self-check inputs")


def tokens_of(data: Dataset) -> NDArray[Any]:
    """The tokens of a dataset, integers `[n, positions]`.

    Raises:
        BadData: SCR-TOKENS, they are something else.
    """
    tokens = data["tokens"]
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or not tokens.shape[1]:
        problem = f"its tokens are {tokens.dtype} of shape {list(tokens.shape)}."
        fail(BadData, "SCR-TOKENS", problem, "Give integers [n, positions], with at least one position.", data.name)
    return tokens
