"""The shipped paren model, and what `docs/explanation/our-paren-model.md` says about its ladder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.parens.roles import IN_THE_LADDER, Trace, chosen, detectors, trace
from benchmarks.parens.strings import OPEN
from benchmarks.parens.task import our_data, our_model, task
from hypotheses.parens import features as f
from scrubbing import Dataset, Experiment, Result
from scrubbing.hypothesis.legality import faults
from scrubbing.models.transformer.model import Transformer

FRESH = 77
"""Seed of strings that neither training nor the study has seen."""


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """Every rung at 2,000 references, by name."""
    experiment = Experiment(
        our_model(),
        our_data(10_000),
        task.loss(),
        references=2000,
        draws=1,
        strata=task.settings.strata,
        baselines=False,
    )
    rungs = task.ladder()
    return {rung.name.rpartition("/")[2]: result for rung, result in zip(rungs, experiment.run_all(rungs), strict=True)}


@pytest.fixture(scope="module")
def seen() -> tuple[Transformer, Dataset, Trace]:
    """The model, fresh strings, and what it does on them."""
    model, data = our_model(), our_data(4000, FRESH)
    return model, data, trace(model, data)


def loss(result: Result) -> float:
    return float(result.losses["scrubbed"].mean())


def recovered(result: Result) -> float:
    return result.loss_recovered("null").value


@pytest.mark.parametrize("n", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_the_model_is_right_on_fresh_strings(n: int) -> None:
    model, data = our_model(), our_data(n, FRESH)
    inputs, labels = model.inputs(data), torch.tensor(data["label"])
    batches = torch.arange(n).split(500)
    logits = torch.cat([model.own_output(inputs, rows)[:, 0] for rows in batches])
    assert (logits.argmax(-1) == labels).double().mean() >= 0.999
    assert torch.nn.functional.cross_entropy(logits, labels) <= 0.005


def test_every_rung_is_legal_without_weights() -> None:
    for rung in task.ladder():
        assert faults(rung, task.graph()) == []


def test_best_recovers_most_of_the_loss_even_against_a_constant_guess(results: dict[str, Result]) -> None:
    best = results["best"]
    assert recovered(best) >= 0.85
    assert loss(best) < best.losses["constant"].mean()


def test_the_original_roles_are_poor_here(results: dict[str, Result]) -> None:
    """Worse than always answering "not balanced"."""
    poor = results["original-roles"]
    assert recovered(poor) < 0.5
    assert poor.correct.mean() < 1 - poor.strata["balanced"].mean()


def test_reading_from_the_left_is_wrong(results: dict[str, Result]) -> None:
    """The same account with prefixes for suffixes costs more than a constant guess, almost all of it on balanced
    strings.
    """
    wrong, best = results["left-to-right"], results["best"]
    assert loss(wrong) > wrong.losses["constant"].mean()
    assert loss(wrong) > 3 * loss(best)
    balanced = wrong.strata["balanced"]
    assert wrong.losses["scrubbed"][balanced].sum() > 0.8 * wrong.losses["scrubbed"].sum()


def test_each_refinement_gains_and_details_cost_little(results: dict[str, Result]) -> None:
    order = ["original-roles", "two-tests", "four-heads", "signs"]
    losses = [loss(results[name]) for name in order]
    assert losses == sorted(losses, reverse=True)
    assert loss(results["signs"]) < 0.03
    for detail in ("tight-signs", "tight-one-number", "detectors", "one-number", "neighbours", "sources"):
        assert loss(results[detail]) < 0.15, detail
    assert loss(results["neighbours"]) < loss(results["suffixes"]) < loss(results["best"])
    assert max(map(loss, results.values())) == loss(results["original-roles"])


def test_what_each_rung_gets_wrong(results: dict[str, Result]) -> None:
    """Balanced strings are lost by two-tests, and by suffixes; four-heads loses the others."""
    for name, lost in (("two-tests", True), ("suffixes", True), ("four-heads", False)):
        values, balanced = results[name].losses["scrubbed"], results[name].strata["balanced"]
        assert (values[balanced].mean() > 3 * values[~balanced].mean()) == lost, name
    assert results["two-tests"].correct[results["two-tests"].strata["balanced"]].mean() < 0.5


def test_no_claim_is_met_by_the_input_itself(results: dict[str, Result]) -> None:
    """The fine features of best leave something to exchange: of all draws, few return the held input."""
    shares = [claim.self_share for claim in results["best"].claims]
    assert max(shares) < 0.05
    assert results["best"].exchanged


def test_the_ladders_neurons_follow_from_the_stated_rule(seen: tuple[Transformer, Dataset, Trace]) -> None:
    model, data, found = seen
    rows = detectors(model, found, data)
    for condition, neurons in IN_THE_LADDER.items():
        assert chosen(rows, condition) == neurons, condition


def test_head_11_watches_from_the_right(seen: tuple[Transformer, Dataset, Trace]) -> None:
    """Among `(` of strings that fail the horizon test it attends to those whose suffix opens too much."""
    _, data, found = seen
    attention, is_open = found.attention[1, 1], data["tokens"] == OPEN
    failing = ~f.horizon_ok(data)
    right = np.where(is_open & (f.suffix_sign(data) > 0), attention, 0)[failing].sum(1).mean()
    other = np.where(is_open & (f.suffix_sign(data) <= 0), attention, 0)[failing].sum(1).mean()
    assert right > 3 * other
