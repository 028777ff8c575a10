"""Shortformer and plain attention-only models against the textbook, and parts of attention on every family."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.induction.network import AttentionOnly, Shape
from scrubbing import OUTPUT, Claim, Dataset, Hypothesis, Variable, anything, everything, head, reads
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer.checkpoint import assemble
from scrubbing.models.transformer_lens.own_modules import OwnModules
from scrubbing.models.transformer_lens.tiny import FURTHER, NAMES, VOCABULARY
from scrubbing.parts import Part, attending_to, offsets, pairs
from scrubbing.testing.conformance import compare
from scrubbing.testing.random_hypotheses import halves, random_hypothesis
from scrubbing.testing.textbook import TextbookNodes
from tests.thin import thinned

WINDOWED = ("Mistral", "Gemma 2", "Gemma 3", "GPT-Neo")
UNWINDOWED = [name for name in NAMES if name not in WINDOWED]
UNWINDOWED += [pytest.param(name, marks=pytest.mark.slow) for name in FURTHER if name not in WINDOWED]

LENGTH = 5
KINDS = ("shortformer", "native attention-only", "native LNPre attention-only")


def attention_only(kind: str, tiny_model: Any) -> Any:
    if kind != "shortformer":
        return tiny_model(kind)
    torch.manual_seed(0)
    network = AttentionOnly(Shape(VOCABULARY, 6, width=8, heads=2))
    for weight in network.parameters():  # norms that are not the identity, and attention that is not uniform
        torch.nn.init.normal_(weight, std=0.8)
    return network.scrubbable("shortformer")


@pytest.mark.parametrize("seeds", [range(7), pytest.param(range(7, 30), marks=pytest.mark.slow)], ids=["few", "more"])
@pytest.mark.parametrize("padded", [False, True], ids=["unpadded", "padded"])
@pytest.mark.parametrize("kind", KINDS)
def test_random_hypotheses(kind: str, padded: bool, seeds: range, tiny_model: Any) -> None:
    """In float64 the planner agrees with the textbook's formulas to 1e-10."""
    single = attention_only(kind, tiny_model)
    model = assemble(single.spec, single.weights.to("cpu", torch.float64), kind)
    data = random_inputs(VOCABULARY, LENGTH, padded, n=13)
    engine = Engine(model, data, fixed(tuple(range(LENGTH))))
    for seed in seeds:
        hypothesis = random_hypothesis(engine.graph, data, seed + 100 * padded)
        compare(engine, hypothesis, TextbookNodes(model), references=2, seed=seed, tolerance=1e-10)


def test_shortformer_equals_the_trained_module(tiny_model: Any) -> None:
    """The network as torch trains it, with fused attention, and the model as it is scrubbed."""
    torch.manual_seed(1)
    network = AttentionOnly(Shape(VOCABULARY, 6, width=8, heads=2))
    tokens = torch.randint(0, VOCABULARY, (7, 6))
    with torch.no_grad():
        assert torch.allclose(network(tokens), network.scrubbable("s").forward(tokens, None), atol=1e-5)
    other = replace(network.scrubbable("s").spec, positions="none")
    model = assemble(other, network.scrubbable("s").weights, "positions left out")
    assert not torch.allclose(network(tokens), model.forward(tokens, None), atol=1e-2)


def parts(causal: bool) -> dict[str, Part]:
    mask = np.random.default_rng(0).random((LENGTH, LENGTH)) < 0.5
    return {
        "previous": offsets(-1),
        "current": offsets(0),
        "several": offsets(0, -2),
        "pairs": pairs(np.tril(mask) if causal else mask),
        "as if current": attending_to(0),
        "as if previous": attending_to(-1),
    }


@pytest.mark.parametrize("name", thinned(UNWINDOWED))
def test_parts_of_attention(name: str, tiny_bridge: Any, tiny_model: Any) -> None:
    """A part, alone, beside another, and with pattern and values from different inputs, by the model's own modules."""
    model, data = tiny_model(name), random_inputs(VOCABULARY, LENGTH, padded=True, n=13)
    engine = Engine(model, data, fixed(tuple(range(LENGTH))))
    chosen = parts(causal=model.spec.causal)
    one, nothing = Variable("halves", halves), Variable("anything", anything)
    target = head(0, 1).any_path()

    def claim(part: Part, *below: Claim) -> Claim:
        return target.part(part).carries(one, *below)

    apart = (reads("v").carries(Variable("same", everything)), reads("q", "k").carries(nothing))
    below_as_if = (reads("v").carries(nothing),)
    cases = [
        (claim(chosen["pairs"]),),
        (claim(chosen["previous"], *apart), claim(chosen["current"])),
        (claim(chosen["as if previous"], *below_as_if), claim(chosen["several"])),
    ]
    for seed, claims in enumerate(cases):
        hypothesis = Hypothesis("parts", "Parts.", OUTPUT.carries(one, *claims))
        compare(engine, hypothesis, OwnModules(tiny_bridge(name)), references=1, seed=seed, tolerance=1e-5)


@pytest.mark.parametrize("part", parts(causal=True).values(), ids=list(parts(causal=True)))
def test_a_part_and_its_remainder_are_the_head(part: Part, tiny_model: Any) -> None:
    model, data = tiny_model("GPT-2"), random_inputs(VOCABULARY, LENGTH, padded=False, n=6)
    engine = Engine(model, data, fixed(tuple(range(LENGTH))))
    hypothesis = Hypothesis(
        "h", "c", OUTPUT.carries(Variable("v", halves), head(1, 0).direct().part(part).carries(Variable("v", halves)))
    )
    engine.verify(engine.compile(hypothesis), np.arange(6))


def test_offsets_by_hand() -> None:
    """Uniform attention over two tokens: the part of the previous one is half of its value."""
    weights = attention_only("shortformer", None).weights
    flat = replace(weights.attention[0], W_Q=weights.attention[0].W_Q * 0)
    model = assemble(
        attention_only("shortformer", None).spec,
        replace(weights, attention=(flat, weights.attention[1])),
        "uniform",
    )
    data = Dataset({"tokens": [[3, 4], [5, 6]]})
    read = TextbookNodes(model)
    x = {slot: read.source(next(iter(model.graph(data).slots)), data, 0) for slot in "qkv"}
    node = head(0, 0).node
    assert node is not None
    whole = read.evaluate(node, x, None, None, None)
    previous = read.evaluate(node, x, None, None, offsets(-1))
    as_if = read.evaluate(node, x, None, None, attending_to(-1))
    assert torch.allclose(previous[1], as_if[1] / 2, atol=1e-6) and not previous[0].any()
    assert torch.allclose(whole[0], read.evaluate(node, x, None, None, attending_to(0))[0], atol=1e-6)
