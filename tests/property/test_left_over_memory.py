"""No result depends on what happens to be in memory that was never written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.parens.strings import drawn, tokens_of
from benchmarks.parens.task import dataset, graph
from benchmarks.parens.task import task as parens
from hypotheses.parens import original
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.testing.random_hypotheses import random_hypothesis
from tests.thin import thinned


@pytest.fixture
def nothing_is_clean() -> Iterator[None]:
    """torch fills new memory with NaN, as freed memory of others may be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.use_deterministic_algorithms(True, warn_only=True)
        assert torch.utils.deterministic.fill_uninitialized_memory
        assert torch.empty(3).isnan().all()
        yield
        torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("nothing_is_clean")
@pytest.mark.parametrize("family", ["native classifier", "Llama"])
@pytest.mark.parametrize("seed", [1242, *thinned(range(30))])
def test_random_hypotheses(seed: int, family: str, tiny_model: Any) -> None:
    model, data = tiny_model(family), random_inputs(VOCABULARY, 6, padded=True, n=30)
    engine = Engine(model, data, fixed((0, 3)))
    compiled = engine.compile(random_hypothesis(engine.graph, data, seed))
    output = engine.outputs(compiled, np.arange(30), 2, seed=7, batch=3)
    real = torch.from_numpy(np.array(data["mask"]))[:, [0, 3]]
    assert output[:, real].isfinite().all()


@pytest.mark.usefixtures("nothing_is_clean")
@pytest.mark.parametrize("rung", ["2-part-1", "2b", "3b", "3b-repaired"])
def test_strings_of_many_lengths(rung: str) -> None:
    """In small batches lengths are similar but not equal, so that rectangles hold tokens that nothing needs."""
    data = dataset(tokens_of(*drawn(3000, seed=5)), "strings")
    data = data.with_columns(adjusted_open_share=np.full(data["tokens"].shape, 0.4))
    engine = Engine(parens.model(), data, fixed((0,)))
    hypothesis = next(one for one in original.ladder() if one.name.endswith(f"/{rung}"))
    hypothesis.check(graph(), data)
    assert engine.outputs(engine.compile(hypothesis), np.arange(1500), 1, seed=0, batch=100).isfinite().all()
