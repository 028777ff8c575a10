"""Which heads do what in a two-layer attention-only model, with the evidence."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hypotheses.induction.features import last_copy

if TYPE_CHECKING:
    from scrubbing.models.transformer.model import Transformer

_SHARE = 0.5
"""A head has a role if its score is at least this share of the best head's."""
_LEAST_COPY = 0.3
"""Attention to copies of the current token, itself included, from which a head counts as attending to them."""


@dataclass(frozen=True)
class Roles:
    """Heads by what they do, and the scores from which that follows."""

    previous: tuple[int, ...]
    """Heads of layer 0 that attend to the previous token."""
    copies: tuple[int, ...]
    """Heads of layer 0 that attend to the current token and its earlier copies."""
    induction: tuple[int, ...]
    """Heads of layer 1 that attend to what followed earlier copies of the current token."""
    heads: int
    """Heads per layer."""
    scores: dict[str, tuple[float, ...]]
    """Mean attention by layer-0 head (`previous`, `copies`) and layer-1 head (`induction`)."""

    @classmethod
    def load(cls, path: Path) -> Roles:
        """From a JSON file that `save` wrote; needs no weights and no torch."""
        stored = json.loads(path.read_text())
        chosen = {name: tuple(stored[name]) for name in ("previous", "copies", "induction")}
        return cls(**chosen, heads=stored["heads"], scores={k: tuple(v) for k, v in stored["scores"].items()})

    def save(self, path: Path) -> None:
        """As JSON, scores to four digits."""
        scores = {name: [round(score, 4) for score in found] for name, found in self.scores.items()}
        path.write_text(json.dumps({**asdict(self), "scores": scores}, indent=1) + "\n")

    def describe(self) -> str:
        """The evidence as text."""
        named = {"previous": (0, self.previous), "copies": (0, self.copies), "induction": (1, self.induction)}
        lines: list[str] = []
        for name, (layer, chosen) in named.items():
            told = "  ".join(
                f"{layer}.{i} {score:.2f}{'*' if i in chosen else ''}" for i, score in enumerate(self.scores[name])
            )
            lines.append(f"{name:9} {told}")
        return "\n".join([*lines, "mean attention; * has the role"])


def find_roles(model: Transformer, tokens: NDArray[Any]) -> Roles:
    """Roles by attention on ordinary text.

    `previous`: mean attention to the previous token. `copies`: to the current token and its earlier copies, where there
    are any. `induction`: where the current token has occurred before, to the tokens that followed its copies. A head
    has the role if it has at least half of the best score in its layer; `copies` need 0.3, and exclude `previous`.

    Args:
        model: with two layers of attention.
        tokens: `[n, length]`, of other text than what is scrubbed.
    """
    import torch

    from scrubbing.models.transformer.forward import patterns

    ids = torch.from_numpy(tokens.astype(np.int64)).to(model.device)
    with torch.inference_mode():
        first, second = patterns(model.spec, model.weights, ids, None)
    same = torch.from_numpy(np.tril(tokens[:, :, None] == tokens[:, None, :])).to(model.device)
    earlier = same.tril(-1)
    followed = torch.zeros_like(earlier)
    followed[:, :, 1:] = earlier[:, :, :-1]
    repeats = torch.from_numpy(last_copy(tokens) >= 0).to(model.device)

    def mean(pattern: torch.Tensor, pairs: torch.Tensor, where: torch.Tensor) -> tuple[float, ...]:
        attention = (pattern * pairs[:, None]).sum(-1).transpose(1, 2)[where]
        return tuple(attention.mean(0).tolist())

    beyond = torch.ones_like(repeats)
    beyond[:, 0] = False
    before = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=model.device).tril(-1).triu(-1)
    scores = {
        "previous": mean(first, before[None].expand(len(tokens), -1, -1), beyond),
        "copies": mean(first, same, repeats),
        "induction": mean(second, followed, repeats),
    }
    previous = _best(scores["previous"])
    return Roles(
        previous=previous,
        copies=tuple(i for i, score in enumerate(scores["copies"]) if score >= _LEAST_COPY and i not in previous),
        induction=_best(scores["induction"]),
        heads=model.n_heads,
        scores=scores,
    )


def _best(scores: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(i for i, score in enumerate(scores) if score >= _SHARE * max(scores))
