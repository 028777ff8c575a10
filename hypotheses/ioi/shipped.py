"""The ladder for the shipped model of indirect object identification: from the published roles to what this one does.

How its heads were looked at is told in `docs/explanation/ioi-model.md`. The published circuit finds the duplicated
name, and steers the heads that copy a name away from it. This model has no such steering: several heads of layers 1
and 2 collect both names at the end, and one subtracts the name that it finds at the subject's second place.
"""

from __future__ import annotations

from collections.abc import Iterable

from hypotheses.ioi.features import (
    IO,
    IO_HERE,
    LAYOUT,
    NAMES_HERE,
    S_HERE,
    S,
    either_order,
    names,
    same_order,
    subject_first,
)
from scrubbing import EMBED, OUTPUT, Claim, Hypothesis, Target, Variable, anything, head, reads
from scrubbing.data import at_slot
from scrubbing.hypothesis import Bundle
from scrubbing.samplers import generated, refill

Head = tuple[int, int]

COLLECTORS: tuple[Head, ...] = ((1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 2), (2, 3))
"""Heads of layers 1 and 2 that attend, at the end, to both names alike."""
SUBTRACTOR: Head = (2, 1)
"""The one that attends to the subject's second place."""
LAYERS, HEADS = 3, 4

NAMES = Variable("both names", names)
NOTHING = Variable("nothing", anything)
ORDER = Variable("S before IO", subject_first)


def ladder() -> list[Hypothesis]:
    """Every rung, from the published roles to the fullest account, and two that are wrong on purpose."""
    return [
        movers(),
        steered_by_position(),
        steered_by_name(),
        collected(),
        subtracted(),
        each_head(),
        five_collectors(),
        from_names(),
        any_query(),
        from_embeddings(),
        object_subtracted(),
        position_of_subject(),
    ]


def _rung(name: str, claim: str, *claims: Claim) -> Hypothesis:
    return Hypothesis(f"ioi/{name}", claim, OUTPUT.carries(IO, *claims))


def _target(one: Head) -> Target:
    """A head at the end, by every path on which no other claimed head lies."""
    others = [head(*other) for other in (*COLLECTORS, SUBTRACTOR) if other[0] > one[0]]
    return head(*one).at("last").any_path(avoid=others)


def _together(heads: Iterable[Head]) -> Bundle:
    return Bundle(tuple(map(_target, heads)))


def _subtractor(variable: Variable = S) -> Claim:
    return _target(SUBTRACTOR).carries(variable)


def _reads_subject() -> Claim:
    """What the subtractor reads: the name at the subject's second place, and where to look."""
    return _target(SUBTRACTOR).carries(
        S_HERE,
        reads("v", at=at_slot("S", 2)).carries(S_HERE, sampler=refill("S")),
        reads("q", "k").carries(LAYOUT, sampler=refill()),
        sampler=refill("S"),
    )


def _values() -> list[Claim]:
    """What collectors move: each name from where it stands."""
    return [
        reads("v", at=at_slot("IO")).carries(IO_HERE, sampler=refill("IO")),
        reads("v", at=at_slot("S")).carries(S_HERE, sampler=refill("S")),
    ]


def movers() -> Hypothesis:
    """The published name movers: heads that attend to the indirect object at the end, said to copy its name. They
    carry more than that, so that what they bring from another prompt has another subject's name in it.
    """
    return _rung(
        "movers",
        "Heads that attend to the indirect object copy its name.",
        _together(COLLECTORS).carries(IO),
    )


def _steered(name: str, claim: str, query: Claim) -> Hypothesis:
    keys = reads("k").carries(NAMES_HERE, sampler=refill("IO", "S"))
    moving = _together(COLLECTORS).carries(NAMES_HERE, *_values(), keys, query, sampler=refill("IO", "S"))
    return _rung(name, claim, moving)


def steered_by_position() -> Hypothesis:
    """The published S-inhibition: what the movers ask for is told by where the subject stands. They do not ask for
    one of the names, so that nothing is left to tell the names apart.
    """
    query = reads("q").carries(ORDER, sampler=generated(same_order))
    return _steered("steered-by-position", "As movers, whose queries say where the subject stands.", query)


