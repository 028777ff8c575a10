"""Models in which everything is known: the verdict against the truth, on seeds that no threshold was chosen on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.groundtruth import __main__ as calibration
from benchmarks.groundtruth import planting, values
from benchmarks.groundtruth.catalogue import PROGRAMS, TRAINED, truth
from benchmarks.groundtruth.columns import column
from benchmarks.groundtruth.equivalence import relation
from benchmarks.groundtruth.planted import PLANS
from benchmarks.groundtruth.variations import FALSE, OVERCLAIMS, cases, lost
from scrubbing import Claim, Experiment, Feature, Variable
from tests.thin import thinned

SEED = 50


@pytest.mark.parametrize("program", [*PROGRAMS, *TRAINED])
def test_a_program_computes_its_label_and_what_is_true_of_it_is_tight(program: str) -> None:
    made = truth(program, SEED)
    experiment = Experiment(made.model, made.data, made.loss, baselines=False)
    for hypothesis in made.tight:
        result = experiment.verdict(hypothesis)
        gap = (result.losses["null"] - result.losses["model"][:, None]).mean()
        if program != "offset":  # which is wrong by one on every input
            assert result.losses["model"].max() < 0.01 * gap
        assert result.tested is not None
        assert (result.tested.word, result.tested.reasons) == ("tight", [])
    for hypothesis in made.redundant:
        tested = experiment.verdict(hypothesis).tested
        assert tested is not None
        assert tested.word == "redundant"


def test_seeds_make_different_models_of_one_program() -> None:
    made = [truth("majority", seed) for seed in (SEED, SEED + 1)]
    assert made[0].model.fingerprint != made[1].model.fingerprint
    assert truth("majority", SEED) is made[0]


@pytest.mark.parametrize("change", thinned([*OVERCLAIMS, *FALSE]))
def test_every_change_in_one_program_that_has_an_occasion_for_it(change: str) -> None:
    """The plain score takes overclaims for true; the verdict takes neither them nor what is false."""
    order = np.random.default_rng(len(change)).permutation(list(PROGRAMS)).tolist()
    made = ((truth(p, SEED), case) for p in order for case in cases(truth(p, SEED), np.random.default_rng(1), [change]))
    one = calibration.judged(
        *next((t, case) for t, case in made if case.change == change and case.truth in ("overclaim", "false"))
    )
    assert calibration.is_right(one), one
    if change in OVERCLAIMS:
        assert calibration.accepted(one)


@pytest.mark.parametrize("name", PLANS)
def test_training_depends_on_its_seed_alone(name: str) -> None:
    """And interchange interventions are trained on: their loss falls with the task's."""
    plan = PLANS[name]
    first, again, other = (dict(planting.train(plan, seed, 20)[0].learned()) for seed in (0, 0, 1))
    assert all((first[key] == again[key]).all() for key in first)
    assert not (first["W_E"] == other["W_E"]).all()
    assert planting.train(plan, 0, 100)[1] < 0.9 * planting.train(plan, 0, 1)[1]


