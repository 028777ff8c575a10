"""Which heads do what in a model that inducts, with the evidence."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hypotheses.induction.features import last_copy
from hypotheses.induction.program import fitted
from scrubbing import ModelMismatch
from scrubbing.errors import fail

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from scrubbing.models.transformer import Transformer

Head = tuple[int, int]
"""Layer and index."""
Scores = tuple[tuple[float, ...], ...]
"""By layer and head."""

_SHARE = 0.5
"""A head has a role if its score is at least this share of the best head's."""
_ABOVE_CHANCE = 2.0
"""... and at least this many times what attending everywhere alike would score."""
_LEAST_COPY = 0.3
"""Attention to copies of the current token, itself included, from which a head counts as attending to them."""
_FITTED_ON = 32
"""Sequences on which the scale of a program is fitted."""
_ROWS_AT_ONCE = 8
"""Sequences whose attention patterns are held at a time."""


@dataclass(frozen=True)
class Roles:
    """Heads by what they do, each as (layer, index), and the scores from which that follows."""

    previous: tuple[Head, ...]
    """Heads that attend to the previous token, below the last induction head."""
    copies: tuple[Head, ...]
    """Heads of layer 0 that attend to the current token and its earlier copies. Only there do copies look the same:
    what a later layer reads at a copy depends on what stood before it."""
    induction: tuple[Head, ...]
    """Heads above layer 0 that attend to what followed earlier copies of the current token."""
    layers: int
    heads: int
    """Heads per layer."""
    mlps: bool = False
    """Whether the model has MLPs."""
    scores: dict[str, Scores] = field(default_factory=dict)
    """Mean attention by role, layer and head."""
    chance: dict[str, float] = field(default_factory=dict)
    """By role, the score of a head that attends everywhere alike."""
    strict: dict[str, float] = field(default_factory=dict)
    """By induction head, such as `1.3`, the scale of strict induction as a program in its place."""

    @property
    def below(self) -> tuple[Head, ...]:
        """Every head of the layers below the last induction head."""
        return tuple((layer, i) for layer in range(max(self.induction)[0]) for i in range(self.heads))

    @classmethod
    def load(cls, path: Path) -> Roles:
        """From a JSON file that `save` wrote; needs no weights and no torch."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        chosen = {name: tuple(map(tuple, stored.pop(name))) for name in ("previous", "copies", "induction")}
        scores = {name: tuple(map(tuple, found)) for name, found in stored.pop("scores").items()}
        return cls(**chosen, scores=scores, **stored)

    def save(self, path: Path) -> None:
        """As JSON, scores to four digits."""
        scores = {name: np.round(found, 4).tolist() for name, found in self.scores.items()}
        chance = {name: round(found, 4) for name, found in self.chance.items()}
        path.write_text(json.dumps({**asdict(self), "scores": scores, "chance": chance}) + "\n", encoding="utf-8")

    def describe(self) -> str:
        """The evidence as text: the heads of each role and the best three without it."""
        lines: list[str] = []
        for name, chosen in (("previous", self.previous), ("copies", self.copies), ("induction", self.induction)):
            table = np.array(self.scores[name])
            ranked = [(int(i) // self.heads, int(i) % self.heads) for i in np.argsort(-table, axis=None, kind="stable")]
            shown = [*(one for one in ranked if one in chosen), *[one for one in ranked if one not in chosen][:3]]
            told = "  ".join(f"{head[0]}.{head[1]} {table[head]:.2f}{'*' if head in chosen else ''}" for head in shown)
            lines.append(f"{name:9} {told}  (chance {self.chance[name]:.2f})")
        return "\n".join([*lines, "mean attention; * has the role; chance: attending everywhere alike"])


def find_roles(model: Transformer, tokens: NDArray[Any]) -> Roles:
    """Roles by attention on ordinary text.

    `previous`: mean attention to the previous token. `copies`: to the current token and its earlier copies, where there
    are any. `induction`: where the current token has occurred before, to the tokens that followed its copies. A head
    has a role if it has at least half of the best score among the heads that may have it, and twice what attending
    everywhere alike would score; `copies` need 0.3, and exclude `previous`. Source: the scores follow Olsson et al.
    2022; the thresholds are ours.

    Args:
        model: a causal language model with at least two layers.
        tokens: `[n, length]`, of other text than what is scrubbed.

    Raises:
        ModelMismatch: SCR-ROLES, it has no induction heads.
    """
    scores, chance = _scores(model, tokens)

    def best(name: str, among: list[Head]) -> list[Head]:
        found = {(layer, i): scores[name][layer, i] for layer, i in among}
        least = max(_SHARE * max(found.values(), default=0.0), _ABOVE_CHANCE * chance[name])
        return [one for one, score in found.items() if score >= least]

    heads = [(layer, i) for layer in range(model.n_layers) for i in range(model.n_heads)]
    induction = best("induction", [one for one in heads if one[0] > 0])
    if not induction:
        top = float(scores["induction"].max())
        problem = f"no head attends to what followed earlier copies: the best scores {top:.3f}, chance is"
        problem += f" {chance['induction']:.3f}."
        fail(ModelMismatch, "SCR-ROLES", problem, "Use a model that inducts, or longer text that repeats.", model.name)
    last = max(induction)[0]
    previous = best("previous", [one for one in heads if one[0] < last and one not in induction])
    copies = [(0, i) for i in range(model.n_heads) if scores["copies"][0, i] >= _LEAST_COPY and (0, i) not in previous]
    return Roles(
        previous=tuple(previous),
        copies=tuple(copies),
        induction=tuple(induction),
        layers=model.n_layers,
        heads=model.n_heads,
        mlps=bool(model.weights.mlps),
        strict=fitted(model, tokens[:_FITTED_ON].astype(np.int64), induction),
        scores={name: tuple(map(tuple, found.tolist())) for name, found in scores.items()},
        chance=chance,
    )


def _scores(model: Transformer, tokens: NDArray[Any]) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """Mean attention `[layers, heads]` and its value for uniform attention, by role."""
    import torch

    from scrubbing.models.transformer import patterns

    total = {name: np.zeros((model.n_layers + 1, model.n_heads)) for name in ("previous", "copies", "induction")}
    count = dict.fromkeys(total, 0)
    length = tokens.shape[1]
    uniform = torch.ones(length, length, device=model.device).tril()
    uniform = (uniform / uniform.sum(-1, keepdim=True)).expand(1, model.n_heads, -1, -1)
    for start in range(0, len(tokens), _ROWS_AT_ONCE):
        rows = tokens[start : start + _ROWS_AT_ONCE].astype(np.int64)
        pairs = _pairs(rows, model.device)
        with torch.inference_mode():
            attention = patterns(model.spec, model.weights, torch.from_numpy(rows).to(model.device), None)
        for name, (keys, where) in pairs.items():
            count[name] += int(where.sum())
            # Uniform attention is scored as one more layer.
            for layer, pattern in enumerate([*attention, uniform]):
                found = (pattern * keys[:, None]).sum(-1).transpose(1, 2)[where]
                total[name][layer] += found.double().sum(0).cpu().numpy()
    means = {name: total[name] / max(count[name], 1) for name in total}
    chance = {name: float(found[-1, 0]) for name, found in means.items()}
    return {name: found[:-1] for name, found in means.items()}, chance


def _pairs(tokens: NDArray[np.int64], device: torch.device) -> dict[str, tuple[Tensor, Tensor]]:
    """By role, which keys each query should attend to `[rows, queries, keys]`, and the queries that count."""
    import torch

    rows, length = tokens.shape
    same = torch.from_numpy(np.tril(tokens[:, :, None] == tokens[:, None, :])).to(device)
    earlier = same.tril(-1)
    followed = torch.zeros_like(earlier)
    followed[:, :, 1:] = earlier[:, :, :-1]
    repeats = torch.from_numpy(last_copy(tokens) >= 0).to(device)
    beyond = torch.ones_like(repeats)
    beyond[:, 0] = False
    before = torch.ones(length, length, dtype=torch.bool, device=device).tril(-1).triu(-1).expand(rows, -1, -1)
    return {"previous": (before, beyond), "copies": (same, repeats), "induction": (followed, repeats)}
