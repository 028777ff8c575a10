"""Features of paren strings, exact wherever the original study's were floats.

Strings are read from the right: a balanced one never opens more than it closes in any suffix (the horizon test) and
opens as many as it closes in all (the count test). `share` always means the share of opening parentheses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scrubbing import Dataset, feature

START, PAD, END, OPEN, CLOSE = range(5)

Ints = NDArray[np.integer]


def opens_from(data: Dataset) -> Ints:
    """How many parentheses open at each position or after it, `[n, positions]`."""
    return data.remember("opens from", lambda: _suffix_sum(data["tokens"] == OPEN))


def closes_from(data: Dataset) -> Ints:
    """How many close at each position or after it, `[n, positions]`."""
    return data.remember("closes from", lambda: _suffix_sum(data["tokens"] == CLOSE))


def _suffix_sum(flags: NDArray[np.bool_]) -> Ints:
    return flags[:, ::-1].cumsum(axis=1, dtype=np.int8)[:, ::-1]


def open_share(data: Dataset) -> NDArray[np.float64]:
    """The share of opening parentheses p of each string, `[n]`."""
    opens, closes = (side(data)[:, 0].astype(np.float64) for side in (opens_from, closes_from))
    return opens / (opens + closes)


@feature
def balanced(data: Dataset) -> NDArray[np.bool_]:
    """Whether the string closes what it opens: the count test and the horizon test."""
    return count_ok(data) & horizon_ok(data)


@feature
def count_ok(data: Dataset) -> NDArray[np.bool_]:
    """As many `(` as `)`."""
    return opens_from(data)[:, 0] == closes_from(data)[:, 0]


@feature
def horizon_ok(data: Dataset) -> NDArray[np.bool_]:
    """No suffix opens more than it closes."""
    return np.all(opens_from(data) <= closes_from(data), axis=1)


@feature
def prefix_ok(data: Dataset) -> NDArray[np.bool_]:
    """No prefix closes more than it opens: the horizon test of a reader who starts on the left."""
    return np.all(prefix_sign(data) >= 0, axis=1)


@feature
def excess_sign(data: Dataset) -> Ints:
    """The sign of how many more parentheses open than close."""
    return np.sign(opens_from(data)[:, 0] - closes_from(data)[:, 0])


@feature
def more_open(data: Dataset) -> NDArray[np.bool_]:
    """More parentheses open than close."""
    return excess_sign(data) > 0


@feature
def more_close(data: Dataset) -> NDArray[np.bool_]:
    """More parentheses close than open."""
    return excess_sign(data) < 0


@feature
def failure(data: Dataset) -> NDArray[np.int8]:
    """What is wrong: more open (1), more close and no more than that (2), some suffix though no more open (3), or
    nothing (0).
    """
    suffix, kinds = ~horizon_ok(data), (more_open(data), more_close(data))
    return np.select([kinds[0], kinds[1] & ~suffix, suffix], [1, 2, 3], 0).astype(np.int8)


@feature
def starts_open(data: Dataset) -> NDArray[np.bool_]:
    """The first parenthesis is `(`."""
    return data["tokens"][:, 1] == OPEN


@feature
def length(data: Dataset) -> Ints:
    """Number of real positions."""
    return data["mask"].sum(axis=1)


@feature
def share_if_open(data: Dataset) -> Ints:
    """The share of `(` as an exact fraction if the string starts with `(`; one class for all others."""
    opens, closes = (side(data)[:, 0].astype(np.int64) for side in (opens_from, closes_from))
    common = np.gcd(opens, opens + closes)
    return np.where(starts_open(data), opens // common * 64 + (opens + closes) // common, -1)


@feature(per="position")
def position_kind(data: Dataset) -> NDArray[np.int8]:
    """What a position is: padding, END after `(` (evidence against balance), END after `)`, or anything else."""
    tokens = data["tokens"]
    before = np.roll(tokens, 1, axis=1)
    after_open, after_close = (tokens == END) & (before == OPEN), (tokens == END) & (before == CLOSE)
    return np.select([tokens == PAD, after_open, after_close], [0, 1, 2], 3).astype(np.int8)


@feature(per="position")
def token(data: Dataset) -> Ints:
    """The token at each position."""
    return data["tokens"]


@feature(per="position")
def token_before(data: Dataset) -> Ints:
    """The token one position to the left; START for START."""
    return np.concatenate([data["tokens"][:, :1], data["tokens"][:, :-1]], axis=1)


@feature(per="position")
def suffix_sign(data: Dataset) -> Ints:
    """The sign of how many more parentheses open than close from each parenthesis on; 0 elsewhere."""
    return np.sign(opens_from(data) - closes_from(data)) * _is_paren(data)


@feature(per="position")
def prefix_sign(data: Dataset) -> Ints:
    """The sign of how many more parentheses open than close up to each parenthesis; 0 elsewhere."""
    tokens = data["tokens"]
    depth = np.cumsum((tokens == OPEN).astype(np.int64) - (tokens == CLOSE), axis=1)
    return np.sign(depth) * _is_paren(data)


def _is_paren(data: Dataset) -> NDArray[np.bool_]:
    return (data["tokens"] == OPEN) | (data["tokens"] == CLOSE)


@feature(per="position")
def suffix_ok(data: Dataset) -> NDArray[np.bool_]:
    """From this position on, no more `(` than `)`."""
    return opens_from(data) <= closes_from(data)


@feature(per="position")
def not_end_after_open(data: Dataset) -> NDArray[np.bool_]:
    """The position is not END right after `(`."""
    return position_kind(data) != 1


@feature(per="position")
def adjusted_share(data: Dataset) -> NDArray[np.float64]:
    """The share of `(` that head 0.0 sees from each position on, weighted as its mean attention weighs them.

    Read from the column `adjusted_open_share`, which depends on a model (`benchmarks.parens.adjusted`). Where a
    position is padding or END the share means nothing, and is taken to be 0.
    """
    return np.where(position_kind(data) == 3, data["adjusted_open_share"], 0.0)
