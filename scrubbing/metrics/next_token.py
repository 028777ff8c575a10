"""Next-token loss of language models, over any set of positions, and predictions that ignore most of the context."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, as_feature
from scrubbing.device import upload
from scrubbing.errors import BadData, UsageError, fail, located
from scrubbing.metrics.logits import cross_entropy
from scrubbing.metrics.losses import Loss

Sequences = NDArray[np.int64] | Dataset


@dataclass(frozen=True)
class NextToken(Loss):
    """Cross-entropy of the next token at the positions of a slice, in nats per counted position.

    Position `t` predicts token `t + 1`; the last position, and positions whose next token is padding, never count. An
    input is drawn only if it is real at every position up to the last one that counts in the reference.
    """

    where: Feature | None = None
    """Feature per position that is true where a prediction counts (a *slice*); None for all positions."""
    tokens: str = "tokens"
    over_all_positions: bool = False
    """Divide by the number of all predictions instead of the counted ones, as the original induction study did: its
    0.179 on 5.44 % of positions is 3.29 nats per counted position."""
    outputs = "classes"
    padding_is_input: bool = False
    """See `Loss.padding_is_input`."""

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `Loss.name`."""
        where = "" if self.where is None else f" where {self.where}"
        return f"next-token cross-entropy{where} (nats per {'' if self.over_all_positions else 'counted '}position)"

    def possible(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """Every position that has a next token, bool `[n, length]`."""
        tokens = data[self.tokens]
        real = np.ones(tokens.shape, dtype=bool) if data.mask is None else data.mask
        return np.concatenate([real[:, 1:], np.zeros_like(real[:, :1])], axis=1)

    def counted(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """See `Loss.counted`.

        Raises:
            UsageError: SCR-SLICE, the slice is not a boolean per position, or selects nothing.
        """
        return sliced(self.where, data, self.possible(data, length))

    def weights(self, counted: NDArray[np.bool_], data: Dataset) -> NDArray[np.float64]:
        """See `Loss.weights`."""
        divisor = self.possible(data, counted.shape[1]) if self.over_all_positions else counted
        return divisor.sum(axis=1).astype(np.float64)

    def per_token(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """See `Loss.per_token`."""
        return cross_entropy(output, self.targets(data, rows, positions, output))

    def constant(self, data: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Loss of the unigram: minus the log frequency of each next token among those that count in this dataset."""
        following = self.following(data)
        frequency = np.bincount(following[counted])
        share = np.zeros(max(len(frequency), int(following.max()) + 1))
        share[: len(frequency)] = frequency / max(frequency.sum(), 1)
        with np.errstate(divide="ignore"):
            loss = -np.log(share)
        return np.where(counted, loss[following], 0.0)

    def following(self, data: Dataset) -> NDArray[np.int64]:
        """The token that follows each position, `[n, length]`; 0 at the last position."""
        tokens = data[self.tokens].astype(np.int64)
        return np.concatenate([tokens[:, 1:], np.zeros_like(tokens[:, :1])], axis=1)

    def targets(self, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64], output: Tensor) -> Tensor:
        """See `Loss.targets`."""
        targets = data.remember(("following", self.tokens), lambda: self.following(data))[rows, positions]
        if len(targets) and int(targets.max()) >= output.shape[1]:
            problem = f"column {self.tokens!r} holds token {int(targets.max())}; the model predicts {output.shape[1]}."
            fail(BadData, "SCR-LABEL", problem, "Tokenise with the model's own tokenizer.", data.name)
        return upload(targets, output.device)


def sliced(where: Feature | None, data: Dataset, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The positions of a slice among those given, bool `[n, length]`.

    Raises:
        UsageError: SCR-SLICE, the feature is not a boolean per position, or selects nothing.
    """
    if where is None:
        return among
    with located(f"slice {where}"):
        chosen = np.asarray(as_feature(where)(data))
        if chosen.shape != among.shape or chosen.dtype.kind != "b":
            problem = f"it is {chosen.dtype} of shape {list(chosen.shape)} on inputs of {among.shape[1]} positions."
            fail(UsageError, "SCR-SLICE", problem, f"Return booleans [{len(data)}, {among.shape[1]}].")
        if not (chosen & among).any():
            fail(UsageError, "SCR-SLICE", "it selects no prediction.", "Choose positions that predict a token.")
    return chosen & among


@dataclass(frozen=True, eq=False)
class Bigram:
    """Predicts the next token from the current one alone, with counts that are smoothed towards the unigram.

    p(b | a) = (count(a b) + strength * p(b)) / (count(a) + strength), with p(b) = (count(b) + 1/2) / (n + V/2) (the
    Dirichlet prior of MacKay and Peto 1995).
    """

    vocabulary: int
    pairs: NDArray[np.int64]
    """Sorted codes `a * vocabulary + b` of the pairs seen."""
    counts: NDArray[np.int64]
    firsts: NDArray[np.int64]
    """Number of pairs that each token is the first of."""
    unigram: NDArray[np.float64]
    strength: float

    @classmethod
    def fit(cls, tokens: Sequences, held_out: Sequences, vocabulary: int) -> Bigram:
        """Fit counts to sequences, and the strength of smoothing to other sequences.

        Args:
            tokens: sequences to count, int `[n, length]`, or a dataset, whose padding is left out.
            held_out: sequences on which the strength minimises the loss, in the same form.
            vocabulary: number of tokens.
        """
        from scipy.optimize import minimize_scalar

        text, real = _read(tokens)
        first, second = text[:, :-1][real], text[:, 1:][real]
        codes, counts = np.unique(first * vocabulary + second, return_counts=True)
        firsts = np.bincount(first, minlength=vocabulary)
        seconds = np.bincount(second, minlength=vocabulary) + 0.5
        unigram = seconds / seconds.sum()
        _, counted = _read(held_out)

        def held(log_strength: float) -> float:
            made = cls(vocabulary, codes, counts, firsts, unigram, float(np.exp(log_strength)))
            return float(made.losses(held_out)[:, :-1][counted].mean())

        best = minimize_scalar(held, bounds=(-7.0, 9.0), method="bounded", options={"xatol": 0.05})
        return cls(vocabulary, codes, counts, firsts, unigram, float(np.exp(best.x)))

    def losses(self, tokens: Sequences) -> NDArray[np.float64]:
        """Loss of every prediction, `[n, length]`; 0 at the last position, and where the next token is padding."""
        text, real = _read(tokens)
        first, second = text[:, :-1], text[:, 1:]
        code = first * self.vocabulary + second
        place = np.searchsorted(self.pairs, code).clip(0, len(self.pairs) - 1)
        seen = np.where(self.pairs[place] == code, self.counts[place], 0)
        chance = (seen + self.strength * self.unigram[second]) / (self.firsts[first] + self.strength)
        return np.concatenate([np.where(real, -np.log(chance), 0.0), np.zeros((len(text), 1))], axis=1)


def _read(given: Sequences) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Tokens `[n, length]`, and which of them are followed by a real one, `[n, length - 1]`."""
    tokens = np.asarray(given["tokens"] if isinstance(given, Dataset) else given).astype(np.int64)
    mask = given.mask if isinstance(given, Dataset) else None
    return tokens, np.ones_like(tokens[:, 1:], dtype=bool) if mask is None else mask[:, 1:]
