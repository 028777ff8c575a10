"""Templated prompts that cannot be made, and samplers of what was not made from templates."""

from __future__ import annotations

import re

import numpy as np
import pytest

from scrubbing import BadData, IllegalHypothesis, UsageError, head
from scrubbing.data import Prompts, Words, at_slot, place_of
from scrubbing.metrics import AmongTokens
from scrubbing.samplers import refill

NAMES = ("Ann", "Bob", "Cy")
WORDS = Words.of(["Then met . saw", " ".join(NAMES)], "<begin>")


def prompts(template="Then {A} met {B}", tokenizer=WORDS, **options):
    options = {"slots": {"A": NAMES, "B": NAMES}, **options}
    return Prompts(template, tokenizer=tokenizer, **options)


def joined(text):
    """Everything is one token."""
    return [1], [(0, len(text))]


def spaced(text):
    """A token for every run of characters without a space, numbered by its length."""
    found = list(re.finditer(r"\S+", text))
    return [len(one[0]) for one in found], [one.span() for one in found]


MADE = {
    "a slot without values": lambda: prompts(slots={"A": NAMES}),
    "values without a slot": lambda: prompts("Then {A} met {A}"),
    "values of several types": lambda: prompts(slots={"A": NAMES, "B": ("Ann", 1)}),
    "no values": lambda: prompts(slots={"A": NAMES, "B": ()}),
    "a value twice": lambda: prompts(slots={"A": NAMES, "B": ("Ann", "Ann")}),
    "a slot without a name": lambda: prompts("Then {A} met {} and {B}"),
    "an open brace": lambda: prompts("Then {A met {B}"),
    "no template": lambda: prompts(()),
    "a template that is a number": lambda: prompts((3,)),
    "templates that are a number": lambda: prompts(3),
    "slots that are a list": lambda: prompts(slots=["A"]),
    "values that are one word": lambda: prompts(slots={"A": "Ann", "B": NAMES}),
    "a begin token that is a word": lambda: prompts(begin="<begin>"),
    "a tokenizer that is none": lambda: prompts(tokenizer="gpt2"),
    "two that cannot differ": lambda: prompts(slots={"A": NAMES, "B": ("Ann",)}, different=[("A", "B")]),
    "an unknown one that differs": lambda: prompts(different=[("A", "C")]),
    "everything at once": lambda: prompts("{A} {0}", slots={"A": (), "D": NAMES}, different=[("C",)]),
    "no prompts": lambda: prompts().draw(0),
    "pairs that differ in no slot": lambda: prompts().pairs(3, "C"),
    "pairs without another value": lambda: prompts(slots={"A": NAMES, "B": ("Ann",)}).pairs(3, "B"),
    "pairs of a template without the slot": lambda: prompts(("{A} met {B}", "{A} met .")).pairs(3, "B"),
    "a third occurrence": lambda: place_of("A", 3)(prompts().draw(3)),
    "occurrence 0": lambda: at_slot("A", 0),
    "templates in two classes": lambda: prompts().redraw(
        prompts().draw(2), lambda k: np.zeros((2, k)), templates=[[0, 0]]
    ),
    "vocabulary with a word twice": lambda: Words(("Ann", "Ann")),
}


@pytest.mark.parametrize("case", MADE)
def test_templates(case, refused):
    codes = " ".join(["SCR-TEMPLATE"] * (4 if case == "everything at once" else 1))
    refused(UsageError, codes, MADE[case])


TOKENS = {
    "a word that is no token": ("SCR-TOKENS", lambda: prompts("Then {A} thanked {B}").draw(3)),
    "a token that is no word": ("SCR-TOKENS", lambda: WORDS.number("thanked")),
    "a token about more than the slot": ("SCR-TEMPLATE", lambda: prompts(tokenizer=joined).draw(3)),
    "an answer inside of a token": ("SCR-TEMPLATE", lambda: prompts(tokenizer=spaced, answer="x").draw(3)),
}


@pytest.mark.parametrize("case", TOKENS)
def test_tokens_of_templates(case, refused):
    code, call = TOKENS[case]
    refused(BadData, code, call)


def refilled(w, sampler, data=None):
    made = prompts("Then {A} met {B} .", begin=0).draw(12) if data is None else data
    w.hypothesis(head(1, 0).direct().carries(w.parity, sampler=sampler)).check(w.graph, made)


SAMPLERS = {
    "refill of what has no slots": (IllegalHypothesis, lambda w: refilled(w, refill("A"), w.data)),
    "refill but for an unknown slot": (IllegalHypothesis, lambda w: refilled(w, refill("C"))),
    "refill in other classes": (IllegalHypothesis, lambda w: refilled(w, refill("A", templates=[[0, 1]]))),
    "refill with numbers for classes": (UsageError, lambda w: refill("A", templates=[0, 1])),
    "refill but for a number": (UsageError, lambda w: refill(1)),
}


@pytest.mark.parametrize("case", SAMPLERS)
def test_samplers_of_templates(case, world, refused):
    kind, call = SAMPLERS[case]
    refused(kind, "SCR-SAMPLER", lambda: call(world))


def among(w, tokens=(3, 4, 5), **columns):
    """A classifier's loss over tokens that it does not have, or over labels that are none of them."""
    data = w.data.with_columns(**columns) if columns else w.data
    w.scrub(head(1, 0).direct().carries(w.parity), data=data, loss=AmongTokens(tokens, position=0), references=[0, 1])


LOSSES = {
    "one token": (UsageError, "SCR-LOSS", lambda w: AmongTokens((3,))),
    "a token twice": (UsageError, "SCR-LOSS", lambda w: AmongTokens((3, 3))),
    "a token that is a word": (UsageError, "SCR-LOSS", lambda w: AmongTokens((3, "Ann"))),
    "tokens that the model lacks": (BadData, "SCR-LABEL", lambda w: among(w, label=np.full(12, 4))),
    "a right one that is none of them": (BadData, "SCR-LABEL", lambda w: among(w, (0, 1), label=np.full(12, 4))),
    "labels of text": (BadData, "SCR-LABEL", lambda w: among(w, (0, 1), label=["a"] * 12)),
    "right ones of another number": (BadData, "SCR-LABEL", lambda w: among(w, (0, 1), label=np.ones((12, 3), bool))),
}


@pytest.mark.parametrize("case", LOSSES)
def test_losses_over_some_tokens(case, world, refused):
    kind, code, call = LOSSES[case]
    refused(kind, code, lambda: call(world))
