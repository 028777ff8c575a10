"""A transformer as plain tensors and a family spec: what differs between families, as data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from scrubbing.guards import is_tuple
from scrubbing.models.precision import wide

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "solu": lambda x: (wide(x) * F.softmax(wide(x), dim=-1)).to(x.dtype),
}
"""Activation functions by name. Adapters translate the synonyms of their library."""


@dataclass(frozen=True)
class Spec:
    """What distinguishes a family of transformers, beyond the shapes of its weights."""

    family: str
    causal: bool
    attention_scale: float
    """Scores are multiplied by this."""
    activation: str = "relu"
    positions: Literal["residual", "rotary_half", "rotary_pairs", "query_key", "none"] = "residual"
    """Where positions enter: added to the residual stream, rotated into queries and keys (halves or adjacent pairs), or
    added to the normed input of queries and keys (shortformer)."""
    parallel: bool = False
    """Attention and MLP of a block read the same residual."""
    attention_cap: float = 0.0
    """Scores become cap * tanh(score / cap); 0 is off."""
    logit_cap: float = 0.0
    windows: tuple[int, ...] = ()
    """Per layer, how many keys up to its own a query sees; 0 or absent is all."""
    rotations: tuple[int, ...] = field(default=(), repr=False)
    """Per layer, which pair of rotary tables turns queries and keys; -1 is none, absent is the first."""
    head_norms: Literal["none", "each", "together"] = field(default="none", repr=False)
    """Queries and keys are normed before they are rotated: those of each head, or those of all heads as one vector."""
    head: str = field(default="", repr=False)
    """Activation of the layer in front of the output matrix, in families that have one (BERT); the final norm follows
    it."""

    def described(self) -> str:
        """All that it says, as text to hash. What a family leaves at its default is only there if it always was."""
        later = [f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if not one.repr]
        return " ".join([repr(self), *(text for text in later if text not in _UNSAID)])


_UNSAID = ("rotations=()", "head_norms='none'", "head=''")


@dataclass(frozen=True, eq=False)
class Norm:
    """A normalisation over the residual stream, computed in float32 or better."""

    kind: Literal["LN", "RMS", "none"]
    eps: float = 1e-5
    weight: Tensor | None = None
    bias: Tensor | None = None
    offset: float = 0.0
    """Added to the weight: Gemma keeps it as a difference from one, which half precision would round off."""

    def scale(self, x: Tensor) -> Tensor:
        """What the norm divides by, `[..., 1]`."""
        if self.kind == "none":
            return torch.ones_like(x[..., :1])
        return self._scale(wide(x)).to(x.dtype)

    def _scale(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True) if self.kind == "LN" else x
        return (centred.square().mean(-1, keepdim=True) + self.eps).sqrt()

    def __call__(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """Normalise `[..., d]`, by the given scale instead of its own if there is one."""
        if self.kind == "none":
            return x
        dtype, x = x.dtype, wide(x)
        weight, bias = (None if one is None else wide(one) for one in (self.weight, self.bias))
        weight = weight + self.offset if weight is not None and self.offset else weight
        if scale is None and self.kind == "LN":
            return F.layer_norm(x, x.shape[-1:], weight, bias, self.eps).to(dtype)
        scale = self._scale(x) if scale is None else scale
        x = (x - x.mean(-1, keepdim=True) if self.kind == "LN" else x) / scale
        x = x if weight is None else x * weight
        return (x if bias is None else x + bias).to(dtype)


IDENTITY = Norm("none")


@dataclass(frozen=True, eq=False)
class Attention:
    """Weights of one attention layer; key and value heads may be fewer than query heads."""

    norm: Norm
    W_Q: Tensor
    """`[heads, d, d_head]`."""
    W_K: Tensor
    """`[kv_heads, d, d_head]`."""
    W_V: Tensor
    W_O: Tensor
    """`[heads, d_head, d]`."""
    b_Q: Tensor | None = None
    """`[heads, d_head]`."""
    b_K: Tensor | None = None
    b_V: Tensor | None = None
    b_O: Tensor | None = None
    """`[d]`."""
    post: Norm | None = None
    q_norm: Norm | None = None
    """Of queries: weights `[d_head]` or `[heads, d_head]`, or `[heads * d_head]` where heads are normed together."""
    k_norm: Norm | None = None
    """Of keys, likewise."""


@dataclass(frozen=True, eq=False)
class Mlp:
    """Weights of one MLP."""

    norm: Norm
    W_in: Tensor
    """`[d, neurons]`."""
    W_out: Tensor
    """`[neurons, d]`."""
    b_in: Tensor | None = None
    b_out: Tensor | None = None
    W_gate: Tensor | None = None
    """`[d, neurons]`: hidden = activation(x W_gate) * (x W_in)."""
    b_gate: Tensor | None = None
    post: Norm | None = None


@dataclass(frozen=True, eq=False)
class Weights:
    """All weights of a transformer."""

    W_E: Tensor
    """`[vocabulary, d]`, any scaling of embeddings folded in."""
    W_U: Tensor
    """`[d, outputs]`."""
    attention: tuple[Attention, ...]
    mlps: tuple[Mlp, ...]
    """Empty for attention-only models."""
    final: Norm
    b_U: Tensor | None = None
    W_pos: Tensor | None = None
    """`[positions, d]`, added to the residual stream or, in shortformer models, at queries and keys."""
    rotary: tuple[Tensor, ...] | None = None
    """Cosine and sine, `[positions, rotated dimensions]`; further pairs where layers differ (`Spec.rotations`)."""
    W_types: Tensor | None = None
    """`[types, d]`, added to the residual stream."""
    norms: tuple[Norm, ...] = ()
    """Of the residual stream itself (BERT): of the embeddings, then after attention and MLP of every layer."""
    W_head: Tensor | None = None
    """`[d, d]`, in front of the output matrix (`Spec.head`)."""
    b_head: Tensor | None = None

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Weights:
        """The same weights on another device or in another precision."""
        return _moved(self, torch.device(device), dtype)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor with its name, rotary tables included."""
        yield from _named(self, "")

    def learned(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor that training changes, with its name; rotary tables follow from the config."""
        return ((name, tensor) for name, tensor in self.tensors() if not name.startswith("rotary."))

    def replaced(self, tensors: Mapping[str, Tensor]) -> Weights:
        """These weights with new tensors under all names of `learned`."""
        return _replaced(self, "", tensors)

    def fingerprint(self, spec: Spec | None) -> str:
        """Hash of all weights and, if given, the family spec."""
        digest = hashlib.blake2b((spec.described() if spec else "''").encode(), digest_size=16)
        for name, tensor in self.tensors():
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def _moved(value: Any, device: torch.device, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, dtype).contiguous()
    if is_tuple(value):
        return tuple(_moved(item, device, dtype) for item in value)
    if isinstance(value, (Weights, Attention, Mlp, Norm)):
        return replace(value, **{f.name: _moved(getattr(value, f.name), device, dtype) for f in fields(value)})
    return value


def _replaced(value: Any, name: str, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return tensors.get(name, value)
    if is_tuple(value):
        return tuple(_replaced(item, f"{name}.{i}", tensors) for i, item in enumerate(value))
    if isinstance(value, (Weights, Attention, Mlp, Norm)):
        inner = {
            f.name: _replaced(getattr(value, f.name), f"{name}.{f.name}".lstrip("."), tensors) for f in fields(value)
        }
        return replace(value, **inner)
    return value


def _named(value: object, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif is_tuple(value):
        for i, item in enumerate(value):
            yield from _named(item, f"{name}.{i}")
    elif isinstance(value, (Weights, Attention, Mlp, Norm)):
        for field in fields(value):
            yield from _named(getattr(value, field.name), f"{name}.{field.name}".lstrip("."))
