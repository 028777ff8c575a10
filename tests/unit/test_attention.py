"""Zeros behind keys, for fused attention on a CPU, change nothing but the last digits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from scrubbing.models.precision import TOLERANCE
from scrubbing.models.transformer.attention import _filled

LENGTHS = [*range(28, 52), 63, 64, 65, 127, 128, 129]


def made(n, dtype, transposed):
    """Queries, keys and values `[rows, heads, n, d_head]`, as projections or as copies for several query heads."""
    generator = torch.Generator().manual_seed(n)
    shape = (3, n, 4, 8) if transposed else (3, 4, n, 8)
    drawn = [torch.randn(shape, generator=generator).to(dtype) for _ in range(3)]
    return [one.transpose(1, 2) if transposed else one for one in drawn]


def written_out(q, k, v):
    """Causal attention in float64, each query over the keys up to its own."""
    q, k, v = q.double(), k.double(), v.double()
    scores = q @ k.transpose(2, 3)
    hidden = torch.ones(scores.shape[2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("transposed", [True, False])
def test_every_length(dtype, transposed):
    for n in LENGTHS:
        q, k, v = made(n, dtype, transposed)
        for queries in (n, n - 1, 1):
            first = q[:, :, :queries]
            found = F.scaled_dot_product_attention(first, _filled(k), _filled(v), is_causal=True, scale=1.0)
            wanted = written_out(first, k, v)
            assert found.shape == wanted.shape
            assert (found.double() - wanted).abs().max() <= TOLERANCE[dtype] * v.double().abs().max(), (n, queries)


@pytest.mark.parametrize("n", LENGTHS)
def test_only_as_many_as_fill_up(n):
    (_, k, _) = made(n, torch.float32, True)
    filled = _filled(k)
    assert filled.shape[2] == (n if n < 32 else -(-n // 16) * 16)
    assert torch.equal(filled[:, :, :n], k)
    assert not filled[:, :, n:].any()


def test_gradients_pass():
    q, k, v = (one.requires_grad_() for one in made(37, torch.float64, False))
    F.scaled_dot_product_attention(q, _filled(k), _filled(v), is_causal=True, scale=1.0).square().sum().backward()
    found = [one.grad.clone() for one in (q, k, v)]
    for one in (q, k, v):
        one.grad = None
    written_out(q, k, v).square().sum().backward()
    for one, grad in zip((q, k, v), found, strict=True):
        torch.testing.assert_close(grad, one.grad)
