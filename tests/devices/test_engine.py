"""Every family of models on a device: outputs, the check that nodes add up, and the oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import same

from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.errors import NothingToDraw
from scrubbing.models.check import random_inputs
from scrubbing.models.precision import TOLERANCE
from scrubbing.models.transformer_lens import OwnModules, from_bridge
from scrubbing.models.transformer_lens.tiny import NAMES, POSITIONS, VOCABULARY, tiny
from scrubbing.sampling.contexts import SCRUB
from scrubbing.testing import check_model
from scrubbing.testing.conformance import last_real
from scrubbing.testing.random_hypotheses import random_hypothesis
from tests.thin import thinned

CASES = range(3)
ROWS = np.arange(4)


def data(padded):
    return random_inputs(VOCABULARY, POSITIONS, padded, n=12, seed=3)


def outputs(model, inputs, case, mode=SCRUB, **options):
    engine = Engine(model, inputs, fixed(tuple(range(POSITIONS))), **options)
    hypothesis = random_hypothesis(engine.graph, inputs, case)
    try:
        return engine.outputs(engine.compile(hypothesis, mode), ROWS, 2, case).float().cpu().numpy()
    except NothingToDraw:
        return np.zeros(0)


@pytest.mark.parametrize(
    ("family", "dtype"),
    thinned(
        pytest.param(family, dtype, id=f"{family}-{str(dtype).removeprefix('torch.')}")
        for i, family in enumerate(NAMES)
        for dtype in [*TOLERANCE][:: 1 - 2 * (i % 2)]
    ),
)
def test_every_family_in_every_precision(family, dtype, there):
    model = from_bridge(tiny(family, dtype=dtype), dtype=dtype, name=family)
    moved = model.to(there)
    assert moved.device.type == there and moved.fingerprint == model.fingerprint
    first = 10 * NAMES.index(family)  # every family has hypotheses of its own
    for case in range(first, first + (4 if dtype == torch.float32 else 1)):
        inputs, options = (
            data(padded=case % 2 == 0),
            {"memory": 2**12 if case % 4 == 3 else 2**20, "store": case % 3 != 2},
        )
        if case % 4 == 2:
            options["read"] = last_real
        wanted = outputs(model, inputs, case, **options)
        same(outputs(moved, inputs, case, **options), wanted, f"{family}, {dtype}, {case}", dtype)


@pytest.mark.parametrize("family", thinned(NAMES))
def test_the_oracle_agrees_there(family, there):
    model = from_bridge(tiny(family), name=family).to(there)
    inputs = random_inputs(VOCABULARY, 4, padded=True, n=12)
    check_model(model, inputs, cases=2, references=1, seed=100)


@pytest.mark.parametrize("family", thinned(["native LN", "GPT-2", "Gemma 2"], 3, 1))
def test_the_models_own_modules_agree_there(family, there):
    """They stay where the bridge is; what they return is compared on the device."""
    bridge = tiny(family)
    model = from_bridge(bridge, name=family).to(there)
    inputs = random_inputs(VOCABULARY, 4, padded=True, n=12)
    check_model(model, inputs, nodes=OwnModules(bridge), cases=2, references=1, seed=100)


@pytest.mark.parametrize("unclaimed", ["mean", "zero", "noise"])
@pytest.mark.parametrize("padded", [False, True])
def test_ablations(unclaimed, padded, there):
    """Means and covariances are sums that no two runs may add in another order."""
    model, mode = from_bridge(tiny("native LN")), replace(SCRUB, unclaimed=unclaimed)
    moved = model.to(there)
    for case in CASES:
        wanted = outputs(model, data(padded), case, mode)
        same(outputs(moved, data(padded), case, mode), wanted, f"{unclaimed}, {case}")


def test_there_and_back(there):
    model = from_bridge(tiny("Llama"))
    back = model.to(there).to("cpu")
    assert back.device == torch.device("cpu") and back.fingerprint == model.fingerprint
    np.testing.assert_array_equal(outputs(back, data(True), 1), outputs(model, data(True), 1))