def steered_by_name() -> Hypothesis:
    """The other published signal: the subject's name, from which the movers turn away. Better, and still worse than
    even odds between the two names would be.
    """
    query = reads("q").carries(S_HERE, sampler=refill("S"))
    return _steered("steered-by-name", "As movers, whose queries say which name is the subject's.", query)


def collected() -> Hypothesis:
    """What these heads do carry: both names. That alone leaves even odds at best."""
    return _rung(
        "collected",
        "Seven heads collect both names.",
        _together(COLLECTORS).carries(NAMES, sampler=generated(either_order)),
    )


def subtracted() -> Hypothesis:
    """With head 2.1, which writes the subject's name against it, nearly nothing is lost."""
    return _rung(
        "subtracted",
        "Seven heads collect both names, and head 2.1 subtracts the subject's.",
        _together(COLLECTORS).carries(NAMES, sampler=generated(either_order)),
        _subtractor(),
    )


def each_head() -> Hypothesis:
    """The same with an input for each head: which of the names is which matters to none of them."""
    return _rung(
        "each-head",
        "As subtracted, for each of the seven heads by itself.",
        *(_target(one).carries(NAMES, sampler=generated(either_order)) for one in COLLECTORS),
        _subtractor(),
    )


def five_collectors() -> Hypothesis:
    """Without 2.0 and 2.3, which cost next to nothing to lose one at a time. They are idle alone and not together."""
    return _rung(
        "five-collectors",
        "As subtracted, and heads 2.0 and 2.3 do not matter.",
        _together(one for one in COLLECTORS if one not in ((2, 0), (2, 3))).carries(
            NAMES, sampler=generated(either_order)
        ),
        _subtractor(),
    )


def from_names() -> Hypothesis:
    """What they read: values where names stand, and patterns that know the layout alone."""
    return _rung(
        "from-names",
        "As subtracted; the heads read names where they stand, and look there whatever the names are.",
        _together(COLLECTORS).carries(
            NAMES_HERE, *_values(), reads("q", "k").carries(LAYOUT, sampler=refill()), sampler=refill("IO", "S")
        ),
        _reads_subject(),
    )


def any_query() -> Hypothesis:
    """There is no S-inhibition: the collectors' queries may come from any prompt at all."""
    return _rung(
        "any-query",
        "As from-names, and the collectors' queries say nothing.",
        _together(COLLECTORS).carries(
            NAMES_HERE,
            *_values(),
            reads("q").carries(NOTHING),
            reads("k").carries(LAYOUT, sampler=refill()),
            sampler=refill("IO", "S"),
        ),
        _reads_subject(),
    )


def from_embeddings() -> Hypothesis:
    """The fullest account: names come from the embeddings, through MLPs and no head. Layer 0's heads do nothing."""
    every = [head(layer, index) for layer in range(LAYERS) for index in range(HEADS)]
    token = EMBED.any_path(avoid=every).into("v")
    return _rung(
        "from-embeddings",
        "As any-query, the names coming straight from the embeddings.",
        _together(COLLECTORS).carries(
            NAMES_HERE,
            token.at(at_slot("IO")).carries(IO_HERE, sampler=refill("IO")),
            token.at(at_slot("S")).carries(S_HERE, sampler=refill("S")),
            reads("q").carries(NOTHING),
            reads("k").carries(LAYOUT, sampler=refill()),
            sampler=refill("IO", "S"),
        ),
        _target(SUBTRACTOR).carries(
            S_HERE,
            token.at(at_slot("S", 2)).carries(S_HERE, sampler=refill("S")),
            reads("q", "k").carries(LAYOUT, sampler=refill()),
            sampler=refill("S"),
        ),
    )


def object_subtracted() -> Hypothesis:
    """Wrong on purpose: the subtractor carries the other name."""
    return _rung(
        "object-subtracted",
        "As subtracted, with the indirect object's name instead of the subject's.",
        _together(COLLECTORS).carries(NAMES, sampler=generated(either_order)),
        _subtractor(IO),
    )


def position_of_subject() -> Hypothesis:
    """Wrong on purpose: the subtractor says where the subject stands instead of who it is."""
    return _rung(
        "position-of-subject",
        "As subtracted, and head 2.1 says where the subject stands.",
        _together(COLLECTORS).carries(NAMES, sampler=generated(either_order)),
        _target(SUBTRACTOR).carries(LAYOUT, sampler=refill()),
    )
