"""The original study's ladder for the original model, as its public code has it and with its two faults repaired.

Source: "Causal Scrubbing: results on a paren balance checker" (2022) and the later public course material. Heads 1.0
and 2.0 are claimed to report the count test, head 2.1 the horizon test. Two rungs of the public code do not reproduce
the published numbers; the repairs are (1) a tolerance where a float share that is one half in mathematics was compared
with 0.5, which lost 27 % of the balanced strings, and (2) drawing the input of head 2.1 among strings of the
reference's length, because its padding mask comes from there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypotheses.parens.features import (
    adjusted_share,
    balanced,
    count_ok,
    horizon_ok,
    length,
    not_end_after_open,
    open_share,
    position_kind,
    share_if_open,
    starts_open,
    suffix_ok,
)
from scrubbing import (
    EMBED,
    OUTPUT,
    Claim,
    Dataset,
    Feature,
    Hypothesis,
    Variable,
    anything,
    everything,
    head,
    joint,
    mlp,
    part,
    project,
    reads,
)
from scrubbing.parts import Part, direction, function

OUTCOME = Variable("balanced", balanced)
COUNT = Variable("count", count_ok)
COUNT_OPEN = Variable("count and open", count_ok & starts_open)
HORIZON = Variable("horizon", horizon_ok)
SHARE = Variable("share if open", share_if_open)
STARTS = Variable("starts open", starts_open)
LENGTH = Variable("length", length)

_TIE = 1e-5
"""Shares this close to one half are one half."""


@direction
def open_direction(model: Any) -> Any:
    """Half the difference of what head 0.0 writes for `(` and for `)`, averaged over positions 1 to 40: `[d]`."""
    attention, weights = model.weights.attention[0], model.weights
    normed = [attention.norm(weights.W_E[token] + weights.W_pos[1:41]) for token in (3, 4)]
    opened, closed = (x.mean(0) @ attention.W_V[0] @ attention.W_O[0] for x in normed)
    return (opened - closed) / 2


def signed_share(data: Dataset) -> NDArray[np.float64]:
    """2p - 1: one if all parentheses open, minus one if all close."""
    return 2 * open_share(data) - 1


PROJECTION = project(open_direction)
PHI = function(signed_share, along=open_direction)


def _count_heads(variable: Variable, reading: tuple[Claim, ...] | None = None) -> list[Claim]:
    """Direct claims on heads 1.0 and 2.0. Given `reading`, they read position 1 alone, and there what these claims
    say.
    """
    under = () if reading is None else (reads(at=1).carries(COUNT_OPEN, *reading),)
    return [head(layer, 0).direct().carries(variable, *under) for layer in (1, 2)]


def _share_and_start(rewrite: Part | None = None) -> tuple[Claim, ...]:
    """Position 1 reads the share from head 0.0 (or a part of it) and the first parenthesis from the embeddings."""
    under = (part(rewrite).carries(SHARE),) if rewrite is not None else ()
    return (
        head(0, 0).any_path().at(1).carries(SHARE, *under),
        EMBED.any_path(avoid=head(0, 0)).carries(STARTS),
    )


def _horizon_head() -> Claim:
    return head(2, 1).direct().carries(HORIZON)


def _suffix_head(at_position: Feature, whole: Feature, keep_length: bool, *below: Claim) -> Claim:
    """Head 2.1 split by position: each agrees on its own suffix, its padding mask on the length."""
    here = Variable("suffix", at_position)
    return (
        head(2, 1)
        .direct()
        .carries(
            Variable("all suffixes", joint(whole, length) if keep_length else whole),
            reads(each=True).carries(here, *below),
            reads("mask").carries(LENGTH),
        )
    )


PLAIN = joint(position_kind, suffix_ok), (not_end_after_open & suffix_ok).everywhere()
"""Suffix classes by the true share: per position, and whether no position speaks against."""


def adjusted(tolerance: float) -> tuple[Feature, Feature]:
    """Suffix classes by the share that head 0.0 sees."""
    under_half = adjusted_share.at_most(0.5, tolerance)
    return joint(position_kind, under_half), (not_end_after_open & under_half).everywhere()


def _rung(name: str, claim: str, *claims: Claim) -> Hypothesis:
    return Hypothesis(f"parens-original/{name}", claim, OUTPUT.carries(OUTCOME, *claims))


def _suffix_sources(exactly: bool) -> list[Claim]:
    """Under every position of head 2.1's input: head 0.0 and the first two MLPs, directly."""
    variable = Variable("itself", everything) if exactly else Variable("suffix", adjusted(0.0)[0])
    return [target.direct().carries(variable) for target in (head(0, 0), mlp(0), mlp(1))]


