"""Controls on weights, heads and claims: they fail where they should, and what passes them is called not specific."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.groundtruth.catalogue import PROGRAMS, TRAINED, truth
from benchmarks.parens.task import task
from scrubbing import (
    OUTPUT,
    Dataset,
    Experiment,
    Hypothesis,
    SquaredError,
    ToyModel,
    UsageError,
    Variable,
    everything,
    feature,
    node,
)
from scrubbing.experiment.controls import OURS
from scrubbing.experiment.random_claims import random_hypotheses
from scrubbing.experiment.random_weights import fresh_weights, permuted_heads, permuted_weights
from scrubbing.experiment.relabel import what_is_claimed
from scrubbing.experiment.trial import Control, Trial
from scrubbing.experiment.verdict.specific import outcome_of, unsettled, unspecific
from scrubbing.records.measured import ControlValue, Number, Recovered, SeveralTried
from scrubbing.records.schema import RunRecord
from scrubbing.report.view.verdict_words import verdict_sentence

BRACKETS, COPIES = truth("brackets", 0), truth("copies", 0)


def trial(one: Any = BRACKETS) -> Trial:
    return Trial(one.tight[0], one.model, one.data, one.loss)


def weights(model: Any) -> dict[str, Any]:
    return {name: tensor.double().numpy() for name, tensor in model.weights.learned()}


@pytest.mark.parametrize("scheme", [fresh_weights, permuted_weights])
def test_weights_mean_nothing_and_keep_their_scale(scheme: Any) -> None:
    """Another model, the same for the same seed; of permuted ones every entry is kept."""
    made = [scheme(seed).change(trial()).model for seed in (1, 2)]
    again = scheme(1).change(
        Trial(BRACKETS.tight[0], truth("brackets", 0).model, truth("brackets", 0).data, BRACKETS.loss)
    )
    assert len({BRACKETS.model.fingerprint, *(one.fingerprint for one in made)}) == 3
    assert again.model.fingerprint == made[0].fingerprint
    before, after = weights(BRACKETS.model), weights(made[0])
    assert any((before[name] != after[name]).any() for name in before)
    for name, old in before.items():
        if scheme is permuted_weights:
            assert (np.sort(old, axis=None) == np.sort(after[name], axis=None)).all()
        elif old.size > 500:
            assert after[name].std() == pytest.approx(old.std(), rel=0.2, abs=1e-9)


@pytest.mark.parametrize("family", ["GPT-2", "Llama", "Gemma 2"])
def test_weights_of_any_family(family: str, tiny_model: Any) -> None:
    model = tiny_model(family)
    data = Dataset({"tokens": np.random.default_rng(0).integers(1, 40, (8, 5))}, name="text")
    made = fresh_weights(1).change(Trial(BRACKETS.tight[0], model, data, BRACKETS.loss)).model
    assert made.fingerprint != model.fingerprint
    assert made.graph(data) == model.graph(data)


def test_heads_change_places() -> None:
    """Within their layers, in targets and routes; none keeps its own."""
    own = [t.node for c in trial().hypothesis.correspondence.walk() for t in c.targets]
    made = permuted_heads().change(trial())
    assert isinstance(made, Trial)
    moved = [t.node for c in made.hypothesis.correspondence.walk() for t in c.targets]
    for a, b in zip(own, moved, strict=True):
        assert a is not None and b is not None and (a.kind, a.layer) == (b.kind, b.layer)
        assert (a != b) == (a.kind == "head")


def test_others_of_the_same_size() -> None:
    """The same features, each time elsewhere, or others of the same sizes; all legal, the same for the same seed."""
    first, again = (random_hypotheses(50).change(trial()) for _ in range(2))
    assert isinstance(first, list) and isinstance(again, list) and len(first) == 50
    said = [what_is_claimed(one.hypothesis.correspondence, BRACKETS.data) for one in first]
    assert said == [what_is_claimed(one.hypothesis.correspondence, BRACKETS.data) for one in again]
    assert len(set(said)) == 50
    own = [claim.variable for claim in trial().hypothesis.correspondence.walk()]
    for one in first:
        variables = [claim.variable for claim in one.hypothesis.correspondence.walk()]
        assert (variables == own) is not one.other_values
        for a, b in zip(variables, own, strict=True):
            sizes = [np.sort(np.unique(v.agrees_on()(BRACKETS.data), return_counts=True)[1]) for v in (a, b)]
            assert (sizes[0] == sizes[1]).all()


def test_all_controls_of_a_true_hypothesis() -> None:
    """None is passed, so that the hypothesis stays tight."""
    experiment = Experiment(BRACKETS.model, BRACKETS.data, BRACKETS.loss, controls=["all"], baselines=False)
    record = experiment.verdict(BRACKETS.tight[0]).record()
    found = {one.name: one for one in record.controls}
    assert list(found) == list(OURS)
    assert {one.outcome for one in found.values() if one.several is None} <= {"not supported", "nothing to explain"}
    several = found["random-hypotheses"].several
    assert several is not None and several.own is not None and several.best is not None
    assert (several.tried, several.as_well, several.p) == (200, 0, pytest.approx(1 / 201))
    assert several.best < several.own
    assert record.tested is not None and (record.tested.word, record.tested.unspecific) == ("tight", [])
    assert RunRecord.model_validate_json(record.model_dump_json()) == record


def test_copies_are_not_specific() -> None:
    """Two of three heads that copy a bit: any other two do as well. Ways of saying the same path count once."""
    experiment = Experiment(COPIES.model, COPIES.data, COPIES.loss, controls=["random-hypotheses"], baselines=False)
    record = experiment.verdict(COPIES.tight[0]).record()
    several = record.controls[0].several
    assert several is not None and (several.as_well, several.tried, several.p) == (2, 9, 0.3)
    assert record.tested is not None and record.tested.word == "not specific"
    assert record.tested.reasons[0] == "not specific"


OTHERS = [one for one in PROGRAMS | TRAINED if one not in ("brackets", "masked")]
MASKED, TOTAL = truth("masked", 0), truth("total", 0)


def counted(one: Any, *chosen: Any, **options: Any) -> RunRecord:
    experiment = Experiment(one.model, one.data, one.loss, controls=chosen, baselines=False, **options)
    return experiment.verdict(one.tight[0]).record()


def test_what_relies_on_one_draw_together_does_not_do_as_well() -> None:
    """Two copies that the hypothesis leaves out cancel while they hold the same input: nothing is lost together."""
    record = counted(MASKED, "random-hypotheses")
    several = record.controls[0].several
    assert several is not None and several.best == pytest.approx(1)
    assert (several.tried, several.as_well) == (200, 0)
    assert record.tested is not None and record.tested.word == "tight"


def test_where_there_are_few_places_features_are_random() -> None:
    """Four other places, and beside them features with the values of other inputs."""
    made = random_hypotheses(50).change(trial(TOTAL))
    assert isinstance(made, list) and len(made) == 50
    own = trial(TOTAL).hypothesis.correspondence
    variables = {claim.variable for claim in own.walk()}
    for one in made:
        claims = list(one.hypothesis.correspondence.walk())
        assert ({claim.variable for claim in claims} == variables) is not one.other_values
        assert len(claims) == len(list(own.walk()))
    assert 0 < sum(not one.other_values for one in made) < 10
    several = counted(TOTAL, "random-hypotheses").controls[0].several
    assert several is not None and (several.tried, several.as_well) == (200, 0)


def test_too_few_others_decide_nothing() -> None:
    """Fifty, of which none does as well: p is 1 / 51 whatever is true, so that it is open whether 1 % would."""
    tested = counted(BRACKETS, random_hypotheses(50)).tested
    assert tested is not None and (tested.word, tested.reasons, tested.unspecific) == ("undecided", ["specific?"], [])
    assert [(one.tried, one.as_well) for one in tested.unsettled] == [(50, 0)]
    assert "takes more of them (0 of 50 do as well, p = 0.020)" in verdict_sentence(tested)


def test_a_control_that_decides_nothing_leaves_it_open() -> None:
    """What is recovered where it should not be may be enough or not, for all that so few references say."""
    made = ControlValue(name="c", meaning="", expected="fails", recovered=[], references=20, outcome="undecided")
    assert unspecific([made]) == []
    assert [one.control for one in unsettled([made.model_copy(update={"recovered": [recovered(0.99)]})])] == ["c"]


@pytest.mark.parametrize("outcome", ["supported", "not supported", "nothing to explain", "undecided"])
@pytest.mark.parametrize(("tried", "as_well"), [(200, 0), (200, 1), (200, 2), (50, 0), (9, 2), (9, 0)])
def test_what_passes_is_neither_unspecific_nor_open(outcome: Any, tried: int, as_well: int) -> None:
    told: dict[str, Any] = {"name": "c", "meaning": "", "expected": "fails", "recovered": [recovered(0.99)]}
    p = (1 + as_well) / (1 + tried)
    several = ControlValue(**told, several=SeveralTried(tried=tried, as_well=as_well, p=p))
    found = [ControlValue(**told, outcome=outcome), several]
    passes = outcome in ("not supported", "nothing to explain") and p <= 0.01
    assert (not unspecific(found) and not unsettled(found)) is passes


@feature
def x_bit(data: Dataset) -> Any:
    return data["x"] == 1


X = np.tile([0.0, 1.0], 300)
TOY = ToyModel({"x": "x"}, {"logits": (lambda x: x, {"x": ["x"]})}, name="toy")
DATA = Dataset({"x": X, "label": X}, name="bits")
ONLY_X = Hypothesis(
    "x", "x.", OUTPUT.carries(Variable("out", everything), node("x").direct().carries(Variable("x", x_bit)))
)


def toy(*names: Any) -> Any:
    return Experiment(TOY, DATA, SquaredError("label"), controls=names, baselines=False, references=400)


@pytest.mark.parametrize("name", ["fresh-weights-1", "permuted-weights-2", "permuted-heads", "random-hypotheses"])
def test_what_cannot_be_run_is_refused(name: str) -> None:
    """There is no other place in this model, and the value itself has no others to be shuffled with."""
    claim = node("x").direct().carries(Variable("x", everything))
    with pytest.raises(UsageError, match="SCR-CONTROL"):
        toy(name).run(Hypothesis("x", "x.", OUTPUT.carries(Variable("out", everything), claim)))


def test_what_cannot_be_run_is_named() -> None:
    """Where all are asked for."""
    record = toy("all").run(ONLY_X).record()
    left = {one.name: one.not_run for one in record.controls if one.not_run}
    assert set(left) == set(OURS) - {"shuffled-labels", "shuffled-features", "random-hypotheses"}
    assert left["fresh-weights-1"] == "needs a model whose weights are known"


def test_supported_where_it_should_fail() -> None:
    """A control that changes nothing is passed, which is said."""
    same = Control("same", "nothing", "fails", lambda trial: trial)
    tested = toy(same).verdict(ONLY_X).record().tested
    assert tested is not None and tested.word == "not specific"
    assert [(one.control, one.recovered) for one in tested.unspecific] == [("same", 1.0)]


def recovered(value: float | None, se: float | None = 0.001) -> Recovered:
    number = None if value is None else Number(value=value, se=se, low=None, high=None)
    lost = Number(value=0.0, se=None, low=None, high=None)
    return Recovered(baseline="null", meaning="", fraction=number, lost=lost)


def outcome(value: float | None, se: float | None = 0.001, references: int = 400) -> str | None:
    told = [recovered(value, se)]
    made = ControlValue(name="c", meaning="", expected="fails", recovered=told, references=references)
    made = made.model_copy(update={"outcome": outcome_of(made)})
    assert bool(unspecific([made])) == (made.outcome == "supported")
    assert bool(unsettled([made])) == (made.outcome == "undecided")
    return made.outcome


def test_outcomes() -> None:
    """No gap is no support; a few references, or a wide interval, decide nothing."""
    assert outcome(None) == "nothing to explain"
    assert outcome(0.999) == "supported"
    assert outcome(0.5) == "not supported"
    assert outcome(0.999, 0.3) == "undecided"
    assert outcome(0.999, references=100) == "undecided"
    assert outcome(0.999, None) == "undecided"


def parens(rungs: Any, seeds: Any) -> list[Any]:
    chosen = [scheme(seed) for scheme in (fresh_weights, permuted_weights) for seed in seeds]
    options: dict[str, Any] = {"baselines": False, "references": 400, "draws": 4, "controls": chosen}
    experiment = Experiment(task.model(), task.data(), task.loss(), **options)
    return [(one.name, c) for one in rungs for c in experiment.run(one).record().controls]


def test_a_control_that_gives_nothing_to_try() -> None:
    nothing = Control("nothing", "no hypothesis at all", "fails", lambda trial: [])
    experiment = Experiment(BRACKETS.model, BRACKETS.data, BRACKETS.loss, references=20, controls=[nothing])
    with pytest.raises(UsageError, match=r"SCR-CONTROL.*nothing.*gives no hypothesis to try"):
        experiment.run(BRACKETS.tight[0])


def test_no_parens_on_weights_that_mean_nothing() -> None:
    found = parens([task.rung("signs")], [6])
    assert [c.outcome for _, c in found] == ["not supported", "nothing to explain"]


@pytest.mark.slow
def test_no_rung_of_parens_on_weights_that_mean_nothing() -> None:
    """Ten seeds of two schemes."""
    found = parens(list(task.ladder()), range(10))
    assert len(found) == 20 * len(list(task.ladder()))
    assert {c.outcome for _, c in found} <= {"not supported", "nothing to explain"}


LADDER = [one.name.rpartition("/")[2] for one in task.ladder()]


@pytest.mark.slow
@pytest.mark.parametrize("rung", LADDER)
def test_a_rung_of_parens_that_is_supported_passes_its_controls(rung: str) -> None:
    """Whatever the word is: one of support has p of 0.01 at most, and weights that mean nothing on which it fails."""
    chosen = ["random-hypotheses", fresh_weights(11), permuted_weights(12)]
    experiment = Experiment(task.model(), task.data(), task.loss(), baselines=False, references=100, controls=chosen)
    supported_only_if_it_passes(experiment.verdict(task.rung(rung)).record())


@pytest.mark.parametrize("name", ["brackets", "masked", *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS)])
def test_what_is_true_is_supported_and_passes_its_controls(name: str) -> None:
    """But for copies, of which others do as well."""
    record = counted(truth(name, 1), "random-hypotheses", fresh_weights(11), permuted_weights(12))
    supported_only_if_it_passes(record)
    assert record.tested is not None and record.tested.word == ("not specific" if name == "copies" else "tight")


def supported_only_if_it_passes(record: RunRecord) -> None:
    assert record.tested is not None
    passes = all(
        one.outcome in ("not supported", "nothing to explain") if one.several is None else one.several.p <= 0.01
        for one in record.controls
    )
    assert len(record.controls) == 3 and {one.not_run for one in record.controls} == {""}
    assert passes or record.tested.word not in ("tight", "wider or finer than needed")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["brackets", "compare", "two-hops"])
def test_random_hypotheses_are_called_specific_as_often_as_they_may_be(name: str) -> None:
    """One in a hundred has p of 0.01: of twenty, three or more in one run of a thousand."""
    known = truth(name, 2)
    made = random_hypotheses(20, seed=5).change(trial(known))
    options: dict[str, Any] = {"baselines": False, "references": 20, "draws": 1, "controls": [random_hypotheses(99)]}
    experiment = Experiment(known.model, known.data, known.loss, **options)
    assert isinstance(made, list) and len(made) == 20
    found = [experiment.run(one.hypothesis).record().controls[0].several for one in made]
    assert sum(one is not None and one.p <= 0.01 for one in found) <= 2
