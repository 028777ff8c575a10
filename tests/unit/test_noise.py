"""The noise of a seed does not depend on which eigenvectors a library finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scrubbing import OUTPUT, Hypothesis, Variable, everything, head
from scrubbing.engine import statistics
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import POSITIONS, VOCABULARY, tiny
from scrubbing.sampling.contexts import Mode

KEPT = Variable("all", everything)
HYPOTHESIS = Hypothesis("noise", "Something.", OUTPUT.carries(KEPT, head(1, 0).direct().carries(KEPT)))
EIGENVECTORS = statistics._eigh


def other_signs(symmetric):
    """As CUDA found them where the CPU did not."""
    sizes, basis = EIGENVECTORS(symmetric)
    signs = torch.tensor([1.0, -1.0], dtype=basis.dtype).repeat(basis.shape[-1])[: basis.shape[-1]]
    return sizes, basis * signs


def other_bases(symmetric):
    """Eigenvalues of equal size have any basis: here those that are zero, since inputs are fewer than dimensions."""
    sizes, basis = EIGENVECTORS(symmetric)
    basis = basis.clone()
    for size, columns in zip(sizes, basis, strict=True):
        equal = size < 1e-9 * max(size.max(), 1e-300)
        assert equal.sum() > 1
        columns[:, equal] = columns[:, equal].flip(1)
    return sizes, basis


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("found", [other_signs, other_bases])
def test_the_noise_of_a_seed_is_the_same(found, padded, monkeypatch):
    model, inputs = from_bridge(tiny("native LN")), random_inputs(VOCABULARY, POSITIONS, padded, n=6, seed=3)

    def outputs():
        engine = Engine(model, inputs, fixed(tuple(range(POSITIONS))))
        compiled = engine.compile(HYPOTHESIS, Mode(unclaimed="noise"))
        return engine.outputs(compiled, np.arange(4), 2, 0)

    wanted = outputs()
    monkeypatch.setattr(statistics, "_eigh", found)
    np.testing.assert_allclose(outputs(), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_the_root_is_of_the_covariance(rank):
    spread = torch.randn(4, 6, rank, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    covariance = spread @ spread.mT
    root = statistics._root(covariance)
    torch.testing.assert_close(root @ root, covariance)
    torch.testing.assert_close(root, root.mT)
