"""Whatever a native model of TransformerLens can be configured to compute, loading its tensors and config computes."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubbing import ModelMismatch, from_file, from_state_dict
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer.checkpoint import to_file
from scrubbing.models.transformer.config import _HARMLESS, _OTHERS, _SIZES, read_fields
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import NATIVE, NATIVE_SIZES, VOCABULARY, scramble

LENGTH = NATIVE_SIZES["n_ctx"]

scalings = st.one_of(
    st.none(),
    st.just({"rope_type": "default"}),
    st.builds(
        lambda kind, factor: {kind: "linear", "factor": factor}, st.sampled_from(["type", "rope_type"]), st.floats(1, 4)
    ),
    st.builds(
        lambda kind, factor: {"type": kind, "factor": factor}, st.sampled_from(["dynamic", "ntk"]), st.floats(1, 4)
    ),
    st.builds(
        lambda factor, length: {
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": length,
        },
        st.floats(1, 8),
        st.integers(2, 50),
    ),
)
configs = st.fixed_dictionaries(
    {
        "normalization_type": st.sampled_from(["LN", "LNPre", "RMS", "RMSPre", None]),
        "final_rms": st.booleans(),
        "attn_only": st.booleans(),
        "gated_mlp": st.booleans(),
        "act_fn": st.sampled_from(["relu", "gelu", "gelu_new", "silu", "swish", "solu"]),
        "attention_dir": st.sampled_from(["causal", "bidirectional"]),
        "positional_embedding_type": st.sampled_from(["standard", "rotary"]),
        "rotary_dim": st.sampled_from([None, 2, 4]),
        "rotary_base": st.sampled_from([10000, 50.5]),
        "n_key_value_heads": st.sampled_from([None, 1, 2, 4]),
        "attn_scores_soft_cap": st.sampled_from([-1.0, 0.0, 2.0]),
        "output_logits_soft_cap": st.sampled_from([-1.0, 3.0]),
        "use_attn_scale": st.booleans(),
        "attn_scale": st.sampled_from([-1.0, 3.0]),
        "eps": st.sampled_from([1e-5, 0.1]),
        "d_vocab_out": st.sampled_from([-1, 3]),
        "d_mlp": st.sampled_from([None, 6]),
    }
)


def booted(config: dict[str, Any], scaling: dict[str, Any] | None) -> Any:
    """A native bridge with random weights of this config; `rope_scaling` is no argument of its class."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources import build_bridge_from_module
    from transformer_lens.model_bridge.sources.native import NativeModel

    made = TransformerBridgeConfig(**{**NATIVE_SIZES, **config, "n_heads": 4})
    narrow = config["rotary_dim"] == 2 and scaling is not None and scaling.get("type") in ("dynamic", "ntk")
    vars(made)["rope_scaling"] = None if narrow else scaling
    module = NativeModel(copy.deepcopy(made))
    scramble(module, 0)
    return build_bridge_from_module(module, "TransformerLensNative", tl_config=made).eval()


def logits(bridge: Any, tokens: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return bridge(tokens.long(), attention_mask=visible.long())[visible]


@given(configs, scalings)
@settings(max_examples=60)
def test_every_native_model(config: dict[str, Any], scaling: dict[str, Any] | None) -> None:
    bridge = booted(config, scaling)
    told = bridge.cfg.to_dict()
    model = from_state_dict(bridge.state_dict(), told)
    inputs = model.inputs(random_inputs(VOCABULARY, LENGTH, padded=True, n=4))
    tokens, visible = inputs.columns["tokens"], inputs.visible
    assert visible is not None
    own = logits(bridge, tokens, visible)
    with torch.inference_mode():
        assert torch.allclose(
            model.forward(tokens, visible)[visible], own, atol=1e-5 * max(1.0, float(own.abs().max()))
        )
    bridged = from_bridge(bridge)
    assert model.weights_hash() == bridged.weights_hash()
    assert replace(model.spec, attention_scale=0) == replace(bridged.spec, attention_scale=0)


@given(configs)
@settings(max_examples=25)
def test_a_file_that_we_write_comes_back(tmp_path_factory: Any, config: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("written") / "model.safetensors"
    written = from_bridge(booted(config, None))
    if config["positional_embedding_type"] == "rotary":
        with pytest.raises(ModelMismatch, match="SCR-CONFIG"):
            to_file(written, path)
        return
    to_file(written, path)
    read = from_file(path)
    assert read.weights_hash() == written.weights_hash()
    scale = read.spec.attention_scale
    assert scale == pytest.approx(written.spec.attention_scale)
    assert replace(read.spec, attention_scale=0) == replace(written.spec, attention_scale=0)


def fields() -> dict[str, Any]:
    """Every field of TransformerLens's config at its default."""
    from transformer_lens.config import TransformerBridgeConfig

    return TransformerBridgeConfig(**NATIVE_SIZES, d_mlp=6).to_dict()


READ = {*_SIZES, *_OTHERS}


@pytest.mark.parametrize("key", sorted({*fields()} - READ - _HARMLESS))
def test_a_field_we_do_not_implement_may_only_be_at_its_default(key: str) -> None:
    given = fields()
    read_fields(given, "config")
    if key == "uses_rms_norm":  # follows from the kind of norm
        read_fields({**given, key: True, "normalization_type": "RMS"}, "config")
    with pytest.raises(ModelMismatch, match=f"SCR-CONFIG.*{key} = "):
        read_fields({**given, key: True if given[key] is False else 3}, "config")


def test_a_config_survives_being_stored(tmp_path: Path, tiny_bridge: Any) -> None:
    """As JSON, in which only the dtype cannot stand as it is."""
    bridge = tiny_bridge("native rotary")
    told = {key: str(value) if key == "dtype" else value for key, value in bridge.cfg.to_dict().items()}
    (tmp_path / "config.json").write_text(json.dumps(told, default=float))
    torch.save(bridge.state_dict(), tmp_path / "model.pt")
    assert (
        from_file(tmp_path / "model.pt", tmp_path / "config.json").weights_hash() == from_bridge(bridge).weights_hash()
    )


@pytest.mark.parametrize("name", NATIVE)
def test_unscaled_scores_are_those_of_the_layout(name: str, tiny_bridge: Any) -> None:
    """`use_attn_scale: false` switches scaling off before TransformerLens 4, and to the default since."""
    given = {**tiny_bridge(name).cfg.to_dict(), "use_attn_scale": False, "attn_scale": 7.0}
    assert read_fields(given, "config").attention_scale == 0.5
    with pytest.raises(ModelMismatch, match="use_attn_scale is off"):
        read_fields(given, "config", legacy=True)
