"""Attention of some heads of one layer, with queries, keys and values read from inputs of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.device import indices, upload, waits
from scrubbing.models.precision import wide
from scrubbing.models.tokens import Tokens
from scrubbing.models.transformer.weights import Attention, Norm, Spec, Weights
from scrubbing.parts import AttentionPart

_VECTOR = 16
"""Numbers that a processor handles at once, at most."""


def attend(
    spec: Spec,
    weights: Weights,
    layer: int,
    heads: Sequence[int],
    prepared: tuple[Tensor, Tensor, Tensor],
    queries: Tokens,
    keys: Tokens,
    visible: Tensor | None,
    part: AttentionPart | None = None,
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
    q = _queries(spec, weights, layer, heads, xq, queries)
    if part is None and visible is None and _plainly_causal(spec, layer, queries, keys):
        k, v = _keys(spec, weights, layer, heads, xk, keys), _values(attention, heads, xv, keys)
        z = F.scaled_dot_product_attention(q.transpose(1, 2), _filled(k), _filled(v), is_causal=True, scale=1.0)
        return queries.flat(z.transpose(1, 2))
    hidden = _hidden(spec, layer, queries, keys, visible)
    chosen = None if part is None else upload(_chosen(part, queries, keys), xq.device)
    if part is not None and part.as_if:
        assert chosen is not None
        return queries.flat(_as_if(attention, heads, xv, keys, chosen if hidden is None else chosen & ~hidden))
    few = _few_queries(spec, attention, heads, queries, keys)
    mix = _attend_few if few else _attend_many
    return queries.flat(mix(spec, weights, layer, heads, q, keys, xk, xv, _Shown(hidden, chosen)))


def weights_at(
    spec: Spec,
    weights: Weights,
    layer: int,
    heads: Sequence[int],
    prepared: tuple[Tensor, Tensor],
    queries: Tokens,
    keys: Tokens,
    visible: Tensor | None,
    offsets: Sequence[int],
) -> Tensor:
    """The pattern's weights at these distances from the query, `[queries, heads, offsets]`; zero where there is no key.

    Arguments as of `attend`, without the input of v.
    """
    q = _queries(spec, weights, layer, heads, prepared[0], queries).transpose(1, 2)
    k = _keys(spec, weights, layer, heads, prepared[1], keys)
    pattern = _pattern(spec, q @ k.transpose(2, 3), _Shown(_hidden(spec, layer, queries, keys, visible), None))
    at_key = queries.column[:, :, None] + np.array(offsets)
    same = at_key[..., None] == keys.column[:, None, None, :]  # [rows or 1, queries, offsets, keys]
    column, there = (upload(one[:, None], pattern.device) for one in (same.argmax(-1), same.any(-1)))
    found = pattern.gather(3, column.expand(*pattern.shape[:3], -1)) * there
    return queries.flat(found.transpose(1, 2))


def mix(
    attention: Attention,
    heads: Sequence[int],
    weights: Tensor,
    xv: Tensor,
    queries: Tokens,
    keys: Tokens,
    offsets: Sequence[int],
) -> Tensor:
    """Values at these distances from the query, mixed with `weights` `[queries, heads, offsets]`.

    Args:
        attention: of the layer.
        heads: which query heads.
        weights: from `weights_at`, of any input.
        xv: normed input of v, `[keys, d]`.
        queries: tokens of the result.
        keys: tokens of v.
        offsets: distances of the keys.

    Returns:
        `[queries, heads, d_head]`.
    """
    v = _project(xv, attention.W_V, attention.b_V, _kv(attention, heads))
    total = torch.zeros(len(queries), *v.shape[1:], dtype=v.dtype, device=v.device)
    for i, offset in enumerate(offsets):
        at_key = (queries.position + offset).clip(min=0)  # where that is another key, the weight is zero
        place = keys.locate(Tokens(queries.row, at_key, queries.n_rows, queries.device)).clip(min=0)
        total.addcmul_(weights[..., i, None], v.index_select(0, upload(place, v.device)))
    return total


def attend_flops(
    spec: Spec, attention: Attention, heads: Sequence[int], queries: float, keys: float, rows: float
) -> float:
    """Floating-point operations of `attend` for this many tokens over this many rows."""
    _, d, d_head = attention.W_Q.shape
    h, kv = len(heads), len(set(_kv(attention, heads)))
    per_row = keys / max(rows, 1)
    many = 4 * keys * d * d_head * kv + 4 * queries * per_row * d_head * h
    few = 4 * queries * d * d_head * h + 4 * queries * per_row * d * h
    usable = _linear_keys(spec)
    return 2 * queries * d * d_head * h + (min(many, few) if usable else many)


def weights_flops(attention: Attention, heads: Sequence[int], queries: float, keys: float, rows: float) -> float:
    """Floating-point operations of `weights_at`."""
    _, d, d_head = attention.W_Q.shape
    h, kv = len(heads), len(set(_kv(attention, heads)))
    return 2 * queries * d * d_head * h + 2 * keys * d * d_head * kv + 2 * queries * keys / max(rows, 1) * d_head * h


def mix_flops(attention: Attention, heads: Sequence[int], queries: float, keys: float, offsets: int) -> float:
    """Floating-point operations of `mix`."""
    _, d, d_head = attention.W_Q.shape
    return 2 * keys * d * d_head * len(heads) + 2 * queries * offsets * d_head * len(heads)


def _linear_keys(spec: Spec) -> bool:
    """Whether keys are linear in what they are read from: neither turned nor normed."""
    return not spec.positions.startswith("rotary") and spec.head_norms == "none"


def _few_queries(spec: Spec, attention: Attention, heads: Sequence[int], queries: Tokens, keys: Tokens) -> bool:
    if not _linear_keys(spec):
        return False
    _, d, d_head = attention.W_Q.shape
    h, kv = len(heads), len(set(_kv(attention, heads)))
    n_q, n_k = queries.column.shape[1], max(keys.column.shape[1], 1)
    return 4 * n_q * d * d_head * h + 4 * n_q * n_k * d * h < 4 * n_k * d * d_head * kv + 4 * n_q * n_k * d_head * h


def _attend_many(
    spec: Spec,
    weights: Weights,
    layer: int,
    heads: Sequence[int],
    q: Tensor,
    keys: Tokens,
    xk: Tensor,
    xv: Tensor,
    shown: _Shown,
) -> Tensor:
    """Project every key and value; the usual way. `q` is `[rows, queries, heads, d_head]`, as is the result."""
    k = _keys(spec, weights, layer, heads, xk, keys)
    v = _values(weights.attention[layer], heads, xv, keys)
    pattern = _pattern(spec, q.transpose(1, 2) @ k.transpose(2, 3), shown)
    return (pattern @ v).transpose(1, 2)


def _filled(keys: Tensor) -> Tensor:
    """Keys or values `[rows, heads, keys, d_head]` with zeros behind them up to a multiple of 16, on a CPU.

    Its fused attention takes a third longer for 127 keys than for 128. Queries of causal attention never see those
    behind, since none comes after its own key.
    """
    rows, heads, n, d = keys.shape
    if keys.device.type != "cpu" or n % _VECTOR == 0 or n < 2 * _VECTOR:
        return keys
    made = keys.new_zeros(rows, n + -n % _VECTOR, heads, d)
    made[:, :n] = keys.transpose(1, 2)
    return made.transpose(1, 2)


def _plainly_causal(spec: Spec, layer: int, queries: Tokens, keys: Tokens) -> bool:
    """Whether fused attention computes the same: every query sees the keys up to itself, and nothing caps scores."""
    window = spec.windows[layer] if layer < len(spec.windows) else 0
    return spec.causal and not window and not spec.attention_cap and _from_the_start(queries, keys)


def _from_the_start(queries: Tokens, keys: Tokens) -> bool:
    """Whether grids of both have a column for each position from the first on, and no key up to a query is absent.

    Keys that are absent come after every query of their row, which does not see them.
    """
    for one in (queries, keys):
        if one.single or (one.shared is not None and one.shared != tuple(range(len(one.shared)))):
            return False
    if keys.shared is not None:
        return queries.width <= len(keys.shared)
    there = keys.place >= 0
    number = there.sum(axis=1)
    if queries.width > there.shape[1] or (there[:, ::-1].argmax(axis=1) != there.shape[1] - number)[number > 0].any():
        return False
    return bool((queries.position < number[queries.row]).all())


def _queries(spec: Spec, weights: Weights, layer: int, heads: Sequence[int], xq: Tensor, queries: Tokens) -> Tensor:
    """Scaled queries, `[rows, queries, heads, d_head]`."""
    attention = weights.attention[layer]
    q = _normed(spec, attention.q_norm, xq, attention.W_Q, attention.b_Q, heads)
    q = _rotate(q, queries.positions, weights, spec, layer)
    return queries.grid(q) * spec.attention_scale


def _keys(spec: Spec, weights: Weights, layer: int, heads: Sequence[int], xk: Tensor, keys: Tokens) -> Tensor:
    """Keys `[rows, heads, keys, d_head]`; projected once per key-value head."""
    attention = weights.attention[layer]
    kv = _kv(attention, heads)
    k = _normed(spec, attention.k_norm, xk, attention.W_K, attention.b_K, sorted(set(kv)))
    k = _rotate(k, keys.positions, weights, spec, layer)
    return _shared(keys.grid(k).transpose(1, 2), kv)


def _values(attention: Attention, heads: Sequence[int], xv: Tensor, keys: Tokens) -> Tensor:
    """Values `[rows, heads, keys, d_head]`; projected once per key-value head."""
    kv = _kv(attention, heads)
    return _shared(keys.grid(_project(xv, attention.W_V, attention.b_V, sorted(set(kv)))).transpose(1, 2), kv)


def _shared(projected: Tensor, kv: list[int]) -> Tensor:
    """The distinct key-value heads, as one per query head."""
    distinct = sorted(set(kv))
    if kv == distinct:
        return projected
    return projected.index_select(1, indices(tuple(distinct.index(group) for group in kv), projected.device))


def _attend_few(
    spec: Spec,
    weights: Weights,
    layer: int,
    heads: Sequence[int],
    q: Tensor,
    keys: Tokens,
    xk: Tensor,
    xv: Tensor,
    shown: _Shown,
) -> Tensor:
    """Bring the few queries to the keys' space, and mix inputs before projecting them to values.

    (q W_K^T) x = q (x W_K)^T and pattern (x W_V) = (pattern x) W_V, so with few queries the two large projections of
    every key are replaced by two small ones of every query. What acts on projected keys, such as rotation and norms,
    stands in the way (`_linear_keys`).
    """
    attention = weights.attention[layer]
    kv = indices(tuple(_kv(attention, heads)), q.device)
    (n_rows, n_queries, h, _), d, n_keys = q.shape, xk.shape[-1], keys.column.shape[1]
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
    """The pairs whose flow is computed; None for all."""


def _pattern(spec: Spec, scores: Tensor, shown: _Shown) -> Tensor:
    if spec.attention_cap:
        scores = spec.attention_cap * torch.tanh(scores / spec.attention_cap)
    if shown.hidden is None:
        pattern = wide(scores).softmax(-1).to(scores.dtype)
    else:
        pattern = wide(scores.masked_fill(shown.hidden, float("-inf"))).softmax(-1).to(scores.dtype)
        # A query that sees no key contributes nothing; softmax would make it NaN.
        blind = shown.hidden.all(-1, keepdim=True)
        if waits(blind.device) or bool(blind.any()):
            # A gradient needs what softmax gave.
            pattern = pattern.masked_fill(blind, 0.0) if pattern.requires_grad else pattern.masked_fill_(blind, 0.0)
    return pattern if shown.chosen is None else pattern * shown.chosen


def _chosen(part: AttentionPart, queries: Tokens, keys: Tokens) -> NDArray[np.bool_]:
    """The pairs of a part of attention, `[rows or 1, 1, queries, keys]`."""
    pairs = part.between(max(queries.width, keys.width))
    return pairs[queries.column[:, :, None], keys.column[:, None, :]][:, None]


def _as_if(attention: Attention, heads: Sequence[int], xv: Tensor, keys: Tokens, chosen: Tensor) -> Tensor:
    """Values mixed with weight one from the chosen key, `[rows, queries, heads, d_head]`."""
    v = keys.grid(_project(xv, attention.W_V, attention.b_V, _kv(attention, heads))).transpose(1, 2)
    return (chosen.to(v.dtype) @ v).transpose(1, 2)


def _hidden(spec: Spec, layer: int, queries: Tokens, keys: Tokens, visible: Tensor | None) -> Tensor | None:
    """Pairs that may not look, bool, broadcasting to `[rows, heads, queries, keys]`; None if all may."""
    hidden: Tensor | None = None
    window = spec.windows[layer] if layer < len(spec.windows) else 0
    if spec.causal or window:
        gap = queries.column[:, :, None] - keys.column[:, None, :]
        beyond = (gap < 0) if spec.causal else np.zeros_like(gap, dtype=bool)
        hidden = upload(beyond | (gap >= window) if window else beyond, keys.device)
    unseen: Tensor | None = None
    if visible is not None:
        columns = keys.columns.expand(keys.n_rows, -1)
        unseen = ~visible.gather(1, columns)
    if keys.padded:
        absent = upload(keys.place < 0, keys.device)
        unseen = absent if unseen is None else unseen | absent
    if unseen is not None:
        hidden = unseen[:, None] if hidden is None else hidden | unseen[:, None]
    return None if hidden is None else hidden[:, None]


def _project(x: Tensor, W: Tensor, b: Tensor | None, heads: Sequence[int]) -> Tensor:
    """`[tokens, d]` through `[heads, d, d_head]` to `[tokens, heads, d_head]`, as one matrix product."""
    these = indices(tuple(heads), W.device)
    chosen = W[these]
    out = x @ chosen.transpose(0, 1).reshape(x.shape[-1], -1)
    if b is not None:
        out += b[these].reshape(-1)
    return out.view(x.shape[0], len(heads), chosen.shape[-1])


def _normed(spec: Spec, norm: Norm | None, x: Tensor, W: Tensor, b: Tensor | None, heads: Sequence[int]) -> Tensor:
    """Queries or keys of some heads, `[tokens, heads, d_head]`, after the norm that some families give them."""
    if norm is None:
        return _project(x, W, b, heads)
    if spec.head_norms == "together":  # by a scale that every head has a share in
        every = _project(x, W, b, range(len(W)))
        return norm(every.flatten(1)).view_as(every)[:, indices(tuple(heads), x.device)]
    found, weight = _project(x, W, b, heads), norm.weight
    if weight is None or weight.ndim == 1:
        return norm(found)
    normed = replace(norm, weight=None)(wide(found)) * wide(weight[indices(tuple(heads), x.device)])
    return normed.to(found.dtype)


def _kv(attention: Attention, heads: Sequence[int]) -> list[int]:
    """Which key-value head each query head uses."""
    share = attention.W_Q.shape[0] // attention.W_K.shape[0]
    return [head // share for head in heads]


def _rotate(x: Tensor, positions: Tensor, weights: Weights, spec: Spec, layer: int) -> Tensor:
    """Rotary positions for `[tokens, heads, d_head]`; dimensions beyond the rotated ones pass."""
    which = spec.rotations[layer] if layer < len(spec.rotations) else 0
    if weights.rotary is None or which < 0:
        return x
    cos, sin = (table[positions][:, None] for table in weights.rotary[2 * which : 2 * which + 2])
    turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    if spec.positions == "rotary_half":
        first, second = turned.chunk(2, dim=-1)
        other = torch.cat([-second, first], dim=-1)
    else:
        other = torch.stack([-turned[..., 1::2], turned[..., 0::2]], dim=-1).flatten(-2)
    return torch.cat([turned * cos + other * sin, rest], dim=-1)
