"""A user's own module on a device: traced, checked and scrubbed there, with the numbers of the CPU."""

from __future__ import annotations

import numpy as np
import torch
from conftest import same
from torch import nn

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Hypothesis,
    Variable,
    everything,
    feature,
    from_module,
    node,
    scrub,
)

RNG = np.random.default_rng(0)
DATA = Dataset({"input": RNG.normal(size=(40, 4)), "label": np.arange(40) % 2})


@feature
def sign(data):
    """Of the first number."""
    return data["input"][:, 0] > 0


MINE = Hypothesis(
    "mine",
    "One layer.",
    OUTPUT.carries(Variable("all", everything), node("layer2").direct().carries(Variable("s", sign))),
)


def test_moved_and_scrubbed(there):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    here = from_module(net, DATA, nodes=["0", "2"])
    moved = from_module(net, DATA, nodes=["0", "2"], device=there)
    assert moved.device.type != here.device.type and moved.fingerprint == here.fingerprint
    found, wanted = (scrub(MINE, model, DATA, Classification(), references=10, draws=2) for model in (moved, here))
    same(found.losses["scrubbed"], wanted.losses["scrubbed"])
    asked = scrub(MINE, here, DATA, Classification(), references=10, draws=2, device=there)
    same(asked.losses["scrubbed"], wanted.losses["scrubbed"])
