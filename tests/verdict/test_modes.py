"""Ways to run a hypothesis that the tests use: what each does, against hypotheses that say the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import (
    OUTPUT,
    Claim,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    SquaredError,
    ToyModel,
    Variable,
    anything,
    everything,
    feature,
    head,
    mlp,
    node,
    reads,
)
from scrubbing.experiment.verdict.runs import Runs
from scrubbing.metrics.slices import MAIN
from scrubbing.samplers import Cross, separate
from scrubbing.sampling.contexts import Member, Mode

OUT, ANY = Variable("output", everything), Variable("anything", anything)
TOKENS = np.random.default_rng(3).integers(0, 50, (24, 4))
DATA = Dataset({"tokens": TOKENS, "label": np.arange(24) % 2}, name="numbers")


@feature
def last_is_odd(data: Dataset) -> Any:
    return data["tokens"][:, -1] % 2 == 1


@feature
def bit_x(data: Dataset) -> Any:
    return data["x"] == 1


ODD, X = Variable("odd", last_is_odd), Variable("x", bit_x)


def losses(experiment: Experiment, hypothesis: Hypothesis, mode: Mode, draws: int = 4) -> Any:
    job = replace(experiment.jobs(hypothesis)[0], mode=mode, with_model=False, measures=(), logits=False, draws=draws)
    (measured,) = experiment.executor.measure([job])
    return measured.losses()[MAIN]


@pytest.fixture(scope="module")
def experiment(tiny_model: Callable[[str], Any]) -> Experiment:
    return Experiment(tiny_model("native classifier"), DATA, Classification("label"), baselines=False)


def claims(*inner: Claim, **how: Any) -> Claim:
    return OUTPUT.carries(OUT, head(1, 0).direct().carries(ODD, *inner), mlp(1).direct().carries(ODD), **how)


@pytest.mark.parametrize("inner", [(), (reads("v").carries(ODD),)], ids=["shallow", "deep"])
def test_apart_is_the_hypothesis_with_separate_draws(inner: tuple[Claim, ...], experiment: Experiment) -> None:
    together = Hypothesis("h", "As claimed.", claims(*inner))
    separately = replace(together, unclaimed=separate())
    found = losses(experiment, together, Mode(apart=True))
    assert np.array_equal(found, losses(experiment, separately, Mode()))
    assert not np.array_equal(found, losses(experiment, together, Mode()))


def test_a_sampler_in_the_place_of_a_claims_own_leaves_all_other_draws(experiment: Experiment) -> None:
    made = Hypothesis("h", "As claimed.", claims())
    tree = experiment.jobs(made)[0].tree
    crossed = losses(experiment, made, Mode(samplers=((1, Cross()),)))
    assert not np.array_equal(crossed, losses(experiment, made, Mode()))
    # Crossed within a feature that tells nothing apart beyond the claim's own, nothing is exchanged that was not.
    same = losses(experiment, made, Mode(samplers=((1, Cross(within=last_is_odd)),)))
    assert np.array_equal(same, losses(experiment, made, Mode()))
    assert [region.index for region in tree.regions] == [0, 1, 2]


def test_kept_regions_hold_the_input_of_the_claim_above(experiment: Experiment) -> None:
    made = Hypothesis("h", "As claimed.", claims())
    all_kept = losses(experiment, made, Mode(kept=frozenset({1, 2}), unclaimed="exact"))
    assert np.allclose(all_kept, losses(experiment, made, Mode(claimed="exact", unclaimed="exact")), atol=1e-6)
    alone = losses(experiment, made, Mode(kept=frozenset({2})))
    assert np.array_equal(alone, losses(experiment, made, Mode(kept=frozenset({2}))))


def test_a_freed_target_holds_any_input() -> None:
    """a + b, both x; b freed holds x' of any input: the loss (x' - x)^2 is 1/2 on average, and 0 with nothing freed."""
    bits = np.random.default_rng(0).integers(0, 2, 400).astype(np.float64)
    data = Dataset({"x": bits, "label": 2 * bits}, name="bits")

    def same(x: torch.Tensor) -> torch.Tensor:
        return x

    nodes = {"a": (same, {"x": ["x"]}), "b": (same, {"x": ["x"]}), "logits": (same, {"x": ["a", "b"]})}
    experiment = Experiment(ToyModel({"x": "x"}, nodes), data, SquaredError("label"), baselines=False)
    both = (node("a").direct() | node("b").direct()).carries(X)
    made = Hypothesis("both", "Both carry x.", OUTPUT.carries(OUT, both))
    assert losses(experiment, made, Mode()).max() == 0
    freed = losses(experiment, made, Mode(freed=frozenset({Member(0, 1)})), draws=40)
    assert freed.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(freed.size))
    split = Hypothesis("split", "a carries x, b nothing.", OUTPUT.carries(
        OUT, node("a").direct().carries(X), node("b").direct().carries(ANY)))  # fmt: skip
    assert losses(experiment, split, Mode(), draws=40).mean() == pytest.approx(freed.mean(), abs=0.03)


@pytest.mark.parametrize("slot", ["q", "k", "v"])
def test_a_freed_slot_is_a_slot_that_is_claimed_to_carry_anything(slot: str, experiment: Experiment) -> None:
    """The same distribution: another stream draws the inputs, so means over many draws agree within their error."""
    others = [one for one in ("q", "k", "v") if one != slot]
    whole = Hypothesis("h", "As claimed.", claims(reads("q", "k", "v").carries(ODD)))
    split = Hypothesis("h", "As claimed.", claims(reads(*others).carries(ODD), reads(slot).carries(ANY)))
    tree = experiment.jobs(whole)[0].tree
    ((number, _),) = [(i, node) for i, (_, _, node) in enumerate(tree.targets(1))]
    freed = losses(experiment, whole, Mode(freed=frozenset({Member(1, number, slot)})), draws=300)
    wanted = losses(experiment, split, Mode(), draws=300)
    error = np.hypot(*(one.std() / np.sqrt(one.size) for one in (freed, wanted)))
    assert abs(freed.mean() - wanted.mean()) < 4 * error
    plain = losses(experiment, whole, Mode(), draws=300)
    assert not np.array_equal(freed, plain)


def test_references_of_a_test_are_spread_over_values(experiment: Experiment) -> None:
    made = Hypothesis("h", "As claimed.", claims())
    runs = Runs(experiment.jobs(made)[0], experiment.executor, asked=8)

    @feature
    def rare(data: Dataset) -> Any:
        return data.ids < 3

    sample = runs.sample(0, rare)
    chosen = rare(DATA)[sample.reference.rows]
    assert (len(chosen), chosen.sum()) == (8, 3)
    assert runs.sample(0, rare) is sample
    assert runs.sample(0, references=24).whole
