"""Strict induction as a program: what an induction head would write if it did nothing but what its name says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hypotheses.induction.features import last_copy
from scrubbing import Dataset, Node
from scrubbing.parts import InputPart

if TYPE_CHECKING:
    from hypotheses.induction.roles import Head
    from scrubbing.models.transformer import Transformer


@dataclass(frozen=True)
class StrictInduction(InputPart):
    """A program in the place of a head: it looks for the latest earlier copy of the current token, and writes of the
    token after that copy what the head's own value and output matrices make of its embedding alone. Where the current
    token has no earlier copy, it writes nothing. Source: ours.

    The program depends on the tokens of the input, and on the model only through the table of what each token would be
    written as.
    """

    layer: int
    index: int
    scale: float
    """What the program is multiplied by, since a head's pattern puts less than all of its weight on one place."""

    def values(self, data: Any) -> NDArray[np.int64]:
        """The token that is written at each position, `[n, positions]`; -1 for nothing."""
        return followed(data)

    def table(self, model: Any) -> NDArray[np.float64]:
        """What is written of each token, `[vocabulary, d]`."""
        return self.scale * written(model, (self.layer, self.index))

    def __str__(self) -> str:
        return f"strict induction times {self.scale:.2f}"


def followed(data: Dataset) -> NDArray[np.int64]:
    """The token that followed the last earlier copy of each token; -1 where there is none, `[n, positions]`."""

    def found() -> NDArray[np.int64]:
        tokens = np.asarray(data["tokens"]).astype(np.int64)
        copies = last_copy(tokens)
        return np.where(copies >= 0, np.take_along_axis(tokens, copies.clip(0) + 1, axis=1), -1)

    return data.remember("followed the last copy", found)


def written(model: Transformer, one: Head) -> NDArray[np.float64]:
    """What a head's value and output matrices make of every token's embedding, behind the head's norm, `[vocabulary,
    d]`.
    """
    import torch

    weights, (layer, index) = model.weights, one
    attention = weights.attention[layer]
    group = index * len(attention.W_V) // len(attention.W_Q)
    key = model.norm_key(Node.parse(f"a{layer}.h{index}"), "v")
    positions = torch.zeros(len(weights.W_E), dtype=torch.long, device=model.device)
    values = model.prepare(key, weights.W_E, positions, None) @ attention.W_V[group]
    values = values if attention.b_V is None else values + attention.b_V[group]
    return (values @ attention.W_O[index]).double().cpu().numpy()


def fitted(model: Transformer, tokens: NDArray[Any], heads: Sequence[Head]) -> dict[str, float]:
    """By head (`1.3`), the scale with which the program is closest to what the head writes, by least squares over all
    positions with an earlier copy of their token.

    Args:
        model: whose heads they are.
        tokens: `[n, length]`, of other text than what is scrubbed.
        heads: layer and index of each.
    """
    data = Dataset({"tokens": tokens})
    where = followed(data)
    found: dict[str, float] = {}
    for layer, index in heads:
        program = written(model, (layer, index))[where[where >= 0]]
        actual = model.read(f"a{layer}.h{index}", data).double().numpy()[where >= 0]
        found[f"{layer}.{index}"] = round(float((program * actual).sum() / (program**2).sum()), 4)
    return found
