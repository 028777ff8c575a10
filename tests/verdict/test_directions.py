"""Learned directions: the planted one is found, and one that works off the model's paths is told apart."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from benchmarks.groundtruth.columns import column
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
    node,
)
from scrubbing.search import directions, subspaces

F, G = column("f"), column("g")


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(subspaces, "STEPS", 100)
    monkeypatch.setattr(subspaces, "STARTS", 2)


def data(n=600):
    x = np.random.default_rng(0).integers(0, 2, (n, 3)).astype(float)
    return Dataset({"x": x, "f": x[:, 0].astype(int), "g": x[:, 1].astype(int), "label": x[:, 0]})


def carries(feature):
    claim = node("w").direct().into("a").carries(Variable("bit", feature))
    return Hypothesis("toy/bit", "It is a bit.", OUTPUT.carries(Variable("output", everything), claim))


def planted(seed=0):
    """A node that writes three bits, turned at random, of which the output reads one."""
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    nodes = {"w": (lambda x: x @ turn, {"x": ["x"]}), "out": (lambda a: a @ turn[:1].T, {"a": ["w"]})}
    return turn.numpy(), Experiment(ToyModel({"x": "x"}, nodes), data(), SquaredError("label"), baselines=False)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_planted_direction_is_found_and_is_an_ordinary_part(seed):
    turn, experiment = planted(seed)
    found = directions(experiment, carries(F), "bit")
    assert abs(found.vectors[0] @ turn[0]) > 0.999
    assert found.recovered.value > 0.999
    assert found.interchange.agrees > 0.999 > 0.8 > found.interchange.without
    assert found.warning == ""
    assert "100.0% recovered" in str(found)
    assert Hypothesis.from_json(json.loads(json.dumps(found.hypothesis.to_json()))) == found.hypothesis
    names: dict[str, object] = {}
    exec(found.hypothesis.to_source(), names)
    assert found.hypothesis in [one for one in names.values() if isinstance(one, Hypothesis)]
    assert experiment.run(found.hypothesis).loss().value < 1e-3


def test_a_direction_cannot_carry_what_its_node_does_not_tell():
    _, experiment = planted()
    assert directions(experiment, carries(G), "bit").recovered.value < 0.2


def off_the_paths():
    """The node writes the bit where nobody reads it, and nothing where it is read; the bit comes another way."""
    nodes = {
        "w": (lambda x: torch.cat([x[:, :1], 0 * x[:, :1]], 1), {"x": ["x"]}),
        "o": (lambda f: f, {"f": ["f"]}),
        "out": (lambda a, b: a[:, 1:] + b, {"a": ["w"], "b": ["o"]}),
    }
    return Experiment(ToyModel({"x": "x", "f": "f"}, nodes), data(), SquaredError("label"), baselines=False)


def test_a_subspace_that_works_by_activity_off_the_paths_is_warned_of():
    found = directions(off_the_paths(), carries(F), "bit")
    assert np.allclose(abs(found.vectors[0]), np.sqrt(0.5), atol=0.05)
    assert found.recovered.value > 0.5 > abs(found.whole.value)
    assert abs(found.read.value) < 0.1
    assert "off the model's paths" in found.warning
    assert found.warning in str(found)


@pytest.mark.parametrize(
    ("name", "width", "told"), [("bits", 1, "0 claims"), ("bit", 3, "width=3"), ("bit", 0, "width=0")]
)
def test_what_cannot_be_learned_is_refused(name, width, told):
    _, experiment = planted()
    with pytest.raises(UsageError, match=rf"SCR-SEARCH.*{told}"):
        directions(experiment, carries(F), name, width)
