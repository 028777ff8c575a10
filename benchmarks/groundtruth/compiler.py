"""Writing a mechanism into the weights of a transformer: named places in the residual stream, heads and neurons.

The models have no norms, so that a head or neuron reads exactly what is written for it. Scores are either all equal or
differ by `SHARP` or more, so that softmax is a mean or a choice, to 1e-13. Among the heads and neurons of the mechanism
stand idle ones, which compute something of the input that nothing reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing import Target, head

if TYPE_CHECKING:
    import torch

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

    def step(self, reads: Floats, threshold: float, writes: Floats) -> list[int]:
        """Two neurons that add `writes` where the integer `x @ reads` is at least `threshold`; their indices."""
        return [self.add(reads, 1 - threshold, writes), self.add(reads, -threshold, -writes)]


@dataclass(eq=False)
class Program:
    """A transformer under construction.

    Args:
        symbols: number of symbols. Which token stands for which is drawn from the seed.
        positions: length of the inputs.
        outputs: number of classes.
        seed: of the order of tokens, and of heads and neurons, idle ones among them.
        causal: whether a query sees only keys up to its own position.
    """

    symbols: int
    positions: int
    outputs: int
    seed: int
    causal: bool = False
    stream: Stream = field(default_factory=Stream)
    heads: list[list[Head]] = field(default_factory=list)
    neurons: list[Neurons] = field(default_factory=list)
    found: dict[str, Target] = field(default_factory=dict)
    """The heads of the mechanism, by name."""
    idle: list[Target] = field(default_factory=list)
    """Heads that nothing reads."""

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([self.seed, self.symbols, self.positions])
        self.tokens = self.rng.permutation(self.symbols)
        """The token of each symbol."""
        self.symbol = self.stream.place("symbol", self.symbols)
        self.position = self.stream.place("position", self.positions)
        self.one = self.stream.place("one")

    def layer(self, **heads: Head) -> Neurons:
        """A block with these heads and one or two idle ones, in any order; its neurons are added to what is returned,
        after an idle one.
        """
        idle = {f"idle {i}": self._idle_head() for i in range(int(self.rng.integers(1, 3)))}
        named = list((heads | idle).items())
        layer = len(self.heads)
        self.heads.append([])
        for index, which in enumerate(self.rng.permutation(len(named))):
            name, made = named[which]
            self.heads[-1].append(made)
            if name in idle:
                self.idle.append(head(layer, index))
            else:
                self.found[name] = head(layer, index)
        self.neurons.append(Neurons())
        unread = self.stream.place(f"unread {self.stream.width}")
        self.neurons[-1].add(
            self.vector({self.symbol: self.rng.integers(2, size=self.symbols)}), 0.0, self.vector({unread: 1.0})
        )
        return self.neurons[-1]

    def head(self, name: str) -> Target:
        """A head of the mechanism."""
        return self.found[name]

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

    def fetch(self, position: int, value: Mapping[str, ArrayLike], out: str) -> Head:
        """A head that reads this position, wherever it is asked."""
        return self.choose({self.one: [[1.0]]}, {self.position: one_hot(self.positions, [position])}, value, out)

    def build(
        self, logits: Mapping[str, ArrayLike], name: str, bias: Sequence[float] | None = None, scale: float = LOUD
    ) -> Transformer:
        """The transformer whose outputs are `scale` times these reads of the stream."""
        from scrubbing.models.transformer import Attention, Mlp, Norm, Spec, Weights, assemble

        d, norm = self.stream.width, Norm("none")
        W_E, W_pos = np.zeros((self.symbols, d)), np.zeros((self.positions, d))
        W_E[self.tokens, self.stream.at(self.symbol)] = 1.0
        W_pos[np.arange(self.positions), self.stream.at(self.position)] = 1.0
        W_pos[:, self.stream.at(self.one)] = 1.0
        count = max(map(len, self.heads))
        width = max(max(h.query.shape[1], h.value.shape[1]) for heads in self.heads for h in heads)
        attention, mlps = [], []
        for heads, neurons in zip(self.heads, self.neurons, strict=True):
            made = {key: np.zeros((count, d, width)) for key in ("W_Q", "W_K", "W_V")}
            W_O = np.zeros((count, width, d))
            for i, one in enumerate(heads):
                for key, matrix in (("W_Q", one.query), ("W_K", one.key), ("W_V", one.value)):
                    made[key][i, :, : matrix.shape[1]] = _wide(matrix, d)
                W_O[i, : one.out.shape[0]] = _wide(one.out.T, d).T
            W_Q, W_K, W_V = (_tensor(array) for array in made.values())
            attention.append(Attention(norm, W_Q, W_K, W_V, _tensor(W_O)))
            W_in, W_out = (
                np.stack([np.pad(one, (0, d - len(one))) for one in rows]) for rows in (neurons.reads, neurons.writes)
            )
            mlps.append(Mlp(norm, _tensor(W_in.T), _tensor(W_out), _tensor(neurons.bias)))
        unembed = scale * self.stream.read(logits)
        b_U = None if bias is None else _tensor(scale * np.asarray(bias))
        weights = Weights(
            _tensor(W_E), _tensor(unembed), tuple(attention), tuple(mlps), norm, b_U=b_U, W_pos=_tensor(W_pos)
        )
        return assemble(Spec("compiled", self.causal, 1.0), weights, name)

    def _into(self, place: str, moved: Floats) -> Floats:
        out = np.zeros((moved.shape[1], self.stream.width))
        out[np.arange(moved.shape[1]), self.stream.at(place)] = 1.0
        return out

    def _idle_head(self) -> Head:
        """Fetches the symbol at one position, for nobody."""
        unread = self.stream.place(f"unread {self.stream.width}", self.symbols)
        return self.fetch(int(self.rng.integers(self.positions)), {self.symbol: np.eye(self.symbols)}, unread)


def one_hot(width: int, at: Sequence[int]) -> Floats:
    """`[width, len(at)]`, column i one at `at[i]`."""
    return np.eye(width)[:, list(at)]


def _wide(matrix: Floats, d: int) -> Floats:
    """Rows for coordinates that were placed after the matrix was made."""
    return np.pad(matrix, ((0, d - len(matrix)), (0, 0)))


def _tensor(array: ArrayLike) -> torch.Tensor:
    import torch

    return torch.tensor(np.asarray(array), dtype=torch.float32)
