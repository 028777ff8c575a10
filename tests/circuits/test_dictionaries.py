"""Dictionaries in SAELens's folders: what SAELens computes is computed, and features are parts that add up."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from scrubbing import (
    EMBED,
    OUTPUT,
    Dataset,
    Hypothesis,
    IllegalHypothesis,
    SquaredError,
    Variable,
    everything,
    feature,
    head,
    mlp,
    scrub,
)
from scrubbing.hypothesis.streams import Streams
from scrubbing.parts import read_dictionary
from scrubbing.testing import check_hypothesis

MADE = Path(os.environ.get("SCRUBBING_MADE") or Path(__file__).parent / "made")
SAID = json.loads((MADE / "scores.json").read_text())["sae-lens"]
VALUES = torch.tensor(SAID["values"])
NAMES = sorted(path.name for path in (MADE / "dictionaries").iterdir())
OUT = Variable("output", everything)


def inputs() -> Dataset:
    tokens = np.random.default_rng(0).integers(50, size=(9, 6))
    return Dataset({"tokens": tokens, "label": np.zeros((9, 50))})


DATA = inputs()


@feature
def parity(data: Dataset) -> Any:
    return data.ids % 2


PARITY = Variable("parity", parity)


def of(folder: Path, hook: str, **fields: Any) -> Any:
    """The standard dictionary, said to be of another place."""
    shutil.copytree(MADE / "dictionaries" / "standard", folder)
    cfg = json.loads((folder / "cfg.json").read_text())
    cfg["metadata"] |= {"hook_name": hook, **fields}
    (folder / "cfg.json").write_text(json.dumps(cfg))
    return read_dictionary(folder)


@pytest.mark.parametrize("name", NAMES)
def test_activations_and_reconstruction_are_those_of_sae_lens(name: str) -> None:
    weights = read_dictionary(MADE / "dictionaries" / name).weights
    active = weights.encoder(VALUES)(VALUES)
    np.testing.assert_allclose(active, SAID[name]["active"], atol=1e-5)
    assert 0 < (active > 0).float().mean() < 1
    np.testing.assert_allclose(weights.decoder(VALUES)(VALUES, active), SAID[name]["rebuilt"], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_sum_of_all_parts_is_the_reconstruction_without_what_is_no_feature(name: str) -> None:
    dictionary = read_dictionary(MADE / "dictionaries" / name)
    weights = dictionary.weights
    parts = [dictionary.features(i).function(None)(VALUES) for i in range(dictionary.size)]
    nothing = torch.zeros(len(VALUES), dictionary.size)
    base = weights.decoder(VALUES)(VALUES, nothing)  # bias, and the linear part of a skip transcoder
    np.testing.assert_allclose(sum(parts) + base, SAID[name]["rebuilt"], atol=1e-5)
    np.testing.assert_allclose(sum(parts), dictionary.features().function(None)(VALUES), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", ["native LN", "GPT-2"])
def test_the_engine_exchanges_features_as_the_oracle_does(name: str, family: str, tiny_model: Any) -> None:
    dictionary, model = read_dictionary(MADE / "dictionaries" / name), tiny_model(family)
    some, others = dictionary.features(0, 3, 7), dictionary.features([1, 2, 11])
    claims = (
        mlp(1).direct().part(some).carries(PARITY, EMBED.any_path().carries(PARITY)),
        mlp(1).direct().part(others).carries(OUT),
    )
    made = Hypothesis("h", "Features report parity.", OUTPUT.carries(OUT, *claims))
    check_hypothesis(made, model, DATA, references=2)
    assert Hypothesis.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert f"features(0,3,7 of {name})" in str(made)


def test_all_features_of_the_input_itself_leave_the_model_as_it_is(tiny_model: Any) -> None:
    """Claimed to carry everything, with the remainder kept as well: nothing is exchanged."""
    from scrubbing.samplers import exact

    model, part = tiny_model("native LN"), read_dictionary(MADE / "dictionaries" / "gated").features()
    made = Hypothesis("h", "All.", OUTPUT.carries(OUT, mlp(1).direct().part(part).carries(OUT), unclaimed=exact))
    table = scrub(made, model, DATA, SquaredError(position=-1), references=9, draws=1, baselines=False).inputs().columns
    np.testing.assert_allclose(table["loss.scrubbed"], table["loss.model"], rtol=1e-5)


@pytest.mark.parametrize(
    ("hook", "node"),
    [("blocks.1.hook_mlp_out", "m1"), ("blocks.0.hook_mlp_out", "m0"), ("blocks.1.attn.hook_result", "a1.h1")],
)
def test_activations_are_of_what_the_node_writes(hook: str, node: str, tmp_path: Path, tiny_model: Any) -> None:
    model, dictionary = tiny_model("native LN"), of(tmp_path / "d", hook, hook_head_index=1)
    assert str(dictionary.node) == node
    value = model.read(node, DATA)
    wanted = dictionary.weights.encoder(value)(value)[..., [2, 5]]
    np.testing.assert_allclose(dictionary.activations(model, DATA, [2, 5]), wanted, atol=1e-5)


PLACES = {
    "blocks.1.hook_resid_pre": "blocks.1.hook_resid_pre",
    "blocks.1.hook_resid_mid": "blocks.1.hook_resid_mid",
    "blocks.0.hook_resid_post": "blocks.0.hook_resid_post",
    "blocks.1.hook_resid_post": "blocks.1.hook_resid_post",
    "blocks.1.hook_mlp_out": "blocks.1.hook_mlp_out",
    "blocks.1.ln2.hook_normalized": "blocks.1.mlp.hook_in",
    "blocks.1.mlp.hook_in": "blocks.1.mlp.hook_in",
}
"""Hooks, and where a bridge of TransformerLens 4 has the same value."""


@pytest.mark.parametrize("hook", PLACES)
@pytest.mark.parametrize("family", ["native LN", "GPT-2"])
def test_the_residual_stream_is_what_transformer_lens_holds_there(
    hook: str, family: str, tmp_path: Path, tiny_model: Any, tiny_bridge: Any
) -> None:
    model, dictionary = tiny_model(family), of(tmp_path / "d", hook)
    with torch.no_grad():
        _, cache = tiny_bridge(family).run_with_cache(torch.as_tensor(DATA["tokens"].copy()))
    value = cache[PLACES[hook]]
    wanted = dictionary.weights.encoder(value)(value)
    np.testing.assert_allclose(dictionary.activations(model, DATA), wanted, atol=1e-4)
    assert dictionary.explained(model, DATA) < 1


def test_that_a_feature_is_active_can_be_what_inputs_agree_on(tiny_model: Any) -> None:
    model, dictionary = tiny_model("native LN"), read_dictionary(MADE / "dictionaries" / "jumprelu")
    active = dictionary.activations(model, DATA, [4])[..., 0] > 0
    assert 0 < active.mean() < 1

    @feature(per="position")
    def fourth(data: Dataset) -> Any:
        return data["fourth"]

    made = Hypothesis("h", "It is active.", OUTPUT.carries(OUT, EMBED.any_path().at(2).carries(Variable("f", fourth))))
    check_hypothesis(made, model, DATA.with_columns(fourth=active), references=3)


@pytest.mark.parametrize("case", ["another node", "residual stream", "overlap", "post-norm", "a head"])
def test_features_are_of_their_own_place(case: str, tmp_path: Path, tiny_model: Any) -> None:
    dictionary = read_dictionary(MADE / "dictionaries" / "standard")
    transcoder = read_dictionary(MADE / "dictionaries" / "transcoder")
    stream = of(tmp_path / "d", "blocks.1.hook_resid_pre") if case == "residual stream" else dictionary
    model = tiny_model("Gemma 2" if case == "post-norm" else "native LN")
    claims = {
        "another node": [mlp(0).direct().part(dictionary.features(1)).carries(PARITY)],
        "residual stream": [mlp(1).direct().part(stream.features(1)).carries(PARITY)],
        "overlap": [mlp(1).direct().part(dictionary.features(i, 2)).carries(PARITY) for i in (0, 1)],
        "post-norm": [mlp(1).direct().part(transcoder.features(1)).carries(PARITY)],
        "a head": [head(1, 0).direct().part(transcoder.features(1)).carries(PARITY)],
    }[case]
    code = "SCR-OVERLAP" if case == "overlap" else "SCR-PART"
    with pytest.raises(IllegalHypothesis, match=code):
        Hypothesis("h", "s", OUTPUT.carries(OUT, *claims)).check(model.graph(DATA), DATA)


def test_equal_content_is_the_same_dictionary_wherever_it_lies(tmp_path: Path) -> None:
    shutil.copytree(MADE / "dictionaries" / "gated", tmp_path / "gated")
    here, there = read_dictionary(MADE / "dictionaries" / "gated"), read_dictionary(tmp_path / "gated")
    assert here == there
    assert here.features(1) == there.features([1])
    assert here.features(1) != there.features(2)
    one, other = (
        Hypothesis("h", "s", OUTPUT.carries(OUT, mlp(1).direct().part(d.features(1)).carries(PARITY)))
        for d in (here, there)
    )
    assert one.hash == other.hash
    names = [Streams(DATA, 6).below(made.correspondence, "root") for made in (one, other)]
    assert names[0] == names[1]
    tensors = load_file(tmp_path / "gated" / "sae_weights.safetensors")
    save_file({name: one * 2 for name, one in tensors.items()}, tmp_path / "gated" / "sae_weights.safetensors")
    assert read_dictionary(tmp_path / "gated") != here


def transcoder(folder: Path, layer: int) -> Any:
    """The transcoder, said to be of a layer."""
    shutil.copytree(MADE / "dictionaries" / "transcoder", folder)
    text = (folder / "cfg.json").read_text().replace("blocks.1.", f"blocks.{layer}.")
    (folder / "cfg.json").write_text(text)
    return read_dictionary(folder)


def test_supernodes_of_an_attribution_graph_are_claims_of_several_features(tmp_path: Path, tiny_model: Any) -> None:
    from scrubbing.circuits import read_circuit

    model = tiny_model("native LN")
    transcoders = [transcoder(tmp_path / f"layer_{layer}", layer) for layer in (0, 1)]
    found = read_circuit(MADE / "circuit_tracer.json", "circuit-tracer", model.graph(DATA), dictionaries=transcoders)
    lines = str(found.hypothesis).splitlines()[2:]
    assert [line.split(" carries ")[1] for line in lines] == [
        "early = everything",
        "late = everything",
        "token = everything",
    ]
    assert "m0 part features(3,5 of layer_0) at 1" in lines[0]
    assert "| m0 part features(3 of layer_0) at 4" in lines[0]
    assert "m1 part features(11 of layer_1) at 4" in lines[1]
    assert "embed at 1" in lines[2]
    assert any("errors of the transcoders" in one for one in found.unsaid)
    check_hypothesis(found.hypothesis, model, DATA, references=2)


def test_without_supernodes_it_is_what_was_pinned_or_every_feature(tmp_path: Path, tiny_model: Any) -> None:
    from scrubbing.circuits import read_circuit

    graph = tiny_model("native LN").graph(DATA)
    transcoders = [transcoder(tmp_path / f"layer_{layer}", layer) for layer in (0, 1)]
    stored = json.loads((MADE / "circuit_tracer.json").read_text())
    stored["qParams"]["supernodes"] = []
    pinned = read_circuit(stored, "circuit-tracer", graph, dictionaries=transcoders).hypothesis
    assert [str(claim.variable.name) for claim in pinned.correspondence.children] == ["1_2_4"]
    stored["qParams"]["pinnedIds"] = []
    every = read_circuit(stored, "circuit-tracer", graph, dictionaries=transcoders).hypothesis
    assert len(every.correspondence.children) == 5
    every.check(graph)
