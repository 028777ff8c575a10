"""Modules whose forward cannot be followed, or whose nodes are not what was named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scrubbing import OUTPUT, BadData, Dataset, Hypothesis, ModelMismatch, ToyModel, UsageError, from_module
from scrubbing.models import columns

RNG = np.random.default_rng(0)
DATA = Dataset({"x": RNG.normal(size=(12, 4)), "tokens": RNG.integers(0, 5, (12, 3)), "words": ["a"] * 12}, name="ours")


class Branching(nn.Module):
    """What it computes depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) if x.sum() > 0 else self.other(x)


class Net(nn.Module):
    """With a layer that is not called, one that leads nowhere, and an argument that has a default."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.idle, self.aside = (nn.Linear(4, 4) for _ in range(4))
        self.word = nn.Embedding(5, 4)

    def forward(self, x: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor]:
        one = self.one(x)
        return self.two(torch.relu(one)) * scale, self.aside(one)


class Together(nn.Module):
    """Inputs are centred by the mean of their batch."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return x - x.mean(0)


class Turned(nn.Module):
    """Positions come before inputs inside."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.one = nn.Embedding(5, 4), nn.Linear(4, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.one(self.word(tokens).transpose(0, 1)).transpose(0, 1)


class Pooled(nn.Module):
    """Loses the position axis half way."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.one = nn.Embedding(5, 4), nn.Linear(4, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.one(self.word(tokens).mean(1)) + 1


class Failing(Net):
    """Raises on its inputs."""

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) + self.two(x[:, :3])


def of(module: nn.Module, **options: Any) -> Any:
    """The module on the data, with a fixed seed."""
    return from_module(module.eval(), DATA, **options)


MISTAKES: dict[str, tuple[type[Exception], str, Any]] = {
    "a branch on values": (ModelMismatch, "SCR-TRACE", lambda: of(Branching(), nodes=["one"])),
    "a branch, and no data": (ModelMismatch, "SCR-TRACE", lambda: from_module(Branching().eval(), nodes=["one"])),
    "no such submodules": (ModelMismatch, "SCR-NODE SCR-NODE", lambda: of(Net(), nodes=["onn", "h.0"])),
    "not called": (ModelMismatch, "SCR-NODE", lambda: of(Net(), nodes=["one", "idle"])),
    "leads nowhere": (ModelMismatch, "SCR-NODE", lambda: of(Net(), nodes=["one", "aside"])),
    "no nodes": (ModelMismatch, "SCR-GRAPH", lambda: of(Net(), nodes=[])),
    "not what a node can be": (ModelMismatch, "SCR-NODE", lambda: of(Net(), nodes={"one": 1})),
    "the same value twice": (ModelMismatch, "SCR-NODE", lambda: of(Net(), nodes={"a": "one", "b": "one"})),
    "no such value": (ModelMismatch, "SCR-NODE", lambda: of(Net(), nodes={"a": ("one", lambda y: y[:, :2])})),
    "a function that raises": (UsageError, "SCR-CODE", lambda: of(Net(), nodes={"a": ("one", lambda y: y.nothing)})),
    "no such columns": (ModelMismatch, "SCR-NODE", lambda: of(Net(), nodes={"a": columns("one", 3, of=3)})),
    "columns of no linear layer": (
        ModelMismatch,
        "SCR-NODE",
        lambda: from_module(
            Turned().eval(), DATA, nodes={"a": columns("word", 0, of=2)}, inputs={"tokens": "tokens"}, positions=False
        ),
    ),
    "no such argument": (ModelMismatch, "SCR-COLUMN", lambda: of(Net(), nodes=["one"], inputs={"y": "x"})),
    "no such column": (BadData, "SCR-COLUMN", lambda: of(Net(), nodes=["one"], inputs={"x": "y"})),
    "no numbers": (BadData, "SCR-DATA", lambda: of(Net(), nodes=["one"], inputs={"x": "words"})),
    "no such output": (ModelMismatch, "SCR-NODE", lambda: of(Net(), nodes=["one"], output="logits")),
    "a batch that matters": (ModelMismatch, "SCR-CHECK", lambda: of(Together(), nodes=["one"])),
    "axes in another order": (ModelMismatch, "SCR-TRACE", lambda: of(Turned(), nodes=["one"])),
    "no position axis": (ModelMismatch, "SCR-TRACE", lambda: of(Pooled(), nodes=["word", "one"], positions=True)),
    "half precision": (ModelMismatch, "SCR-DTYPE", lambda: of(Net().bfloat16(), nodes=["one"])),
    "training": (ModelMismatch, "SCR-MODE", lambda: from_module(Net(), DATA, nodes=["one"])),
    "no module": (ModelMismatch, "SCR-MODEL", lambda: from_module(lambda x: x, DATA, nodes=["one"])),  # pyright: ignore
    "an exception": (UsageError, "SCR-CODE", lambda: of(Failing(), nodes=["one"])),
    "arguments of a toy": (
        ModelMismatch,
        "SCR-GRAPH SCR-GRAPH",
        lambda: ToyModel(
            sources={"x": "x"},
            nodes={"a": (lambda y, z: y, {"x": ["x"]}), "b": (nn.Bilinear(1, 1, 1), {"u": ["a"], "v": ["x"]})},
        ),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_refused(name: str, refused: Any) -> None:
    kind, codes, call = MISTAKES[name]
    torch.manual_seed(0)
    line = {"FILE, line N: `CODE`": "net.py, line 9: `return self.one(x) if x.sum() > 0 else self.other(x)`"}
    refused(kind, codes, call, line if "branch" in name else None)


def test_inputs_of_another_shape(refused: Any) -> None:
    model = of(Pooled(), nodes=["word"])
    longer = Dataset({"tokens": np.zeros((5, 4), dtype=int)}, name="longer")
    refused(BadData, "SCR-DATA", lambda: model.graph(longer))


def test_a_part_inside(refused: Any, world: Any) -> None:
    from scrubbing import Classification, IllegalHypothesis, node, scrub
    from scrubbing.parts import neurons

    claim = node("one").direct().part(neurons([0])).carries(world.parity)
    hypothesis = Hypothesis("inside", "Inside.", OUTPUT.carries(world.output, claim))
    data = DATA.with_columns(label=np.arange(12) % 2)
    refused(IllegalHypothesis, "SCR-PART", lambda: scrub(hypothesis, of(Net(), nodes=["one"]), data, Classification()))
