"""Slices and features of token sequences. All are exact; positions that predict nothing are never counted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing import Dataset, feature


def last_copy(tokens: NDArray[Any]) -> NDArray[np.int64]:
    """Position of the last earlier copy of each token, -1 where there is none, `[n, length]`."""
    n, length = tokens.shape
    found = np.full((n, length), -1, dtype=np.int64)
    latest = np.full((n, int(tokens.max()) + 1), -1, dtype=np.int64)
    rows = np.arange(n)
    for position in range(length):
        found[:, position] = latest[rows, tokens[:, position]]
        latest[rows, tokens[:, position]] = position
    return found


def _copies(data: Dataset) -> NDArray[np.int64]:
    return data.remember("last copy", lambda: last_copy(data["tokens"]))


@feature
def file(data: Dataset) -> Any:
    """The file that a sequence is from."""
    return data["file"]


@feature(per="position")
def every_position(data: Dataset) -> Any:
    """Every prediction."""
    return np.ones(data["tokens"].shape, dtype=bool)


@feature(per="position")
def candidate(data: Dataset) -> Any:
    """Tokens after which copying what followed an earlier copy tends to beat bigram statistics (see `candidates`)."""
    return data["candidate"]


@feature(per="position")
def repeated_candidate(data: Dataset) -> Any:
    """Candidates that occurred before in the sequence."""
    return data["candidate"] & (_copies(data) >= 0)


@feature(per="position")
def repeated_bigram(data: Dataset) -> Any:
    """Candidates that occurred before and are followed by what followed them then."""
    tokens, copies = data["tokens"], _copies(data)
    following = np.concatenate([tokens[:, 1:], np.full_like(tokens[:, :1], -1)], axis=1)
    then = np.take_along_axis(following, copies.clip(0), axis=1)
    return data["candidate"] & (copies >= 0) & (then == following)


def candidates(
    tokens: NDArray[Any], bigram: NDArray[np.float64], vocabulary: int, least: int = 20
) -> NDArray[np.bool_]:
    """Tokens after which exact induction helps, bool `[vocabulary]`. Source: ours; the original list's rule is lost.

    A token is one if, over the places where it repeats, giving even odds to "what followed the last copy" and to the
    bigram has a lower loss on average than the bigram alone.

    Args:
        tokens: `[n, length]`, of other text than what is scrubbed.
        bigram: loss of every prediction under the bigram, `[n, length]`.
        vocabulary: number of tokens.
        least: repeats without which nothing is said of a token.
    """
    copies = last_copy(tokens)[:, :-1]
    following = tokens[:, 1:].astype(np.int64)
    hit = np.take_along_axis(following, copies.clip(0), axis=1) == following
    mixed = -np.log(0.5 * hit + 0.5 * np.exp(-bigram[:, :-1]))
    gain, repeats = bigram[:, :-1] - mixed, copies >= 0
    current = tokens[:, :-1][repeats].astype(np.int64)
    total = np.bincount(current, gain[repeats], minlength=vocabulary)
    return (np.bincount(current, minlength=vocabulary) >= least) & (total > 0)
