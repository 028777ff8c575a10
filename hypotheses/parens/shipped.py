"""The ladder for the shipped paren balancer: from the original study's roles to a claim about every layer.

How the roles were found, with the measurements, is told in `docs/explanation/our-paren-model.md`. Every rung says what
it adds and what went wrong before it; the last one is wrong on purpose.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hypotheses.parens.features import (
    balanced,
    count_ok,
    excess_sign,
    failure,
    horizon_ok,
    length,
    more_close,
    more_open,
    prefix_ok,
    prefix_sign,
    starts_open,
    suffix_sign,
    token,
    token_before,
)
from scrubbing import EMBED, OUTPUT, Claim, Feature, Hypothesis, Target, Variable, head, joint, mlp, project, reads
from scrubbing.parts import Direction, direction, neurons

OUTCOME = Variable("balanced", balanced)
COUNT = Variable("count", count_ok)
COUNT_OPEN = Variable("count and open", count_ok & starts_open)
HORIZON = Variable("horizon", horizon_ok)
EXCESS = Variable("excess", excess_sign)
MORE_OPEN = Variable("more open", more_open)
FAILURE = Variable("failure", failure)
VERDICT = Variable("verdict", joint(excess_sign, horizon_ok))
"""What layer 1 has found out: five classes, one of them balanced."""
LENGTH = Variable("length", length)

# What heads report, with the length, where the padding mask below them is claimed too.
HORIZON_IN_LENGTH = Variable("horizon, length", joint(horizon_ok, length))
EXCESS_IN_LENGTH = Variable("excess, length", joint(excess_sign, length))

# What single positions carry.
TOKEN = Variable("token", token)
TOKEN_EXCESS = Variable("token, excess", joint(token, excess_sign))
SUFFIX = Variable("suffix", joint(token, suffix_sign, excess_sign))
SUFFIX_BEFORE = Variable("suffix, token before", joint(token, token_before, suffix_sign, excess_sign))

FIRST, SECOND = head(0, 0), head(0, 1)
COUNTER, WATCHER = head(1, 0), head(1, 1)
LATE = head(2, 0), head(2, 1)

OPEN_NEURONS = (9, 26, 36, 46, 49)
"""Neurons of the last MLP that fire at position 0 where more parentheses open than close."""
CLOSE_NEURONS = (3, 20, 21, 42, 53)
"""... where more close than open."""
BALANCED_NEURONS = (4, 40)
"""... where the string is balanced."""


def main_direction_of(model: Any, layer: int, index: int) -> Any:
    """The direction a head can write most along: the first right singular vector of its value-output matrix, `[d]`."""
    weights = model.weights.attention[layer]
    return np.linalg.svd((weights.W_V[index] @ weights.W_O[index]).detach().cpu().double().numpy())[2][0]


@direction
def main_direction_00(model: Any) -> Any:
    """The main direction of head 0.0."""
    return main_direction_of(model, 0, 0)


@direction
def main_direction_01(model: Any) -> Any:
    """The main direction of head 0.1."""
    return main_direction_of(model, 0, 1)


@direction
def main_direction_10(model: Any) -> Any:
    """The main direction of head 1.0."""
    return main_direction_of(model, 1, 0)


@direction
def main_direction_11(model: Any) -> Any:
    """The main direction of head 1.1."""
    return main_direction_of(model, 1, 1)


def ladder() -> list[Hypothesis]:
    """Every rung, from naive to best, and the wrong one last."""
    return [
        original_roles(),
        two_tests(),
        four_heads(),
        signs(),
        tight_signs(),
        detectors(),
        one_number(),
        tight_one_number(),
        suffixes(),
        neighbours(),
        tight_neighbours(),
        sources(),
        best(),
        left_to_right(),
    ]


def _rung(name: str, claim: str, *claims: Claim) -> Hypothesis:
    return Hypothesis(f"parens/{name}", claim, OUTPUT.carries(OUTCOME, *claims))


def original_roles() -> Hypothesis:
    """Naive: the original study's first claim as it stands. Heads have no reason to sit in the same places in another
    training run, and they do not: accuracy is below that of always answering "not balanced".
    """
    return _rung(
        "original-roles",
        "As in the original model, heads 1.0 and 2.0 report the count and 2.1 the horizon, straight to the output.",
        *(head(layer, 0).direct().carries(COUNT_OPEN) for layer in (1, 2)),
        head(2, 1).direct().carries(HORIZON),
    )


def two_tests() -> Hypothesis:
    """Above layer 0 the two heads whose loss costs most are 1.1 and 1.0, and what they write tracks the horizon and
    the count: together exactly the label. Yet what is costly to lose is not enough to have: layer 2, left to another
    string, calls most balanced strings unbalanced.
    """
    return _rung(
        "two-tests",
        "Head 1.0 reports the count and 1.1 the horizon; layer 2 attends to nothing that matters.",
        COUNTER.any_path(avoid=LATE).carries(COUNT),
        WATCHER.any_path(avoid=LATE).carries(HORIZON),
    )


def four_heads() -> Hypothesis:
    """Layer 2 added: its heads report the outcome once more. Balanced strings are safe now. What is left is unbalanced
    strings put together from one that opens too many and one that closes too many.
    """
    return _rung(
        "four-heads",
        "As two-tests, and heads 2.0 and 2.1 both report the outcome.",
        COUNTER.any_path(avoid=LATE).carries(COUNT),
        WATCHER.any_path(avoid=LATE).carries(HORIZON),
        *_late_heads(OUTCOME),
    )


def signs() -> Hypothesis:
    """The count is signed: 1.0 says which kind there is too many of, and layer 2 repeats it. With that almost nothing
    is lost, and the roles of the four heads are settled.
    """
    return _rung(
        "signs",
        "Head 1.0 reports the sign of the excess, 1.1 the horizon, and 2.0 and 2.1 both.",
        COUNTER.any_path(avoid=LATE).carries(EXCESS),
        WATCHER.any_path(avoid=LATE).carries(HORIZON),
        *_late_heads(VERDICT),
    )


def tight_signs() -> Hypothesis:
    """What the verdict on signs leaves of it: values that may stand in for each other count as equal. Head 1.0 need not
    tell too many `)` from as many, since 2.1 does, and 2.0 need say no more than the outcome.
    """
    return _rung(
        "tight-signs",
        "Head 1.0 reports whether too many open, 1.1 the horizon, 2.0 the outcome, and 2.1 which test fails.",
        COUNTER.any_path(avoid=LATE).carries(MORE_OPEN),
        WATCHER.any_path(avoid=LATE).carries(HORIZON),
        *_late_apart(),
    )


def _late_apart() -> list[Claim]:
    """Of what layer 2 has found out, 2.0 the outcome and 2.1 what is wrong."""
    one, other = LATE
    return [one.any_path(avoid=other).carries(OUTCOME), other.any_path(avoid=one).carries(FAILURE)]


def _late_heads(variable: Variable, *below: Claim) -> list[Claim]:
    """Each of 2.0 and 2.1 by all its paths."""
    return [one.any_path(avoid=other).carries(variable, *below) for one, other in (LATE, LATE[::-1])]


def detectors() -> Hypothesis:
    """What the last MLP does with the reports. Twelve of its 56 neurons write at least 30 % as much as the largest, and
    each is a detector of one of three conditions: the one that explains most of its variance at position 0.
    """
    by_condition = (
        (OPEN_NEURONS, MORE_OPEN),
        (CLOSE_NEURONS, Variable("more close", more_close)),
        (BALANCED_NEURONS, OUTCOME),
    )
    return _rung(
        "detectors",
        "Of the last MLP, five neurons report too many `(`, five too many `)`, two balance; the rest does not matter.",
        *(mlp(2).direct().part(neurons(chosen)).carries(variable) for chosen, variable in by_condition),
        WATCHER.direct().carries(HORIZON),
        *(late.direct().carries(VERDICT) for late in LATE),
    )


def one_number() -> Hypothesis:
    """A rewrite: 1.0 and 1.1 keep only what they write along one direction each, the one their weights write most
    along. Nothing about the data went into choosing it.
    """
    return _rung(
        "one-number",
        "As signs, heads 1.0 and 1.1 each writing a single number.",
        _along(COUNTER, main_direction_10).carries(EXCESS),
        _along(WATCHER, main_direction_11).carries(HORIZON),
        *_late_heads(VERDICT),
    )


def tight_one_number() -> Hypothesis:
    """What the verdict on one-number leaves of it, as with signs."""
    return _rung(
        "tight-one-number",
        "As tight-signs, heads 1.0 and 1.1 each writing a single number.",
        _along(COUNTER, main_direction_10).carries(MORE_OPEN),
        _along(WATCHER, main_direction_11).carries(HORIZON),
        *_late_apart(),
    )


def _along(target: Target, main: Direction) -> Target:
    """What a head of layer 1 writes along one direction, by all its paths outside layer 2's heads."""
    return target.any_path(avoid=LATE).part(project(main))


