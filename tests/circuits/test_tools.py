"""What other tools wrote, read as hypotheses: scrubbed, these have the losses that the tools themselves measured.

Files and losses in `made/` are from the tools (see `make.py`). TransformerLens 4 is here and is asked directly.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scrubbing import (
    Classification,
    Dataset,
    FileError,
    Hypothesis,
    ModelGraph,
    feature,
    load_model,
    scrub,
    transformer_graph,
)
from scrubbing.circuits import read_circuit, write_circuit
from scrubbing.routes import Along
from scrubbing.samplers import paired

MADE = Path(os.environ.get("SCRUBBING_MADE") or Path(__file__).parent / "made")
SCORES = json.loads((MADE / "scores.json").read_text())
INPUTS = SCORES["inputs"]
PAIRS = len(INPUTS["label"])


@feature
def pair(data: Dataset) -> Any:
    """Number of the pair of prompts."""
    return data["pair"]


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(MADE / "model.safetensors")


def prompts() -> Dataset:
    """The clean prompts, then the corrupted ones."""
    tokens, number = np.array(INPUTS["clean_tokens"] + INPUTS["corrupt_tokens"]), np.tile(np.arange(PAIRS), 2)
    return Dataset({"tokens": tokens, "label": np.array(INPUTS["label"] * 2), "pair": number})


DATA = prompts()


def losses(hypothesis: Hypothesis, model: Any, data: Dataset = DATA) -> Any:
    """Of every prompt, where what is outside of the circuit is from the other prompt of its pair."""
    made = replace(hypothesis, unclaimed=paired(pair))
    loss = Classification("label", position=-1)
    result = scrub(made, model, data, loss, references=len(data), draws=1, baselines=False)
    table = result.inputs()
    assert table.columns["id"].tolist() == list(range(len(data)))
    return table.columns["loss.scrubbed"]


def test_the_model_is_the_one_that_the_tools_had(model: Any) -> None:
    result = scrub(
        read_circuit(MADE / "eap.json", "eap", model.graph(DATA)).hypothesis,
        model, DATA, Classification("label", position=-1), references=len(DATA), draws=1, baselines=False,
    )  # fmt: skip
    np.testing.assert_allclose(result.inputs().columns["loss.model"][:PAIRS], INPUTS["clean"], atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "file", "options"),
    [
        ("eap", "eap.json", {}),
        ("eap", "eap.json", {"top": 30}),
        ("auto-circuit", "auto_circuit.json", {}),
        ("auto-circuit", "auto_circuit.pt", {"top": 25}),
        ("acdc", "acdc.pkl", {}),
        ("acdc", "acdc.pth", {}),
    ],
    ids=str,
)
def test_a_circuit_has_the_loss_that_its_tool_measured(kind: str, file: str, options: Any, model: Any) -> None:
    made = read_circuit(MADE / file, kind, model.graph(DATA), **options)
    found = losses(made.hypothesis, model)[:PAIRS]
    np.testing.assert_allclose(found, SCORES[kind]["losses"], atol=1e-4)
    # so that agreeing means something: neither nothing nor everything is in the circuit
    assert np.abs(found - INPUTS["clean"]).max() > 0.1
    assert np.abs(found - losses(made.hypothesis, model)[PAIRS:]).max() > 0.1


@pytest.mark.parametrize("name", SCORES["pyvene"]["losses"])
def test_an_interchange_has_the_loss_that_pyvene_measured(name: str) -> None:
    pytest.importorskip("transformer_lens", reason="GPT-2 is loaded through TransformerLens")
    model = load_model(MADE / "gpt2")
    made = read_circuit(MADE / f"pyvene_{name}", "pyvene", model.graph(DATA))
    found = losses(made.hypothesis, model)[:PAIRS]
    np.testing.assert_allclose(found, SCORES["pyvene"]["losses"][name], atol=1e-4)


def compiled_graph() -> ModelGraph:
    """Of the model that torchwright's schematic describes."""
    sizes: Any = {"d_model": 64, "d_mlp": 1, "positions": 8, "causal": True, "padded": False}
    return transformer_graph(2, 2, **sizes, learned_positions=False)


