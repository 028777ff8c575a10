"""Settings: each default once, names that a reader and a checker can see, and jobs and records made from them."""

from __future__ import annotations

import dataclasses
import inspect
import typing

import pytest

from scrubbing import Experiment, InProcess, Settings, SquaredError, Task, scrub
from scrubbing.cli import gating, planning, running
from scrubbing.engine.store import Store
from scrubbing.experiment.settings import Options
from scrubbing.gate.policy import Policy, Rule
from scrubbing.hypothesis import legality

FIELDS = {one.name: one for one in dataclasses.fields(Settings)}


def test_keywords_for_checkers_are_the_fields():
    assert typing.get_type_hints(Options) == typing.get_type_hints(Settings)
    assert Options.__required_keys__ == frozenset()


@pytest.mark.parametrize(
    "called", [scrub, Experiment, Experiment.but, Task.experiment], ids=lambda one: one.__qualname__
)
def test_keywords_for_readers_are_the_fields_with_their_defaults(called):
    """In `help()` and in completion, as well as for a type checker."""
    shown = inspect.signature(called).parameters
    for name, one in FIELDS.items():
        assert shown[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert shown[name].default == getattr(Settings(), name)
        assert shown[name].annotation == one.type
    function = called.__init__ if inspect.isclass(called) else called
    assert function.__annotations__["changed"] == "Unpack[Options]"


def test_no_default_is_restated():
    """What commands, rules and policies are not given is the task's. A ladder is tested where nobody says otherwise."""
    for command in (running.bench, running.run, planning.plan, gating.gate):
        for name, parameter in inspect.signature(command).parameters.items():
            assert name not in FIELDS or parameter.default is None or name == "verdict", (command, name)
    for model in (Rule, Policy):
        assert all(one.default is None for name, one in model.model_fields.items() if name in FIELDS)


def test_a_value():
    settings = Settings(draws=2)
    assert settings.but(seed=3) == Settings(draws=2, seed=3)
    assert settings == Settings(draws=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.draws = 3


@pytest.mark.parametrize("where", ["scrub", "Experiment", "Experiment.but", "Settings.but"])
def test_names_of_version_0_1(where, toy):
    """They still work, and the warning is about the line that uses them."""
    subject = (toy.model, toy.data, SquaredError())
    experiment = Experiment(*subject)
    made = {
        "scrub": lambda: scrub(toy.hypothesis("x"), *subject, zero="constant").settings,
        "Experiment": lambda: Experiment(*subject, zero="constant").settings,
        "Experiment.but": lambda: experiment.but(zero="constant").settings,
        "Settings.but": lambda: Settings().but(zero="constant"),
    }
    with pytest.warns(DeprecationWarning, match="zero= is now called zero_baseline=") as warned:
        made = made[where]()
    assert made.zero_baseline == "constant"
    assert warned[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="further= is now called extra_baselines="):
        Settings().but(further={})


def test_one_object_or_keywords(toy):
    settings = Settings(references=30, draws=2, seed=5, ablation="mean")
    one = scrub(toy.hypothesis("x"), toy.model, toy.data, SquaredError(), settings)
    other = scrub(toy.hypothesis("x"), toy.model, toy.data, SquaredError(), settings.but(draws=7), draws=2)
    assert one.settings == other.settings == settings
    assert one.inputs().to_parquet() == other.inputs().to_parquet()
    choices = one.record().choices
    assert (choices.references, choices.draws, choices.seed, choices.ablation) == (30, 2, 5, "mean")
    assert choices.unit == "squared error"


def test_checked_and_treeified_once(toy, monkeypatch):
    """Whatever is measured for it: itself, all baselines, and each of its claims alone."""
    calls = []
    for name in ("_examined", "treeify"):
        real = getattr(legality, name)
        monkeypatch.setattr(legality, name, lambda *a, name=name, real=real: calls.append(name) or real(*a))
    result = scrub(toy.hypothesis("x", "y"), toy.model, toy.data, SquaredError())
    assert set(result.losses) == {"model", "scrubbed", "null", "constant", "mean rest", "mean claimed"}
    assert sorted(calls) == ["_examined", "treeify"]
    calls.clear()
    experiment = Experiment(toy.model, toy.data, SquaredError())
    experiment.claim_costs(experiment.run(toy.hypothesis("x", "y")))
    assert sorted(calls) == ["_examined", "treeify"]


def test_nothing_is_changed_by_running(toy):
    experiment = Experiment(toy.model, toy.data, SquaredError(), references=20)
    before = dict(vars(experiment))
    experiment.claim_costs(experiment.run(toy.hypothesis("x")))
    experiment.but(references=30).run(toy.hypothesis("y"))
    experiment.plan(toy.hypothesis("x"))
    assert vars(experiment) == before


@pytest.mark.parametrize("ablation", ["mean", "noise"])
def test_statistics_are_planned(toy, monkeypatch, ablation):
    """Their steps are in the plan, and what they read is announced to the store before anything runs."""
    experiment = Experiment(toy.model, toy.data, SquaredError(), ablation=ablation)
    executor = InProcess(store=True, memory=2**20, spill=None)
    scrubbed = experiment.jobs(toy.hypothesis("x"))[0]
    compiled = executor.compile(scrubbed)
    (planned,) = compiled.plan.statistics.values()
    assert planned.inputs == len(toy.data)
    assert list(planned.plan.values())

    def late(*arguments):
        raise AssertionError("announced while running")

    monkeypatch.setattr(Store, "register", late)
    engine = executor.engine(scrubbed.subject)
    assert len(list(engine.run(compiled, scrubbed.reference.rows, 2, 0))) > 0
