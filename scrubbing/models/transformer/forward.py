"""A whole forward pass as a textbook would write it, to check the node evaluator against where there is no other.

It shares no code with the node evaluator: attention over whole sequences, rotary positions as complex numbers, norms by
their formulas.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scrubbing.models.precision import wide
from scrubbing.models.transformer.weights import Mlp, Norm, Spec, Weights


def forward(spec: Spec, weights: Weights, tokens: Tensor, visible: Tensor | None) -> list[Tensor]:
    """The residual stream after every block, then the logits.

    Args:
        spec: of the family.
        weights: of the model.
        tokens: `[rows, positions]`.
        visible: padding mask, true where real, `[rows, positions]`; None where nothing is padded.

    Returns:
        A tensor `[rows, positions, d]` per block, and the logits `[rows, positions, outputs]`.
    """
    length = tokens.shape[1]
    stream = _embedded(spec, weights, tokens)
    allowed = _allowed(spec, length, visible, tokens)
    found: list[Tensor] = []
    for layer in range(len(weights.attention)):
        window = spec.windows[layer] if layer < len(spec.windows) else 0
        mixed = _attention(spec, weights, layer, stream, _windowed(allowed, window))
        after = stream + mixed
        if weights.mlps:
            after = after + _mlp(spec, weights.mlps[layer], stream if spec.parallel else after)
        stream = after
        found.append(stream)
    logits = norm(weights.final, stream) @ weights.W_U
    if weights.b_U is not None:
        logits = logits + weights.b_U
    return [*found, _capped(logits, spec.logit_cap)]


def encoded(spec: Spec, weights: Weights, tokens: Tensor, types: Tensor | None, visible: Tensor | None) -> Tensor:
    """Logits of a post-norm encoder, `[rows, positions, outputs]`; arguments as of `forward`.

    `types` are those of the tokens, `[rows, positions]`; None where there are none.
    """
    stream = _embedded(spec, weights, tokens)
    if types is not None:
        assert weights.W_types is not None
        stream = stream + weights.W_types[types.long()]
    first, *norms = weights.norms
    stream = norm(first, stream)
    allowed = _allowed(spec, tokens.shape[1], visible, tokens)
    for layer, mlp in enumerate(weights.mlps):
        stream = norm(norms[2 * layer], stream + _attention(spec, weights, layer, stream, allowed))
        stream = norm(norms[2 * layer + 1], stream + _mlp(spec, mlp, stream))
    if weights.W_head is not None:
        stream = norm(weights.final, _activated(spec.head, _linear(stream, weights.W_head, weights.b_head)))
    return _linear(stream, weights.W_U, weights.b_U)


def patterns(spec: Spec, weights: Weights, tokens: Tensor, visible: Tensor | None) -> list[Tensor]:
    """Attention patterns of every layer, `[rows, heads, queries, keys]`; arguments as of `forward`."""
    streams = [_embedded(spec, weights, tokens), *forward(spec, weights, tokens, visible)[:-2]]
    allowed = _allowed(spec, tokens.shape[1], visible, tokens)
    found: list[Tensor] = []
    for layer, (attention, stream) in enumerate(zip(weights.attention, streams, strict=True)):
        window = spec.windows[layer] if layer < len(spec.windows) else 0
        x, seen = norm(attention.norm, stream), _windowed(allowed, window)
        heads = range(attention.W_Q.shape[0])
        found.append(torch.stack([pattern(spec, weights, layer, head, (x, x), seen) for head in heads], 1))
    return found


def _embedded(spec: Spec, weights: Weights, tokens: Tensor) -> Tensor:
    stream = weights.W_E[tokens.long()]
    if spec.positions == "residual":
        assert weights.W_pos is not None
        stream = stream + weights.W_pos[: tokens.shape[1]]
    return stream


def _allowed(spec: Spec, length: int, visible: Tensor | None, tokens: Tensor) -> Tensor:
    """Which query may look at which key, bool `[rows, queries, keys]`."""
    allowed = torch.ones(tokens.shape[0], length, length, dtype=torch.bool, device=tokens.device)
    if spec.causal:
        allowed = allowed.tril()
    return allowed if visible is None else allowed & visible[:, None, :]


def _windowed(allowed: Tensor, window: int) -> Tensor:
    return allowed.triu(1 - window) if window else allowed


def _attention(spec: Spec, weights: Weights, layer: int, stream: Tensor, allowed: Tensor) -> Tensor:
    attention = weights.attention[layer]
    x = norm(attention.norm, stream)
    share = attention.W_Q.shape[0] // attention.W_K.shape[0]
    total = torch.zeros_like(stream)
    for head in range(attention.W_Q.shape[0]):
        v = _linear(x, attention.W_V[head // share], None if attention.b_V is None else attention.b_V[head // share])
        total = total + pattern(spec, weights, layer, head, (x, x), allowed) @ v @ attention.W_O[head]
    if attention.b_O is not None:
        total = total + attention.b_O
    return total if attention.post is None else norm(attention.post, total)


def pattern(
    spec: Spec, weights: Weights, layer: int, head: int, read: tuple[Tensor, Tensor], allowed: Tensor
) -> Tensor:
    """Attention pattern of a head, `[rows, queries, keys]`, given the normed inputs of queries and keys."""
    attention = weights.attention[layer]
    kv = head * attention.W_K.shape[0] // attention.W_Q.shape[0]
    xq, xk = read
    if spec.positions == "query_key":
        assert weights.W_pos is not None
        xq, xk = xq + weights.W_pos[: xq.shape[1]], xk + weights.W_pos[: xk.shape[1]]
    q = _head_normed(spec, attention.q_norm, xq, attention.W_Q, attention.b_Q, head)
    k = _head_normed(spec, attention.k_norm, xk, attention.W_K, attention.b_K, kv)
    table = spec.rotations[layer] if spec.rotations else 0
    if weights.rotary is not None and table >= 0:
        pair = weights.rotary[2 * table], weights.rotary[2 * table + 1]
        q, k = _turned(spec, pair, q), _turned(spec, pair, k)
    scores = _capped(torch.einsum("nqe,nke->nqk", q, k) * spec.attention_scale, spec.attention_cap)
    return wide(scores.masked_fill(~allowed, float("-inf"))).softmax(-1).nan_to_num(0.0).to(scores.dtype)


def _head_normed(spec: Spec, by: Norm | None, x: Tensor, W: Tensor, b: Tensor | None, head: int) -> Tensor:
    """Queries or keys of one head, `[rows, positions, d_head]`."""
    if by is None:
        return _linear(x, W[head], None if b is None else b[head])
    every = torch.einsum("npd,hde->nphe", x, W)
    every = every if b is None else every + b
    if spec.head_norms == "together":
        return norm(by, every.reshape(*every.shape[:2], -1)).reshape(every.shape)[:, :, head]
    return norm(by, every)[:, :, head]


def _turned(spec: Spec, rotary: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
    """Rotary positions as multiplication by unit complex numbers."""
    cos, sin = (wide(table[: x.shape[1]]) for table in rotary)
    width = cos.shape[-1]
    turned, rest = wide(x[..., :width]), x[..., width:]
    halves = spec.positions == "rotary_half"
    if halves:
        real, imaginary = turned[..., : width // 2], turned[..., width // 2 :]
        angle = torch.complex(cos[:, : width // 2], sin[:, : width // 2])
    else:
        real, imaginary = turned[..., 0::2], turned[..., 1::2]
        angle = torch.complex(cos[:, 0::2], sin[:, 0::2])
    spun = torch.complex(real.contiguous(), imaginary.contiguous()) * angle
    parts = torch.cat([spun.real, spun.imag], -1) if halves else torch.stack([spun.real, spun.imag], -1).flatten(-2)
    return torch.cat([parts.to(x.dtype), rest], -1)


def _mlp(spec: Spec, mlp: Mlp, stream: Tensor) -> Tensor:
    x = norm(mlp.norm, stream)
    hidden = _linear(x, mlp.W_in, mlp.b_in)
    if mlp.W_gate is None:
        hidden = _activated(spec.activation, hidden)
    else:
        hidden = _activated(spec.activation, _linear(x, mlp.W_gate, mlp.b_gate)) * hidden
    out = _linear(hidden, mlp.W_out, mlp.b_out)
    return out if mlp.post is None else norm(mlp.post, out)


def _activated(name: str, x: Tensor) -> Tensor:
    match name:
        case "relu":
            return x.clamp(min=0)
        case "gelu":
            return x * 0.5 * (1 + torch.erf(x / 2**0.5))
        case "gelu_new":
            return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
        case "silu":
            return x * torch.sigmoid(x)
        case "tanh":
            return 1 - 2 / (torch.exp(2 * x) + 1)
        case _:
            return (wide(x) * F.softmax(wide(x), -1)).to(x.dtype)


def norm(by: Norm, x: Tensor) -> Tensor:
    """A normalisation by its formula, in float32 or better."""
    if by.kind == "none":
        return x
    dtype, x = x.dtype, wide(x)
    centred = x - x.mean(-1, keepdim=True) if by.kind == "LN" else x
    x = centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + by.eps)
    x = x if by.weight is None else x * (wide(by.weight) + by.offset)
    return (x if by.bias is None else x + by.bias).to(dtype)


def _linear(x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
    return x @ W if b is None else x @ W + b


def _capped(x: Tensor, cap: float) -> Tensor:
    return cap * torch.tanh(x / cap) if cap else x
