"""The paren strings: a seeded generator by the original study's recipe, and their token form."""

from __future__ import annotations

import numpy as np

START, PAD, END, OPEN, CLOSE = range(5)
MAX_PARENS = 40
POSITIONS = MAX_PARENS + 2
"""START, up to forty parentheses, END."""

_ODDS_OF_BALANCED = 9
"""Balanced strings are drawn this many times as often as fair coins would give them."""


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`n` strings of even length 2-40 as opening flags `[n, MAX_PARENS]`, which count up to each string's length `[n]`.

    Characters are fair coins, and balanced strings nine times as often. The recipe was inferred from the counts of the
    original study's data (lengths uniform, pooled odds multiplier 9.05); it gives 26.1 % balanced strings where the
    original has 26.4 %. Repeats are kept, as in the original.

    Reweighting is by rejection: a balanced candidate is always kept, any other with probability 1/9.
    """
    rng = np.random.default_rng(seed)
    flags = [np.empty((0, MAX_PARENS), dtype=bool)]
    counts = [np.empty(0, dtype=np.int64)]
    while (found := sum(map(len, counts))) < n:
        batch = 4 * (n - found) + 1000
        lengths = 2 * rng.integers(1, MAX_PARENS // 2 + 1, size=batch)
        is_open = rng.random((batch, MAX_PARENS)) < 0.5
        keep = is_balanced(is_open, lengths) | (rng.random(batch) < 1 / _ODDS_OF_BALANCED)
        flags.append(is_open[keep])
        counts.append(lengths[keep])
    return np.concatenate(flags)[:n], np.concatenate(counts)[:n]


def is_balanced(is_open: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whether each row of opening flags `[n, MAX_PARENS]`, cut to its length, closes what it opens. Bool `[n]`."""
    inside = np.arange(is_open.shape[1]) < lengths[:, None]
    depth = np.cumsum(np.where(is_open, 1, -1).astype(np.int8) * inside, axis=1, dtype=np.int8)
    return (depth[:, -1] == 0) & (depth.min(axis=1) >= 0)


def tokens_of(is_open: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """START, the parentheses, END, then PAD to 42 positions, of strings as in `drawn`. Int64 `[n, 42]`."""
    tokens = np.full((len(lengths), POSITIONS), PAD, dtype=np.int64)
    tokens[:, 0] = START
    inside = np.arange(MAX_PARENS) < lengths[:, None]
    tokens[:, 1:-1][inside] = np.where(is_open, OPEN, CLOSE)[inside]
    tokens[np.arange(len(lengths)), lengths + 1] = END
    return tokens


def tokenize(strings: list[str]) -> np.ndarray:
    """The tokens of strings, as `tokens_of` makes them. Int64 `[n, 42]`.

    Raises:
        ValueError: a string is longer than forty characters or has a character other than a parenthesis.
    """
    for string in strings:
        if len(string) > MAX_PARENS or string.strip("()"):
            raise ValueError(f"not a string of at most {MAX_PARENS} parentheses: {string!r}")
    characters = np.array([string.ljust(MAX_PARENS) for string in strings], dtype=f"S{MAX_PARENS}")
    is_open = characters.view("S1").reshape(-1, MAX_PARENS) == b"("
    return tokens_of(is_open, np.array([len(string) for string in strings], dtype=np.int64))
