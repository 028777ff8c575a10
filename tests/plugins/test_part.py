"""Parts from outside, one of each kind: of an output, of the input, of neurons, of attention."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Hypothesis,
    IllegalHypothesis,
    ModelGraph,
    Node,
    Variable,
    everything,
    feature,
    head,
    mlp,
    reads,
    scrub,
)
from scrubbing.parts import AttentionPart, InputPart, NeuronPart, OutputPart, Part, Vectors, neurons, offsets
from scrubbing.testing import check_hypothesis


@dataclass(frozen=True)
class Clipped(OutputPart):
    """The node's output, each entry at most so large."""

    limit: float

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[tuple[str, str]]:
        yield from super().faults(graph, node)
        if not self.limit > 0:
            yield f"entries of {node} clipped to {self.limit:g} say nothing.", "Give a positive limit."

    def function(self, model: Any) -> Callable[[Any], Any]:
        return lambda output: output.clamp(-self.limit, self.limit)


@dataclass(frozen=True)
class Embedding(InputPart):
    """A share of the embedding of the first token, whatever the position."""

    directions: Vectors
    share: float = 0.5

    def values(self, data: Dataset) -> Any:
        table = self.directions.array()
        return self.share * table[data["tokens"][:, 0] % len(table)]


@dataclass(frozen=True)
class EverySecond(NeuronPart):
    """Every second neuron, of an MLP of any width."""

    first: int = 0

    def chosen(self, width: int) -> tuple[int, ...]:
        return tuple(range(self.first, width, 2))


@dataclass(frozen=True)
class FromStart(AttentionPart):
    """What a head moves from the first positions, under its own pattern."""

    count: int = 1

    def between(self, length: int) -> Any:
        return np.tril(np.arange(length) < self.count) & np.ones((length, length), dtype=bool)


@dataclass(frozen=True)
class StartOnly(FromStart):
    """What a head would move if every query attended wholly to the first positions."""

    as_if: ClassVar[bool] = True


@dataclass
class Thawed(OutputPart):
    """Not frozen, so it may change after it was compared."""

    by: list[int] = field(default_factory=list)

    def function(self, model: Any) -> Callable[[Any], Any]:
        return lambda output: output


@feature
def parity(data: Dataset) -> Any:
    return data.ids % 2


OUT, PARITY = Variable("output", everything), Variable("parity", parity)
RNG = np.random.default_rng(3)
DATA = Dataset({"tokens": RNG.integers(0, 50, (12, 5)), "label": np.arange(12) % 2}, name="numbers")
TABLE = Vectors.of(RNG.normal(size=(4, 8)))
PARTS: dict[str, tuple[Any, Part]] = {
    "output": (head(1, 0), Clipped(0.2)),
    "input": (mlp(1), Embedding(TABLE)),
    "neurons": (mlp(0), EverySecond()),
    "attention": (head(1, 1), FromStart()),
    "attention as if": (head(1, 0), StartOnly(2)),
}


def claimed(target: Any, part: Part, deep: bool = True) -> Hypothesis:
    """The part, and below it, unless it is of the input, what the node reads."""
    below = [] if isinstance(part, InputPart) or not deep else [reads().carries(PARITY)]
    claim = target.any_path().part(part).carries(PARITY, *below)
    return Hypothesis("part", "A part of one node matters.", OUTPUT.carries(OUT, claim))


@pytest.fixture(scope="module")
def model(tiny_model: Callable[[str], Any]) -> Any:
    return tiny_model("GPT-2")


@pytest.mark.parametrize("kind", PARTS)
def test_the_engine_computes_what_the_oracle_computes(kind: str, model: Any) -> None:
    """By the model's own modules; and the plan names the part."""
    from scrubbing.models.transformer_lens import OwnModules, tiny

    target, part = PARTS[kind]
    plan = check_hypothesis(claimed(target, part), model, DATA, nodes=OwnModules(tiny("GPT-2")), tolerance=1e-5)
    assert str(part) in plan


@pytest.mark.parametrize("kind", PARTS)
def test_stored_printed_and_recorded(kind: str, model: Any) -> None:
    made = claimed(*PARTS[kind])
    assert Hypothesis.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert f"part {PARTS[kind][1]}" in str(made)
    record = scrub(made, model, DATA, Classification("label"), references=6, draws=2).record()
    assert Hypothesis.from_json(record.stored or {}) == made
    assert f"part {PARTS[kind][1]}" in record.branches[1].line


@pytest.mark.parametrize(
    ("target", "part", "told"),
    [
        (head(1, 0), Clipped(0.0), "clipped to 0 say nothing"),
        (head(1, 0), EverySecond(), "a1.h0 has no neurons"),
        (mlp(0), EverySecond(99), "chooses none of the"),
        (mlp(0), FromStart(), "m0 attends to nothing"),
        (head(1, 0), FromStart(0), "selects no key"),
        (head(1, 0), Thawed(), "Thawed is not a frozen dataclass"),
    ],
    ids=str,
)
def test_faults_are_told(target: Any, part: Part, told: str, model: Any) -> None:
    with pytest.raises(IllegalHypothesis, match=told) as caught:
        claimed(target, part).check(model.graph(DATA), DATA)
    assert set(caught.value.codes) == {"SCR-PART"}


@pytest.mark.parametrize(
    ("target", "one", "other", "overlap"),
    [
        (mlp(0), EverySecond(0), EverySecond(1), False),
        (mlp(0), EverySecond(0), neurons([2, 3]), True),
        (head(1, 0), FromStart(), offsets(-1), True),
        (head(1, 0), StartOnly(), offsets(-1), False),
        (head(1, 0), Clipped(0.1), Clipped(0.2), False),
        (head(1, 0), Clipped(0.1), Clipped(0.1), True),
    ],
    ids=str,
)
def test_parts_of_one_node(target: Any, one: Part, other: Part, overlap: bool, model: Any) -> None:
    """A user's part beside one of ours: whether they overlap follows from what they are."""
    claims = [target.direct().part(part).carries(PARITY) for part in (one, other)]
    made = Hypothesis("parts", "Two parts matter.", OUTPUT.carries(OUT, *claims))
    if overlap:
        with pytest.raises(IllegalHypothesis, match="SCR-OVERLAP"):
            made.check(model.graph(DATA), DATA)
    else:
        check_hypothesis(made, model, DATA)
