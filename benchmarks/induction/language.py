"""A generated language in which whether to induct is part of the task.

Words follow each other by fixed bigram statistics with Zipfian frequencies. In between, each text mentions people: a
first name is followed by the family name that it has *in this text*, which only the text itself can tell; now and then
a namesake with another family name comes up, so that copying misleads. Some stretches repeat an earlier part of the
text, BEGIN included if it starts there, and some of these break off. Everything follows from the seed.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

BEGIN = 0
FIRST_NAMES, FAMILY_NAMES, WORDS = 48, 48, 159
FIRST = 1
FAMILY = FIRST + FIRST_NAMES
WORD = FAMILY + FAMILY_NAMES
VOCABULARY = WORD + WORDS

_SUCCESSORS = 12
"""Words that may follow a word."""
_PEOPLE = 5
"""Different first names in a text."""
_MENTION, _NAMESAKE = 0.12, 0.12
"""Chance that a person comes up next; that it is a namesake."""
_REPEAT, _BREAK = 0.03, 0.06
"""Chance that an earlier stretch starts to be repeated; that a repetition breaks off, per word."""
_LEAST, _MOST = 3, 10
"""Words in a repetition."""
_STATISTICS_SEED = 20_221_203
"""Of the language itself, as against that of its texts."""


@cache
def _statistics() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Successors `[vocabulary, n]` and their cumulative chances."""
    rng = np.random.default_rng(_STATISTICS_SEED)
    frequency = 1.0 / np.arange(1, WORDS + 1)
    frequency /= frequency.sum()
    following = np.stack([rng.choice(WORDS, _SUCCESSORS, replace=False, p=frequency) for _ in range(VOCABULARY)])
    chance = rng.dirichlet(np.full(_SUCCESSORS, 0.5), size=VOCABULARY)
    return WORD + following, chance.cumsum(axis=1)


def generate(n: int, length: int, seed: int) -> NDArray[np.int64]:
    """Texts of this many words, BEGIN included, `[n, length]`."""
    rng = np.random.default_rng(seed)
    people = np.argsort(rng.random((n, FIRST_NAMES)), axis=1)[:, :_PEOPLE] + FIRST
    family = rng.integers(FAMILY, WORD, size=(n, FIRST_NAMES))
    text = np.full((n, length), BEGIN, dtype=np.int64)
    row = np.arange(n)
    source, left = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for t in range(1, length):
        last, u = text[:, t - 1], rng.random((5, n))
        left = np.where(u[0] < _BREAK, 0, left)
        word = _following(last, u[1])
        mention = (left == 0) & (u[2] < _MENTION)
        # Few people come up often: the earlier in the list, the likelier.
        word = np.where(mention, people[row, (_PEOPLE * u[3] ** 2).astype(np.int64)], word)
        begins = (left == 0) & ~mention & (u[2] > 1 - _REPEAT) & (t > 2 * _MOST)
        source = np.where(begins, (u[3] * (t - _MOST)).astype(np.int64), source)
        left = np.where(begins, _LEAST + (u[4] * (_MOST - _LEAST + 1)).astype(np.int64), left)
        repeating = left > 0
        word = np.where(repeating, text[row, source], word)
        is_first = (last >= FIRST) & (last < FAMILY) & ~repeating
        own = family[row, np.clip(last - FIRST, 0, FIRST_NAMES - 1)]
        other = FAMILY + (u[3] * FAMILY_NAMES).astype(np.int64)
        text[:, t] = np.where(is_first, np.where(u[4] < _NAMESAKE, other, own), word)
        source, left = source + 1, np.maximum(left - 1, 0)
    return text


def _following(last: NDArray[np.int64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    following, chance = _statistics()
    index = (u[:, None] > chance[last]).sum(axis=1).clip(0, _SUCCESSORS - 1)
    return following[last, index]


@cache
def words() -> tuple[str, ...]:
    """How every token is written: made-up words, names with a capital."""
    rng = np.random.default_rng(_STATISTICS_SEED)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    found: dict[str, None] = {}
    while len(found) < VOCABULARY - 1:
        found["".join(rng.choice(syllables, 1 + int(len(found) >= 60)))] = None
    made = sorted(found, key=len)
    names = [word.capitalize() for word in made[-FIRST_NAMES - FAMILY_NAMES :]]
    return ("<begin>", *names, *made[:WORDS])
