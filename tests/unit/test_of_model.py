"""A baseline that is another model: its loss is what that model has, however it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import (
    OUTPUT,
    Baseline,
    Bigram,
    Dataset,
    Hypothesis,
    NextToken,
    UsageError,
    Variable,
    everything,
    feature,
    head,
    scrub,
)

TOKENS = np.random.default_rng(0).integers(50, size=(8, 6))
DATA = Dataset({"tokens": TOKENS})
MADE = Hypothesis(
    "h", "s", OUTPUT.carries(Variable("o", everything), head(0, 0).direct().carries(Variable("t", everything)))
)


@feature(per="position")
def even(data: Dataset) -> Any:
    """Predictions from even tokens."""
    return data["tokens"] % 2 == 0


def loss_of(baseline: Baseline, model: Any, **options: Any) -> Any:
    result = scrub(
        MADE,
        model,
        DATA,
        NextToken(),
        references=8,
        draws=1,
        extra_baselines={"other": baseline},
        slices={"even": even},
        **options,
    )
    return result.losses["other"], result.slices["even"][1]["other"]


@pytest.fixture
def models(tiny_model: Any) -> tuple[Any, Any]:
    return tiny_model("native LN"), tiny_model("native attention-only")


def expected(other: Any) -> tuple[Any, Any]:
    inputs = other.inputs(DATA)
    with torch.inference_mode():
        logits = other.own_output(inputs, torch.arange(8))[:, :-1]
    each = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).double(), torch.as_tensor(TOKENS[:, 1:].copy()).flatten(), reduction="none"
    ).view(8, 5).numpy()  # fmt: skip
    chosen = TOKENS[:, :-1] % 2 == 0
    return each.mean(1), np.where(chosen, each, 0).sum(1) / np.maximum(chosen.sum(1), 1)


def as_given(other: Any) -> dict[str, Any]:
    def outputs(data: Dataset) -> Any:
        return other.own_output(other.inputs(data), torch.arange(len(data)))

    return {
        "a model": other,
        "a function that loads it": lambda: other,
        "a function of the dataset": outputs,
        "an array": lambda data: outputs(data).numpy(),
    }


@pytest.mark.parametrize("how", ["a model", "a function that loads it", "a function of the dataset", "an array"])
def test_the_loss_is_that_of_the_other_model_on_every_slice(how: str, models: Any) -> None:
    model, other = models
    found, on_even = loss_of(Baseline.of_model(as_given(other)[how], "another"), model)
    whole, even_only = expected(other)
    np.testing.assert_allclose(found, whole, rtol=1e-5)
    np.testing.assert_allclose(on_even, even_only, rtol=1e-5)


def test_an_n_gram(models: Any) -> None:
    bigram = Bigram.fit(TOKENS, TOKENS, 50)
    found, _ = loss_of(Baseline.of_model(bigram, "bigram"), models[0])
    np.testing.assert_allclose(found, bigram.losses(TOKENS)[:, :-1].mean(1), rtol=1e-6)


def test_itself_is_no_baseline_and_half_way_is_half(models: Any) -> None:
    model, _ = models
    found, _ = loss_of(Baseline.of_model(model, "itself"), model)
    np.testing.assert_allclose(found, expected(model)[0], rtol=1e-5)


def test_what_predicts_nothing() -> None:
    with pytest.raises(UsageError, match=r"SCR-BASELINE.*of type int, which predicts nothing"):
        Baseline.of_model(3, "three")
