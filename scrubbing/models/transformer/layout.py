"""How checkpoints of TransformerLens lay out their tensors: names, shapes, and how they become ours.

Two layouts are read. The legacy one (`blocks.0.attn.W_Q`, `[heads, d, d_head]`) is that of TransformerLens before
version 4, and the one `to_file` writes. The other is that of native models since (`blocks.0.attn.q.weight`,
`[heads * d_head, d]`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from scrubbing.models.transformer.config import Config
from scrubbing.models.transformer.fit import Shape
from scrubbing.models.transformer.weights import IDENTITY, Attention, Mlp, Norm, Weights

IGNORED = {
    r"\.attn\.mask$": "the causal mask, which follows from attention_dir",
    r"\.attn\.IGNORE$": "what old models set masked scores to",
}
"""Tensors of old checkpoints that are no weights, and why they can be ignored."""

_OF_ATTENTION, _OF_MLP = ("b_Q", "b_K", "b_V", "b_O"), ("b_in", "b_out")


def ignored(name: str) -> bool:
    """Whether a tensor is deliberately ignored."""
    return any(re.search(pattern, name) for pattern in IGNORED)


def is_legacy(names: Mapping[str, Any]) -> bool:
    """Whether these are names of the legacy layout; any share of them decides, as some may be wrong."""
    old = sum(bool(re.search(r"\.[Wb]_\w+$|\.ln\d?\.[wb]$|^ln_final\.[wb]$", name)) for name in names)
    return old > sum(name.endswith((".weight", ".bias")) for name in names)


@dataclass(frozen=True)
class Stored:
    """A tensor of a checkpoint."""

    shape: Shape
    place: str
    """Legacy name of the tensor, which says where it belongs."""
    turn: Callable[[Tensor], Tensor] = field(default=lambda tensor: tensor)
    """Converts the tensor from its stored shape to ours."""


def legacy(cfg: Config, names: Mapping[str, Any], layers: int) -> dict[str, Stored]:
    """Tensors of the legacy layout.

    Which biases there are is not in an old config. Models of TransformerLens have all of them, others have none: the
    file decides, for attention and MLPs apart, by whether it has any. Files that `to_file` writes say it.

    Args:
        cfg: of the model.
        names: in the file.
        layers: how many to list.
    """
    kinds = {name.rpartition(".")[2] for name in names}
    if cfg.biases is None:
        there = {*(_OF_ATTENTION if kinds & set(_OF_ATTENTION) else ()), *(_OF_MLP if kinds & set(_OF_MLP) else ())}
        there |= {"b_gate"} & kinds
        there |= {"b_U"} if "b_U" in kinds or ("b_Q" in there and not cfg.old) else set()
    else:
        there = set(cfg.biases)
    # Where key and value heads are shared, TransformerLens stored them under names of their own.
    shared = any(name.endswith("._W_K") for name in names)
    found: dict[str, Stored] = {}
    for place, shape in _places(cfg, layers):
        if _bias(place) is None or _bias(place) in there:
            name = re.sub(r"\.([Wb]_[KV])$", r"._\1", place) if shared else place
            found[name] = Stored(shape, place)
    return found


def native(cfg: Config, layers: int) -> dict[str, Stored]:
    """Tensors of native models since TransformerLens 4; their MLPs have biases unless they are gated.

    Args:
        cfg: of the model.
        layers: how many to list.
    """
    found: dict[str, Stored] = {}
    for place, shape in _places(cfg, layers):
        if _bias(place) in ("b_in", "b_out", "b_gate") and cfg.gated_mlp:
            continue
        at, _, last = place.rpartition(".")
        kind, _, which = last.partition("_")
        if kind in ("w", "b") and not which:  # of a norm
            found[f"{at}.{'weight' if kind == 'w' else 'bias'}"] = Stored(shape, place)
        elif at in ("embed", "pos_embed"):
            found[f"{at}.weight"] = Stored(shape, place)
        elif at.endswith("attn"):
            found[f"{at}.{which.lower()}.{'weight' if kind == 'W' else 'bias'}"] = _by_head(place, shape, which, kind)
        else:
            name = at if at == "unembed" else f"{at}.{which}"
            plain = kind == "b"
            stored = Stored(shape, place) if plain else Stored(shape[::-1], place, lambda tensor: tensor.T)
            found[f"{name}.{'bias' if plain else 'weight'}"] = stored
    return found


def _by_head(place: str, shape: Shape, which: str, kind: str) -> Stored:
    """One matrix for all heads, which ours has one of per head."""
    if kind == "b":
        return Stored(shape, place) if which == "O" else Stored((shape[0] * shape[1],), place, _as(shape))
    heads, first, last = shape
    if which == "O":
        return Stored((last, heads * first), place, lambda tensor: tensor.T.reshape(shape))
    turn: Callable[[Tensor], Tensor] = lambda tensor: tensor.reshape(heads, last, first).transpose(1, 2)  # noqa: E731
    return Stored((heads * last, first), place, turn)


def _as(shape: Shape) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor.reshape(shape)


def _bias(place: str) -> str | None:
    last = place.rpartition(".")[2]
    return last if last.startswith("b_") else None


def _places(cfg: Config, layers: int) -> Iterator[tuple[str, Shape]]:
    """Every tensor a model of this config may have, by legacy name, with its shape here."""
    d, h, g, k, m = cfg.d_model, cfg.n_heads, cfg.kv_heads, cfg.d_head, cfg.d_mlp
    yield "embed.W_E", (cfg.d_vocab, d)
    if cfg.rotary is None:
        yield "pos_embed.W_pos", (cfg.n_ctx, d)
    for i in range(layers):
        at = f"blocks.{i}"
        for x, heads in (("Q", h), ("K", g), ("V", g)):
            yield f"{at}.attn.W_{x}", (heads, d, k)
            yield f"{at}.attn.b_{x}", (heads, k)
        yield f"{at}.attn.W_O", (h, k, d)
        yield f"{at}.attn.b_O", (d,)
        yield from _norm_places(f"{at}.ln1", cfg.norm, cfg.normed, d)
        if not cfg.attn_only:
            yield from _norm_places(f"{at}.ln2", cfg.norm, cfg.normed, d)
            for x in ("in", "gate") if cfg.gated_mlp else ("in",):
                yield f"{at}.mlp.W_{x}", (d, m)
                yield f"{at}.mlp.b_{x}", (m,)
            yield f"{at}.mlp.W_out", (m, d)
            yield f"{at}.mlp.b_out", (d,)
    yield from _norm_places("ln_final", cfg.final_norm, cfg.final_normed, d)
    yield "unembed.W_U", (d, cfg.d_vocab_out)
    yield "unembed.b_U", (cfg.d_vocab_out,)


def _norm_places(at: str, kind: str, normed: bool, d: int) -> Iterator[tuple[str, Shape]]:
    if normed:
        yield f"{at}.w", (d,)
        if kind == "LN":
            yield f"{at}.b", (d,)


def weights(tensors: Mapping[str, Tensor], cfg: Config, positions: int) -> Weights:
    """Weights from tensors by legacy name, in our shapes; `positions` is how many to prepare rotary tables for."""

    def norm(at: str, kind: Any, normed: bool) -> Norm:
        if kind == "none":
            return IDENTITY
        return Norm(kind, cfg.eps, tensors[f"{at}.w"] if normed else None, tensors.get(f"{at}.b"))

    def those(kind: type[Attention | Mlp], at: str, before: str) -> dict[str, Any]:
        names = [key for key in kind.__dataclass_fields__ if key[1:2] == "_"]
        return {"norm": norm(before, cfg.norm, cfg.normed)} | {key: tensors.get(f"{at}.{key}") for key in names}

    layers = range(cfg.n_layers)
    attention = tuple(Attention(**those(Attention, f"blocks.{i}.attn", f"blocks.{i}.ln1")) for i in layers)
    mlps = () if cfg.attn_only else tuple(Mlp(**those(Mlp, f"blocks.{i}.mlp", f"blocks.{i}.ln2")) for i in layers)
    return Weights(
        W_E=tensors["embed.W_E"],
        W_U=tensors["unembed.W_U"],
        attention=attention,
        mlps=mlps,
        final=norm("ln_final", cfg.final_norm, cfg.final_normed),
        b_U=tensors.get("unembed.b_U"),
        W_pos=tensors.get("pos_embed.W_pos"),
        rotary=None if cfg.rotary is None else cfg.rotary.tables(min(positions, cfg.n_ctx)),
    )
