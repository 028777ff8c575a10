"""The paren strings: a seeded generator by the original study's recipe, and their token form."""

from __future__ import annotations

import numpy as np

START, PAD, END, OPEN, CLOSE = range(5)
MAX_PARENS = 40
POSITIONS = MAX_PARENS + 2
"""START, up to forty parentheses, END."""

_ODDS_OF_BALANCED = 9
"""Balanced strings are drawn this many times as often as fair coins would give them."""


def generate(n: int, seed: int) -> list[str]:
    """`n` strings of even length 2-40; characters are fair coins, balanced strings nine times as often.

    The recipe was inferred from the counts of the original study's data (lengths uniform, pooled odds multiplier
    9.05); it gives 26.1 % balanced strings where the original has 26.4 %. Repeats are kept, as in the original.

    Reweighting is by rejection: a balanced candidate is always kept, any other with probability 1/9.
    """
    rng = np.random.default_rng(seed)
    strings: list[str] = []
    while len(strings) < n:
        batch = 4 * (n - len(strings)) + 1000
        lengths = 2 * rng.integers(1, MAX_PARENS // 2 + 1, size=batch)
        is_open = rng.random((batch, MAX_PARENS)) < 0.5
        keep = is_balanced(is_open, lengths) | (rng.random(batch) < 1 / _ODDS_OF_BALANCED)
        strings += [
            "".join("(" if bit else ")" for bit in row[:length])
            for row, length in zip(is_open[keep], lengths[keep], strict=True)
        ]
    return strings[:n]


def is_balanced(is_open: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whether each row of opening flags `[n, MAX_PARENS]`, cut to its length, closes what it opens. Bool `[n]`."""
    inside = np.arange(is_open.shape[1]) < lengths[:, None]
    depth = np.cumsum(np.where(is_open, 1, -1) * inside, axis=1)
    return (depth[:, -1] == 0) & (depth.min(axis=1) >= 0)


def tokenize(strings: list[str]) -> np.ndarray:
    """START, the parentheses, END, then PAD to 42 positions. Int64 `[n, 42]`.

    Raises:
        ValueError: a string is longer than forty characters or has a character other than a parenthesis.
    """
    tokens = np.full((len(strings), POSITIONS), PAD, dtype=np.int64)
    tokens[:, 0] = START
    code = {"(": OPEN, ")": CLOSE}
    for row, string in zip(tokens, strings, strict=True):
        if len(string) > MAX_PARENS or not set(string) <= set(code):
            raise ValueError(f"not a string of at most {MAX_PARENS} parentheses: {string!r}")
        row[1 : len(string) + 1] = [code[c] for c in string]
        row[len(string) + 1] = END
    return tokens
