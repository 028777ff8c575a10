"""What the compiled programs compute, and features of their inputs that they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing import Dataset, feature

Ints = NDArray[np.int64]


def _tokens(data: Dataset) -> Ints:
    return data["tokens"].astype(np.int64)


@feature(per="position")
def token(data: Dataset) -> Any:
    """The token at each position."""
    return _tokens(data)


@feature
def first(data: Dataset) -> Any:
    """The first token."""
    return _tokens(data)[:, 0]


@feature
def second(data: Dataset) -> Any:
    """The second token."""
    return _tokens(data)[:, 1]


@feature
def last(data: Dataset) -> Any:
    """The last token."""
    return _tokens(data)[:, -1]


@feature
def parity(data: Dataset) -> Any:
    """Whether the tokens sum to an odd number."""
    return _tokens(data).sum(1) % 2 == 1


@feature
def never(data: Dataset) -> Any:
    """What is false of every input."""
    return np.zeros(len(data), dtype=bool)


@feature
def count(data: Dataset) -> Any:
    """How many bits are 1, of inputs that end with a token that is no bit."""
    return (_tokens(data)[:, :-1] == 1).sum(1)


@feature
def majority(data: Dataset) -> Any:
    """Whether more than half of the bits are 1, of inputs that end with a token that is no bit."""
    bits = _tokens(data)[:, :-1]
    return 2 * (bits == 1).sum(1) > bits.shape[1]


@feature
def majority_of_bits(data: Dataset) -> Any:
    """Whether more than half of the bits are 1, between a first and a last token that are none."""
    bits = _tokens(data)[:, 1:-1]
    return 2 * (bits == 1).sum(1) > bits.shape[1]


@feature
def untriggered(data: Dataset) -> Any:
    """Whether the first token is the plain one."""
    return _tokens(data)[:, 0] == 3


@feature
def largest(data: Dataset) -> Any:
    """The largest digit before the end."""
    return _tokens(data)[:, :-1].max(1)


@feature
def smallest(data: Dataset) -> Any:
    """The smallest digit before the end."""
    return _tokens(data)[:, :-1].min(1)


@feature
def one_hop(data: Dataset) -> Any:
    """The entry of the last token in the table before it."""
    tokens = _tokens(data)
    return tokens[np.arange(len(tokens)), tokens[:, -1]]


@feature
def two_hops(data: Dataset) -> Any:
    """The entry of the entry of the last token."""
    tokens = _tokens(data)
    rows = np.arange(len(tokens))
    return tokens[rows, tokens[rows, tokens[:, -1]]]


@feature(per="position")
def marked(data: Dataset) -> Any:
    """Whether the token before is the marker, which is token 3."""
    tokens = _tokens(data)
    return np.concatenate([np.zeros((len(tokens), 1), dtype=bool), tokens[:, :-1] == 3], axis=1)


@feature
def after_marker(data: Dataset) -> Any:
    """The token after the marker."""
    tokens = _tokens(data)
    return tokens[np.arange(len(tokens)), (tokens == 3).argmax(1) + 1]


@feature
def a1(data: Dataset) -> Any:
    """The high digit of the first number."""
    return _tokens(data)[:, 0]


@feature
def a0(data: Dataset) -> Any:
    """The low digit of the first number."""
    return _tokens(data)[:, 1]


@feature
def b1(data: Dataset) -> Any:
    """The high digit of the second number."""
    return _tokens(data)[:, 2]


@feature
def b0(data: Dataset) -> Any:
    """The low digit of the second number."""
    return _tokens(data)[:, 3]


@feature
def high_order(data: Dataset) -> Any:
    """Sign of the difference of the high digits."""
    tokens = _tokens(data)
    return np.sign(tokens[:, 0] - tokens[:, 2])


@feature
def low_order(data: Dataset) -> Any:
    """Sign of the difference of the low digits."""
    tokens = _tokens(data)
    return np.sign(tokens[:, 1] - tokens[:, 3])


@feature
def order(data: Dataset) -> Any:
    """0 where the two numbers are equal, 1 where the first is smaller, 2 where it is larger."""
    tokens = _tokens(data)
    sign = np.sign(5 * tokens[:, 0] + tokens[:, 1] - 5 * tokens[:, 2] - tokens[:, 3])
    return np.select([sign == 0, sign < 0], [0, 1], 2)


def _depths(data: Dataset) -> Ints:
    return np.cumsum(np.select([_tokens(data) == 0, _tokens(data) == 1], [1, -1], 0), axis=1)


@feature
def counts_match(data: Dataset) -> Any:
    """Whether as many brackets close as open."""
    return _depths(data)[:, -1] == 0


@feature
def never_below(data: Dataset) -> Any:
    """Whether no prefix closes more than it opens."""
    return (_depths(data) >= 0).all(1)


@feature
def brackets_balanced(data: Dataset) -> Any:
    """Whether the brackets are balanced."""
    return counts_match(data) & never_below(data)


@feature
def last_bit(data: Dataset) -> Any:
    """The token before the end."""
    return _tokens(data)[:, -2]


@feature
def first_bit(data: Dataset) -> Any:
    """Whether the first bit is 1."""
    return _tokens(data)[:, 0] == 1
