"""Encoders of BERT's kind: the engine against a recursion that runs the modules of `transformers`, head by head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from scrubbing import OUTPUT, Dataset, Hypothesis, IllegalHypothesis, Variable, anything, head, mlp, node
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.graph.nodes import Node
from scrubbing.parts import AttentionPart, InnerPart, NeuronPart
from scrubbing.testing import ProtocolNodes
from scrubbing.testing.conformance import compare
from scrubbing.testing.random_hypotheses import random_hypothesis
from tests.conformance.families import inputs, loaded, module_of

LENGTH = 5
KINDS = ("BERT, masked tokens", "BERT, classes")


class BertModules:
    """Implements `scrubbing.testing.NodeEvaluator` with the modules of a BERT of `transformers`."""

    def __init__(self, module: Any) -> None:
        self.module, self.embeddings = module, module.bert.embeddings
        self.layers = module.bert.encoder.layer

    def source(self, node: Node, data: Dataset, row: int) -> Tensor:
        tokens, types = (torch.tensor(data[name][row]) for name in ("tokens", "token_type_ids"))
        if "mask" in data:
            types = types * torch.tensor(data["mask"][row])
        match node.name:
            case "embed":
                return self.embeddings.word_embeddings(tokens)
            case "pos":
                return self.embeddings.position_embeddings(torch.arange(len(tokens)))
            case _:
                return self.embeddings.token_type_embeddings(types)

    def extra(self, node: Node, slot: str) -> Tensor | float:
        return self.layers[node.layer].attention.output.dense.bias if node.kind == "attn.norm" else 0.0

    def evaluate(
        self,
        node: Node,
        slots: Mapping[str, Tensor],
        visible: Tensor | None,
        frozen: Mapping[str, Tensor] | None,
        part: InnerPart | None,
    ) -> Tensor:
        match node.kind:
            case "head":
                return self._head(node, slots, visible, part)
            case "mlp":
                return self._mlp(self.layers[node.layer], slots["x"], part)
            case "logits":
                if hasattr(self.module, "cls"):
                    return self.module.cls(slots["x"])
                pooled = [self.module.bert.pooler(one[None, None])[0] for one in slots["x"]]
                return self.module.classifier(torch.stack(pooled))
            case _:
                return _normed(self._norm(node), slots["x"], None if frozen is None else frozen["x"])

    def _norm(self, node: Node) -> Any:
        if node.name == "embed.norm":
            return self.embeddings.LayerNorm
        layer = self.layers[node.layer]
        return layer.attention.output.LayerNorm if node.kind == "attn.norm" else layer.output.LayerNorm

    def _head(self, node: Node, read: Mapping[str, Tensor], visible: Tensor | None, part: InnerPart | None) -> Tensor:
        attention = self.layers[node.layer].attention
        own, length = attention.self, len(read["q"])
        width = own.attention_head_size
        these = slice(node.head * width, (node.head + 1) * width)
        q, k, v = (getattr(own, name)(read[name[0]])[:, these] for name in ("query", "key", "value"))
        seen = torch.ones(length, length, dtype=torch.bool) if visible is None else visible.expand(length, length)
        pattern = (q @ k.T * own.scaling).masked_fill(~seen, float("-inf")).softmax(-1)
        if isinstance(part, AttentionPart):
            chosen = torch.as_tensor(part.between(length)) & seen
            pattern = chosen.to(v.dtype) if part.as_if else pattern * chosen
        return pattern @ v @ attention.output.dense.weight[:, these].T

    def _mlp(self, layer: Any, x: Tensor, part: InnerPart | None) -> Tensor:
        hidden = layer.intermediate(x)
        if isinstance(part, NeuronPart):
            chosen = list(part.chosen(hidden.shape[-1]))
            return hidden[:, chosen] @ layer.output.dense.weight[:, chosen].T
        assert part is None
        return layer.output.dense(hidden)


def _normed(norm: Any, x: Tensor, frozen: Tensor | None) -> Tensor:
    def scale(value: Tensor) -> Tensor:
        return (value.var(-1, keepdim=True, correction=0) + norm.eps).sqrt()

    free = norm(x) - norm.bias
    return (free if frozen is None else free * scale(x) / scale(frozen)) + norm.bias


@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 30), marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("padded", [False, True], ids=["unpadded", "padded"])
@pytest.mark.parametrize("kind", KINDS)
def test_random_hypotheses(kind: str, padded: bool, seeds: range) -> None:
    """In float32 the planner agrees to 1e-5 with the modules of `transformers`, given inputs of their own."""
    module = module_of(kind, {})
    data = inputs(module, LENGTH, padded, n=13)
    engine = Engine(loaded(module), data, fixed(tuple(range(LENGTH))))
    with torch.inference_mode():
        for seed in seeds:
            hypothesis = random_hypothesis(engine.graph, data, seed + 100 * padded, claims=6)
            compare(engine, hypothesis, BertModules(module), references=1, seed=seed, tolerance=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_each_node_on_inputs_of_its_own(kind: str) -> None:
    """Every node equals the module's own, given unrelated inputs for queries, keys and values; norms frozen or not."""
    module = module_of(kind, {})
    model, own = loaded(module), BertModules(module)
    data = inputs(module, LENGTH, padded=False)
    rng = torch.Generator().manual_seed(1)
    for one, slots in model.graph(data).slots.items():
        if slots:
            read = {slot: torch.randn(LENGTH, model.d_model, generator=rng) for slot in slots}
            frozen = {slot: torch.randn(LENGTH, model.d_model, generator=rng) for slot in slots}
            for scale in (None, frozen):
                with torch.inference_mode():
                    ours = ProtocolNodes(model).evaluate(one, read, None, scale, None)
                    theirs = own.evaluate(one, read, None, scale, None)
                assert torch.allclose(ours, theirs, atol=1e-5), one


@pytest.mark.parametrize("family", ["RoBERTa, masked tokens", "DistilBERT, classes"])
def test_others_in_float64(family: str) -> None:
    module = module_of(family, {})
    model = loaded(module).to(dtype=torch.float64)
    data = inputs(module, LENGTH, padded=True, n=13)
    engine = Engine(model, data, fixed(tuple(range(LENGTH))))
    for seed in range(2):
        hypothesis = random_hypothesis(engine.graph, data, seed)
        compare(engine, hypothesis, ProtocolNodes(model), references=2, seed=seed, tolerance=1e-10)


def test_what_is_claimed_behind_a_norm() -> None:
    """A norm stands between what a head writes and all that reads it: claims go through it, and not around it."""
    module = module_of("BERT, classes", {})
    data = inputs(module, LENGTH, padded=True, n=13)
    engine = Engine(loaded(module), data, fixed(tuple(range(LENGTH))))
    read = mlp(1).direct().carries(Variable("m", anything), head(1, 0).any_path().carries(Variable("h", anything)))
    last = node("m1.norm").direct().carries(Variable("n", anything), read)
    through = Hypothesis("through", "Only what the last norm reads.", OUTPUT.carries(Variable("out", anything), last))
    with torch.inference_mode():
        compare(engine, through, BertModules(module), references=2, seed=0, tolerance=1e-5)
    claims = head(1, 0).direct().carries(Variable("h", anything))
    around = Hypothesis("around", "A head writes to the output.", OUTPUT.carries(Variable("out", anything), claims))
    with pytest.raises(IllegalHypothesis) as caught:
        engine.compile(around)
    assert caught.value.codes == ("SCR-PATH",)
