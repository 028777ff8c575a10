"""A verdict costs no more than so many tests for each claim, however many claims there are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.parens.task import our_data, task
from scrubbing import (
    OUTPUT,
    Dataset,
    Experiment,
    Feature,
    Hypothesis,
    SquaredError,
    ToyModel,
    Variable,
    everything,
    node,
)
from scrubbing.experiment.verdict.runs import ALL_EXACT, Runs
from tests.verdict.toys import bits, claimed, experiment, variable

EACH, ONCE = 8_000, 80_000
"""Examples for each claim, five runs of 400 references and 4 draws, and for all of them together."""


def examples(claims: int, read: int, unclaimed: int, values: int) -> int:
    """Scrubbed examples of the tests of so many claims about a sum.

    Args:
        claims: about one source each.
        read: sources that the sum reads, the first ones; claims about others are idle.
        unclaimed: sources it reads that no claim names.
        values: of each source.
    """
    names = [f"s{i}" for i in range(claims + unclaimed)]
    taken = [*names[:read], *names[claims:]]
    columns = dict(zip(names, np.random.default_rng(0).integers(0, values, (len(names), 3000)), strict=True))

    def total(**held: torch.Tensor) -> torch.Tensor:
        return sum((held[name] for name in taken), torch.zeros(()))

    data = Dataset(
        {**{name: one.astype(np.float64) for name, one in columns.items()}, "label": sum(columns[n] for n in taken)}
    )
    model = ToyModel({name: name for name in names}, {"out": (total, {name: [name] for name in names})})

    def value(name: str) -> Feature:
        return Feature(name, compute=lambda data: data[name].astype(np.int64))

    carried = [node(name).direct().carries(Variable(name, value(name))) for name in names[:claims]]
    hypothesis = Hypothesis("sum", "A sum.", OUTPUT.carries(Variable("out", everything), *carried))
    result = Experiment(model, data, SquaredError("label"), references=400).verdict(hypothesis)
    assert result.tested is not None
    assert len(result.tested.claims) == claims
    assert result.tested.word == (
        "insufficient" if unclaimed else "tight" if read == claims else "wider or finer than needed"
    )
    return result.tested.examples


@pytest.mark.parametrize("kind", ["tight", "half idle", "insufficient"])
def test_examples_grow_no_faster_than_claims(kind):
    numbers = (2, 4, 8)
    found = [examples(n, n // 2 if kind == "half idle" else n, 2 if kind == "insufficient" else 0, 3) for n in numbers]
    slopes = np.diff(found) / np.diff(numbers)
    assert slopes[1] <= 1.2 * slopes[0]
    assert all(one <= ONCE + EACH * n for one, n in zip(found, numbers, strict=True))


def test_the_model_runs_beside_the_hypothesis_and_is_not_run_again():
    experiment = Experiment(task.model(), our_data(600), task.loss(), references=60)
    scrub = experiment.jobs(task.rung("signs"))[0]
    apart, shared = Runs(scrub, experiment.executor), Runs(scrub, experiment.executor)
    ((alone, still),) = apart.measured([(apart.sample(0), ALL_EXACT)])
    (beside, nothing), _ = shared.measured([(shared.sample(0), ALL_EXACT), (shared.sample(0), scrub.mode)])
    assert shared.count == apart.count == alone.size
    np.testing.assert_allclose(beside, alone, atol=1e-6)
    assert np.abs(still).max() < 1e-6 and not nothing.any()


@pytest.mark.parametrize("references", [100, 400])
def test_what_an_insufficient_hypothesis_does_without_shows_on_few_references_too(references):
    """On 100, nothing that is tried once could be idle."""
    columns = bits(0, 3000, "abc")
    nodes = {"out": (lambda a, b, c: a + b + 0 * c, {name: [name] for name in columns})}
    made = claimed(*(node(name).direct().carries(variable(name)) for name in "ac"))
    tested = experiment(nodes, columns, columns["a"] + columns["b"], references=references).verdict(made).tested
    assert tested is not None and tested.word == "insufficient"
    assert [one.crossed.outcome for one in tested.claims] == ["needed", "idle"]
