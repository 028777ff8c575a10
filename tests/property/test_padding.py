"""Padding never matters: the ids at masked cells reach no number, and what is read at padding is counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    Loss,
    NextToken,
    NothingToDraw,
    Result,
    SquaredError,
    Variable,
    anything,
    everything,
    head,
    reads,
)
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import NAMES, VOCABULARY
from scrubbing.samplers import exact
from scrubbing.testing import Oracle, ProtocolNodes, expected_output
from scrubbing.testing.conformance import compare
from scrubbing.testing.random_hypotheses import halves, random_hypothesis
from tests.thin import thinned

LENGTH, N = 6, 24
LANGUAGE = [name for name in NAMES if name != "native classifier"]
LOSSES: dict[str, Loss] = {
    "class": Classification(),
    "classes": Classification("answers", positions=[0, "last"]),
    "last": Classification(position="last"),
    "squares": SquaredError("numbers", position="last"),
    "next token": NextToken(),
}
CASES = [(name, loss) for name in NAMES for loss in LOSSES if loss != "next token" or name in LANGUAGE]
OPTIONS: list[dict[str, Any]] = [{}, {"ablation": "mean"}, {"store": False}, {"ablation": "noise", "baselines": False}]


def inputs(width: int, pad: int = 0, seed: int = 0, masked: str = "mask") -> Dataset:
    """Inputs of many lengths, a few of each; the ids at masked cells are random, and mostly no tokens."""
    whole = random_inputs(VOCABULARY, LENGTH, padded=False, n=N)
    lengths = 2 + np.arange(N) // 2 % (LENGTH - 1)
    mask = np.arange(LENGTH)[None] < lengths[:, None]
    tokens = np.where(mask, whole["tokens"], np.random.default_rng(seed).integers(-(10**6), 10**6, (N, LENGTH)))
    labels = {"label": np.arange(N) % 2, "answers": np.arange(2 * N).reshape(N, 2) % 2}
    numbers = np.random.default_rng(7).normal(size=(N, width))
    return Dataset({"tokens": tokens, masked: mask, "numbers": numbers, **labels}, pad=pad)


def scrubbed(model: Any, datasets: Iterable[Dataset], loss: Loss, seed: int, **options: Any) -> list[Result | str]:
    """The results of one random hypothesis on datasets that differ in what may not matter, or why there are none."""
    found: list[Result | str] = []
    made: Hypothesis | None = None
    for data in datasets:
        experiment = Experiment(model, data, loss, references=12, draws=2, seed=seed, **options)
        made = made or random_hypothesis(experiment.subject.graph, data, seed, read=experiment.subject.read)
        try:
            found.append(experiment.run(made))
        except NothingToDraw as error:
            found.append(str(error))
    return found


def numbers(result: Result | str) -> dict[str, Any]:
    """Every number per reference and draw."""
    if isinstance(result, str):
        return {"refused": np.array(result)}
    return {**result.losses, **result.measured.values}


def same(first: Result | str, second: Result | str) -> None:
    """Bit for bit."""
    one, other = numbers(first), numbers(second)
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert np.array_equal(values, other[name]), name


def width(model: Any) -> int:
    return model.weights.W_U.shape[1]


@pytest.mark.parametrize("part", thinned(range(len(OPTIONS)), len(OPTIONS)))
@pytest.mark.parametrize(("family", "loss"), CASES, ids=lambda one: one)
def test_ids_at_masked_cells(family: str, loss: str, part: int, tiny_model: Any) -> None:
    """One of the options with each case by default, another one with every next case."""
    model = tiny_model(family)
    first, second = inputs(width(model), seed=1), inputs(width(model), seed=2, masked="attention_mask")
    assert first.fingerprint == second.fingerprint
    for seed, options in enumerate(OPTIONS):
        if (seed + CASES.index((family, loss)) + part) % len(OPTIONS):
            continue
        one, other = scrubbed(model, (first, second), LOSSES[loss], seed, **options)
        same(one, other)
        if isinstance(one, Result) and isinstance(other, Result):
            kept = {"notes", "losses", "recovered", "strata", "claims", "padding", "choices", "branches", "size"}
            assert one.record().model_dump(include=kept) == other.record().model_dump(include=kept)


FULL = [case for case in CASES if case[1] != "class"]


@pytest.mark.parametrize(("family", "loss"), thinned((pytest.param(*case, id="-".join(case)) for case in FULL), of=4))
def test_where_draws_are_real_not_even_the_pad_token_matters(family: str, loss: str, tiny_model: Any) -> None:
    """Pad tokens of equal parity, so that features of tokens agree."""
    model, found = tiny_model(family), 0
    for seed in range(10, 50):
        data = (inputs(width(model), pad) for pad in (3, 9))
        one, other = scrubbed(model, data, LOSSES[loss], seed, baselines=False)
        same(one, other)
        if isinstance(one, Result):
            found += 1
            assert not one.measured.values["read at padding"].any()
            assert one.record().choices.padding == "avoided"
        if found == 3:  # many random claims hold inputs that are fixed, or made up, and shorter: SCR-DRAW
            return
    raise AssertionError(f"only {found} of 40 random hypotheses were scrubbed")


def test_what_is_read_at_padding_is_counted(tiny_model: Any) -> None:
    """Where padding is part of the input, another pad token changes nothing in draws that read none; in most of those
    that do, it changes the loss.
    """
    model, read, changed = tiny_model("native classifier"), [], []
    for seed in range(16):
        one, other = scrubbed(model, (inputs(2, pad) for pad in (3, 9)), LOSSES["class"], seed, baselines=False)
        assert isinstance(one, Result) and isinstance(other, Result)
        read.append(one.measured.values["read at padding"] > 0)
        changed.append(one.losses["scrubbed"] != other.losses["scrubbed"])
        assert np.array_equal(one.measured.values["read at padding"], other.measured.values["read at padding"])
        record = one.record()
        assert record.padding is not None and record.choices.padding == "input"
        assert record.padding.reads == one.measured.values["read at padding"].sum()
        assert record.padding.draws == read[-1].mean()
        assert any(note.code == "padding-read" for note in record.notes) == read[-1].any()
    count, effect = np.stack(read), np.stack(changed)
    assert not (effect & ~count).any()
    assert 0.1 < count.mean() < 0.9
    assert effect[count].mean() > 0.7


@pytest.mark.parametrize("family", ["native classifier", "GPT-2"])
def test_the_count_depends_on_neither_store_nor_batch(family: str, tiny_model: Any) -> None:
    model, data, total = tiny_model(family), inputs(2), 0
    outputs = fixed(tuple(range(LENGTH)))  # of padded positions too, so that there is something to count
    engines = [Engine(model, data, outputs, store=store) for store in (True, False)]
    for seed in range(10):
        hypothesis = random_hypothesis(engines[0].graph, data, seed)
        found = []
        for engine, batch in itertools.product(engines, (None, 5)):
            count = np.zeros((2, N))
            with suppress(NothingToDraw):
                for one in engine.run(engine.compile(hypothesis), np.arange(N), draws=2, seed=seed, batch=batch):
                    count[one.draw, one.index] = one.padding
                found.append(count)
        assert all(np.array_equal(count, found[0]) for count in found), hypothesis
        total += sum(count.sum() for count in found)
    assert total


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 8), marks=pytest.mark.slow)], ids=["few", "more"])
@pytest.mark.parametrize("family", thinned(NAMES))
def test_real_draws_are_those_of_the_recursion(family: str, seeds: range, tiny_model: Any) -> None:
    """Engine and oracle draw the same inputs, and refuse the same."""
    model = tiny_model(family).to(dtype=torch.float64)
    data = inputs(width(model))
    engine = Engine(model, data, fixed(tuple(range(LENGTH))), read=next_tokens)
    for seed in seeds:
        compare(engine, random_hypothesis(engine.graph, data, seed), ProtocolNodes(model), 3, seed, tolerance=1e-10)


@pytest.mark.parametrize(("family", "rows"), [("native classifier", (1, 3)), ("native LN", (2, 6))])
def test_real_draws_by_enumeration(family: str, rows: tuple[int, ...], tiny_model: Any) -> None:
    """The mean over many draws is the exact expectation over those that are real."""
    model, data = tiny_model(family), inputs(2).take(np.arange(0, N, 3))
    engine = Engine(model, data, fixed(tuple(range(LENGTH))), read=next_tokens)
    claims = (head(1, 0).direct().carries(Variable("half", halves), reads("k").carries(Variable("any", anything))),)
    root = OUTPUT.carries(Variable("output", everything), *claims, unclaimed=exact)
    hypothesis = Hypothesis("two", "Two draws.", root)
    compiled = engine.compile(hypothesis)
    oracle = Oracle(ProtocolNodes(model), engine.graph, data, model, next_tokens(data))
    anything_goes = Oracle(ProtocolNodes(model), engine.graph, data, model)
    for row in rows:
        at = int(data["mask"][row].sum()) - 2
        sampled = engine.outputs(compiled, np.array([row]), draws=2000, seed=0)[:, 0, at, 0].double().numpy()
        wanted = expected_output(oracle, hypothesis, row, lambda output, at=at: float(output[at, 0]))
        error = sampled.std(ddof=1) / np.sqrt(len(sampled))
        assert error > 0 and abs(sampled.mean() - wanted) < 4 * error
        padded = expected_output(anything_goes, hypothesis, row, lambda output, at=at: float(output[at, 0]))
        assert abs(padded - wanted) > 8 * error


def next_tokens(data: Dataset) -> Any:
    """Outputs that a next-token loss reads."""
    return NextToken().counted(data, LENGTH)
