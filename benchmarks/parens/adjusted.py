"""The share of opening parentheses that head 0.0 sees: suffix shares weighted by its mean attention.

For a query at position i the head's attention to parentheses is averaged over those before i and over those from i on;
every parenthesis then counts with the average of its side. Attention is computed from embeddings alone, with the mean
of the normed `(` and `)` embeddings as keys, per input length. Source: the original study's description of experiment
3b.

All of it is in float32 and in the order in which the original code computes it. That matters: for a count-balanced
string the share is one half only in mathematics, and this order puts 27 % of the balanced strings on the wrong side of
0.5, as the original's did. Another order loses 4 to 8 %, float64 still 8 %. Only a tolerance cures it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.parens.strings import CLOSE, END, OPEN, PAD, POSITIONS, START
from scrubbing.models.transformer import Transformer

_BATCH = 5000


def adjusted_open_share(model: Transformer, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Weighted share of `(` for a query at each position, `[n, 42]`; meaningless at PAD and END."""
    weights = _weights(_attention(model))
    lengths = torch.from_numpy((tokens != PAD).sum(axis=1))
    is_open = torch.from_numpy(tokens == OPEN)
    parts = [
        (weights[lengths[start : start + _BATCH]] * is_open[start : start + _BATCH, None, :]).sum(-1)
        for start in range(0, len(tokens), _BATCH)
    ]
    return torch.cat(parts).numpy()


def _attention(model: Transformer) -> NDArray[np.float32]:
    """Attention of head 0.0 by input length, query and key, `[43, 42, 42]`."""
    from scipy.special import softmax

    attention, weights = model.weights.attention[0], model.weights
    assert weights.W_pos is not None and attention.b_Q is not None and attention.b_K is not None
    normed = attention.norm(weights.W_pos[:POSITIONS, None] + weights.W_E[None]).cpu()
    length = torch.arange(POSITIONS + 1)[:, None, None]
    query = _projected(_inputs(normed, normed[:, OPEN], length), attention.W_Q[0].cpu()) + attention.b_Q[0].cpu()
    parens = normed[:, [OPEN, CLOSE]].mean(1)
    key = _projected(_inputs(normed, parens, length), attention.W_K[0].cpu()) + attention.b_K[0].cpu()
    scores = torch.einsum("lqe,lke->lqk", query, key)
    scores = torch.where(torch.arange(POSITIONS) >= length, scores - 10_000, scores)
    return softmax(scores.numpy() / np.float32(query.shape[-1] ** 0.5), axis=-1)


def _projected(x: Tensor, W: Tensor) -> Tensor:
    return torch.einsum("ed,lqd->lqe", W.T.contiguous(), x)


def _inputs(normed: Tensor, parens: Tensor, length: Tensor) -> Tensor:
    """Normed embeddings of an input of each length whose parentheses are all `parens`, `[43, 42, d]`."""
    position = torch.arange(POSITIONS)[None, :, None]
    made = torch.where(position < length, parens, normed[:, PAD])
    made = torch.where(position == 0, normed[0, START], made)
    return torch.where(position == length - 1, normed[:, END], made)


def _weights(attention: NDArray[np.float32]) -> Tensor:
    """Weight of each parenthesis for each query, by length, `[43, 42, 42]`; rows sum to one over parentheses."""
    query, key = np.arange(POSITIONS)[:, None], np.arange(POSITIONS)[None]
    total = torch.zeros(attention.shape)
    for length in range(4, POSITIONS + 1):
        parens = (key >= 1) & (key <= length - 2)
        for side in (parens & (key < query), parens & (key >= query)):
            some = side.any(axis=1, keepdims=True)
            mean = np.where(some, attention[length].sum(axis=1, keepdims=True, where=side), 0)
            mean = np.divide(mean, side.sum(axis=1, keepdims=True), out=np.zeros_like(mean), where=some)
            total[length] += torch.from_numpy(side * mean.astype(np.float32))
    return total / total.sum(-1, keepdim=True)