def test_a_compiled_program_is_the_edges_by_which_columns_are_handed_on() -> None:
    made = read_circuit(MADE / "torchwright_schematic.json", "torchwright", compiled_graph())
    (claim,) = made.hypothesis.correspondence.children
    (target,) = claim.targets
    # Head 1.0 moves the token; 1.1 clears what was there; the MLP of layer 0 writes the query that it asks with.
    moved = {"embed->a1.h0<v>", "m0->a1.h0<q>", "m0->a1.h0<k>", "a1.h0->logits", "a1.h1->logits", "embed->a1.h1<v>"}
    assert isinstance(target.route, Along)
    edges = set(map(str, target.route.edges))
    assert moved < edges
    assert not edges & {"embed->a1.h0<q>", "m0->logits", "a0.h0->logits"}
    assert any(one.endswith("it is computed by a1.h0") for one in made.unsaid)


def test_what_torchwright_compiles_here_is_explained_by_its_own_map(tmp_path: Path) -> None:
    pytest.importorskip("ortools", reason="torchwright is not installed: dependency group torchwright")
    torchwright = pytest.importorskip("torchwright", reason="dependency group torchwright")
    from torchwright.ops.attention_ops import attend_to_offset
    from torchwright.ops.inout_nodes import create_embedding, create_rope_config

    embedding = create_embedding(["<bos>", "<eos>", "a", "b", "c", "d"])
    output = attend_to_offset(create_rope_config(16), embedding, -1)
    torchwright.compile_hf_bundle(output, embedding, tmp_path / "bundle", d=64, d_head=16, max_seq_len=16)
    model = load_model(tmp_path / "bundle")
    tokens = np.random.default_rng(0).integers(3, 7, size=(40, 8))
    data = Dataset({"tokens": tokens, "label": tokens[:, -2]})
    made = read_circuit(tmp_path / "bundle" / "torchwright_schematic.json", "torchwright", model.graph(data))
    result = scrub(made.hypothesis, model, data, Classification("label", position=-1), references=40, draws=4)
    assert result.loss_recovered("null").value == pytest.approx(1, abs=1e-3)


def test_reading_runs_no_code_of_a_pickle(tmp_path: Path, model: Any) -> None:
    import os
    import pickle

    class Harmful:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "harm"),)

    (tmp_path / "edges.pkl").write_bytes(pickle.dumps([Harmful()]))
    with pytest.raises(FileError, match="without running code"):
        read_circuit(tmp_path / "edges.pkl", "acdc", model.graph(DATA))
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("kind", ["edges", "eap"])
def test_what_was_imported_can_be_handed_on(kind: str, tmp_path: Path, model: Any) -> None:
    graph = model.graph(DATA)
    made = read_circuit(MADE / "acdc.pkl", "acdc", graph).hypothesis
    write_circuit(made, tmp_path / "circuit", kind, graph)
    back = read_circuit(tmp_path / "circuit", kind, graph).hypothesis
    assert back.correspondence == made.correspondence


@pytest.mark.parametrize("seed", range(3))
def test_edges_at_positions_recover_what_transformer_lens_says(seed: int, tiny_bridge: Any, tiny_model: Any) -> None:
    analysis = pytest.importorskip("transformer_lens.tools.analysis.attribution_patching")
    torch = pytest.importorskip("torch")
    bridge = tiny_bridge("GPT-2")
    rng = np.random.default_rng(seed)
    tokens, label = torch.as_tensor(rng.integers(50, size=(2, 6))), int(rng.integers(50))

    def metric(logits: Any) -> Any:
        return torch.nn.functional.cross_entropy(logits[0, -1:], torch.tensor([label]))

    names = analysis._edge_hook_names(2)
    with torch.no_grad(), analysis._edge_hook_flags(bridge):
        cache = analysis.cache_activation_and_gradient(
            bridge, tokens[1:], metric, names_filter=names, compute_gradient=False
        )
        edges = analysis.enumerate_edges(bridge, cache)
    kept = [edge for edge in edges if rng.random() < 0.6]
    theirs = analysis.faithfulness(bridge, tokens[:1], tokens[1:], metric, kept)

    model = tiny_model("GPT-2")
    data = Dataset({"tokens": tokens.numpy(), "label": [label, label], "pair": [0, 0]})
    made = read_circuit(kept, "transformer-lens", model.graph(data)).hypothesis
    ours = losses(made, model, data)[0]
    recovered = (ours - theirs.corrupt_metric) / (theirs.full_metric - theirs.corrupt_metric)
    assert recovered == pytest.approx(theirs.recovered, abs=1e-4)
    assert abs(theirs.recovered - 1) > 1e-2
