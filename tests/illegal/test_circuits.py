"""Files of circuits that are damaged, of another model, or say what has no counterpart."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from scrubbing import EMBED, OUTPUT, FileError, Hypothesis, IllegalHypothesis, UsageError, head
from scrubbing.circuits import read_circuit, write_circuit
from scrubbing.routes import along

EDGE = {"score": 0.5, "in_graph": True}
NODES = {"input": {"in_graph": True}, "a0.h0": {"in_graph": True}, "logits": {"in_graph": True}}
GOOD = {"input->a0.h0<v>": EDGE, "a0.h0->logits": EDGE}
SITE = [0, "mlp_output", "pos", 1, None]
SCHEMATIC = Path(__file__).parents[1] / "circuits" / "made" / "torchwright_schematic.json"


def text(lines: str) -> tuple[str, bytes]:
    return "edges.txt", lines.encode()


def stored(value: Any) -> tuple[str, bytes]:
    return "circuit.json", json.dumps(value).encode()


FILES: dict[str, tuple[str, str, tuple[str, bytes], dict[str, Any]]] = {
    "edges: two faults": (
        "edges", "SCR-CIRCUIT SCR-CIRCUIT", text("input->a0.h0<v>\na5.h0->logits\na0.h0->logits\nm0 to m1\n"), {},
    ),
    "edges: backwards": ("edges", "SCR-CIRCUIT", text("m1->a0.h0<q>"), {}),
    "edges: a slot that is none": ("edges", "SCR-CIRCUIT", text("input->m0<q>"), {}),
    "edges: position outside": ("edges", "SCR-CIRCUIT", text("input->m0@9\ninput->m1\nm1->logits"), {}),
    "edges: hooks that are no ends": (
        "edges", "SCR-CIRCUIT", text("blocks.1.hook_resid_mid[:] <- blocks.0.attn.hook_result[:, :, 1]"), {},
    ),
    "edges: no path": ("edges", "SCR-CIRCUIT", text("input->m0"), {}),
    "edges: nothing": ("edges", "SCR-CIRCUIT", text("# none\n"), {}),
    "edges: no scores": ("edges", "SCR-CIRCUIT", text("input->logits"), {"top": 3}),
    "edges: no text": ("edges", "SCR-FILE", ("edges.txt", b"\xff\xfe"), {}),
    "eap: no JSON": ("eap", "SCR-FILE", ("circuit.json", b"{"), {}),
    "eap: another form": ("eap", "SCR-CIRCUIT", stored(["input->logits"]), {}),
    "eap: another model": (
        "eap", "SCR-CIRCUIT SCR-CIRCUIT",
        stored({"cfg": {"n_layers": 12, "n_heads": 12}, "nodes": NODES, "edges": GOOD}), {},
    ),
    "eap: entries": (
        "eap", "SCR-CIRCUIT SCR-CIRCUIT SCR-CIRCUIT",
        stored({"nodes": NODES, "edges": {**GOOD, "input->m0": 1, "m0->m1": {"in_graph": True, "score": "much"},
                                          "m0": EDGE}}), {},
    ),
    "eap: coordinates": (
        "eap", "SCR-CIRCUIT",
        stored({"nodes": {**NODES, "a0.h0": {"in_graph": True, "neurons": [True, False]}}, "edges": GOOD}), {},
    ),
    "eap: no scores": (
        "eap", "SCR-CIRCUIT", stored({"nodes": {"input": True}, "edges": {"input->logits": True}}), {"top": 1},
    ),
    "acdc: a harmful pickle": ("acdc", "SCR-FILE", ("edges.pkl", pickle.dumps(Path)), {}),
    "acdc: truncated": ("acdc", "SCR-FILE", ("edges.pkl", pickle.dumps([1, 2])[:-3]), {}),
    "acdc: something else": ("acdc", "SCR-CIRCUIT", ("edges.pkl", pickle.dumps("edges")), {}),
    "acdc: rows that are no edges": ("acdc", "SCR-CIRCUIT", ("edges.pkl", pickle.dumps([("a", 1)])), {}),
    "auto-circuit: layers": (
        "auto-circuit", "SCR-CIRCUIT SCR-CIRCUIT", stored(["Resid Start->Resid Mid 0", "A0.0->nowhere"]), {},
    ),
    "auto-circuit: another form": ("auto-circuit", "SCR-CIRCUIT", stored(3), {}),
    "transformer-lens: nodes of two sorts": (
        "transformer-lens", "SCR-CIRCUIT",
        stored([[{"kind": "embed", "position": 0}, {"kind": "mlp_out", "position": 0, "layer": 0}],
                [{"kind": "head"}]]), {},
    ),
    "transformer-lens: between positions": (
        "transformer-lens", "SCR-CIRCUIT",
        stored([[{"kind": "embed", "position": 0}, {"kind": "mlp_in", "position": 1, "layer": 0}]]), {},
    ),
    "pyvene: another form": ("pyvene", "SCR-CIRCUIT", stored({"mode": "parallel"}), {}),
    "pyvene: what has no node": (
        "pyvene", "SCR-CIRCUIT SCR-CIRCUIT SCR-CIRCUIT SCR-CIRCUIT",
        stored({"representations": [SITE, [9, *SITE[1:]], [0, "gate_output"], SITE, SITE], "sorted_keys": list("abcde"),
                "intervention_types": [None, None, None, "<class 'pyvene.NoiseIntervention'>",
                                       "<class 'pyvene.LowRankRotatedSpaceIntervention'>"]}), {},
    ),
    "circuit-tracer: another form": ("circuit-tracer", "SCR-CIRCUIT", stored({"links": []}), {}),
    "circuit-tracer: no transcoders, and a node that is not there": (
        "circuit-tracer", "SCR-CIRCUIT SCR-CIRCUIT SCR-CIRCUIT",
        stored({"nodes": [{"node_id": "0_3_1", "feature_type": "cross layer transcoder"},
                          {"node_id": "9_3_1", "feature_type": "cross layer transcoder"}],
                "qParams": {"supernodes": [["group", "0_3_1", "0_4_1"], ["another", "9_3_1"]]}}), {},
    ),
    "circuit-tracer: no features": ("circuit-tracer", "SCR-CIRCUIT", stored({"nodes": []}), {}),
    "torchwright: another form": ("torchwright", "SCR-CIRCUIT", stored({"format": "v0"}), {}),
    "torchwright: another model": ("torchwright", "SCR-CIRCUIT", ("schematic.json", SCHEMATIC.read_bytes()), {}),
    "no such format": ("eapp", "SCR-CIRCUIT", stored({}), {}),
    "two choices": ("eap", "SCR-CIRCUIT", stored({}), {"top": 1, "threshold": 0.5}),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_read(name: str, world: Any, refused: Any, tmp_path: Path, monkeypatch: Any) -> None:
    kind, codes, (file, content), options = FILES[name]
    monkeypatch.chdir(tmp_path)
    Path(file).write_bytes(content)
    error = UsageError if name in ("no such format", "two choices") else FileError
    refused(error, codes, lambda: read_circuit(file, kind, world.graph, **options))


def test_scores_without_a_choice(world: Any, refused: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"blocks.0.hook_mlp_in": torch.ones(3)}, "scores.pt")
    refused(FileError, "SCR-CIRCUIT", lambda: read_circuit("scores.pt", "auto-circuit", world.graph))


def test_a_file_that_is_not_there(world: Any, refused: Any) -> None:
    refused(FileError, "SCR-FILE", lambda: read_circuit("gone.json", "eap", world.graph))


@pytest.mark.parametrize(
    "case", ["another claim", "at positions", "one embedding", "a format that is only read", "no folder"]
)
def test_write(case: str, world: Any, refused: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    edges = {"at positions": ["embed->logits@1", "pos->logits@1"], "one embedding": ["embed->logits"]}
    claim = EMBED.by(along(edges.get(case, ["embed->logits"]))).carries(world.output)
    claim = head(0, 0).direct().carries(world.parity) if case == "another claim" else claim
    made = Hypothesis("circuit", "What is claimed.", OUTPUT.carries(world.output, claim))
    kind = {"a format that is only read": "acdc", "no folder": "edges"}.get(case, "eap")
    error, code = (FileError, "SCR-FILE") if case == "no folder" else (UsageError, "SCR-CIRCUIT")
    refused(error, code, lambda: write_circuit(made, "nowhere/circuit.txt", kind, world.graph))


def test_a_route_along_edges_that_the_model_lacks(world: Any, refused: Any) -> None:
    claim = EMBED.by(along(["embed->m0@9", "m1->a0.h0<q>", "m0->logits", "embed->a7.h0<v>"])).carries(world.parity)
    refused(IllegalHypothesis, "SCR-NODE", lambda: world.check(claim))


def test_a_route_along_edges_that_are_not_the_models(world: Any, refused: Any) -> None:
    claim = EMBED.by(along(["embed->m0@9", "m1->a0.h0<q>", "m0->logits", "embed->m1<v>"])).carries(world.parity)
    refused(IllegalHypothesis, "SCR-PATH SCR-ROUTE SCR-ROUTE SCR-ROUTE", lambda: world.check(claim))
