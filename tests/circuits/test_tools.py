"""What other tools wrote, read as hypotheses: scrubbed, these have the losses that the tools themselves measured.

Files and losses in `made/` are from the tools (see `make.py`). TransformerLens 4 is here and is asked directly.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scrubbing import Classification, Dataset, FileError, Hypothesis, feature, load_model, scrub
from scrubbing.circuits import read_circuit, write_circuit
from scrubbing.samplers import paired

MADE = Path(__file__).parent / "made"
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