def ladder() -> list[Hypothesis]:
    """Every rung, from exact to the whole study."""
    return [*_ends(), *_roles(), *_count_in_detail(), *_horizon_in_detail(), *_whole()]


def _ends() -> list[Hypothesis]:
    """The two ends of the scale."""
    nothing = reads().carries(Variable("anything", anything))
    return [_rung("0a", "Everything matters."), _rung("0b", "Nothing matters.", nothing)]


def _roles() -> list[Hypothesis]:
    """Which head reports which test."""
    counts, horizon = _count_heads(COUNT_OPEN), _horizon_head()
    early = head(0, 0).direct().carries(COUNT_OPEN)
    return [
        _rung("1a", "1.0 and 2.0 report the count, 2.1 the horizon.", *_count_heads(COUNT), horizon),
        _rung("1b", "As 1a, the count together with the first parenthesis.", *counts, horizon),
        _rung("1b+00", "As 1b, and head 0.0 reports the count as well.", *counts, horizon, early),
    ]


def _count_in_detail() -> list[Hypothesis]:
    """How 1.0 and 2.0 know the count."""
    rungs = (
        ("2-part-1", "As 1b, 1.0 and 2.0 reading position 1 alone.", ()),
        (
            "2a",
            "There they read the share from head 0.0, the first parenthesis from the embeddings.",
            _share_and_start(),
        ),
        ("2-part-3", "As 2a, head 0.0 writing the share along one direction.", _share_and_start(PROJECTION)),
        ("2b", "As 2a, head 0.0 writing (2p - 1) times that direction.", _share_and_start(PHI)),
    )
    return [_rung(name, claim, *_count_heads(COUNT_OPEN, reading), _horizon_head()) for name, claim, reading in rungs]


def _horizon_in_detail() -> list[Hypothesis]:
    """How 2.1 knows the horizon."""
    coded, repaired = adjusted(0.0), adjusted(_TIE)
    suffixes, same = _suffix_sources(exactly=False), _suffix_sources(exactly=True)
    rungs = (
        ("3a", "As 1b, 2.1 reading at each position whether its suffix is in order.", _suffix_head(*PLAIN, False)),
        ("3a-repaired", "As 3a, the length kept.", _suffix_head(*PLAIN, True)),
        ("3b", "As 3a, with the share head 0.0 sees.", _suffix_head(*coded, False)),
        ("3b-repaired", "As 3b, tie and length put right.", _suffix_head(*repaired, True)),
        ("3c", "As 3b, each position from 0.0, m0 and m1.", _suffix_head(*coded, False, *suffixes)),
        ("3d", "As 3c, all three from one input.", _suffix_head(*coded, False, *same)),
    )
    return [_rung(name, claim, *_count_heads(COUNT_OPEN), suffix_head) for name, claim, suffix_head in rungs]


def _whole() -> list[Hypothesis]:
    """Both in detail at once."""
    counts = _count_heads(COUNT_OPEN, _share_and_start(PHI))
    return [
        _rung("4", "2b and 3b.", *counts, _suffix_head(*adjusted(0.0), False)),
        _rung("4-repaired", "2b and 3b-repaired.", *counts, _suffix_head(*adjusted(_TIE), True)),
    ]
