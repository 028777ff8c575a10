"""Resampling that every tool can do: the claim, the inputs that were drawn, and what the changed activations are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hypotheses.induction import ladder
from hypotheses.induction.roles import Roles
from scrubbing import EMBED, OUTPUT, POS, Claim, Hypothesis, Node, head
from scrubbing.engine import Clean, Compiled
from scrubbing.hypothesis import Bundle
from scrubbing.samplers import exact, separate
from scrubbing.sampling import Frame

Edits = dict[str, tuple[Tensor, Tensor]]
"""By site (`z0`, `z1`: the heads of a layer, side by side; `q`, `k`, `v`: of layer 1), the columns to overwrite, and
with what, `[rows, positions, columns]`."""


@dataclass(frozen=True)
class Case:
    """One claim in our language, and in words that name activations."""

    name: str
    hypothesis: Hypothesis
    slots: str = ""
    """Slots of the induction heads that hold a mixture of their own; empty where whole heads are exchanged."""
    apart: bool = False
    """Whether every other head is drawn on its own."""

    @property
    def sites(self) -> tuple[str, ...]:
        """What must be known of other inputs, in the order of the forward pass."""
        return ("z0", "stream") if self.slots else ("z0", "z1") if self.apart else ("z1",)


def cases(roles: Roles, learned_positions: bool) -> list[Case]:
    """The zero point, separate slots, and separate draws."""
    slots = {
        "v": [EMBED.direct().into("v")],
        "q": [EMBED.direct().into("q")],
        "k": [head(*one).direct().into("k") for one in roles.previous],
    }
    heads = Bundle(tuple(head(*one).direct() for one in roles.induction))

    def into(*names: str) -> Hypothesis:
        claimed: list[Claim] = [target.carries(ladder.SEQUENCE) for name in names for target in slots[name]]
        rest = [name for name in "qkv" if name not in names]
        claimed += [ladder.reads(*rest).carries(ladder.SEQUENCE)] if rest else []
        told = f"Of what the induction heads read, {', '.join(names)} need one writer each."
        claim = heads.carries(ladder.SEQUENCE, *claimed)
        return Hypothesis(f"speed/{''.join(names)}", told, OUTPUT.carries(ladder.NEXT, claim, unclaimed=exact))

    kept = [EMBED, POS] if learned_positions else [EMBED]
    claims = [one.direct().carries(ladder.SEQUENCE) for one in kept]
    told = "Only the induction heads and the embeddings matter for the output."
    claim = OUTPUT.carries(ladder.NEXT, *claims, heads.carries(ladder.SEQUENCE), unclaimed=separate())
    return [
        Case("induction heads together", ladder.heads_only(roles)),
        *(Case(f"{name} alone", into(name), name) for name in slots),
        Case("v, q and k", into("v", "q", "k"), "vqk"),
        Case("other heads, a draw each", Hypothesis("speed/separate", told, claim), apart=True),
    ]


def drawn(compiled: Compiled, rows: NDArray[np.int64]) -> dict[Node, NDArray[np.int64]]:
    """By node, the dataset row that it is taken from for each reference, where that is another input; draw 0 of seed
    0.
    """
    frame = Frame.root(compiled.data, rows, np.zeros_like(rows), 0, {})
    found: dict[Node, NDArray[np.int64]] = {}
    for value in compiled.plan.values():
        if isinstance(value, Clean):
            _, held = frame.source(value.context)
            if (held != rows).any():
                found[value.item.node] = held
    return found


class Weights(Protocol):
    """What is needed of a model to mix what its layer 1 reads."""

    embed: Tensor
    """`[vocabulary, d]`."""
    out: Tensor
    """Of layer 0, heads side by side, `[heads d_head, d]`."""

    def project(self, slot: str, stream: Tensor, columns: Tensor) -> Tensor:
        """The normed residual stream through some columns of one projection of layer 1."""
        ...


@dataclass(eq=False)
class Pool:
    """What was collected of some inputs, once each."""

    rows: NDArray[np.int64]
    """Ascending."""
    found: dict[str, Tensor]
    """By site, `[inputs, positions, ...]`."""

    def __call__(self, site: str, rows: NDArray[np.int64], columns: Tensor | None = None) -> Tensor:
        """A site of these inputs."""
        chosen = self.found[site][torch.from_numpy(np.searchsorted(self.rows, rows))]
        return chosen if columns is None else chosen[..., columns]


def edits(
    case: Case,
    roles: Roles,
    weights: Weights,
    tokens: Tensor,
    pool: Pool,
    rows: NDArray[np.int64],
    held: dict[Node, NDArray[np.int64]],
) -> Edits:
    """What to overwrite in a pass over the references `rows`, where `held` says what each node is taken from."""
    size = weights.out.shape[0] // roles.heads

    def columns(heads: Iterable[int]) -> Tensor:
        return torch.cat([torch.arange(i * size, (i + 1) * size) for i in heads])

    induction = columns(i for _, i in roles.induction)
    if case.apart:
        made: Edits = {}
        for layer in (0, 1):
            own = [held.get(Node.parse(f"a{layer}.h{i}"), rows) for i in range(roles.heads)]
            z = torch.cat([pool(f"z{layer}", one, columns((i,))) for i, one in enumerate(own)], -1)
            made[f"z{layer}"] = (columns(range(roles.heads)), z)
        return made
    (other,) = {one.tobytes(): one for one in held.values()}.values()
    if not case.slots:
        return {"z1": (induction, pool("z1", other, induction))}
    stream, previous = pool("stream", other), columns(i for _, i in roles.previous)
    moved = weights.embed[tokens[rows]] - weights.embed[tokens[other]]
    mixed = {"q": stream + moved, "v": stream + moved} if set(case.slots) & set("qv") else {}
    if "k" in case.slots:
        mixed["k"] = stream + (pool("z0", rows, previous) - pool("z0", other, previous)) @ weights.out[previous]
    return {slot: (induction, weights.project(slot, mixed[slot], induction)) for slot in case.slots}


def needed(case: Case, rows: NDArray[np.int64], held: dict[Node, NDArray[np.int64]]) -> NDArray[np.int64]:
    """The inputs whose activations a pass over these references takes, each once."""
    own = [rows] if case.apart or "k" in case.slots else []
    return np.unique(np.concatenate([*own, *held.values()]))
