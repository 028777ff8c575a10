"""The formats of circuits by name, and the two calls that read and write them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrubbing.circuits.acdc import Acdc
from scrubbing.circuits.auto_circuit import AutoCircuit
from scrubbing.circuits.base import Format, Imported, Options
from scrubbing.circuits.circuit_tracer import CircuitTracer
from scrubbing.circuits.eap import Eap
from scrubbing.circuits.edge_circuit import RESULT
from scrubbing.circuits.edge_list import EdgeList
from scrubbing.circuits.files import Source
from scrubbing.circuits.problems import Problems
from scrubbing.circuits.pyvene import Pyvene
from scrubbing.circuits.torchwright import Torchwright
from scrubbing.circuits.transformer_lens import Keys
from scrubbing.errors import FileError, fail
from scrubbing.hypothesis.claims import OUTPUT
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.registry import Registry

if TYPE_CHECKING:
    from scrubbing.graph.model_graph import ModelGraph
    from scrubbing.parts import Dictionary

formats: Registry[Format] = Registry("format of circuits", "scrubbing.circuits", "SCR-CIRCUIT")
"""Formats by name; other packages add theirs by entry points of the group `scrubbing.circuits`."""
formats.add("edges", EdgeList())
formats.add("eap", Eap())
formats.add("acdc", Acdc())
formats.add("auto-circuit", AutoCircuit())
formats.add("transformer-lens", Keys())
formats.add("pyvene", Pyvene())
formats.add("torchwright", Torchwright())
formats.add("circuit-tracer", CircuitTracer())


def read_circuit(
    source: str | Path | Any,
    kind: str,
    graph: ModelGraph,
    *,
    top: int | None = None,
    threshold: float | None = None,
    dictionaries: Iterable[Dictionary] = (),
    name: str | None = None,
) -> Imported:
    """A circuit that another tool found, as a hypothesis. The tool itself is not imported.

    Args:
        source: the path of a file; or what the tool holds in memory, such as a list of edges of TransformerLens.
        kind: name of a format, see `formats`.
        graph: of the model that the circuit was found in: `model.graph(data)`, or `task.graph()`.
        top: keep so many edges (or nodes), by absolute score, instead of those that the file says are in the circuit.
        threshold: keep edges (or nodes) of at least this absolute score.
        dictionaries: of whose features the file speaks, such as the transcoders of an attribution graph.
        name: of the hypothesis; defaults to that of the file.

    Raises:
        FileError: SCR-FILE, the file cannot be read; SCR-CIRCUIT, with everything in it that is no circuit of this
            model.
        UsageError: SCR-CIRCUIT, there is no such format, or both `top` and `threshold` were given.
    """
    reader, options, opened = formats[kind], Options(top, threshold, tuple(dictionaries)), Source.of(source)
    problems = Problems(opened.name)
    found = reader.read(opened, graph, options, problems)
    problems.stop_if_any()
    if found is None:
        fail(FileError, "SCR-CIRCUIT", "it holds no circuit.", "Check the format.", opened.name)
    told = f"{found.sentence} The format ({kind}) does not say {'; '.join(found.unsaid)}."
    made = Hypothesis(name or f"{kind}/{Path(opened.title).stem}", told, OUTPUT.carries(RESULT, *found.claims))
    return Imported(made, found.unsaid)


def write_circuit(hypothesis: Hypothesis, path: str | Path, kind: str, graph: ModelGraph) -> None:
    """Write a circuit of edges, such as one that was imported, as a file of another tool.

    Args:
        hypothesis: one claim, that the whole input is carried along some edges.
        path: of the file, which is replaced.
        kind: `edges` or `eap`.
        graph: of the model.

    Raises:
        UsageError: SCR-CIRCUIT, there is no such format, or it cannot say what the hypothesis claims.
        FileError: SCR-FILE, the file cannot be written.
    """
    text = formats[kind].write(hypothesis, graph)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        fail(FileError, "SCR-FILE", f"it cannot be written ({error.strerror}).", "Check the path.", str(path))
