"""What was found out about a hypothesis, and the word that it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from scrubbing.experiment.verdict.claims import Unit
from scrubbing.experiment.verdict.complete import Complete
from scrubbing.experiment.verdict.fineness import Finer
from scrubbing.experiment.verdict.interchange import Interchange
from scrubbing.experiment.verdict.needed import ALPHA, Removal, judged, moves
from scrubbing.experiment.verdict.perturbed import Perturbed
from scrubbing.experiment.verdict.runs import Rise
from scrubbing.experiment.verdict.scope import Scope
from scrubbing.experiment.verdict.sufficient import Wrong
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.records.attribution import Attribution
from scrubbing.records.tested import Outcome, Unspecific, Word
from scrubbing.sampling.contexts import Member

TAU = 0.01
"""Share of the gap that a sufficient hypothesis may lose."""
CANCELLED = 0.02
"""Share of the gap by which losses may fall where others rise: twice what may be lost."""


@dataclass(frozen=True, eq=False)
class ClaimFound:
    """What was found out about one claim."""

    unit: Unit
    tested: Removal
    finer: Finer | None = None
    not_tested: str = ""
    """Why it is not known whether it is finer than needed."""
    free: tuple[int, ...] = ()
    """Positions that can be given up together."""
    members: tuple[tuple[Member, Removal], ...] = ()

    @property
    def unneeded(self) -> float:
        """Bits that are not needed."""
        if self.tested.outcome == "idle":
            return self.unit.bits
        found = 0.0 if self.finer is None else self.finer.excess
        if self.free and self.unit.positions:
            found += (self.unit.bits - found) * len(self.free) / len(self.unit.positions)
        return found


@dataclass(eq=False)
class Found:
    """Everything that was found out about a hypothesis."""

    hypothesis: Hypothesis
    everything: bool = True
    """Whether every test was run, or only those that could change the word."""
    word: Word = "undecided"
    reasons: list[str] = field(default_factory=list[str])
    """Codes of what the word rests on, the gravest first."""
    together: Rise | None = None
    apart: Rise | None = None
    """What is lost where every unclaimed node has a draw of its own, beside what is lost together."""
    cancelled: Rise | None = None
    """By how much losses of single draws fall below the model's own."""
    interchange: Interchange | None = None
    """What running the interpretation shows; None where it cannot be run."""
    perturbed: list[Perturbed] = field(default_factory=list[Perturbed])
    """What is lost, and computed, where draws are also from inputs that were declared beside the dataset."""
    moved: Rise | None = None
    """How far outputs are from the model's own, its gap being how far they are in the null."""
    wrong: list[Wrong] = field(default_factory=list[Wrong])
    unspecific: list[Unspecific] = field(default_factory=list[Unspecific])
    """Controls that should fail and do not."""
    unsettled: list[Unspecific] = field(default_factory=list[Unspecific])
    """Controls that should fail, and of which it is open whether they do."""
    claims: list[ClaimFound] = field(default_factory=list[ClaimFound])
    idle_together: Removal | None = None
    """All that is idle alone, given up at once."""
    given_up: Removal | None = None
    """All that is not needed, given up at once."""
    attribution: Attribution | None = None
    """Where the rest is lost; None where too little is lost to ask."""
    complete: Complete | None = None
    """What the model can do without the mechanism."""
    scope: Scope | None = None
    """Inside and outside of its scope; None where it has none."""
    tight: Hypothesis | None = None
    references: int = 0
    """Of each test, at first."""
    draws: int = 0
    examples: int = 0
    seconds: float = 0.0

    @property
    def bits(self) -> float:
        """Bits claimed."""
        return sum(one.unit.bits for one in self.claims)

    @property
    def unneeded(self) -> float:
        """Bits that are not needed, of those claimed."""
        return sum(one.unneeded for one in self.claims)


def loss_of(rise: Rise | None) -> Outcome:
    """Whether so much is lost that a hypothesis is not sufficient: `idle` where it surely is not."""
    assert rise is not None, "the word is asked for once it is known what is lost together"
    return judged(replace(rise, moved=None), ALPHA, TAU)


def is_redundant(found: Found) -> bool:
    """Whether what is idle alone cannot be given up at once."""
    return found.idle_together is not None and found.idle_together.outcome == "needed"


def _out_of_scope(found: Found) -> bool:
    """Whether it does not hold outside its scope, where most inputs are."""
    scope = found.scope
    return scope is not None and scope.is_narrow and scope.outside is not None and loss_of(scope.outside) == "needed"


def _cancels(found: Found) -> bool:
    assert found.cancelled is not None
    return found.cancelled.lower(ALPHA) > CANCELLED * found.cancelled.gap


def _apart(found: Found) -> Outcome | None:
    return None if found.apart is None else judged(found.apart, ALPHA)


def _computes_otherwise_beside(found: Found) -> bool:
    return any(one.interchange is not None and bool(one.interchange.wrong) for one in found.perturbed)


def _claims(found: Found) -> set[Outcome]:
    return {one.tested.outcome for one in found.claims}


def _members(found: Found) -> set[Outcome]:
    return {tested.outcome for one in found.claims for _, tested in one.members}


_FINDINGS: tuple[tuple[Word, str, Callable[[Found], bool]], ...] = (
    ("insufficient", "loses", lambda found: loss_of(found.together) == "needed"),
    ("insufficient", "cancels", _cancels),
    ("insufficient", "outputs", lambda found: found.moved is not None and moves(found.moved, ALPHA)),
    ("insufficient", "apart", lambda found: _apart(found) == "needed"),
    ("insufficient", "values", lambda found: bool(found.wrong)),
    ("insufficient", "perturbed", lambda found: any(one.outcome == "needed" for one in found.perturbed)),
    ("wrong values", "wrong values", lambda found: found.interchange is not None and bool(found.interchange.wrong)),
    ("wrong values", "perturbed values", _computes_otherwise_beside),
    ("not specific", "not specific", lambda found: bool(found.unspecific)),
    ("redundant", "redundant", is_redundant),
    ("out of scope", "scope", _out_of_scope),
    ("undecided", "loses?", lambda found: loss_of(found.together) == "undecided"),
    ("undecided", "specific?", lambda found: bool(found.unsettled)),
    ("undecided", "apart?", lambda found: _apart(found) == "undecided"),
    ("undecided", "perturbed?", lambda found: any(one.outcome == "undecided" for one in found.perturbed)),
    ("wider or finer than needed", "idle", lambda found: "idle" in _claims(found)),
    ("wider or finer than needed", "members", lambda found: "idle" in _members(found)),
    ("wider or finer than needed", "positions", lambda found: any(one.free for one in found.claims)),
    ("wider or finer than needed", "finer", lambda found: any(one.finer is not None for one in found.claims)),
    ("undecided", "claims?", lambda found: "undecided" in _claims(found)),
    ("undecided", "members?", lambda found: "undecided" in _members(found)),
    ("undecided", "fineness?", lambda found: any(one.not_tested for one in found.claims)),
)
"""Everything that may be found, the gravest first: word, code, and whether it was."""


def met(found: Found) -> list[tuple[Word, str]]:
    """Words and codes of what was found, the gravest first, which gives the word."""
    return [(word, code) for word, code, holds in _FINDINGS if holds(found)]


def gravity(code: str | None) -> int:
    """Place of a finding among all, the gravest first; after all of them for None."""
    codes = [code for _, code, _ in _FINDINGS]
    return len(codes) if code is None else codes.index(code)
