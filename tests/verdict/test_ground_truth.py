"""Models in which everything is known: the verdict against the truth, on seeds that no threshold was chosen on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.groundtruth import __main__ as calibration
from benchmarks.groundtruth import planting, values
from benchmarks.groundtruth.catalogue import PROGRAMS, TRAINED, truth
from benchmarks.groundtruth.planted import PLANS
from benchmarks.groundtruth.variations import FALSE, OVERCLAIMS, cases
from scrubbing import Experiment

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


@pytest.mark.parametrize("change", [*OVERCLAIMS, *FALSE])
def test_every_change_in_one_program_that_has_an_occasion_for_it(change: str) -> None:
    """The plain score takes overclaims for true; the verdict takes neither them nor what is false."""
    order = np.random.default_rng(len(change)).permutation(list(PROGRAMS)).tolist()
    made = ((truth(p, SEED), case) for p in order for case in cases(truth(p, SEED), np.random.default_rng(1), [change]))
    one = calibration.judged(*next((t, case) for t, case in made if case.change == change))
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
