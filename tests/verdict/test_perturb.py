"""Perturbations: what is drawn beside the dataset, against the dataset that has it, and against numbers by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from scrubbing import (
    Classification,
    Dataset,
    Experiment,
    Feature,
    Hypothesis,
    IllegalHypothesis,
    Perturb,
    RunRecord,
    Variable,
    node,
)
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.experiment.verdict.perturbed import _there
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.report import markdown
from scrubbing.report.page import page
from scrubbing.report.terminal import verdict_view
from scrubbing.sampling.contexts import Mode
from scrubbing.testing import Oracle, ProtocolNodes
from scrubbing.testing.oracle import by_seed
from tests.oracle.test_enumeration import CASES
from tests.verdict.toys import Nodes, bits, claimed, column, copy, experiment, shown, variable, verdict_of

BITS = bits(0, 3000, "xy")
NODES: Nodes = {"a": copy("z"), "b": copy("y"), "out": (lambda a, b: a + b, {"a": ["a"], "b": ["b"]})}


def coin(data: Dataset, uniform: Any) -> dict[str, Any]:
    return {"z": np.round(uniform(1)[:, 0])}


APART = Perturb("z apart from x", coin)


def confounded(*perturbations: Perturb, **settings: Any) -> Experiment:
    """The output adds z, which is x on the data, and y; the null loses 2 Var(x + y) = 1."""
    return experiment(NODES, BITS | {"z": BITS["x"]}, BITS["x"] + BITS["y"], perturbations=perturbations, **settings)


CLAIMS = claimed(node("a").direct().carries(variable("x")), node("b").direct().carries(variable("y")))


def test_what_is_lost_beside_the_dataset() -> None:
    """Half of the inputs that agree on x are changed ones, in half of which z is not x: a loss of 1 in a quarter."""
    (found,) = verdict_of(confounded(APART).verdict(CLAIMS)).perturbed
    assert found.outcome == "needed"
    assert found.recovered.se is not None
    assert abs(found.recovered.value - 3 / 4) < 4 * found.recovered.se


def test_a_claim_that_holds_beside_the_dataset_too() -> None:
    right = claimed(node("a").direct().carries(variable("z")), node("b").direct().carries(variable("y")))
    tested = verdict_of(confounded(APART).verdict(right))
    assert (tested.word, [one.outcome for one in tested.perturbed]) == ("tight", ["idle"])
    assert tested.perturbed[0].recovered.value == 1


def test_what_is_unclaimed_is_drawn_beside_the_dataset_too() -> None:
    """On the data w is 0 always; the output adds it."""
    nodes: Nodes = {"c": copy("w"), **NODES, "out": (lambda a, b, c: a + b + c, {k: [k] for k in "abc"})}
    made = experiment(
        nodes, BITS | {"z": BITS["x"], "w": 0 * BITS["x"]}, BITS["x"] + BITS["y"],
        perturbations=[Perturb("w", lambda data, uniform: {"w": np.ones(len(data))})],
    )  # fmt: skip
    (found,) = verdict_of(made.verdict(CLAIMS)).perturbed
    assert found.recovered.se is not None
    assert abs(found.recovered.value - 1 / 2) < 4 * found.recovered.se


def test_inputs_are_the_datasets_and_then_changed_ones() -> None:
    data = confounded().data
    more = APART.of(data, 0)
    assert np.array_equal(more.take(np.arange(3000))["z"], data["z"])
    assert np.array_equal(more["x"][3000:], data["x"])
    assert 0.4 < (more["z"][3000:] != data["z"]).mean() < 0.6
    assert more.ids.tolist() == list(range(6000))
    assert APART.of(data, 0) is more
    assert not np.array_equal(APART.of(data, 1)["z"], more["z"])
    shuffled = data.take(np.random.default_rng(0).permutation(3000))
    order = np.argsort(shuffled.ids)
    assert np.array_equal(APART.of(shuffled, 0)["z"][3000:][order], more["z"][3000:])


def test_the_hypothesis_has_to_be_legal_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that follows from what is changed, and was left as it is; nothing runs before that is said."""
    made = experiment(
        NODES, BITS | {"z": BITS["x"], "both": BITS["x"] * BITS["y"]}, BITS["x"] + BITS["y"],
        perturbations=[Perturb("another x", lambda data, uniform: {"x": 1 - data["x"]})],
    )  # fmt: skip
    monkeypatch.setattr(made, "executor", None)
    both = Variable("both", column("both"), (variable("x"), variable("y")), lambda x, y: x * y)
    with pytest.raises(IllegalHypothesis, match="perturbation 'another x'"):
        made.verdict(claimed(node("a").direct().carries(both)))


def test_a_scope_is_asked_of_changed_inputs() -> None:
    """Changed inputs on which the scope does not hold are not drawn: those are all whose z is not x."""

    agree = Feature("z is x", compute=lambda data: data["z"] == data["x"])
    scoped = claimed(*CLAIMS.correspondence.children, scope=agree)
    tested = verdict_of(confounded(APART).verdict(scoped))
    assert (tested.word, tested.perturbed[0].recovered.value) == ("tight", 1)


def test_what_a_record_says() -> None:
    record = confounded(APART).verdict(CLAIMS).record()
    assert RunRecord.model_validate_json(record.model_dump_json()) == record
    said = shown(verdict_view(record))
    assert "is recovered, but only" in said
    for text in (said, markdown([record]), page([record])):
        assert "z apart from x" in text
        assert "too much is lost" in text


@pytest.mark.parametrize("case", ["two heads", "nested", "group", "separate", "each"])
def test_draws_are_those_of_the_oracle_on_all_these_inputs(case: str, tiny_model: Any) -> None:
    """The arm is the scrub of the dataset's references on the larger dataset, draw by draw."""
    model = tiny_model("native classifier")
    data = random_inputs(VOCABULARY, 3, padded=False, n=6, seed=4).with_columns(label=np.arange(6) % 2)
    turned = Perturb("tokens turned round", lambda data, uniform: {"tokens": data["tokens"][:, ::-1]})
    hypothesis = Hypothesis(case, "As claimed.", CASES[case])
    result = Experiment(model, data, Classification("label"), baselines=False).run(hypothesis)
    there = _there(turned, result)
    assert (len(there.data), there.reference.rows.max()) == (12, 5)
    engine = Engine(model, there.data, fixed((0, 1, 2)))
    found = engine.outputs(engine.compile(there.tree, Mode()), there.reference.rows, draws=2, seed=0)
    oracle, drawn = Oracle(ProtocolNodes(model), engine.graph, there.data, model), set[int]()

    def choose(*asked: Any) -> int:
        drawn.add(by_seed(0)(*asked))
        return by_seed(0)(*asked)

    for row, draw in itertools.product(range(6), range(2)):
        wanted = oracle.output(hypothesis, row, draw, choose)
        assert np.allclose(found[draw, row].double(), wanted.double(), atol=1e-5)
    assert max(drawn) >= 6
