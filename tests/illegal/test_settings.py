"""Settings, measures, baselines, controls and executors that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import scrubbing
from scrubbing import (
    Baseline,
    Control,
    Dataset,
    Feature,
    Model,
    ModelMismatch,
    Perturb,
    Settings,
    SquaredError,
    ToyModel,
    UsageError,
    Variable,
    baselines,
    controls,
    everything,
    executors,
    head,
    measures,
    node,
    scrub,
)


@pytest.fixture(autouse=True)
def only_ours(monkeypatch):
    """What other tests register is not listed in messages."""
    ours = str(Path(scrubbing.__file__).parent)
    for registry in (baselines, measures, controls, executors):
        kept = {name: one for name, one in registry._added.items() if registry._lines[name].startswith(ours)}
        monkeypatch.setattr(registry, "_added", kept)


class Odd:
    """A measure that returns whatever it is told to."""

    name, meaning, unit = "odd", "something odd", "nats"

    def __init__(self, value):
        self.value = value

    def defined(self, loss):
        return True

    def per_token(self, predictions):
        return self.value(predictions.scrubbed)


def perturbed(w, *given):
    return scrubbed(w, verdict=True, perturbations=given)


def scrubbed(w, **changed):
    return w.scrub(head(1, 0).direct().carries(w.parity), references=[0, 1], **changed)


def on_numbers(w, carried=None, **changed):
    toy = ToyModel({"x": "x"}, {"logits": (lambda x: x, {"x": ["x"]})})
    data = Dataset({"x": np.arange(12.0) % 3, "label": np.arange(12.0) % 3}, name="numbers")
    return scrub(w.hypothesis(node("x").direct().carries(carried or w.parity)), toy, data, SquaredError(), **changed)


SETTINGS = {
    "unknown setting": ("SCR-SETTING", lambda w: scrubbed(w, drwas=3)),
    "draws and seed": ("SCR-DRAWS SCR-SETTING", lambda w: Settings(draws=0, seed=-1)),
    "memory in words": ("SCR-SETTING", lambda w: scrubbed(w, memory="1 GiB")),
    "strata in a list": ("SCR-SETTING", lambda w: scrubbed(w, strata=[w.parity.feature])),
    "strata that are variables": ("SCR-FEATURE", lambda w: scrubbed(w, strata={"parity": w.parity})),
    "clusters by position": ("SCR-FEATURE", lambda w: scrubbed(w, clusters=w.token_parity.feature)),
    "device in words": ("SCR-DEVICE", lambda w: scrubbed(w, device="the second GPU")),
    "TF32 by name": ("SCR-SETTING", lambda w: scrubbed(w, tf32="on")),
    "no pool": ("SCR-SETTING", lambda w: Settings(pool=0)),
    "a pool of more than there is": ("SCR-SETTING", lambda w: scrubbed(w, pool=10**6)),
    "parts of a run": ("SCR-REFERENCES", lambda w: scrubbed(w, shard=(3, 2))),
    "series of another kind": ("SCR-SERIES", lambda w: scrubbed(w, series=[1.0, 2.0])),
    "unknown baseline": ("SCR-BASELINE", lambda w: scrubbed(w, baselines=["null", "unigram"])),
    "zero that is not computed": ("SCR-BASELINE", lambda w: scrubbed(w, baselines=["constant"])),
    "baselines in a list": ("SCR-SETTING", lambda w: scrubbed(w, extra_baselines=["bigram"])),
    "a baseline that is a hypothesis": (
        "SCR-BASELINE",
        lambda w: scrubbed(w, extra_baselines={"other": w.hypothesis()}),
    ),
    "losses of another shape": (
        "SCR-BASELINE",
        lambda w: scrubbed(w, extra_baselines={"flat": Baseline("flat", losses=lambda data: np.zeros(len(data)))}),
    ),
    "unknown measure": ("SCR-MEASURE", lambda w: scrubbed(w, measures=["acuracy"])),
    "a measure that is a function": ("SCR-MEASURE", lambda w: scrubbed(w, measures=[len])),
    "a measure of whole batches": ("SCR-MEASURE", lambda w: scrubbed(w, measures=[Odd(lambda x: x.mean())])),
    "a measure of nothing": ("SCR-MEASURE", lambda w: scrubbed(w, measures=[Odd(lambda x: None)])),
    "accuracy of numbers": ("SCR-MEASURE", lambda w: on_numbers(w).correct),
    "a measure that was not taken": ("SCR-MEASURE", lambda w: on_numbers(w).measure("odd")),
    "unknown control": ("SCR-PLUGIN", lambda w: scrubbed(w, controls=["shuffled"])),
    "a control that is a function": ("SCR-PLUGIN", lambda w: scrubbed(w, controls=[len])),
    "fresh weights of a toy": ("SCR-CONTROL", lambda w: on_numbers(w, controls=["fresh-weights-1"])),
    "no other place": (
        "SCR-CONTROL",
        lambda w: on_numbers(w, Variable("all of it", everything), controls=["random-hypotheses"]),
    ),
    "no heads to permute": ("SCR-CONTROL", lambda w: on_numbers(w, controls=["permuted-heads"])),
    "a perturbation that is a function": ("SCR-PERTURB", lambda w: scrubbed(w, perturbations=[len])),
    "one perturbation": ("SCR-SETTING", lambda w: scrubbed(w, perturbations=Perturb("odd", lambda data, u: {}))),
    "two perturbations of one name": (
        "SCR-PERTURB",
        lambda w: scrubbed(w, perturbations=2 * [Perturb("other tokens", lambda data, u: {})]),
    ),
    "a perturbation without a name": ("SCR-NAME", lambda w: scrubbed(w, perturbations=[Perturb(3, len)])),
    "a perturbation of nothing": ("SCR-PERTURB", lambda w: perturbed(w, Perturb("other tokens", lambda data, u: {}))),
    "a perturbation of other columns": (
        "SCR-PERTURB SCR-PERTURB",
        lambda w: perturbed(
            w, Perturb("other words", lambda data, u: {"words": data["tokens"], "tokens": data["tokens"][:, :2]})
        ),
    ),
    "a perturbation to other numbers": (
        "SCR-PERTURB",
        lambda w: perturbed(w, Perturb("halves", lambda data, u: {"tokens": data["tokens"] / 2})),
    ),
    "a perturbation that fails": (
        "SCR-CODE",
        lambda w: perturbed(w, Perturb("odd", lambda data, u: {"tokens": data["tokens"] + u})),
    ),
    "unknown executor": ("SCR-PLUGIN", lambda w: scrubbed(w, executor="cluster")),
    "an executor that is a number": ("SCR-PLUGIN", lambda w: scrubbed(w, executor=4)),
    "an executor that is a class of something else": ("SCR-CODE", lambda w: scrubbed(w, executor=int)),
    "a function that returns no executor": ("SCR-PLUGIN", lambda w: scrubbed(w, executor=lambda settings: settings)),
    "two controls of one name": (
        "SCR-PLUGIN",
        lambda w: controls.add("shuffled-labels", Control("shuffled-labels", "other", "holds", lambda trial: trial)),
    ),
    "two measures of one name": ("SCR-MEASURE", lambda w: measures.add("kl", Odd(lambda x: x))),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings(case, world, refused):
    codes, call = SETTINGS[case]
    refused(UsageError, codes, lambda: call(world), hide={r"already, from .*": "already, from FILE:LINE."})


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta"])
def test_a_device_that_is_not_here(device, world, refused):
    hide = {r"here \(.*\)": "here (<words of torch>)", r"There are: .*": "There are: <devices>."}
    refused(UsageError, "SCR-DEVICE", lambda: scrubbed(world, device=device), hide)


def test_a_model_that_cannot_be_moved(world, refused):
    class Still(type(world.models("native classifier"))):
        to = Model.to

    there = world.models("native classifier")
    still = Still(there.spec, there.weights, None, "still")
    still.device = torch.device("meta")
    refused(UsageError, "SCR-DEVICE", lambda: scrubbed(world, model=still, device="cpu"))


def test_everything_at_once(world, refused):
    """One message names each fault of all settings, those with unknown names among them."""
    wrong = {
        "drwas": 3,
        "draws": 0,
        "ablation": "median",
        "strata": {"where": world.token_parity.feature},
        "slices": {"there": "everywhere"},
        "zero_baseline": "heads",
        "extra_baselines": {"null": Baseline("another", losses=lambda data: data)},
        "measures": ["acuracy"],
        "controls": ["shuffled"],
        "perturbations": [len],
        "executor": "cluster",
    }
    codes = "SETTING DRAWS ABLATION FEATURE FEATURE BASELINE BASELINE MEASURE PLUGIN PLUGIN PERTURB"
    refused(UsageError, " ".join(f"SCR-{code}" for code in codes.split()), lambda: scrubbed(world, **wrong))


def test_a_measure_that_is_not_finite(world, refused):
    nan = Odd(lambda x: torch.full((len(x),), float("nan")))
    refused(ModelMismatch, "SCR-NAN", lambda: scrubbed(world, measures=[nan]))


def test_a_control_that_makes_an_illegal_hypothesis(world, refused):
    """Where it went wrong is said: the hypothesis itself is legal."""
    from dataclasses import replace

    from scrubbing import IllegalHypothesis

    never = Feature("never", compute=lambda data: data.ids < 0)
    scoped = Control(
        "nowhere", "on no input", "holds", lambda t: replace(t, hypothesis=replace(t.hypothesis, scope=never))
    )
    refused(IllegalHypothesis, "SCR-SCOPE", lambda: scrubbed(world, controls=[scoped]))
