"""A complete scrub of every family in every precision that models are scrubbed in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import (
    OUTPUT,
    Experiment,
    Hypothesis,
    ModelMismatch,
    NextToken,
    Variable,
    everything,
    feature,
    head,
    mlp,
    part,
)
from scrubbing.models.check import random_inputs
from scrubbing.models.precision import TOLERANCE, tolerance
from scrubbing.models.transformer.weights import ACTIVATIONS, Norm
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import FURTHER, NAMES, POSITIONS, VOCABULARY, tiny
from scrubbing.parts import neurons, project
from scrubbing.testing import check_model
from tests.thin import thinned

DATA = random_inputs(VOCABULARY, POSITIONS, padded=True, n=32)
HALF = (torch.bfloat16, torch.float16)


@feature
def first(data: Any) -> Any:
    """Parity of the first token."""
    return data["tokens"][:, 0] % 2


def hypothesis(neurons_too: bool) -> Hypothesis:
    """A path, a direction of the residual stream, and neurons if there are any, each exchanged for its like."""
    kept = Variable("first", first)
    claims = [head(1, 0).any_path(avoid=head(1, 1)).carries(kept)]
    claims.append(head(1, 1).any_path(avoid=head(1, 0)).carries(kept, part(project(np.arange(8.0))).carries(kept)))
    if neurons_too:
        claims.append(
            mlp(0).any_path(avoid=(head(1, 0), head(1, 1))).carries(kept, part(neurons([0, 2])).carries(kept))
        )
    return Hypothesis(
        "precision", "Some parts report the first token.", OUTPUT.carries(Variable("all", everything), *claims)
    )


def measured(name: str, dtype: torch.dtype, **options: Any) -> dict[str, float]:
    model = from_bridge(tiny(name, dtype=dtype), dtype=dtype, name=name)
    given = DATA if model.weights.W_U.shape[1] == VOCABULARY else DATA.with_columns(tokens=DATA["tokens"] % 2)
    whole = bool(model.weights.mlps) and model.weights.mlps[0].post is None  # norms after an MLP mix its neurons
    result = Experiment(model, given, NextToken(), draws=2, **options).run(hypothesis(whole))
    assert result.record().choices.dtype == str(dtype).removeprefix("torch.")
    return {
        one: result.loss(one).value
        for one in ("model", "scrubbed", "null", "mean rest", "mean claimed")
        if one in result.losses
    }


# Random models predict nothing right, and an accuracy of zero has no interval by the bootstrap.
@pytest.mark.filterwarnings("ignore::scipy.stats.DegenerateDataWarning")
@pytest.mark.parametrize("name", thinned([*NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in FURTHER)]))
def test_a_complete_scrub(name: str) -> None:
    """With every baseline, and the check that rewrites add up; losses change by no more than rounding allows."""
    wanted = measured(name, torch.float32)
    for dtype in TOLERANCE:
        found = measured(name, dtype)
        for one, loss in found.items():
            assert abs(loss - wanted[one]) < 5 * TOLERANCE[dtype] + 1e-6, (dtype, one)
    for ablation in ("zero", "noise"):
        assert np.isfinite(measured(name, torch.bfloat16, ablation=ablation)["scrubbed"])


@pytest.mark.parametrize("dtype", [torch.float64, *HALF])
@pytest.mark.parametrize("name", ["native classifier", "native solu", "GPT-2", "Mistral", "Gemma 2"])
def test_engine_and_oracle_agree(name: str, dtype: torch.dtype) -> None:
    model = from_bridge(tiny(name, dtype=dtype), dtype=dtype, name=name)
    check_model(model, random_inputs(VOCABULARY, 4, padded=True, n=12), cases=2, references=1)


@pytest.mark.parametrize("dtype", HALF)
def test_norms_and_exponentials_are_computed_in_float32(dtype: torch.dtype) -> None:
    """A thousand squares overflow float16 and drown in bfloat16; only the result is rounded."""
    x = torch.randn(4, 1024, generator=torch.Generator().manual_seed(0)).mul(300).to(dtype)
    for norm in (Norm("LN"), Norm("RMS"), Norm("RMS", weight=torch.full((1024,), 0.001).to(dtype), offset=1.0)):
        exact = Norm(norm.kind, norm.eps, None if norm.weight is None else norm.weight.double(), offset=norm.offset)
        step = torch.finfo(dtype).eps
        assert torch.allclose(norm(x).double(), exact(x.double()), rtol=step, atol=0)
        assert torch.allclose(norm.scale(x).double(), exact.scale(x.double()), rtol=step, atol=0)
    solu = ACTIVATIONS["solu"]
    assert torch.allclose(solu(x / 300).double(), solu(x.double() / 300), rtol=4 * step, atol=1e-6)


def test_a_forward_pass_of_less_precision_than_its_weights_is_allowed_for() -> None:
    """transformers takes softmaxes in float32 even of float64 scores."""
    model = from_bridge(tiny("Llama", dtype=torch.float64), dtype=torch.float64)
    assert (model.dtype, model.own_precision, tolerance(model)) == (
        torch.float64,
        torch.float32,
        TOLERANCE[torch.float32],
    )
    exact = model.with_weights(dict(model.weights.learned()))
    assert tolerance(exact) == TOLERANCE[torch.float64]
    assert tolerance(exact.to(dtype=torch.bfloat16)) == TOLERANCE[torch.bfloat16]


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, torch.float8_e4m3fn, "float32", None])
def test_other_types_are_no_precision(dtype: Any) -> None:
    with pytest.raises(ModelMismatch, match="SCR-DTYPE"):
        from_bridge(tiny("native LN"), dtype=dtype)
