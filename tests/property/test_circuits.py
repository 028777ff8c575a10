"""Random circuits of edges: engine and oracle follow the same paths, and what is written is what is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scrubbing import (
    MASK,
    OUTPUT,
    POS,
    Dataset,
    FileError,
    Hypothesis,
    IllegalHypothesis,
    ModelGraph,
    transformer_graph,
)
from scrubbing.circuits import read_circuit, write_circuit
from scrubbing.circuits.edge_circuit import all_edges
from scrubbing.graph.edges import Edge
from scrubbing.testing import check_hypothesis

LENGTHS = np.array([6, 4, 6, 3, 5, 6])


def inputs(padded: bool) -> Dataset:
    tokens = np.random.default_rng(0).integers(50, size=(6, 6))
    mask = {"mask": np.arange(6)[None] < LENGTHS[:, None]} if padded else {}
    return Dataset({"tokens": tokens, **mask})


def random_edges(graph: ModelGraph, seed: int, at_positions: bool, whole_input: bool = False) -> list[Edge]:
    """Half of a model's edges, each at half of its positions; token and position embeddings alike, if so asked."""
    rng = np.random.default_rng(seed)
    kept = []
    for edge in all_edges(graph):
        at = tuple(np.flatnonzero(rng.random(graph.positions) < 0.5).tolist()) if at_positions else ()
        if rng.random() < 0.5 and (at or not at_positions) and not (whole_input and edge.writer == POS.node):
            kept.append(Edge(edge.writer, edge.reader, edge.slot, at))
    if whole_input and POS.node in graph.slots:
        kept += [Edge(POS.node, edge.reader, edge.slot, edge.at) for edge in kept if str(edge.writer) == "embed"]
    return kept


def circuit(edges: list[Edge], graph: ModelGraph) -> Hypothesis | None:
    """None where no path is left."""
    try:
        return read_circuit([str(edge) for edge in edges], "edges", graph).hypothesis
    except FileError as error:
        assert "form no path" in str(error)  # noqa: PT017
        return None


@pytest.mark.parametrize("name", ["native LN", "native classifier", "native rotary"])
@pytest.mark.parametrize("seed", range(4))
def test_the_engine_follows_the_edges_that_the_oracle_follows(name: str, seed: int, tiny_model: Any) -> None:
    model, data = tiny_model(name), inputs(padded=name == "native classifier")
    graph = model.graph(data)
    made = circuit(random_edges(graph, seed, at_positions=seed % 2 == 1), graph)
    assert made is not None
    assert (MASK.node in graph.slots) == any(one.node == MASK.node for one in made.correspondence.children[0].targets)
    check_hypothesis(made, model, data, references=2)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["edges", "eap"])
def test_what_is_written_is_what_is_read(kind: str, seed: int, tmp_path: Path) -> None:
    shape: Any = {"d_model": 8, "d_mlp": None if seed % 5 == 0 else 6, "positions": 4, "causal": seed % 2 == 0}
    graph = transformer_graph(
        1 + seed % 3,
        1 + seed % 4,
        **shape,
        padded=seed % 7 == 0,
        learned_positions=seed % 3 > 0,
        parallel=seed % 4 == 1,
    )
    made = circuit(random_edges(graph, seed, at_positions=kind == "edges", whole_input=kind == "eap"), graph)
    if made is None:
        return
    write_circuit(made, tmp_path / "file", kind, graph)
    back = read_circuit(tmp_path / "file", kind, graph).hypothesis
    assert back.correspondence == made.correspondence
    assert Hypothesis.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert back.interpretation == made.interpretation
    back.check(graph)


def test_all_edges_are_the_model(tiny_model: Any) -> None:
    from scrubbing import SquaredError, scrub

    model, data = tiny_model("native classifier"), inputs(padded=True)
    made = circuit(all_edges(model.graph(data)), model.graph(data))
    assert made is not None
    labelled = data.with_columns(label=np.zeros((6, 2)))
    result = scrub(made, model, labelled, SquaredError(position=0), references=6, draws=2, baselines=False)
    table = result.inputs().columns
    np.testing.assert_allclose(table["loss.scrubbed"], table["loss.model"], rtol=1e-5)


@pytest.mark.parametrize("text", ["a0.h0", "a0.h0->", "->m0", "m0->m1<>", "m0->m1@", "m0->m1@a", "a0->h0->m0", "m0 m1"])
def test_what_is_no_edge(text: str) -> None:
    with pytest.raises(IllegalHypothesis, match="SCR-NAME"):
        Edge.parse(text)


@pytest.mark.parametrize("text", ["a0.h1->a1.h0<q>", "embed->m0", "m0->logits@0,3", "embed->a1.h0<mask>@2"])
def test_edges_as_text(text: str) -> None:
    assert str(Edge.parse(text)) == text
    assert str(Edge.parse(f"  {text.replace('->', ' -> ')} ")) == text


def test_a_claim_that_is_not_of_edges_is_not_written(tmp_path: Path) -> None:
    graph = transformer_graph(1, 1, d_model=8, d_mlp=6, positions=4, causal=True, padded=False)
    made = circuit(all_edges(graph), graph)
    assert made is not None
    (claim,) = made.correspondence.children
    twice = Hypothesis("twice", "As above.", OUTPUT.carries(made.correspondence.variable, claim, claim))
    with pytest.raises(ValueError, match="SCR-CIRCUIT"):
        write_circuit(twice, tmp_path / "file", "edges", graph)