def suffixes() -> Hypothesis:
    """How 1.1 knows the horizon, split by position: each position knows its token, the sign of its suffix's excess and
    that of the whole string. What is lost is balanced strings: a position may now come from a string whose violation
    starts one position to the left.
    """
    return _watching("suffixes", "Head 1.1 reads from each position whether its own suffix is in order.", SUFFIX)


def neighbours() -> Hypothesis:
    """The repair: a position also knows the token before it, and so whether such a violation is there."""
    return _watching(
        "neighbours",
        "As suffixes, and from each position the token before it, so that its suffix is known one earlier too.",
        SUFFIX_BEFORE,
    )


def tight_neighbours() -> Hypothesis:
    """What the verdict on neighbours leaves of it: as with signs, and of the query not even the length."""
    reading = reads("k", "v", each=True).carries(SUFFIX_BEFORE), reads("mask").carries(LENGTH)
    return _rung(
        "tight-neighbours",
        "As neighbours and tight-signs, and the query of head 1.1 does not matter.",
        WATCHER.any_path(avoid=LATE).carries(HORIZON_IN_LENGTH, *reading),
        COUNTER.any_path(avoid=LATE).carries(MORE_OPEN),
        *_late_apart(),
    )


def _watching(name: str, claim: str, position: Variable) -> Hypothesis:
    return _rung(
        name,
        claim,
        WATCHER.any_path(avoid=LATE).carries(HORIZON_IN_LENGTH, *_watched(position)),
        COUNTER.any_path(avoid=LATE).carries(EXCESS),
        *_late_heads(VERDICT),
    )


