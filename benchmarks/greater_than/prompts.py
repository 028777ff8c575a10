"""Prompts of greater-than: something lasted from one year to another of the same century; the answer is larger.

Source of the behaviour: Hanna et al. 2023, "How does GPT-2 compute greater-than?". Lists are ours. `C` is the century,
`YY` the two digits of the first year. Numbers are tokens of two digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from scrubbing.data import Prompts, Words

EVENTS = tuple(
    re.findall(
        r"\w+",
        """
    war reign siege strike drought famine expedition voyage trial project campaign dispute exile tour feud
    embargo conflict rebellion plague negotiation occupation partnership construction experiment alliance truce
    blockade marriage apprenticeship regency
        """,
    )
)
CENTURIES = (11, 12, 13, 14, 15, 16, 17)
YEARS = tuple(range(2, 99))
TEMPLATES = ("The {event} lasted from the year {C}{YY:02d} to the year {C}",)
BEGIN = "<begin>"
NUMBERS = tuple(f"{number:02d}" for number in range(100))
"""The answers that count, in order."""
_PATTERN = r"\d\d|[^\W\d]+|[^\w\s]"


@cache
def words() -> Words:
    """The small model's tokens: numbers of two digits, and every word of templates and lists."""
    texts = (*NUMBERS, *EVENTS, *(re.sub("{.*?}", " ", text) for text in TEMPLATES))
    return Words.of(texts, BEGIN, pattern=_PATTERN)


@cache
def small() -> Prompts:
    """Prompts as the small model was trained on."""
    return prompts(words(), words().number(BEGIN))


def prompts(
    tokenizer: Any,
    begin: int | None,
    years: Sequence[int] = YEARS,
    events: Sequence[str] = EVENTS,
    centuries: Sequence[int] = CENTURIES,
) -> Prompts:
    """The prompts for any tokenizer."""
    slots = {"event": events, "C": centuries, "YY": years}
    return Prompts(TEMPLATES, slots, tokenizer, begin=begin, pad=begin or 0, name="greater-than prompts")