@pytest.mark.parametrize("name", PLANS)
def test_the_parts_of_a_planted_model_are_the_models_own(name: str) -> None:
    """What training exchanges is what the engine exchanges: put together again, it is the model's output."""
    made, plan = truth(name, SEED), PLANS[name]
    weights = made.model.weights
    tokens = torch.tensor(made.data["tokens"])
    whole = sum(planting.writes(weights, plan, tokens))
    with torch.inference_mode():
        found = planting.answers(weights, whole, whole)
        wanted = made.model.own_output(made.model.inputs(made.data), torch.arange(len(tokens)))[:, -1]
    assert torch.allclose(found, wanted, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("program", [*PROGRAMS, *TRAINED])
def test_every_hypothesis_about_a_program(program: str) -> None:
    made = truth(program, SEED)
    found = [calibration.judged(made, case) for case in cases(made, np.random.default_rng(2))]
    wrong = [one for one in found if not calibration.is_right(one) and one["change"] != "rarely wrong"]
    assert len(wrong) <= 1, wrong  # each test is wrong with a chance of a few per cent


def of_one_claim(change: Callable[[Feature], Feature], program: str = "largest") -> Claim:
    """The tight claims of a program, the deepest one with another feature."""

    def changed(claim: Claim) -> Claim:
        if claim.children:
            return replace(claim, children=(*claim.children[:-1], changed(claim.children[-1])))
        return replace(claim, variable=Variable("changed", change(claim.variable.agrees_on())))

    return changed(truth(program, SEED).tight[0].correspondence)


def computed(words: str, of: Feature, function: Callable[[Any], Any]) -> Feature:
    return Feature(words, compute=lambda data: function(of(data)), per=of.per)


RELATIONS: dict[str, tuple[Callable[[Feature], Feature], str]] = {
    "the same": (lambda own: own, "equivalent"),
    "other names": (lambda own: computed("squared", own, lambda values: (values + 1) ** 2), "equivalent"),
    "symbols that do not occur there": (
        lambda own: computed("at most 4", own, lambda values: np.minimum(values, 4)),
        "equivalent",
    ),
    "two at once": (
        lambda own: computed("with the first", own, lambda values: 100 * values + values[:, :1]),
        "finer",
    ),
    "symbols that occur": (lambda own: computed("at least 1", own, lambda values: np.maximum(values, 1)), "other"),
    "another position's": (lambda own: computed("before", own, lambda values: np.roll(values, 1, axis=1)), "other"),
    "one per input": (lambda own: column("parity"), "other"),
}


@pytest.mark.parametrize("case", RELATIONS)
def test_what_permits_the_same_exchanges(case: str) -> None:
    """Also against each pair of inputs, asked one by one."""
    change, wanted = RELATIONS[case]
    of, changed = truth("largest", SEED), of_one_claim(change)
    assert relation(of, changed) == wanted
    if case == "one per input":
        return
    tight = of.tight[0].correspondence.children[0].children[0]
    new = changed.children[0].children[0].variable.agrees_on()(of.data)
    old = tight.variable.agrees_on()(of.data)
    assert tight.targets[0].positions is not None
    places = tight.targets[0].positions.resolve(old.shape[1], False)
    assert places is not None
    permitted = [np.array([[a[p] == b[p] for b in values] for a in values]) for values in (old, new) for p in places]
    before, after = permitted[: len(places)], permitted[len(places) :]
    fewer = all((a <= b).all() for a, b in zip(after, before, strict=True))
    same = all((a == b).all() for a, b in zip(after, before, strict=True))
    assert wanted == ("equivalent" if same else "finer" if fewer else "other")


def test_other_claims_permit_other_exchanges() -> None:
    """A claim left out, or moved, may happen not to matter; that is measured, apart too."""
    of = truth("masked", SEED)
    root = of.tight[0].correspondence
    (below,) = root.children
    without = replace(root, children=(replace(below, children=below.children[:1]),))
    assert relation(of, without) == "other"
    assert lost(of, replace(of.tight[0], correspondence=without)) > 0.2


def test_values_and_equations() -> None:
    found = [calibration.judged(made, case) for made, case in values.cases(SEED)]
    assert [one for one in found if not calibration.is_right(one)] == []
    assert all(map(calibration.accepted, found))


def test_the_scoreboard() -> None:
    base = {"program": "p", "seed": 0, "reasons": [], "seconds": 1.0}
    found = [
        {**base, "change": "tight", "truth": "tight", "word": "tight", "recovered": 1.0},
        {**base, "change": "idle claim", "truth": "overclaim", "word": "wider or finer than needed", "recovered": 1.0},
        {**base, "change": "moved", "truth": "false", "word": "insufficient", "recovered": 0.5},
        {**base, "change": "moved", "truth": "false", "word": "tight", "recovered": None},
    ]
    assert [calibration.is_right(one) for one in found] == [True, True, True, False]
    assert [calibration.accepted(one) for one in found] == [True, True, False, False]
    assert "| false | moved | 2 | 0.0 % [0.0, 84.2] | 50.0 % [1.3, 98.7] |" in calibration.table(found)