def _watched(position: Variable, *sources: Claim) -> tuple[Claim, ...]:
    """What head 1.1 reads: keys and values position by position; of the query nothing but the length."""
    return (
        reads("k", "v", each=True).carries(position, *sources),
        reads("q", "mask").carries(LENGTH),
    )


def _spread(position: Variable, *sources: Claim) -> tuple[Claim, ...]:
    """What heads that spread their attention read: values position by position; of the pattern nothing but the
    length.
    """
    return (
        reads("v", each=True).carries(position, *sources),
        reads("q", "k", "mask").carries(LENGTH),
    )


def sources() -> Hypothesis:
    """Down to the embeddings. Where layer 1 reads a position, it reads the layer-0 heads and the first MLP there, and
    the MLP reads these heads and the token. Each layer-0 head writes one number too.
    """
    return _rung(
        "sources",
        "As neighbours, 1.0 too split by position, and all of it from 0.0, 0.1 (one number each) and the first MLP.",
        WATCHER.any_path(avoid=LATE).carries(HORIZON_IN_LENGTH, *_watched(SUFFIX_BEFORE, *_layer_0(SUFFIX_BEFORE))),
        COUNTER.any_path(avoid=LATE).carries(EXCESS_IN_LENGTH, *_spread(TOKEN_EXCESS, *_layer_0(TOKEN_EXCESS))),
        *_late_heads(VERDICT),
    )


def _layer_0(position: Variable) -> tuple[Claim, ...]:
    """What layer 1 reads at a position: heads 0.0 and 0.1, the token, and the first MLP, which reads these."""
    heads = (
        FIRST.direct().part(project(main_direction_00)).carries(position),
        SECOND.direct().part(project(main_direction_01)).carries(position),
    )
    here = EMBED.direct().carries(TOKEN)
    return (mlp(0).direct().carries(position, *heads, here), *heads, here)


def best() -> Hypothesis:
    """Every refinement of the heads at once, and what layer 2 reads: from every position what 1.0 and 1.1 wrote there.
    One-number and sources cost little; with layer 2 mixing the reports of many inputs as well, balanced strings lose
    much of their margin.
    """
    return _from_every_position(
        "best",
        "Heads 1.0 and 1.1 add up, from 0.0, 0.1 and the first MLP at every position, one number each: the sign of the "
        "excess and the horizon; 2.0 and 2.1 read both at every position, attending as the length alone says.",
        horizon_ok,
        suffix_sign,
    )


def left_to_right() -> Hypothesis:
    """Plausible and wrong: as best, for a reader who starts on the left. Prefixes that close too much prove imbalance
    as well as suffixes that open too much, and where the count is right the two tests agree; nothing in the task says
    which this model makes.
    """
    return _from_every_position(
        "left-to-right",
        "As best, but head 1.1 reads from each position whether the prefix up to there is in order.",
        prefix_ok,
        prefix_sign,
    )


def _from_every_position(name: str, claim: str, test: Feature, sign: Feature) -> Hypothesis:
    """The whole account, for a test made of a sign at each position."""
    here = Variable("side, token before", joint(token, token_before, sign, excess_sign))
    verdict_here = Variable("token, verdict", joint(token, excess_sign, test))
    reports = WATCHER.any_path().carries(verdict_here), COUNTER.any_path().carries(TOKEN_EXCESS)
    return _rung(
        name,
        claim,
        _along(WATCHER, main_direction_11).carries(
            Variable("test, length", joint(test, length)), *_watched(here, *_layer_0(here))
        ),
        _along(COUNTER, main_direction_10).carries(EXCESS_IN_LENGTH, *_spread(TOKEN_EXCESS, *_layer_0(TOKEN_EXCESS))),
        *_late_heads(
            Variable("verdict, length", joint(excess_sign, test, length)),
            *_spread(verdict_here, *reports),
        ),
    )
