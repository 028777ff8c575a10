"""The nodes of a model as rows: what each is, what it writes, and how a claim names it and what is within it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrubbing.errors import FileError, UsageError, fail
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import EMBED, EMBED_NORM, LOGITS, MASK, POS, TYPES, Node
from scrubbing.guards import is_mapping

if TYPE_CHECKING:
    from scrubbing.data.dataset import Dataset
    from scrubbing.experiment.task import Task

_CONSTANTS = {EMBED: "EMBED", POS: "POS", MASK: "MASK"}
_WHAT = {
    EMBED: "token embeddings",
    POS: "position embeddings",
    MASK: "the padding mask",
    TYPES: "embeddings of token types",
    EMBED_NORM: "norm of the embeddings",
    LOGITS: "final norm and unembedding",
}
_EXAMPLE = 8
"""Positions of a graph that is made without inputs."""


@dataclass(frozen=True)
class Row:
    """A node, or the heads of one layer."""

    node: str
    what: str
    writes: str
    written_as: str
    within: tuple[str, ...]


def listed(model: str, data: Path | None) -> list[Row]:
    """The nodes of a model: of a task, by name or address, or in a folder, a file of weights or on the hub.

    Raises:
        ScrubbingError: whatever loading raises. UsageError: SCR-TASK, an address of something else.
    """
    graph, outputs, loaded = _found(model, data)
    of_layer = groupby(graph.slots, key=lambda node: (node.kind, node.layer) if node.kind == "head" else node)
    return [_row(list(group), graph, outputs, loaded) for _, group in of_layer]


def graph_named(model: str, data: Path | None) -> ModelGraph:
    """The graph of a model that is named as `listed` takes it.

    Raises:
        ScrubbingError: as `listed`.
    """
    return _found(model, data)[0]


def _found(model: str, data: Path | None) -> tuple[ModelGraph, int | None, Any]:
    return _of_task(_task(model, data)) if _is_task(model) else _of_model(model, data)


def _is_task(model: str) -> bool:
    from scrubbing.data.hub import is_file
    from scrubbing.experiment.task import tasks

    if is_file(model) or ("::" not in model and Path(model).is_dir()):
        return False
    return ":" in model or model in tasks


def _task(model: str, data: Path | None) -> Task:
    from scrubbing.experiment.task import Task, tasks
    from scrubbing.hypothesis.addresses import resolve

    if data is not None:
        fail(UsageError, "SCR-TASK", f"{model} has inputs of its own.", "Leave out --data.")
    found = resolve(model) if ":" in model else tasks[model]
    if not isinstance(found, Task):
        problem = f"{model} is of type {type(found).__name__}, not a task."
        fail(UsageError, "SCR-TASK", problem, "Name a Task, or a model's folder with --data FILE.")
    return found


def _of_task(task: Task) -> tuple[ModelGraph, int | None, Any]:
    """The graph, the number of outputs if it is known, and the model if it was loaded."""
    model = task.model()
    data = task.data()
    return _of_loaded(model, data)


def _of_loaded(model: Any, data: Dataset) -> tuple[ModelGraph, int | None, Any]:
    from scrubbing.engine.engine import graph_of

    graph = graph_of(model, data)
    return graph, int(model.raw_width(graph.output, None)), model


def _of_model(model: str, data: Path | None) -> tuple[ModelGraph, int | None, Any]:
    from scrubbing.data.hub import fetch, is_file
    from scrubbing.experiment.from_files import task_from_files
    from scrubbing.experiment.task import read_config, tasks
    from scrubbing.graph.configs import config_graph

    try:
        folder = None if is_file(model) else fetch(model)
    except FileError as error:
        told = f"Of tasks there are: {', '.join(sorted(tasks))}. {error.faults[0].remedy}"
        raise FileError(replace(error.faults[0], remedy=told)) from error
    if folder is not None and (folder / "config.json").is_file():
        fields = read_config(folder)
        inputs = None if data is None else task_from_files(model, data).data()
        length = _EXAMPLE if inputs is None else int(inputs["tokens"].shape[-1])
        graph = config_graph(fields, length, inputs is not None and inputs.mask is not None)
        if graph is not None:
            return graph, _outputs(fields), None
    from scrubbing import load_model
    from scrubbing.models.check import random_inputs

    loaded = load_model(model)
    vocabulary = len(loaded.weights.W_E)
    inputs = random_inputs(vocabulary, 1, padded=False) if data is None else task_from_files(model, data).data()
    return _of_loaded(loaded, inputs)


def _outputs(fields: Mapping[str, Any]) -> int | None:
    if str(fields.get("architectures")).endswith("ForSequenceClassification']"):
        labels = fields.get("id2label")  # only written where there are not two of them
        return len(labels) if is_mapping(labels) else 2
    found = fields.get("vocab_size", fields.get("d_vocab_out", fields.get("d_vocab")))
    return found if isinstance(found, int) and found > 0 else None


def _row(nodes: list[Node], graph: ModelGraph, outputs: int | None, model: Any) -> Row:
    node = nodes[0]
    several = len(nodes) > 1
    name = f"{node} to {nodes[-1]}" if several else str(node)
    writes, within = _writes(node, graph, outputs, model), tuple(_within(node, graph))
    return Row(name, _what(nodes, graph, model), writes, _as(nodes, graph), within)


def _what(nodes: list[Node], graph: ModelGraph, model: Any) -> str:
    node = nodes[0]
    if callable(told := getattr(model, "what", None)):
        return str(told(node))
    if node.kind == "head" and "q" in graph.slots[node]:
        return f"{len(nodes)} heads of layer {node.layer}" if len(nodes) > 1 else f"head of layer {node.layer}"
    if node.kind == "mlp":
        return f"MLP of layer {node.layer}"
    if node.kind == "attn":
        return f"norm after the heads of layer {node.layer}"
    if node.kind in (after := {"attn.norm": "the heads", "mlp.norm": "the MLP"}):
        return f"norm of the residual stream after {after[node.kind]} of layer {node.layer}"
    return _WHAT.get(node, "input" if not graph.slots[node] else "output" if node == graph.output else "node")


def _writes(node: Node, graph: ModelGraph, outputs: int | None, model: Any) -> str:
    if node == MASK:
        return "[n, positions]"
    width = outputs if node == graph.output else graph.d_model or None
    if width is None and model is not None:
        width = int(model.raw_width(node, None))
    axes = ["n", *(["positions"] if graph.positions > 1 else []), "?" if width is None else str(width)]
    return f"[{', '.join(axes)}]"


def _as(nodes: list[Node], graph: ModelGraph) -> str:
    node = nodes[0]
    if node == graph.output:
        return "OUTPUT"
    if node.kind == "head":
        last = nodes[-1].head
        return f"head({node.layer}, {node.head})" + (f" to head({node.layer}, {last})" if last != node.head else "")
    if node.kind == "mlp":
        return f"mlp({node.layer})"
    return _CONSTANTS.get(node, f'node("{node}")')


def _within(node: Node, graph: ModelGraph) -> Iterator[str]:
    """What can be claimed of a node beside the whole of it."""
    slots = graph.slots[node]
    if slots:
        yield f"reads({', '.join(slots)})"
    if graph.positions > 1 and node != MASK:
        yield "at positions"
    if "k" in slots:
        yield "offsets, pairs"
    if width := graph.widths.get(node):
        yield f"{width} neurons"
    if node not in (graph.output, MASK):
        yield "directions"
