"""A model with other weights: the same architecture, whose own forward pass uses them too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import OUTPUT, Hypothesis, ModelMismatch, NextToken, Variable, everything, feature, head, scrub
from scrubbing.models.check import random_inputs, self_check
from scrubbing.models.transformer.model import Transformer
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import FURTHER, NAMES, POSITIONS, VOCABULARY, tiny

DATA = random_inputs(VOCABULARY, POSITIONS, padded=True, n=24)


@feature
def first(data: Any) -> Any:
    """Parity of the first token."""
    return data["tokens"][:, 0] % 2


@pytest.mark.parametrize("name", [*NAMES, *FURTHER])
def test_another_members_weights_give_its_logits(name: str, tiny_model: Any) -> None:
    """Its own forward pass is then that of another module altogether, which this one has never seen."""
    model, other = tiny_model(name), from_bridge(tiny(name, seed=1))
    inputs, rows = model.inputs(DATA), torch.arange(len(DATA))
    before, own = model.weights.fingerprint(model.spec), model.own_output(inputs, rows)

    given = {key: tensor.clone() for key, tensor in other.weights.learned()}
    made = model.with_weights(given, name="other")
    for tensor in given.values():
        tensor.zero_()

    assert (made.fingerprint, made.spec, made.name) == (other.fingerprint, other.spec, "other")
    assert torch.allclose(
        made.own_output(inputs, rows)[inputs.visible], other.own_output(inputs, rows)[inputs.visible], atol=1e-5
    )
    self_check(made, DATA)
    assert model.weights.fingerprint(model.spec) == before
    assert torch.equal(model.own_output(inputs, rows), own)
    assert not torch.allclose(made.own_output(inputs, rows), own, atol=0.1)


@pytest.mark.parametrize("name", ["native rotary", "GPT-2", "Gemma 2"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_random_weights_in_every_precision(name: str, dtype: torch.dtype) -> None:
    model = from_bridge(tiny(name, dtype=dtype), dtype=dtype)
    random = torch.Generator().manual_seed(0)
    fresh = {
        key: torch.randn(old.shape, generator=random) * old.float().std(correction=0)
        for key, old in model.weights.learned()
    }
    made = model.with_weights(fresh)
    assert made.dtype == dtype
    claim = head(1, 0).any_path().carries(Variable("first", first))
    hypothesis = Hypothesis("control", "Random weights.", OUTPUT.carries(Variable("all", everything), claim))
    assert np.isfinite(scrub(hypothesis, made, DATA, NextToken()).loss("scrubbed").value)


def test_weights_that_are_not_the_models(tiny_model: Any) -> None:
    model = tiny_model("Llama")
    there = dict(model.weights.learned())
    assert not any(key.startswith("rotary") for key in there)
    for changed, told in (
        ({**there, "rotary.0": torch.ones(2)}, "unexpected: rotary.0"),
        ({key: value for key, value in there.items() if key != "W_U"}, "missing: W_U"),
        ({**there, "W_U": there["W_U"].T}, r"W_U is \[50, 8\] instead of \[8, 50\]"),
        ({**there, "W_U": there["W_U"].int()}, "W_U holds int32"),
        ({**there, "W_U": there["W_U"].numpy()}, "W_U is a ndarray"),
    ):
        with pytest.raises(ModelMismatch, match=told) as caught:
            model.with_weights(changed)
        assert caught.value.codes == ("SCR-WEIGHTS",)
    with pytest.raises(ModelMismatch, match=r"NaN or infinite in W_U, final\.weight") as caught:
        model.with_weights({**there, **{key: there[key] * float("nan") for key in ("W_U", "final.weight")}})
    assert caught.value.codes == ("SCR-NAN",)


def test_a_forward_pass_that_nobody_can_repeat(tiny_model: Any) -> None:
    """What its nodes compute would not be checked on other weights."""
    model = tiny_model("native LN")
    strange = Transformer(
        model.spec, model.weights, lambda tokens, visible: model.forward(tokens, visible) * 2, "strange"
    )
    with pytest.raises(ModelMismatch, match="SCR-CHECK"):
        strange.with_weights(dict(model.weights.learned()))
