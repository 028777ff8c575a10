"""Runs that share clean activations: what one of them needs of an item, another may not need, and both find all."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    InProcess,
    NextToken,
    NothingToDraw,
    Variable,
    anything,
    everything,
    feature,
    head,
    mlp,
)
from scrubbing.engine.store import Store
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.testing.random_hypotheses import random_hypothesis

LENGTH, N = 6, 24


@feature
def first(data: Dataset) -> Any:
    return data["tokens"][:, 0] % 2


OUT, FIRST, ANY = Variable("output", everything), Variable("first", first), Variable("any", anything)


def at(*positions: int) -> Hypothesis:
    """Claims that read clean activations at some positions only."""
    claims = [node.direct().at(list(positions)).carries(FIRST) for node in (mlp(0), head(0, 0))]
    return Hypothesis(f"at {positions}", "As claimed.", OUTPUT.carries(OUT, mlp(1).direct().carries(ANY, *claims)))


def inputs(padded: bool = False) -> Dataset:
    columns: dict[str, Any] = {
        "tokens": random_inputs(VOCABULARY, LENGTH, padded=False, n=N)["tokens"],
        "label": np.arange(N) % 2,
    }
    if padded:
        columns["mask"] = np.arange(LENGTH)[None] < (2 + np.arange(N) // 2 % (LENGTH - 1))[:, None]
    return Dataset(columns)


@pytest.mark.parametrize("order", list(itertools.permutations([(0, 1), (1, 2), (3,)])), ids=str)
def test_positions_that_overlap_in_part(order: Any, tiny_model: Callable[[str], Any]) -> None:
    model, data, loss = tiny_model("GPT-2"), inputs(), NextToken()
    shared = Experiment(model, data, loss, references=8, draws=2, baselines=False)
    for positions, result in zip(order, shared.run_all([at(*one) for one in order]), strict=True):
        alone = Experiment(model, data, loss, references=8, draws=2, baselines=False).run(at(*positions))
        assert np.allclose(result.losses["scrubbed"], alone.losses["scrubbed"], atol=1e-5), positions


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("family", ["GPT-2", "native classifier"])
def test_random_hypotheses_and_ablations_share_one_store(
    family: str, padded: bool, tiny_model: Callable[[str], Any]
) -> None:
    """One after another in one experiment, each resampled and ablated: as alone, each in a store of its own."""
    model, data = tiny_model(family), inputs(padded)
    loss = Classification(position="last") if family == "GPT-2" else Classification()
    shared = Experiment(model, data, loss, references=6, draws=2, baselines=False)
    ran = 0
    for seed in range(6):
        made = random_hypothesis(shared.subject.graph, data, 300 + seed, read=shared.subject.read)
        for ablation in ("noise", None, "mean", None) if seed % 2 else (None, "zero"):
            alone = Experiment(
                model, data, loss, references=6, draws=2, baselines=False, ablation=ablation, store=False
            )
            try:
                found = shared.but(ablation=ablation).run(made)
            except NothingToDraw:
                assert padded
                with pytest.raises(NothingToDraw):
                    alone.run(made)
                continue
            ran += 1
            assert np.allclose(found.losses["scrubbed"], alone.run(made).losses["scrubbed"], atol=1e-4), (
                seed,
                ablation,
            )
    assert ran >= 6


@pytest.mark.parametrize("padded", [False, True])
def test_models_of_controls_keep_activations_one_after_another(
    padded: bool, tiny_model: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many models controls need, memory is taken for the task's own and one more; numbers are as alone."""
    model, data, loss = tiny_model("GPT-2"), inputs(padded), NextToken()
    names = [f"{scheme}-weights-{seed}" for scheme in ("fresh", "permuted") for seed in (1, 2)]
    settings: dict[str, Any] = {"references": 6, "draws": 2, "baselines": False}
    executor = InProcess(store=True, memory=2**28, spill=None)
    most: list[int] = []
    put = Store._put

    def watched(self: Store, *batch: Any) -> int:
        stores = [engine.store for engine in executor._engines.values() if engine.store is not None]
        most.append(sum(bool(store.plans()) for store in stores))
        assert self.room.used <= sum(store.nbytes() for store in stores)
        return put(self, *batch)

    monkeypatch.setattr(Store, "_put", watched)
    made = [at(0, 1), at(1, 2)]
    together = [*Experiment(model, data, loss, **settings, controls=names, executor=executor).run_all(made)]
    assert len(executor._engines) == 1 + len(names)
    assert max(most) == 2
    for one, result in zip(made, together, strict=True):
        by_itself = Experiment(model, data, loss, **settings, controls=names, store=False).run(one)
        for found, alone in zip(result.controls, by_itself.controls, strict=True):
            assert found.losses["scrubbed"].value == pytest.approx(alone.losses["scrubbed"].value, abs=1e-5)
