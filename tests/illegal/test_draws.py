"""Draws that cannot be made: nothing agrees, or what a sampler generated does not."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import (
    EMBED,
    BadData,
    Classification,
    IllegalHypothesis,
    NextToken,
    NothingToDraw,
    Variable,
    anything,
    head,
    joint,
)
from scrubbing.samplers import fixed, generated


def own(w, **options):
    return w.variable("own id", lambda data: data.ids, **options)


def own_tokens(data):
    return data["tokens"] + 100 * data.ids[:, None]


def first_token(data):
    return data["tokens"][:, 0]


def second_token(data):
    return data["tokens"][:, 1]


NOTHING = {
    "only itself": lambda w: w.scrub(head(1, 0).direct().carries(own(w), exclude_self=True)),
    "only itself, at a position": lambda w: w.scrub(
        head(1, 0).direct().each().carries(w.variable("token", own_tokens, per="position"), exclude_self=True)
    ),
    "only itself, of a joint feature": lambda w: w.scrub(
        head(1, 0).direct().carries(Variable("both", (w.parity.feature, own(w).feature)), exclude_self=True)
    ),
    "a generated input unlike any other": lambda w: w.scrub(
        head(1, 0)
        .direct()
        .carries(
            Variable("anything", anything),
            EMBED.direct().carries(
                Variable("two", joint(*(w.variable(f.__name__, f).feature for f in (first_token, second_token))))
            ),
            sampler=generated(same_twice),
        )
    ),
}


def next_token(w, *claims, **options):
    """Scored over positions, so that inputs are drawn only if they are real wherever they are read."""
    w.scrub(*claims, data=w.padded, loss=NextToken(), model=w.models("native LN"), **options)


PADDED = {
    "only itself is as long": lambda w: next_token(
        w,
        head(1, 0)
        .direct()
        .carries(w.variable("one of two", lambda data: np.isin(data.ids, (0, 3))), exclude_self=True),
    ),
    "only itself is as long, where attention looks ahead": lambda w: w.scrub(
        head(1, 0).direct().carries(w.variable("third of ids", lambda data: data.ids // 4), exclude_self=True),
        data=w.padded,
        loss=Classification(position="last"),
    ),
    "an input that is too short": lambda w: next_token(
        w, head(1, 0).direct().carries(Variable("anything", anything), sampler=fixed(3))
    ),
    "unclaimed on an input that is too short": lambda w: next_token(
        w,
        head(1, 0)
        .direct()
        .carries(Variable("anything", anything), head(0, 0).direct().carries(w.parity), unclaimed=fixed(3)),
    ),
    "generated and too short": lambda w: next_token(
        w, head(1, 0).direct().carries(Variable("anything", anything), sampler=generated(cut))
    ),
}


def cut(held, uniform):
    """Two tokens of it."""
    return {"tokens": held["tokens"], "mask": np.arange(6) < np.full((len(held), 1), 2)}


@pytest.mark.parametrize("case", PADDED)
def test_nothing_real_to_draw(case, world, refused):
    refused(NothingToDraw, "SCR-DRAW", lambda: PADDED[case](world))


def same_twice(held, uniform):
    """Both tokens are common, together they are not."""
    tokens = held["tokens"].copy()
    tokens[:, 1] = tokens[:, 0] + 1
    return {"tokens": tokens}


@pytest.mark.parametrize("case", NOTHING)
def test_nothing_to_draw(case, world, refused):
    refused(NothingToDraw, "SCR-DRAW", lambda: NOTHING[case](world))


def next_tokens(held, uniform):
    return {"tokens": (held["tokens"] + 1) % 50}


def all_sevens(held, uniform):
    return {"tokens": np.full_like(held["tokens"], 7)}


def three(held, uniform):
    return {"tokens": held["tokens"][:3]}


def shorter(held, uniform):
    return {"tokens": held["tokens"][:, :4]}


def renamed(held, uniform):
    return {"words": held["tokens"]}


def unmasked(held, uniform):
    return {"tokens": held["tokens"]}


def nothing(held, uniform):
    return None


def label(data):
    return data["label"]


def outside(held, uniform):
    return {"tokens": held["tokens"] + 100}


def drawn(w, function, feature=None, padded=False):
    """A claim on a head whose inputs this function makes."""
    variable = Variable("anything", anything) if feature is None else w.variable(feature.__name__, feature)
    w.scrub(head(1, 0).direct().carries(variable, sampler=generated(function)), data=w.padded if padded else w.data)


GENERATED = {
    "disagree": ("SCR-GENERATED", lambda w: drawn(w, next_tokens, first_token)),
    # Both parts have one value among the inputs made, so numbering the values of either dataset shows no difference.
    "disagree on a joint feature": (
        "SCR-GENERATED",
        lambda w: w.scrub(
            head(1, 0)
            .direct()
            .carries(
                Variable("both", joint(*(w.variable(f.__name__, f).feature for f in (first_token, second_token)))),
                sampler=generated(all_sevens),
            ),
            references=[4],
        ),
    ),
    "too few": ("SCR-GENERATED", lambda w: drawn(w, three)),
    "too short": ("SCR-GENERATED", lambda w: drawn(w, shorter)),
    "without tokens": ("SCR-GENERATED", lambda w: drawn(w, renamed)),
    "without the mask": ("SCR-GENERATED", lambda w: drawn(w, unmasked, padded=True)),
    "without the feature's column": (
        "SCR-COLUMN",
        lambda w: drawn(w, unmasked, label),
    ),
    "nothing": ("SCR-DATA", lambda w: drawn(w, nothing)),
    "outside the vocabulary": ("SCR-TOKENS", lambda w: drawn(w, outside)),
}


@pytest.mark.parametrize("case", GENERATED)
def test_generated(case, world, refused):
    codes, call = GENERATED[case]
    refused(IllegalHypothesis if codes == "SCR-GENERATED" else BadData, codes, lambda: call(world))
