"""Models that `accelerate` has split over devices: gathered on one, or refused with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import same

from scrubbing import (
    OUTPUT,
    Dataset,
    Hypothesis,
    ModelMismatch,
    NextToken,
    Variable,
    anything,
    everything,
    head,
    scrub,
)
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.native import seeded

SIZES: dict[str, Any] = {"n_layer": 2, "n_head": 2, "n_embd": 16, "vocab_size": 50, "n_positions": 16}
PARTS = ("transformer.wte", "transformer.wpe", "transformer.h.0", "transformer.h.1", "transformer.ln_f", "lm_head")
MINE = Hypothesis(
    "mine",
    "A head of the second layer does not matter.",
    OUTPUT.carries(Variable("all", everything), head(1, 0).direct().carries(Variable("none", anything))),
)


def module() -> Any:
    """A random GPT-2 of `transformers`."""
    from transformers import GPT2Config, GPT2LMHeadModel

    with seeded(3):
        return GPT2LMHeadModel(GPT2Config(**SIZES, tie_word_embeddings=False)).eval()


def bridged(made: Any) -> Any:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    return build_bridge_from_module(made, "GPT2LMHeadModel", hf_config=made.config).eval()


def losses(model: Any) -> Any:
    data = Dataset({"tokens": np.random.default_rng(0).integers(0, 50, (20, 6))})
    return scrub(MINE, model, data, NextToken(), references=10, draws=2, baselines=False).losses["scrubbed"]


def placed(first: int, elsewhere: str, **options: Any) -> Any:
    """A bridge whose parts from this one on are elsewhere."""
    from accelerate import dispatch_model

    where = {part: "cpu" if i < first else elsewhere for i, part in enumerate(PARTS)}
    return bridged(dispatch_model(module(), where, main_device="cpu", force_hooks=True, **options))


def test_a_model_split_over_devices_is_gathered_where_its_embedding_is(there):
    whole, split = from_bridge(bridged(module())), from_bridge(placed(3, there))
    assert {tensor.device.type for _, tensor in split.weights.tensors()} == {"cpu"}
    assert split.fingerprint == whole.fingerprint
    np.testing.assert_array_equal(losses(split), losses(whole))
    same(losses(split.to(there)), losses(whole))


def test_a_model_part_of_which_is_offloaded_is_refused(tmp_path):
    with pytest.raises(ModelMismatch, match=r"SCR-DEVICE.*has offloaded .*transformer\.h\.1") as refused:
        from_bridge(placed(3, "disk", offload_dir=str(tmp_path)))
    assert "without device_map" in str(refused.value)


def test_a_split_that_transformer_lens_cannot_run_is_refused(there):
    """A norm apart from the layer before it: TransformerLens computes it without the hook that brings its input."""
    with pytest.raises(ModelMismatch, match=r"SCR-DEVICE.*TransformerLens cannot run it"):
        from_bridge(placed(4, there))
