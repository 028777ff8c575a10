"""Random hypotheses through the whole of `Experiment.run`: every loss, baselines or none, ablations, padded and not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scrubbing import (
    EMBED,
    OUTPUT,
    Claim,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    Loss,
    NextToken,
    NothingToDraw,
    Result,
    SquaredError,
    Target,
    Variable,
    anything,
    everything,
    head,
    mlp,
    reads,
)
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.testing.random_hypotheses import random_hypothesis

LENGTH, N = 6, 24
LOSSES: dict[str, Loss] = {
    "class": Classification(),
    "classes": Classification("answers", positions=[0, "last"]),
    "squares": SquaredError("numbers", position="last"),
    "next token": NextToken(),
}
FAMILIES = {"GPT-2": list(LOSSES), "native classifier": ["class", "classes", "squares"]}
CASES = [(name, loss, padded) for name, losses in FAMILIES.items() for loss in losses for padded in (False, True)]
ABLATIONS = ("mean", "zero", "noise")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"baselines": False},
    *({"ablation": how} for how in ABLATIONS),
    *({"ablation": how, "baselines": False} for how in ABLATIONS),
    {"baselines": ["null", "mean claimed"], "store": False},
    {"baselines": ["mean rest"], "zero_baseline": "mean rest"},
]


def inputs(width: int, padded: bool) -> Dataset:
    data = random_inputs(VOCABULARY, LENGTH, padded=False, n=N)
    columns: dict[str, Any] = {"tokens": data["tokens"], "label": np.arange(N) % 2}
    columns["answers"] = np.arange(2 * N).reshape(N, 2) % 2
    columns["numbers"] = np.random.default_rng(7).normal(size=(N, width))
    if padded:
        columns["mask"] = np.arange(LENGTH)[None] < (2 + np.arange(N) // 2 % (LENGTH - 1))[:, None]
    return Dataset(columns)


def check(result: Result) -> None:
    """All numbers are there, and the record can be written."""
    for name, losses in result.losses.items():
        assert np.isfinite(losses).all(), name
    assert {"model", "scrubbed"} <= result.losses.keys()
    assert result.record().losses


@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("family", "loss", "padded"), CASES)
def test_random_hypotheses(family: str, loss: str, padded: bool, half: int, tiny_model: Any) -> None:
    model, ran = tiny_model(family), 0
    data = inputs(model.weights.W_U.shape[1], padded)
    for seed in range(half * len(OPTIONS), (1 + half) * len(OPTIONS)):
        options = OPTIONS[seed % len(OPTIONS)]
        experiment = Experiment(model, data, LOSSES[loss], references=8, draws=2, seed=seed, **options)
        made = random_hypothesis(experiment.subject.graph, data, 300 + seed, read=experiment.subject.read)
        try:
            check(experiment.run(made))
            ran += 1
        except NothingToDraw:  # no input is real wherever this one would be read
            assert padded
    assert ran >= len(OPTIONS) // 4


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(
    "at",
    [head(1, 0).direct(), mlp(1).any_path(), EMBED.direct(), reads()],
    ids=["a head", "an MLP", "the embedding", "all"],
)
def test_a_draw_per_position_directly_under_the_output(at: Target, options: dict[str, Any], tiny_model: Any) -> None:
    model = tiny_model("GPT-2")
    data = inputs(model.weights.W_U.shape[1], padded=True)
    claim: Claim = at.each().carries(Variable("anything", anything))
    made = Hypothesis("each", "Each position.", OUTPUT.carries(Variable("output", everything), claim))
    check(Experiment(model, data, LOSSES["squares"], references=8, draws=2, **options).run(made))
