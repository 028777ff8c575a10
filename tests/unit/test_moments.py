"""The shipped models at moments of their training: whole series, and what a record says with it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from benchmarks import moments as packed
from benchmarks.induction.moments import at, series
from benchmarks.induction.task import dataset, model, task
from benchmarks.parens import moments as parens
from benchmarks.parens.task import our_data, our_model
from benchmarks.parens.task import task as paren_task
from scrubbing import Experiment, Series

MEASURED = {"references": 300, "baselines": False, "series": parens.series}


@pytest.mark.parametrize("which", ["language", "python"])
def test_losses_fall_with_training_and_end_with_the_models_own(which):
    found = series(which, lambda: model(which))
    few = dataset(which).take(np.arange(12))
    losses = [one.mean() for one in found.losses(few)]
    assert found.amounts == (0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 100.0)
    assert all(a > b for a, b in pairwise(losses))
    tokens = torch.from_numpy(few["tokens"].astype(np.int64))
    own = model(which).forward(tokens, None)[:, :-1].log_softmax(-1).gather(2, tokens[:, 1:, None])[..., 0]
    assert losses[-1] == pytest.approx(-float(own.sum()) / few["tokens"].size, abs=1e-5)


def test_a_moment_as_a_module_is_the_same_as_node_by_node():
    module = at("language", 500)
    tokens = torch.from_numpy(dataset("language")["tokens"][:2].astype(np.int64))
    with torch.no_grad():
        assert torch.allclose(module(tokens), module.scrubbable("moment").forward(tokens, None), atol=1e-4)


def test_a_record_says_what_the_scrubbed_model_is_worth():
    experiment = task.experiment(references=20, draws=1, baselines=False)
    worth = {name: experiment.run(task.rung(name)).record().equivalent for name in ("heads-only", "refined")}
    assert worth["heads-only"].amount.value < worth["refined"].amount.value < 100
    assert (worth["refined"].beyond, worth["refined"].end) == (None, None)


def test_the_series_is_evaluated_once_for_all_hypotheses():
    made = series("language", lambda: model("language"))
    runs = []
    counted = Series(made.what, made.unit, made.amounts, lambda data: runs.append(len(data)) or made.losses(data))
    experiment = task.experiment(references=8, draws=1, baselines=False, series=counted)
    experiment.run_all([task.rung("naive"), task.rung("refined")])
    assert runs == [8]


def test_the_paren_balancer_gets_better_at_every_moment():
    data = our_data(600, seed=5)
    found = parens.series()
    losses = [one[:, 0].mean() for one in found.losses(data)]
    assert found.amounts == (0.3, 3.0, 10.0, 100.0)
    assert all(a > b for a, b in pairwise(losses))
    assert losses[-1] < 1e-4
    inputs, labels = our_model().inputs(data), torch.from_numpy(data["label"].copy())
    own = our_model().own_output(inputs, torch.arange(600))[:, 0].double()
    assert losses[-1] == pytest.approx(float(torch.nn.functional.cross_entropy(own, labels)))


def test_a_paren_record_says_what_the_scrubbed_model_is_worth():
    experiment = Experiment(our_model(), our_data(600, seed=5), paren_task.loss(), draws=1, **MEASURED)
    worth = {name: experiment.run(paren_task.rung(name)).record().equivalent for name in ("detectors", "two-tests")}
    assert 1 < worth["detectors"].amount.value < 100
    assert (worth["two-tests"].beyond, worth["two-tests"].end) == ("first", 0.3)


def test_what_is_packed_is_what_was_stored(tmp_path):
    made = {step: {"a.b/c": torch.randn(3, 4), "bias": torch.tensor(float(step))} for step in (20, 3)}
    packed.store(made, 70, tmp_path / "some.xz")
    found = packed.stored(tmp_path / "some.xz")
    assert (found.steps, list(found.weights)) == (70, [3, 20])
    for step, named in made.items():
        assert found.weights[step].keys() == named.keys()
        assert all(torch.equal(found.weights[step][name], one.half().float()) for name, one in named.items())
