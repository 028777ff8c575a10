"""The planner equals the recursion, for every family, every kind of path, part, position, mask and shared draw."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scrubbing.data.dataset import Dataset
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.own_modules import OwnModules
from scrubbing.models.transformer_lens.tiny import FURTHER, NAMES, VOCABULARY
from scrubbing.testing import ProtocolNodes
from scrubbing.testing.conformance import compare
from scrubbing.testing.oracle import by_seed
from scrubbing.testing.random_hypotheses import random_hypothesis
from tests.thin import thinned

LENGTH = 5
LONG = [pytest.param(name, marks=pytest.mark.slow) for name in FURTHER]
"""Further families, in the longer tests."""
WINDOWED = ("Mistral", "Gemma 2", "Gemma 3", "GPT-Neo")
"""Behind a sliding window a query at a padded position may see no key. Then Hugging Face attends to every key, future
ones included, and we to none; both are meaningless, so these families are compared without padding."""


def inputs(padded: bool) -> Dataset:
    return random_inputs(VOCABULARY, LENGTH, padded, n=13)


def engine(model: Any, data: Dataset, store: bool = True) -> Engine:
    return Engine(model, data, fixed(tuple(range(LENGTH))), store=store)


@pytest.mark.parametrize("name", [*NAMES, *LONG])
@pytest.mark.parametrize("padded", [False, True], ids=["unpadded", "padded"])
@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 16), marks=pytest.mark.slow)], ids=["few", "many"])
def test_float64(name: str, padded: bool, seeds: range, tiny_model: Any) -> None:
    """In float64 the planner and the recursion agree to 1e-10, per input and draw."""
    model = tiny_model(name).to(dtype=torch.float64)
    made = engine(model, inputs(padded))
    for seed in seeds:
        hypothesis = random_hypothesis(made.graph, made.data, seed + 1000 * padded)
        compare(made, hypothesis, ProtocolNodes(model), references=2, seed=seed, tolerance=1e-10)


@pytest.mark.parametrize("name", thinned([*NAMES, *LONG], first=1))
def test_own_modules(name: str, tiny_bridge: Any, tiny_model: Any) -> None:
    """In float32 the planner agrees to 1e-5 with a recursion that runs the model's own modules."""
    data = inputs(padded=name not in WINDOWED)
    made = engine(tiny_model(name), data)
    for seed in range(3):
        hypothesis = random_hypothesis(made.graph, data, 500 + seed, claims=6)
        compare(made, hypothesis, OwnModules(tiny_bridge(name)), references=1, seed=seed, tolerance=1e-5)


@pytest.mark.parametrize("name", [*NAMES, *FURTHER])
def test_each_head_on_inputs_of_its_own(name: str, tiny_bridge: Any, tiny_model: Any) -> None:
    """Every node equals the model's own module, given three unrelated inputs for queries, keys and values."""
    model, own = tiny_model(name), OwnModules(tiny_bridge(name))
    data = inputs(padded=False)
    rng = torch.Generator().manual_seed(1)
    for node, slots in model.graph(data).slots.items():
        if slots:
            read = {slot: torch.randn(LENGTH, model.d_model, generator=rng) for slot in slots}
            frozen = {slot: torch.randn(LENGTH, model.d_model, generator=rng) for slot in slots}
            for scale in (None, frozen):
                with torch.inference_mode():
                    ours = ProtocolNodes(model).evaluate(node, read, None, scale, None)
                    theirs = own.evaluate(node, read, None, scale, None)
                assert torch.allclose(ours, theirs, atol=1e-5), node


def test_the_comparison_can_fail(tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle is no rubber stamp: a mask that is not looked through, and other draws, are both noticed."""
    model = tiny_model("native classifier")
    data = inputs(padded=True)
    hypothesis = random_hypothesis(model.graph(data), data, 3)
    made = engine(model, data)
    compare(made, hypothesis, ProtocolNodes(model), references=3, seed=0)

    class Blind(ProtocolNodes):
        def evaluate(self, node: Any, slots: Any, visible: Any, frozen: Any, neurons: Any) -> Any:
            return super().evaluate(node, slots, None, frozen, neurons)

    with pytest.raises(AssertionError, match="differ by"):
        compare(made, hypothesis, Blind(model), references=3, seed=0)
    monkeypatch.setattr("scrubbing.testing.conformance.by_seed", lambda seed: by_seed(seed + 1))
    with pytest.raises(AssertionError, match="differ by"):
        compare(made, hypothesis, ProtocolNodes(model), references=3, seed=0)
