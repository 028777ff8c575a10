"""Attention of some heads of one layer, with queries, keys and values read from inputs of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scrubbing.hypothesis.parts import Part
from scrubbing.models.tokens import Tokens
from scrubbing.models.transformer.weights import Attention, Spec, Weights


def attend(
    spec: Spec,
    weights: Weights,
    layer: int,
    heads: Sequence[int],
    prepared: tuple[Tensor, Tensor, Tensor],
    queries: Tokens,
    keys: Tokens,
    visible: Tensor | None,
    part: Part | None = None,
) -> Tensor:
    """The heads' mixed values before the output matrix, `z`.

    Args:
        spec: of the family.
        weights: of the model.
        layer: which layer.
        heads: which query heads.
        prepared: normed inputs of q `[queries, d]`, k and v `[keys, d]`.
        queries: tokens of q and of the result.
        keys: tokens of k and v.
        visible: bool `[rows, positions]`, keys that may be seen; None for all.
        part: only what flows through these (query, key) pairs.

    Returns:
        `[queries, heads, d_head]`.
    """
    attention = weights.attention[layer]
    xq, xk, xv = prepared
    q = _project(xq, attention.W_Q, attention.b_Q, heads)
    if spec.positions.startswith("rotary"):
        q = _rotate(q, queries.positions, weights, spec)
    hidden = _hidden(spec, layer, queries, keys, visible)
    q = queries.grid(q) * spec.attention_scale
    chosen = None if part is None else _chosen(part, queries, keys)
    if part is not None and part.kind == "as_if":
        assert chosen is not None
        return queries.flat(_as_if(attention, heads, xv, keys, chosen if hidden is None else chosen & ~hidden))
    few = _few_queries(spec, attention, heads, queries, keys)
    mix = _attend_few if few else _attend_many
    return queries.flat(mix(spec, weights, attention, heads, q, keys, xk, xv, _Shown(hidden, chosen)))


def attend_flops(
    spec: Spec, attention: Attention, heads: Sequence[int], queries: float, keys: float, rows: float
) -> float:
    """Floating-point operations of `attend` for this many tokens over this many rows."""
    _, d, d_head = attention.W_Q.shape
    h, kv = len(heads), len(set(_kv(attention, heads)))
    per_row = keys / max(rows, 1)
    many = 4 * keys * d * d_head * kv + 4 * queries * per_row * d_head * h
    few = 4 * queries * d * d_head * h + 4 * queries * per_row * d * h
    usable = not spec.positions.startswith("rotary")
    return 2 * queries * d * d_head * h + (min(many, few) if usable else many)


def _few_queries(spec: Spec, attention: Attention, heads: Sequence[int], queries: Tokens, keys: Tokens) -> bool:
    if spec.positions.startswith("rotary"):
        return False
    _, d, d_head = attention.W_Q.shape
    h, kv = len(heads), len(set(_kv(attention, heads)))
    n_q, n_k = queries.columns.shape[1], max(keys.columns.shape[1], 1)
    return 4 * n_q * d * d_head * h + 4 * n_q * n_k * d * h < 4 * n_k * d * d_head * kv + 4 * n_q * n_k * d_head * h


def _attend_many(
    spec: Spec,
    weights: Weights,
    attention: Attention,
    heads: Sequence[int],
    q: Tensor,
    keys: Tokens,
    xk: Tensor,
    xv: Tensor,
    shown: _Shown,
) -> Tensor:
    """Project every key and value; the usual way. `q` is `[rows, queries, heads, d_head]`, as is the result."""
    kv = _kv(attention, heads)
    distinct = sorted(set(kv))
    k = _project(xk, attention.W_K, attention.b_K, distinct)
    v = _project(xv, attention.W_V, attention.b_V, distinct)
    if spec.positions.startswith("rotary"):
        k = _rotate(k, keys.positions, weights, spec)
    k, v = keys.grid(k).transpose(1, 2), keys.grid(v).transpose(1, 2)
    if kv != distinct:
        order = torch.tensor([distinct.index(group) for group in kv], device=k.device)
        k, v = k.index_select(1, order), v.index_select(1, order)
    pattern = _pattern(spec, q.transpose(1, 2) @ k.transpose(2, 3), shown)
    return (pattern @ v).transpose(1, 2)


def _attend_few(
    spec: Spec,
    weights: Weights,
    attention: Attention,
    heads: Sequence[int],
    q: Tensor,
    keys: Tokens,
    xk: Tensor,
    xv: Tensor,
    shown: _Shown,
) -> Tensor:
    """Bring the few queries to the keys' space, and mix inputs before projecting them to values.

    (q W_K^T) x = q (x W_K)^T and pattern (x W_V) = (pattern x) W_V, so with few queries the two large projections of
    every key are replaced by two small ones of every query. Rotation acts on projected keys, so rotary models cannot.
    """
    kv = _kv(attention, heads)
    (n_rows, n_queries, h, _), d, n_keys = q.shape, xk.shape[-1], keys.columns.shape[1]
    toward = torch.einsum("rqhe,hde->rhqd", q, attention.W_K[kv]).reshape(n_rows, h * n_queries, d)
    shared = xk is xv
    xk = keys.grid(xk)
    xv = xk if shared else keys.grid(xv)
    scores = (toward @ xk.transpose(1, 2)).reshape(n_rows, h, n_queries, n_keys)
    if attention.b_K is not None:
        scores = scores + torch.einsum("rqhe,he->rhq", q, attention.b_K[kv])[..., None]
    pattern = _pattern(spec, scores, shown)
    mixed = (pattern.reshape(n_rows, h * n_queries, n_keys) @ xv).reshape(n_rows, h, n_queries, d)
    z = torch.einsum("rhqd,hde->rqhe", mixed, attention.W_V[kv])
    if attention.b_V is not None:
        z = z + pattern.sum(-1).transpose(1, 2)[..., None] * attention.b_V[kv]
    return z


@dataclass(frozen=True)
class _Shown:
    """Which (query, key) pairs there are; bool tensors that broadcast to `[rows, heads, queries, keys]`."""

    hidden: Tensor | None
    """Pairs that may not look; None if all may."""
    chosen: Tensor | None
    """Pairs whose flow is asked for; None is all."""


def _pattern(spec: Spec, scores: Tensor, shown: _Shown) -> Tensor:
    if spec.attention_cap:
        scores = spec.attention_cap * torch.tanh(scores / spec.attention_cap)
    if shown.hidden is None:
        pattern = scores.softmax(-1)
    else:
        pattern = scores.masked_fill(shown.hidden, float("-inf")).softmax(-1)
        # A query that sees no key contributes nothing; softmax would make it NaN.
        blind = shown.hidden.all(-1, keepdim=True)
        pattern = pattern.masked_fill(blind, 0.0) if bool(blind.any()) else pattern
    return pattern if shown.chosen is None else pattern * shown.chosen


def _chosen(part: Part, queries: Tokens, keys: Tokens) -> Tensor:
    """The pairs of a part of attention, bool `[rows, 1, queries, keys]`."""
    at_query, at_key = queries.columns[:, :, None], keys.columns[:, None, :]
    length = 1 + int(max(at_query.max(), at_key.max()))
    pairs = torch.from_numpy(part.between(length)).to(at_query.device)
    return pairs[at_query, at_key][:, None]


def _as_if(attention: Attention, heads: Sequence[int], xv: Tensor, keys: Tokens, chosen: Tensor) -> Tensor:
    """Values mixed with weight one from the chosen key, `[rows, queries, heads, d_head]`."""
    v = keys.grid(_project(xv, attention.W_V, attention.b_V, _kv(attention, heads))).transpose(1, 2)
    return (chosen.to(v.dtype) @ v).transpose(1, 2)


def _hidden(spec: Spec, layer: int, queries: Tokens, keys: Tokens, visible: Tensor | None) -> Tensor | None:
    """Pairs that may not look, bool, broadcasting to `[rows, heads, queries, keys]`; None if all may."""
    hidden: Tensor | None = None
    window = spec.windows[layer] if layer < len(spec.windows) else 0
    if spec.causal or window:
        gap = queries.columns[:, :, None] - keys.columns[:, None, :]
        hidden = (gap < 0) if spec.causal else torch.zeros_like(gap, dtype=torch.bool)
        if window:
            hidden = hidden | (gap >= window)
    unseen: Tensor | None = None
    if visible is not None:
        columns = keys.columns.expand(keys.n_rows, -1)
        unseen = ~visible.gather(1, columns)
    if keys.padded:
        absent = keys.place < 0
        unseen = absent if unseen is None else unseen | absent
    if unseen is not None:
        hidden = unseen[:, None] if hidden is None else hidden | unseen[:, None]
    return None if hidden is None else hidden[:, None]


def _project(x: Tensor, W: Tensor, b: Tensor | None, heads: Sequence[int]) -> Tensor:
    """`[tokens, d]` through `[heads, d, d_head]` to `[tokens, heads, d_head]`, as one matrix product."""
    W = W[list(heads)]
    out = x @ W.transpose(0, 1).reshape(x.shape[-1], -1)
    if b is not None:
        out += b[list(heads)].reshape(-1)
    return out.view(x.shape[0], len(heads), W.shape[-1])


def _kv(attention: Attention, heads: Sequence[int]) -> list[int]:
    """Which key-value head each query head uses."""
    share = attention.W_Q.shape[0] // attention.W_K.shape[0]
    return [head // share for head in heads]


def _rotate(x: Tensor, positions: Tensor, weights: Weights, spec: Spec) -> Tensor:
    """Rotary positions for `[tokens, heads, d_head]`; dimensions beyond the rotated ones pass."""
    assert weights.rotary is not None
    cos, sin = (table[positions][:, None] for table in weights.rotary)
    turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    if spec.positions == "rotary_half":
        first, second = turned.chunk(2, dim=-1)
        other = torch.cat([-second, first], dim=-1)
    else:
        other = torch.stack([-turned[..., 1::2], turned[..., 0::2]], dim=-1).flatten(-2)
    return torch.cat([turned * cos + other * sin, rest], dim=-1)
