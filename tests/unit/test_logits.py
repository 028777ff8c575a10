"""Cross-entropy, divergence and the most likely class, in pieces, against float64 on the whole."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from scrubbing.metrics import logits as under_test
from scrubbing.metrics.logits import cross_entropy, divergence, log_sum, most_likely

CLOSE = {torch.float64: 1e-12, torch.float32: 1e-6, torch.float16: 1e-6, torch.bfloat16: 1e-6}


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize(("tokens", "classes"), [(0, 3), (1, 1), (7, 2), (40, 300), (3, 50_257)])
@pytest.mark.parametrize("size", [0.1, 30.0])
def test_against_float64(dtype, tokens, classes, size, monkeypatch):
    monkeypatch.setattr(under_test, "_PIECE", 1000)
    generator = torch.Generator().manual_seed(tokens)
    model, scrubbed = ((size * torch.randn(tokens, classes, generator=generator)).to(dtype) for _ in "ab")
    targets = torch.randint(classes, (tokens,), generator=generator)
    p, q = model.double().log_softmax(1), scrubbed.double().log_softmax(1)
    close = {"rtol": CLOSE[dtype], "atol": CLOSE[dtype]}
    torch.testing.assert_close(divergence(model, scrubbed), (p.exp() * (p - q)).sum(1).clamp(min=0), **close)
    wanted = F.cross_entropy(scrubbed.double(), targets, reduction="none")
    torch.testing.assert_close(cross_entropy(scrubbed, targets), wanted, **close)
    torch.testing.assert_close(log_sum(model), model.double().logsumexp(1), **close)
    assert torch.equal(most_likely(model), model.argmax(1))


def test_means_are_close():
    """Errors of single tokens are roundings, and average out."""
    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.randn(20_000, 300, generator=generator)
    targets = torch.randint(300, (20_000,), generator=generator)
    wanted = F.cross_entropy(x.double(), targets)
    assert abs(float(cross_entropy(x, targets).mean() - wanted)) < 2e-9


def test_equal_outputs_do_not_diverge():
    x = torch.randn(50, 300)
    assert (divergence(x, x.clone()) == 0).all()


def test_the_first_of_equal_classes_is_the_most_likely():
    x = torch.tensor([[1.0, 2.0, 2.0], [0.0, -0.0, 0.0], [1.0, torch.nan, 3.0], [-torch.inf] * 3])
    for dtype in CLOSE:
        assert torch.equal(most_likely(x.to(dtype)), x.to(dtype).argmax(1))


def test_what_is_impossible():
    """A class of probability zero, and a row without any number."""
    x = torch.tensor([[0.0, -torch.inf], [torch.nan, 0.0], [torch.inf, 0.0]])
    found = cross_entropy(x, torch.tensor([0, 0, 0]))
    assert found[0] == 0 and not found[1:].isfinite().any()
    assert cross_entropy(x[:1].clone(), torch.tensor([1])).isposinf().all()


def test_what_is_known_of_a_tensor_goes_with_it():
    before = len(under_test._known)
    x = torch.randn(5, 7)
    log_sum(x), most_likely(x)
    assert len(under_test._known) == before + 1
    assert log_sum(x) is log_sum(x)
    del x
    assert len(under_test._known) == before
