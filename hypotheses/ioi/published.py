"""The published circuit of indirect object identification as a family of hypotheses, for any model with such heads.

Source: Wang et al. 2022, "Interpretability in the Wild": 26 heads of GPT-2 small in seven roles. There everything
outside the circuit is at its mean over prompts with three other names; here it comes from another prompt. MLPs are no
part of the circuit and are recomputed on what they read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hypotheses.ioi.features import (
    IO,
    IO_HERE,
    LAYOUT,
    NAMES_HERE,
    S_HERE,
    S,
    subject,
)
from scrubbing import OUTPUT, Claim, Hypothesis, Target, head, reads
from scrubbing.data import at_slot
from scrubbing.hypothesis import Bundle
from scrubbing.samplers import agree, refill

Head = tuple[int, int]
"""Layer and index."""


@dataclass(frozen=True)
class Circuit:
    """Heads by role; a role may be empty."""

    previous: tuple[Head, ...] = ()
    """Previous token: after S1, copy its name there."""
    duplicate: tuple[Head, ...] = ()
    """Duplicate token: at S2, attend to S1 and write that the token is a duplicate, and where."""
    induction: tuple[Head, ...] = ()
    """Induction: at S2, attend to what follows S1, and write the same."""
    inhibition: tuple[Head, ...] = ()
    """S-inhibition: at the end, attend to S2, and turn the movers' queries away from S."""
    movers: tuple[Head, ...] = ()
    """Name movers: at the end, attend to IO and copy its name."""
    negative: tuple[Head, ...] = ()
    """Negative name movers: the same, against."""
    backup: tuple[Head, ...] = ()
    """Backup name movers: the same, where name movers are missing."""

    @property
    def heads(self) -> tuple[Head, ...]:
        """All of them, from the first layer."""
        return tuple(sorted({*self.early, *self.inhibition, *self.all_movers}))

    @property
    def early(self) -> tuple[Head, ...]:
        """Heads that find out about the duplicate."""
        return (*self.previous, *self.duplicate, *self.induction)

    @property
    def all_movers(self) -> tuple[Head, ...]:
        """Name movers of all three kinds."""
        return (*self.movers, *self.negative, *self.backup)


GPT2_SMALL = Circuit(
    previous=((2, 2), (4, 11)),
    duplicate=((0, 1), (0, 10), (3, 0)),
    induction=((5, 5), (5, 8), (5, 9), (6, 9)),
    inhibition=((7, 3), (7, 9), (8, 6), (8, 10)),
    movers=((9, 6), (9, 9), (10, 0)),
    negative=((10, 7), (11, 10)),
    backup=((9, 0), (9, 7), (10, 1), (10, 2), (10, 6), (10, 10), (11, 2), (11, 9)),
)
"""As published."""


def ladder(circuit: Circuit = GPT2_SMALL) -> list[Hypothesis]:
    """Every rung, from the name movers alone to the whole circuit, and the two signals of S-inhibition apart."""
    return [
        copied(circuit, "movers", "Name movers copy the indirect object's name.", circuit.movers),
        copied(
            circuit,
            "with-negative",
            "As movers, and negative name movers copy it against.",
            (*circuit.movers, *circuit.negative),
        ),
        copied(circuit, "with-backup", "As with-negative, and backup name movers copy it too.", circuit.all_movers),
        attended(circuit),
        position_signal(circuit),
        name_signal(circuit),
        inhibited(circuit),
        from_subject(circuit),
        duplicates_found(circuit),
        full(circuit),
    ]


def copied(circuit: Circuit, name: str, claim: str, heads: tuple[Head, ...]) -> Hypothesis:
    """Some movers carry the indirect object's name; how they find it is left open."""
    return _rung(name, claim, _together(circuit, heads, "last").carries(IO))


def attended(circuit: Circuit) -> Hypothesis:
    """What movers read: the name where it stands, and a query that knows both names and where they are."""
    query = reads("q").carries(NAMES_HERE, sampler=refill("IO", "S"))
    return _moved(circuit, "attended", "As with-backup; the movers read the name where it stands.", query)


def position_signal(circuit: Circuit) -> Hypothesis:
    """The first of the two signals of S-inhibition, alone: where the subject stands."""
    query = reads("q").carries(LAYOUT, sampler=refill())
    return _moved(circuit, "position-signal", "As attended; queries say where the subject stands.", query)


