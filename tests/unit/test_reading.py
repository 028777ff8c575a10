"""What nodes write on whole inputs, read by name: sums give the model back, whatever it is and whatever is padded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import Dataset, IllegalHypothesis, ModelMismatch, ToyModel, head, reads
from scrubbing.models.check import random_inputs
from scrubbing.models.precision import tolerance
from scrubbing.models.transformer_lens.tiny import NAMES, VOCABULARY

LENGTH, N = 5, 7


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("family", NAMES)
def test_the_output_is_the_models_own(family: str, padded: bool, tiny_model: Callable[[str], Any]) -> None:
    model = tiny_model(family)
    data = random_inputs(VOCABULARY, LENGTH, padded=padded, n=N)
    graph = model.graph(data)
    found = model.read(graph.output, data)
    own = model.own_output(model.inputs(data), torch.arange(N)).cpu()
    assert found.shape[:2] == (N, LENGTH) and found.device.type == "cpu"
    real = torch.from_numpy(np.ones((N, LENGTH), dtype=bool) if data.mask is None else data.mask.copy())
    assert torch.allclose(found[real], own[real], atol=tolerance(model) * float(own.abs().max()))


def test_by_name_or_node_and_in_any_order(tiny_model: Callable[[str], Any]) -> None:
    model, data = tiny_model("GPT-2"), random_inputs(VOCABULARY, LENGTH, padded=False, n=N)
    found = model.read("a1.h0", data)
    assert torch.equal(found, model.read(head(1, 0), data))
    assert torch.allclose(found[[3, 1]], model.read("a1.h0", data.take([3, 1])), atol=1e-6)


def test_by_hand() -> None:
    nodes = {
        "a": (lambda x: 2 * x, {"x": ["x"]}),
        "logits": (lambda a, b: a + b, {"a": ["a"], "b": ["y"]}),
    }
    model = ToyModel({"x": "x", "y": "y"}, nodes)
    data = Dataset({"x": [1.0, 2.0, 3.0], "y": [10.0, 20.0, 30.0]})
    assert model.read("x", data).flatten().tolist() == [1, 2, 3]
    assert model.read("a", data).flatten().tolist() == [2, 4, 6]
    assert model.read("logits", data).flatten().tolist() == [12, 24, 36]


@pytest.mark.parametrize("name", ["a9.h0", "m7", "mask"])
def test_a_node_that_it_does_not_have(name: str, tiny_model: Callable[[str], Any]) -> None:
    with pytest.raises(ModelMismatch, match=r"SCR-MODEL.*no node .* that writes anything"):
        tiny_model("GPT-2").read(name, random_inputs(VOCABULARY, LENGTH, padded=False, n=N))


@pytest.mark.parametrize("name", ["", "a 1", 3, None, reads(), reads("q"), head(1, 0).reads("q")])
def test_no_name_of_a_node(name: Any, tiny_model: Callable[[str], Any]) -> None:
    with pytest.raises(IllegalHypothesis, match="SCR-NAME"):
        tiny_model("GPT-2").read(name, random_inputs(VOCABULARY, LENGTH, padded=False, n=N))
