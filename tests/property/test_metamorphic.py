"""What must not change a result, and the two hypotheses whose result is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import anything, everything
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.errors import NothingToDraw
from scrubbing.hypothesis.claims import OUTPUT, Claim, Target, reads
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.samplers import Fixed, Unclaimed, exact
from scrubbing.testing.random_hypotheses import random_hypothesis

LENGTH = 5
OUT = Variable("output", everything)
FAMILIES = ("native classifier", "GPT-2", "Llama")

seeds = st.integers(0, 10_000)
few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def inputs() -> Dataset:
    return random_inputs(VOCABULARY, LENGTH, padded=True, n=13)


def scrubbed(model: Any, data: Dataset, hypothesis: Hypothesis, ids: list[int], **options: Any) -> torch.Tensor:
    """Outputs at real positions, `[draws, references, positions, d_out]`; zero elsewhere."""
    keep = {key: options.pop(key) for key in ("store", "spill", "memory") if key in options}
    engine = Engine(model, data, fixed(tuple(range(LENGTH))), **keep)
    rows = np.array([int(np.flatnonzero(data.ids == identity)[0]) for identity in ids])
    found = engine.outputs(engine.compile(hypothesis), rows, draws=2, seed=7, **options)
    real = torch.from_numpy(np.array(data["mask"][rows]))[None, :, :, None]
    return torch.where(real, found, torch.zeros(()))


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=seeds)
@few
def test_order_batch_store_and_split_change_nothing(family: str, seed: int, tiny_model: Any, tmp_path: Path) -> None:
    model, data = tiny_model(family), inputs()
    hypothesis = random_hypothesis(model.graph(data), data, seed)
    ids = [0, 3, 5, 8]
    try:
        wanted = scrubbed(model, data, hypothesis, ids)
    except NothingToDraw:  # a group that leaves itself out may have one member
        reject()
    order = np.random.default_rng(seed).permutation(len(data))
    assert torch.allclose(scrubbed(model, data.take(order), hypothesis, ids), wanted, atol=2e-5), "order of the dataset"
    assert torch.allclose(scrubbed(model, data, hypothesis, ids, batch=1), wanted, atol=2e-5), "batch size"
    assert torch.allclose(scrubbed(model, data, hypothesis, ids, store=False), wanted, atol=2e-5), "no store"
    on_disk = scrubbed(model, data, hypothesis, ids, spill=str(tmp_path), memory=2**12)
    assert torch.allclose(on_disk, wanted, atol=2e-5), "store on disk"
    halves = [scrubbed(model, data, hypothesis, part) for part in (ids[:2], ids[2:])]
    assert torch.allclose(torch.cat(halves, dim=1), wanted, atol=2e-5), "references split over workers"
    assert torch.equal(scrubbed(model, data, hypothesis, ids), wanted), "the same run again is the same bit for bit"


def exactly(claim: Claim) -> Claim:
    """The same claims with every draw replaced by the held input."""
    from dataclasses import replace

    children = tuple(exactly(child) for child in claim.children)
    unclaimed = replace(claim.unclaimed or Unclaimed(), sampler=exact)
    return replace(claim, children=children, sampler=exact, unclaimed=unclaimed, exclude_self=False, group=None)


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=seeds)
@few
def test_exact_everywhere_is_the_model(family: str, seed: int, tiny_model: Any) -> None:
    model, data = tiny_model(family), inputs()
    made = random_hypothesis(model.graph(data), data, seed)
    hypothesis = Hypothesis("exact", "nothing is exchanged", exactly(made.correspondence))
    ids = [0, 4, 9]
    own = scrubbed(model, data, Hypothesis("model", "the model", OUTPUT.carries(OUT)), ids)
    for store in (True, False):
        assert torch.allclose(scrubbed(model, data, hypothesis, ids, store=store), own, atol=5e-5)


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=seeds)
@few
def test_every_plan_without_draws_is_the_model(family: str, seed: int, tiny_model: Any) -> None:
    """Claims and rewrites as they are, every draw replaced by the reference: the check that runs before each scrub."""
    model, data = tiny_model(family), inputs()
    hypothesis = random_hypothesis(model.graph(data), data, seed)
    claims = list(hypothesis.correspondence.walk())
    if any(isinstance(one, Fixed) for claim in claims for one in (claim.sampler, hypothesis.rule(claim).sampler)):
        return  # the input it is fixed to may be gone from what is taken below
    full = data.take(data["mask"].all(axis=1))  # the model's own output at padded positions means nothing
    engine = Engine(model, full, fixed(tuple(range(LENGTH))))
    engine.verify(engine.compile(hypothesis), np.arange(len(full)))


@pytest.mark.parametrize("family", FAMILIES)
def test_unclaimed_everything_at_the_root_is_the_null(family: str, tiny_model: Any) -> None:
    """Each scrubbed output is the model's own output on some input, every input turning up about equally often."""
    model, data = tiny_model(family), random_inputs(VOCABULARY, LENGTH, padded=False, n=5)
    hypothesis = Hypothesis("null", "nothing matters", OUTPUT.carries(OUT, reads().carries(Variable("any", anything))))
    engine = Engine(model, data, fixed(tuple(range(LENGTH))))
    rows = np.arange(5)
    found = engine.outputs(engine.compile(hypothesis), rows, draws=400, seed=0).reshape(2000, -1)
    own = engine.outputs(engine.compile(Hypothesis("m", "", OUTPUT.carries(OUT))), rows, draws=1, seed=0).reshape(5, -1)
    nearest = torch.cdist(found.double(), own.double())
    assert float(nearest.min(dim=1).values.max()) < 1e-3
    counts = np.bincount(nearest.argmin(dim=1).numpy(), minlength=5)
    assert np.abs(counts - 400).max() < 4 * np.sqrt(400 * 0.8)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_node_claimed_direct_equals_the_node_claimed_part_by_part(family: str, tiny_model: Any) -> None:
    """Claiming a projection and its complement on one shared draw is claiming the node."""
    from scrubbing.parts import project

    model, data = tiny_model(family), inputs()
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(model.d_model, model.d_model)))[0].T
    node = Target(sorted(model.graph(data).upstream[model.graph(data).output])[0])
    variable = Variable("any", anything)
    parts = (
        node.direct().part(project(basis[:3])).carries(variable, group="g"),
        node.direct().part(project(basis[3:])).carries(variable, group="g"),
    )
    whole = node.direct().carries(variable, group="g")
    ids = [0, 4, 9]
    first = scrubbed(model, data, Hypothesis("parts", "", OUTPUT.carries(OUT, *parts)), ids)
    second = scrubbed(model, data, Hypothesis("whole", "", OUTPUT.carries(OUT, whole)), ids)
    assert torch.allclose(first, second, atol=2e-5)
