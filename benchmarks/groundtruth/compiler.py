"""Writing a mechanism into the weights of a transformer: named places in the residual stream, heads and neurons.

The models have no norms, so that a head or neuron reads exactly what is written for it. Scores are either all equal or
differ by `SHARP`, so that softmax is a mean or a choice, to 1e-13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from scrubbing.models.transformer import Transformer

Floats = NDArray[np.float64]

SHARP = 40.0
"""Difference of two attention scores of which one is meant to win."""
LOUD = 20.0
"""Size of a logit: a right answer costs next to nothing, a wrong one 20 nats."""


@dataclass(eq=False)
class Stream:
    """The residual stream as named places, each a few coordinates of its own."""

    places: dict[str, slice] = field(default_factory=dict)
    width: int = 0

    def place(self, name: str, width: int = 1) -> str:
        """A new place of so many coordinates."""
        self.places[name] = slice(self.width, self.width + width)
        self.width += width
        return name

    def at(self, name: str) -> NDArray[np.int64]:
        """Coordinates of a place."""
        return np.arange(self.width)[self.places[name]]

    def read(self, of: Mapping[str, ArrayLike]) -> Floats:
        """A matrix `[d, k]` that maps the stream to `sum of place @ matrix [width, k]`."""
        columns = {name: np.atleast_2d(np.asarray(matrix, dtype=np.float64)) for name, matrix in of.items()}
        made = np.zeros((self.width, next(iter(columns.values())).shape[1]))
        for name, matrix in columns.items():
            made[self.at(name)] += matrix
        return made


@dataclass(eq=False)
class Head:
    """One head: what scores are made of, what moves, and where it goes; each a matrix over the stream."""

    query: Floats
    """`[d, k]`."""
    key: Floats
    """`[d, k]`."""
    value: Floats
    """`[d, v]`."""
    out: Floats
    """`[v, d]`."""


@dataclass(eq=False)
class Neurons:
    """Neurons of one MLP, relu."""

    reads: list[Floats] = field(default_factory=list)
    """Each `[d]`."""
    bias: list[float] = field(default_factory=list)
    writes: list[Floats] = field(default_factory=list)
    """Each `[d]`."""

    def add(self, reads: Floats, bias: float, writes: Floats) -> int:
        """A neuron that adds `relu(x @ reads + bias) * writes`; its index."""
        self.reads.append(reads)
        self.bias.append(bias)
        self.writes.append(writes)
        return len(self.reads) - 1


@dataclass(eq=False)
class Program:
    """A transformer under construction.

    Args:
        vocabulary: number of tokens.
        positions: length of the inputs.
        outputs: number of classes.
        causal: whether a query sees only keys up to its own position.
    """

    vocabulary: int
    positions: int
    outputs: int
    causal: bool = False
    stream: Stream = field(default_factory=Stream)
    heads: list[list[Head]] = field(default_factory=list)
    neurons: list[Neurons] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.token = self.stream.place("token", self.vocabulary)
        self.position = self.stream.place("position", self.positions)
        self.one = self.stream.place("one")

    def layer(self, *heads: Head) -> Neurons:
        """A block with these heads; its neurons are added to what is returned."""
        self.heads.append(list(heads))
        self.neurons.append(Neurons())
        return self.neurons[-1]

    def vector(self, of: Mapping[str, ArrayLike]) -> Floats:
        """`[d]` with these values at these places."""
        made = np.zeros(self.stream.width)
        for name, values in of.items():
            made[self.stream.at(name)] = values
        return made

    def mean(self, value: Mapping[str, ArrayLike], out: str) -> Head:
        """A head that averages over all keys it sees."""
        moved = self.stream.read(value)
        return Head(np.zeros((self.stream.width, 1)), np.zeros((self.stream.width, 1)), moved, self._into(out, moved))

    def choose(
        self, query: Mapping[str, ArrayLike], key: Mapping[str, ArrayLike], value: Mapping[str, ArrayLike], out: str
    ) -> Head:
        """A head that attends where query and key agree: their product, times `SHARP`, is the score."""
        moved = self.stream.read(value)
        return Head(SHARP * self.stream.read(query), self.stream.read(key), moved, self._into(out, moved))

    def _into(self, place: str, moved: Floats) -> Floats:
        out = np.zeros((moved.shape[1], self.stream.width))
        out[np.arange(moved.shape[1]), self.stream.at(place)] = 1.0
        return out

    def build(self, logits: Mapping[str, ArrayLike], name: str, bias: Sequence[float] | None = None) -> Transformer:
        """The transformer whose logits are these reads of the stream."""
        import torch

        from scrubbing.models.transformer import Attention, Mlp, Norm, Spec, Weights, assemble

        def tensor(array: ArrayLike) -> torch.Tensor:
            return torch.tensor(np.asarray(array), dtype=torch.float32)

        d = self.stream.width
        W_E, W_pos = np.zeros((self.vocabulary, d)), np.zeros((self.positions, d))
        W_E[np.arange(self.vocabulary), self.stream.at(self.token)] = 1.0
        W_pos[np.arange(self.positions), self.stream.at(self.position)] = 1.0
        W_pos[:, self.stream.at(self.one)] = 1.0
        count = max(map(len, self.heads))
        width = max(max(h.query.shape[1], h.value.shape[1]) for heads in self.heads for h in heads)
        attention, mlps = [], []
        for heads, neurons in zip(self.heads, self.neurons, strict=True):
            made = {key: np.zeros((count, d, width)) for key in ("W_Q", "W_K", "W_V")}
            W_O = np.zeros((count, width, d))
            for i, head in enumerate(heads):
                for key, matrix in (("W_Q", head.query), ("W_K", head.key), ("W_V", head.value)):
                    made[key][i, :, : matrix.shape[1]] = _wide(matrix, d)
                W_O[i, : head.out.shape[0]] = _wide(head.out.T, d).T
            W_Q, W_K, W_V = (tensor(array) for array in made.values())
            attention.append(Attention(Norm("none"), W_Q, W_K, W_V, tensor(W_O)))
            n = max(len(neurons.reads), 1)  # a layer without neurons has one that is never on
            W_in, b_in, W_out = np.zeros((d, n)), np.full(n, -1.0), np.zeros((n, d))
            for i, (reads, b, writes) in enumerate(zip(neurons.reads, neurons.bias, neurons.writes, strict=True)):
                W_in[: len(reads), i], b_in[i], W_out[i, : len(writes)] = reads, b, writes
            mlps.append(Mlp(Norm("none"), tensor(W_in), tensor(W_out), tensor(b_in)))
        unembed = np.zeros((d, self.outputs))
        unembed[:] = LOUD * self.stream.read(logits)
        weights = Weights(
            tensor(W_E),
            tensor(unembed),
            tuple(attention),
            tuple(mlps),
            Norm("none"),
            b_U=None if bias is None else LOUD * tensor(bias),
            W_pos=tensor(W_pos),
        )
        return assemble(Spec("compiled", self.causal, 1.0), weights, name)


def _wide(matrix: Floats, d: int) -> Floats:
    """Rows for coordinates that were placed after the matrix was made."""
    return np.pad(matrix, ((0, d - len(matrix)), (0, 0)))


def all_inputs(*choices: int) -> NDArray[np.int64]:
    """Every row with `choices[i]` values in column i, `[product, columns]`."""
    return np.stack(np.meshgrid(*map(np.arange, choices), indexing="ij"), axis=-1).reshape(-1, len(choices))
