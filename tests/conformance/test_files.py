"""Local checkpoints against TransformerLens's own models, in both layouts of names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from scrubbing import ModelMismatch
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer.checkpoint import from_file, to_file
from scrubbing.models.transformer.config import read_fields
from scrubbing.models.transformer.weights import Spec, Weights
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import NATIVE, NATIVE_SIZES, VOCABULARY

NAMES = [name for name in NATIVE if name != "native rotary"]


def config(name: str) -> dict[str, Any]:
    return {**NATIVE_SIZES, **NATIVE[name]}


def agrees(model: Any, bridge: Any) -> bool:
    data = random_inputs(VOCABULARY, NATIVE_SIZES["n_ctx"], padded=True, n=8)
    inputs = model.inputs(data)
    tokens, visible = inputs.columns["tokens"], inputs.visible
    own = bridge(tokens.long(), attention_mask=visible.long())
    return torch.allclose(model.forward(tokens, visible)[visible], own[visible], atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_today(name: str, tiny_bridge: Any, tmp_path: Path) -> None:
    bridge = tiny_bridge(name)
    save_file({key: value.contiguous() for key, value in bridge.state_dict().items()}, tmp_path / "m.safetensors")
    model = from_file(tmp_path / "m.safetensors", config(name))
    assert model.weights_hash() == from_bridge(bridge).weights_hash()
    assert agrees(model, bridge)


@pytest.mark.parametrize("name", NAMES)
def test_legacy_names_written_and_read(name: str, tiny_bridge: Any, tmp_path: Path) -> None:
    bridge = tiny_bridge(name)
    written = from_bridge(bridge)
    to_file(written, tmp_path / "m.safetensors")
    model = from_file(tmp_path / "m.safetensors")
    assert (model.weights_hash(), model.spec) == (written.weights_hash(), written.spec)
    assert agrees(model, bridge)


def test_a_pickled_legacy_checkpoint_with_its_config_beside_it(tiny_bridge: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    name = "native LN"
    to_file(from_bridge(tiny_bridge(name)), tmp_path / "m.safetensors")
    state: dict[str, torch.Tensor] = load_file(tmp_path / "m.safetensors")
    state["blocks.0.attn.mask"] = torch.ones(6, 6).tril().bool()
    state["blocks.0.attn.IGNORE"] = torch.tensor(-1e5)
    torch.save(state, tmp_path / "m.pth")
    old = {key: value for key, value in config(name).items() if key != "normalization_type"}
    (tmp_path / "config.json").write_text(json.dumps({**old, "normalization": "LN", "model_name": "tiny", "lr": 1e-3}))
    assert agrees(from_file(tmp_path / "m.pth", tmp_path / "config.json"), tiny_bridge(name))


def test_a_family_that_the_layout_cannot_express(tiny_model: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelMismatch, match="SCR-CONFIG"):
        to_file(tiny_model("Llama"), tmp_path / "m.safetensors")


EXTRAS: list[dict[str, Any]] = [
    {"act_fn": "solu_ln"},
    {"parallel_attn_mlp": True},
]


@pytest.mark.parametrize("extra", EXTRAS, ids=str)
def test_fields_that_mean_something_are_not_ignored(extra: dict[str, Any]) -> None:
    read_fields(config("native LN") | {"attn_scores_soft_cap": -1, "parallel_attn_mlp": False}, "config")
    with pytest.raises(ModelMismatch, match="SCR-CONFIG"):
        read_fields(config("native LN") | extra, "config")


def test_shortformer_is_part_of_the_layout(tmp_path: Path, tiny_model: Any) -> None:
    from dataclasses import replace

    from scrubbing.models.transformer.checkpoint import assemble

    plain = tiny_model("native LNPre attention-only")
    spec: Spec = replace(plain.spec, family="shortformer", positions="query_key")
    weights: Weights = plain.weights
    made = assemble(spec, weights, "shortformer")
    to_file(made, tmp_path / "m.safetensors")
    assert from_file(tmp_path / "m.safetensors").fingerprint == made.fingerprint
