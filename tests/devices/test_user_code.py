"""Code of users on a device: what it holds elsewhere is an error that names it, and what it computes there is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import same

from scrubbing import (
    OUTPUT,
    Classification,
    Experiment,
    Hypothesis,
    UsageError,
    Variable,
    everything,
    feature,
    head,
    load_model,
    part,
    scrub,
)
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import POSITIONS, VOCABULARY, tiny
from scrubbing.parts import activation, function, project

HELD = torch.full((8,), 0.5)
DATA = random_inputs(VOCABULARY, POSITIONS, False, n=30)
DATA = DATA.with_columns(label=DATA["tokens"][:, 0] % 2)


@feature
def parity(data):
    """Of the first token."""
    return data["tokens"][:, 0] % 2


KEPT = Variable("parity", parity)


def scrubbed(one, loss=None, **options):
    claim = (
        head(1, 0).any_path().carries(KEPT, part(one).carries(KEPT))
        if one is not None
        else head(1, 0).any_path().carries(KEPT)
    )
    hypothesis = Hypothesis("parts", "A part matters.", OUTPUT.carries(Variable("all", everything), claim))
    model = from_bridge(tiny("native classifier"))
    return scrub(hypothesis, model, DATA, loss or Classification("label"), references=8, draws=2, **options)


def holding(x):
    return x * HELD


def bringing(x):
    return x * HELD.to(x.device)


def taking_home(x):
    return x.cpu() * HELD


def wave(data):
    return np.sin(data["tokens"].astype(float))


class Weighted(Classification):
    """A loss that holds a tensor."""

    def per_token(self, output, data, rows, positions):
        return super().per_token(output * torch.ones(2), data, rows, positions)


class Held:
    """A measure that holds a tensor."""

    name, meaning, unit = "held", "something", "nats"

    def defined(self, loss):
        return True

    def per_token(self, predictions):
        return (predictions.scrubbed * torch.ones(2)).sum(1)


@pytest.mark.parametrize("compute", [holding, taking_home])
def test_a_part_that_is_elsewhere_is_named(compute, there):
    with pytest.raises(Exception, match=rf"(?s)SCR-DEVICE.*activation\({compute.__name__}\)"):
        scrubbed(activation(compute), device=there)


def test_a_loss_and_a_measure_that_are_elsewhere_are_named(there):
    with pytest.raises(UsageError, match=r"(?s)SCR-DEVICE.*the loss 'cross-entropy"):
        scrubbed(None, Weighted("label"), device=there)
    with pytest.raises(UsageError, match=r"(?s)SCR-DEVICE.*measure 'held'"):
        scrubbed(None, measures=[Held()], device=there)


PARTS = {
    "activation": lambda: activation(bringing),
    "project": lambda: project(np.arange(8.0)),
    "function": lambda: function(wave, along=np.arange(8.0)),
}


@pytest.mark.parametrize("there", [True, False], indirect=True, ids=["", "without float64"])
@pytest.mark.parametrize("one", PARTS)
def test_parts_compute_the_same_there(one, there):
    wanted, found = scrubbed(PARTS[one]()), scrubbed(PARTS[one](), device=there)
    for name, losses in wanted.losses.items():
        same(found.losses[name], losses, name)


@pytest.mark.parametrize("there", [False], indirect=True)
def test_a_model_in_float64_is_refused_where_there_is_none(there):
    model = from_bridge(tiny("native LN", dtype=torch.float64), dtype=torch.float64)
    with pytest.raises(UsageError, match=r"SCR-DEVICE.*float64"):
        model.to(there)


def test_loaders_take_a_device(there, tmp_path):
    from scrubbing.models.transformer.checkpoint import to_file

    path = tmp_path / "model.safetensors"
    to_file(from_bridge(tiny("native LN")), path)
    model = load_model(path, device=there)
    assert model.device.type == there
    assert Experiment(model, DATA, Classification("label")).but(device="cpu").model.device.type == "cpu"