def name_signal(circuit: Circuit) -> Hypothesis:
    """The second, alone: the subject's name, wherever it stands."""
    query = reads("q").carries(S, sampler=agree(subject))
    return _moved(circuit, "name-signal", "As attended; queries say which name is the subject's.", query)


def inhibited(circuit: Circuit) -> Hypothesis:
    """Both signals, and from the S-inhibition heads alone; the rest of the queries comes from another prompt."""
    claim = _together(circuit, circuit.inhibition, "last", "q").carries(S_HERE, sampler=refill("S"))
    return _moved(circuit, "inhibited", "As attended; S-inhibition heads say where the subject is, and who.", claim)


def from_subject(circuit: Circuit) -> Hypothesis:
    """These read at the subject's second place."""
    value = reads("v", at=at_slot("S", 2)).carries(S_HERE, sampler=refill("S"))
    told = "As inhibited; S-inhibition heads read what stands at S2."
    return _moved(circuit, "from-subject", told, _inhibition(circuit, value))


def duplicates_found(circuit: Circuit) -> Hypothesis:
    """What stands there about the subject is written by duplicate-token and induction heads."""
    found = [
        _together(circuit, heads, at_slot("S", 2), "v").carries(S_HERE, sampler=refill("S"))
        for heads in (circuit.duplicate, circuit.induction)
        if heads
    ]
    told = "As from-subject, which duplicate-token and induction heads wrote there."
    return _moved(circuit, "duplicates-found", told, _inhibition(circuit, *found))


def full(circuit: Circuit) -> Hypothesis:
    """The whole circuit: duplicate-token heads read S1, induction heads what previous-token heads wrote after it."""
    found: list[Claim] = []
    if circuit.duplicate:
        first = reads("k", "v", at=at_slot("S")).carries(S_HERE, sampler=refill("S"))
        second = reads("q", at=at_slot("S", 2)).carries(S_HERE, sampler=refill("S"))
        found.append(
            _together(circuit, circuit.duplicate, at_slot("S", 2), "v").carries(
                S_HERE, first, second, sampler=refill("S")
            )
        )
    if circuit.induction:
        after = at_slot("S", shift=1)
        copied = [
            _together(circuit, circuit.previous, after, "k").carries(
                S_HERE, reads("v", at=at_slot("S")).carries(S_HERE, sampler=refill("S")), sampler=refill("S")
            )
        ]
        query = reads("q", at=at_slot("S", 2)).carries(S_HERE, sampler=refill("S"))
        value = reads("v", at=after).carries(LAYOUT, sampler=refill())
        found.append(
            _together(circuit, circuit.induction, at_slot("S", 2), "v").carries(
                S_HERE, *(copied if circuit.previous else []), query, value, sampler=refill("S")
            )
        )
    return _moved(circuit, "full", "All 26 heads in their seven roles.", _inhibition(circuit, *found))


def _rung(name: str, claim: str, *claims: Claim) -> Hypothesis:
    return Hypothesis(f"ioi-published/{name}", claim, OUTPUT.carries(IO, *claims))


def _moved(circuit: Circuit, name: str, claim: str, query: Claim) -> Hypothesis:
    """All movers, what they read where IO stands, keys of both names, and a claim about their queries."""
    value = reads("v", at=at_slot("IO")).carries(IO_HERE, sampler=refill("IO"))
    keys = reads("k").carries(NAMES_HERE, sampler=refill("IO", "S"))
    moving = _together(circuit, circuit.all_movers, "last")
    return _rung(name, claim, moving.carries(NAMES_HERE, value, keys, query, sampler=refill("IO", "S")))


def _inhibition(circuit: Circuit, *below: Claim) -> Claim:
    """S-inhibition heads and what they read at S2; where they look is theirs."""
    pattern = reads("q", "k").carries(S_HERE, sampler=refill("S"))
    return _together(circuit, circuit.inhibition, "last", "q").carries(S_HERE, *below, pattern, sampler=refill("S"))


def _together(circuit: Circuit, heads: Iterable[Head], at: object, into: str = "") -> Bundle:
    """Heads at some position, by every path through no other head of the circuit."""
    targets: list[Target] = []
    for one in heads:
        others = [head(*other) for other in circuit.heads if other[0] > one[0]]
        target = head(*one).at(at).any_path(avoid=others)  # type: ignore[arg-type]
        targets.append(target.into(into) if into else target)
    return Bundle(tuple(targets))
