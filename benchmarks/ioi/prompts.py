"""Prompts of indirect object identification: two people, one of whom is named again; the other is to be named.

Source of the behaviour: Wang et al. 2022, "Interpretability in the Wild". Templates and lists are ours. `IO` is the
indirect object and the answer, `S` the subject, which occurs twice. Every template comes in both orders (ABBA: `IO`
first; BABA: `S` first) and has as many words as any other, so that the last token has one position. In one of them a
third name, `C`, occurs once, as the answer does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from scrubbing.data import Prompts, Words

NAMES = tuple(
    re.findall(
        r"\w+",
        """
    Mary John Anna Peter Susan David Laura Michael Emma Daniel Alice Robert Sarah Thomas Julia James Karen
    Steven Linda Brian Nancy Kevin Helen Edward Diana George Carol Ronald Ruth Anthony Maria Jason Lisa Matthew
    Sandra Gary Donna Timothy Emily Larry Rachel Jeffrey Amy Frank Martha Scott Rebecca Eric Virginia Stephen
    Kathleen Andrew Amanda Raymond Janet Gregory Catherine Joshua Heather Jerry Angela Dennis Melissa Walter
    Brenda Patrick Anne Henry Rose Douglas Jane Carl Louise Arthur Grace Ryan Victoria Roger Jessica Joe Marie
    Juan Kelly Jack Lauren Albert Christine Justin Katherine Terry Samantha Gerald Elizabeth Keith Barbara
    Samuel Jennifer Ralph Ashley Roy
        """,
    )
)
PLACES = ("store", "garden", "restaurant", "school", "hospital", "office", "house", "station", "park", "market")
OBJECTS = ("ring", "kiss", "bone", "drink", "book", "computer", "necklace", "letter", "ball", "map")

_BODIES = (
    "Then, {1} and {2} went to the {place}, and {S} wanted to give a {object} to",
    "After a long day, {1} and {2} were at the {place}. {S} gave a {object} to",
    "When {1} and {2} found a {object} at the {place}, {S} decided to give it back to",
    "The {place} was quiet that day. {1} met {2} there, and {S} handed the {object} to",
    "While {1} was working at the {place}, {2} came in. Later {S} sent a {object} to",
    "Then {1} saw {2}. It was cold at the {place}, so {S} gave a {object} to",
    "{C} stayed at the {place} alone. {1} and {2} left, and {S} gave a {object} to",
)
ABBA = tuple(body.replace("{1}", "{IO}").replace("{2}", "{S}") for body in _BODIES)
BABA = tuple(body.replace("{1}", "{S}").replace("{2}", "{IO}") for body in _BODIES)
TEMPLATES = ABBA + BABA
BEGIN = "<begin>"


@cache
def words() -> Words:
    """The small model's tokens: every word of templates and lists."""
    lists = " ".join((*NAMES, *PLACES, *OBJECTS))
    return Words.of((lists, *(re.sub("{.*?}", " ", body) for body in _BODIES)), BEGIN)


@cache
def small() -> Prompts:
    """Prompts as the small model was trained on."""
    return prompts(words(), words().number(BEGIN))


def prompts(
    tokenizer: Any,
    begin: int | None,
    names: Sequence[str] = NAMES,
    places: Sequence[str] = PLACES,
    objects: Sequence[str] = OBJECTS,
    third_name: bool = True,
) -> Prompts:
    """The prompts for any tokenizer; `third_name` is whether the templates with a third name are among them."""
    templates = TEMPLATES if third_name else tuple(text for text in TEMPLATES if "{C}" not in text)
    slots = {"IO": names, "S": names, "C": names, "place": places, "object": objects}
    if not third_name:
        del slots["C"]
    different = [tuple(name for name in ("IO", "S", "C") if name in slots)]
    how: dict[str, Any] = {"begin": begin, "pad": begin or 0, "name": "IOI prompts"}
    return Prompts(templates, slots, tokenizer, answer=" {IO}", different=different, **how)
