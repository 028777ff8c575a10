"""Our backends through the kit that anybody's backend goes through, and broken ones that must not get through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import (
    EMBED,
    OUTPUT,
    Dataset,
    Hypothesis,
    ModelMismatch,
    ToyModel,
    Variable,
    anything,
    everything,
    mlp,
)
from scrubbing.models.check import random_inputs
from scrubbing.models.protocol import Model
from scrubbing.models.transformer_lens.own_modules import OwnModules
from scrubbing.models.transformer_lens.tiny import FURTHER, NAMES, VOCABULARY
from scrubbing.testing import check_hypothesis, check_model
from scrubbing.testing.random_hypotheses import halves

LENGTH = 4


def inputs(padded: bool) -> Dataset:
    return random_inputs(VOCABULARY, LENGTH, padded, n=12)


@pytest.mark.parametrize("name", [*NAMES, *FURTHER])
def test_every_family(name: str, tiny_model: Any) -> None:
    model = tiny_model(name)
    assert isinstance(model, Model)
    check_model(model, inputs(padded=True), cases=2, references=1, seed=100)


def toy(positions: int) -> tuple[ToyModel, Dataset]:
    """Two sources, a product and two mixtures, with slots that share nodes; every token on its own."""
    model = ToyModel(
        {"tokens": "tokens", "other": "other"},
        {
            "product": (lambda a, b: a * b, {"a": ["tokens"], "b": ["other"]}),
            "square": (lambda x: x * x, {"x": ["product", "tokens"]}),
            "mixed": (lambda q, k: torch.sin(q) + k, {"q": ["square", "other"], "k": ["product"]}),
            "logits": (lambda x: 2 * x, {"x": ["mixed", "square", "tokens"]}),
        },
        positions=positions,
    )
    rng = np.random.default_rng(0)
    columns = {"tokens": rng.integers(0, 5, (12, positions)), "other": rng.normal(size=(12, positions))}
    return model, Dataset(columns)


@pytest.mark.parametrize("positions", [1, 3])
def test_the_toy_backend(positions: int) -> None:
    check_model(*toy(positions), cases=10)


class Broken:
    """A backend that is right but for what a subclass overrides."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class WithoutBias(Broken):
    """Drops what a slot reads beside its parents."""

    def constant(self, node: Any, slot: str) -> None:
        return None


class Maskless(Broken):
    """Looks at padding."""

    def run(self, nodes: Any, prepared: Any, tokens: Any, visible: Any, part: Any) -> Any:
        return self._model.run(nodes, prepared, tokens, None, part)


class NotAdditive(Broken):
    """Writes several nodes at once as something else than their sum."""

    def write(self, raws: Sequence[Any]) -> Any:
        return self._model.write(raws) * (1.0 if len(raws) == 1 else 0.9)


class HeadsMixedUp(Broken):
    """Returns the heads of one call in another order."""

    def run(self, nodes: Any, prepared: Any, tokens: Any, visible: Any, part: Any) -> Any:
        return self._model.run(nodes, prepared, tokens, visible, part)[::-1]


class NeverFrozen(Broken):
    """Recomputes norms that a claim freezes."""

    def prepare(self, norm_key: Any, x: Any, positions: Any, scale: Any) -> Any:
        return self._model.prepare(norm_key, x, positions, None)


@pytest.mark.parametrize("broken", [WithoutBias, Maskless])
def test_nodes_that_do_not_add_up_are_refused(broken: type[Broken], tiny_model: Any) -> None:
    model = broken(tiny_model("native classifier"))  # not causal, so that padding is in sight
    with pytest.raises(ModelMismatch, match="nodes evaluated one by one do not add up to the model") as caught:
        check_model(model, inputs(padded=True))
    assert caught.value.codes == ("SCR-CHECK",)


@pytest.mark.parametrize("broken", [NotAdditive, HeadsMixedUp])
def test_what_only_mixtures_show_is_found_with_its_hypothesis(broken: type[Broken], tiny_model: Any) -> None:
    """Every node alone is right, so that only the random hypotheses can tell."""
    with pytest.raises(AssertionError, match=r"engine and oracle differ by \S+ \(relative\) on input") as caught:
        check_model(broken(tiny_model("GPT-2")), inputs(padded=True))
    assert "random/" in str(caught.value)
    assert "logits carries output = everything" in str(caught.value)


def test_what_only_independent_nodes_show(tiny_bridge: Any, tiny_model: Any) -> None:
    """Where the oracle evaluates nodes by the backend itself both are wrong alike; its own modules are not."""
    below = EMBED.any_path().carries(Variable("other", anything))
    frozen = mlp(1).direct().carries(Variable("half", halves), below, freeze_norm=True)
    made = Hypothesis("frozen", "A norm is frozen.", OUTPUT.carries(Variable("output", everything), frozen))
    model, data, nodes = tiny_model("GPT-2"), inputs(padded=True), OwnModules(tiny_bridge("GPT-2"))
    check_hypothesis(made, model, data, nodes=nodes)
    check_hypothesis(made, NeverFrozen(model), data)
    with pytest.raises(AssertionError, match="engine and oracle differ"):
        check_hypothesis(made, NeverFrozen(model), data, nodes=nodes)


def test_a_toy_that_looks_at_other_tokens_is_refused() -> None:
    """Its output for an input would depend on the batch."""
    model = ToyModel({"x": "x"}, {"logits": (lambda x: x - x.mean(), {"x": ["x"]})})
    data = Dataset({"x": np.random.default_rng(0).normal(size=12)})
    with pytest.raises((ModelMismatch, AssertionError)):
        check_model(model, data)


@pytest.mark.parametrize("tolerance", [1e-12, 1e-3])
def test_tolerance(tolerance: float, tiny_model: Any) -> None:
    """Float32 sums in another order differ in the last digits, and no more."""
    run = lambda: check_model(tiny_model("GPT-2"), inputs(padded=False), cases=5, tolerance=tolerance)  # noqa: E731
    if tolerance == 1e-3:
        run()
    else:
        with pytest.raises(AssertionError, match="differ by"):
            run()
