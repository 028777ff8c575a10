"""A model family from outside: a recurrent network, which no loader knows. One file, public names only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    Model,
    ModelGraph,
    ModelMismatch,
    Node,
    Task,
    Variable,
    everything,
    feature,
    node,
    reads,
    scrub,
    tasks,
)
from scrubbing.graph import Slot
from scrubbing.models import ModelInputs
from scrubbing.testing import check_hypothesis, check_model

STEPS = 3
STATES = [Node.parse(f"state{step}") for step in range(STEPS)]
WORDS = [Node.parse(f"word{step}") for step in range(STEPS)]
LOGITS = Node.parse("logits")


class Recurrent(Model):
    """Reads a word at each step: state = tanh(U word + W state before); two logits of the last state.

    A node per step and none of the defaults but those of `Model`: no norms, no biases, nodes that write what they
    compute.
    """

    name, dtype = "recurrent", torch.float64

    def __init__(self, seed: int = 0, width: int = 4) -> None:
        random = torch.Generator().manual_seed(seed)
        self.U, self.W, self.out = (
            torch.randn(shape, generator=random, dtype=self.dtype) for shape in ((6, width), (width, width), (width, 2))
        )

    def graph(self, data: Dataset) -> ModelGraph:
        slots: dict[Node, dict[str, Slot]] = {word: {} for word in WORDS}
        for step, state in enumerate(STATES):
            slots[state] = {"word": Slot((WORDS[step],))} | ({"before": Slot((STATES[step - 1],))} if step else {})
        return ModelGraph({**slots, LOGITS: {"x": Slot((STATES[-1],))}}, LOGITS, positions=1)

    def inputs(self, data: Dataset) -> ModelInputs:
        return ModelInputs({"words": torch.from_numpy(np.array(data["words"]))}, visible=None)

    def source(self, node: Node, inputs: ModelInputs, rows: Tensor, positions: Tensor) -> Tensor:
        return self.U[inputs.columns["words"][rows, WORDS.index(node)]]

    def run(
        self, nodes: Sequence[Node], prepared: Mapping[str, Tensor], tokens: Any, visible: Any, part: Any
    ) -> list[Tensor]:
        (node,) = nodes
        if node == LOGITS:
            return [prepared["x"] @ self.out]
        before = prepared["before"] @ self.W if "before" in prepared else 0.0
        return [torch.tanh(prepared["word"] + before)]

    def raw_width(self, node: Node, part: Any) -> int:
        return 2 if node == LOGITS else self.W.shape[0]

    def own_output(self, inputs: ModelInputs, rows: Tensor) -> Tensor:
        words = inputs.columns["words"][rows]
        state = torch.zeros(len(rows), self.W.shape[0], dtype=self.dtype)
        for step in range(STEPS):
            state = torch.tanh(self.U[words[:, step]] + state @ self.W)
        return (state @ self.out)[:, None]


@feature
def last_word(data: Dataset) -> Any:
    return data["words"][:, -1]


@feature
def first_word(data: Dataset) -> Any:
    return data["words"][:, 0]


WORDS_OF = np.random.default_rng(0).integers(0, 6, (60, STEPS))
DATA = Dataset({"words": WORDS_OF, "label": WORDS_OF[:, -1] % 2}, name="words")
OUT, LAST, FIRST = Variable("out", everything), Variable("last", last_word), Variable("first", first_word)
LAST_ONLY = Hypothesis(
    "recurrent/last word",
    "Only the last word matters.",
    OUTPUT.carries(OUT, node("state2").direct().carries(LAST, node("word2").direct().carries(LAST))),
)
FIRST_TOO = Hypothesis(
    "recurrent/first word",
    "The first word matters as well, by way of every state.",
    OUTPUT.carries(
        OUT, node("word2").any_path().carries(LAST), node("word0").any_path().carries(FIRST), reads("x").carries(LAST)
    ),
)


@pytest.fixture(scope="module")
def model() -> Recurrent:
    return Recurrent()


def test_conforms(model: Recurrent) -> None:
    """Nodes add up to the forward pass, and the engine computes what the oracle does, on random hypotheses."""
    check_model(model, DATA.take(np.arange(12)), cases=10)
    check_hypothesis(LAST_ONLY, model, DATA)


def test_legality_is_of_its_own_graph(model: Recurrent) -> None:
    LAST_ONLY.check(model.graph(DATA), DATA)
    with pytest.raises(ValueError, match="SCR-OVERLAP"):
        FIRST_TOO.check(model.graph(DATA), DATA)


def test_recorded(model: Recurrent) -> None:
    record = scrub(LAST_ONLY, model, DATA, Classification()).record()
    assert (record.provenance.model, record.provenance.family) == ("recurrent", "Recurrent")
    assert {one.name for one in record.nodes if one.state == "claimed"} == {"state2", "word2", "logits"}
    whole = scrub(Hypothesis("all", "All.", OUTPUT.carries(OUT)), model, DATA, Classification())
    assert (whole.losses["scrubbed"] == whole.losses["model"][:, None]).all()


@pytest.mark.parametrize("outlet", ["terminal", "page", "Markdown"])
def test_in_every_outlet(outlet: str, model: Recurrent, outlets: Any) -> None:
    told = outlets(scrub(LAST_ONLY, model, DATA, Classification()))[outlet]
    assert "Only the last word matters." in told


def test_the_fingerprint_is_of_its_weights(model: Recurrent) -> None:
    """So that a run of one model is never continued with another, and a gate sees that weights changed."""
    assert Recurrent().fingerprint == model.fingerprint != Recurrent(seed=1).fingerprint
    changed = Recurrent()
    changed.out[0, 0] += 1e-6
    assert changed.fingerprint != model.fingerprint


def test_planned_and_run_by_the_commands(model: Recurrent, command: Any) -> None:
    task = Task(
        "recurrent",
        lambda: model.graph(DATA),
        lambda: DATA,
        lambda: model,
        Classification,
        ladder=lambda: [LAST_ONLY],
    )
    tasks.add("recurrent", task)
    assert "state2" in command("plan", "recurrent/last word")
    assert "Only the last word matters." in command("run", "recurrent/last word", "--references", "20")


def test_one_that_says_something_else_than_it_computes() -> None:
    class Wrong(Recurrent):
        """Its forward pass forgets a step."""

        def own_output(self, inputs: ModelInputs, rows: Tensor) -> Tensor:
            words = inputs.columns["words"][rows]
            return (torch.tanh(self.U[words[:, -1]]) @ self.out)[:, None]

    with pytest.raises(ModelMismatch, match="SCR-CHECK"):
        Experiment(Wrong(), DATA, Classification()).run(LAST_ONLY)
