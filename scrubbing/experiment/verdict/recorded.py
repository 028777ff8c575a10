"""A verdict as it is recorded: numbers as shares of the gap, hypotheses as text and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from scrubbing.errors import ScrubbingError
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.result import Result
from scrubbing.experiment.verdict.adversary import Adversary
from scrubbing.experiment.verdict.complete import Complete
from scrubbing.experiment.verdict.fineness import Finer
from scrubbing.experiment.verdict.found import ClaimFound, Found
from scrubbing.experiment.verdict.interchange import Interchange
from scrubbing.experiment.verdict.judge import judge
from scrubbing.experiment.verdict.needed import ALPHA, MARGIN, Removal
from scrubbing.experiment.verdict.perturbed import Perturbed
from scrubbing.experiment.verdict.runs import Rise
from scrubbing.experiment.verdict.scope import Counterexample, Edge, Scope
from scrubbing.experiment.verdict.sufficient import Wrong
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.records import beyond
from scrubbing.records.beyond import (
    AdversaryRecord,
    CompleteRecord,
    EdgeRecord,
    RemovedClaims,
    ScopeRecord,
    StandInInput,
)
from scrubbing.records.measured import Number
from scrubbing.records.tested import (
    ClaimVerdict,
    CoarserFeature,
    GivenUp,
    PerturbedRecord,
    ReadNode,
    RunInterpretation,
    SetVariable,
    VerdictRecord,
    WrongValue,
)


def tested(result: Result, executor: Executor, *, everything: bool) -> Result:
    """A result with its verdict; see `judge`."""
    return replace(result, tested=recorded(judge(result, executor, everything=everything)))


def recorded(found: Found) -> VerdictRecord:
    """For the record."""
    return VerdictRecord(
        word=found.word,
        tests="all" if found.everything else "word",
        reasons=found.reasons,
        margin=MARGIN,
        alpha=ALPHA,
        references=found.references,
        draws=found.draws,
        together=None if found.together is None else _recovered(found.together),
        apart=None if found.apart is None else _share(found.apart),
        cancelled=None if found.cancelled is None else _share(found.cancelled),
        moved=None if found.moved is None else _share(found.moved),
        interpretation=None if found.interchange is None else _interpretation(found.interchange),
        wrong=[_wrong(one) for one in found.wrong],
        perturbed=[_perturbed(one) for one in found.perturbed],
        unspecific=found.unspecific,
        unsettled=found.unsettled,
        claims=[_claim(one) for one in found.claims],
        idle_together=None if found.idle_together is None else _given_up(found.idle_together),
        given_up=None if found.given_up is None else _given_up(found.given_up),
        attribution=found.attribution,
        complete=None if found.complete is None else completeness(found.complete),
        scope=None if found.scope is None else scoped(found.scope),
        tighter=None if found.tight is None else str(found.tight),
        tighter_stored=None if found.tight is None else _stored(found.tight),
        bits=found.bits,
        unneeded=found.unneeded,
        examples=found.examples,
        seconds=round(found.seconds, 3),
    )


def completeness(found: Complete) -> CompleteRecord:
    """For the record."""
    return CompleteRecord(
        paths=_share(found.paths),
        nodes=_share(found.nodes),
        mean=_share(found.mean),
        constant=None if found.constant is None else _share(found.constant),
        removed=[
            RemovedClaims(
                claims=list(one.claims),
                model=_share(one.model),
                hypothesis=_share(one.hypothesis),
                difference=_share(one.difference),
            )
            for one in found.removed
        ],
    )


def adversarial(found: Adversary) -> AdversaryRecord:
    """For the record."""
    worst = _recovered(found.worst)
    if found.whole:  # the loss of one assignment on all inputs in scope is no estimate, and has no bounds
        worst = Number(value=worst.value, se=0.0, low=None, high=None)
    return AdversaryRecord(
        stochastic=_recovered(found.stochastic),
        average=_recovered(found.average),
        worst=worst,
        whole=found.whole,
        tried=found.tried,
        number=found.number,
        held=[StandInInput(what=one.what, value=one.value, id=one.id, text=one.text) for one in found.held],
    )


def scoped(found: Scope) -> ScopeRecord:
    """For the record."""

    def listed(some: Sequence[Counterexample]) -> list[beyond.Counterexample]:
        return [beyond.Counterexample(**asdict(one)) for one in some]

    return ScopeRecord(
        inside=found.inside,
        total=found.total,
        inside_worst=listed(found.inside_worst),
        outside=None if found.outside is None else _recovered(found.outside),
        outside_worst=listed(found.outside_worst),
        why_not=found.why_not,
        edge=None if found.edge is None else _edge(found.edge),
    )


def _edge(found: Edge) -> EdgeRecord:
    recovered = None if found.lost is None else _recovered(found.lost)
    return EdgeRecord(inputs=len(found.rows), distance=found.distance, recovered=recovered)


def _share(rise: Rise) -> Number:
    """A rise as a share of the gap."""
    return _number(*(one / rise.gap for one in (rise.mean, rise.se, rise.lower(ALPHA), rise.upper(ALPHA))))


def _recovered(rise: Rise) -> Number:
    mean, se, low, high = (one / rise.gap for one in (rise.mean, rise.se, rise.lower(ALPHA), rise.upper(ALPHA)))
    return _number(1 - mean, se, 1 - high, 1 - low)


def _number(value: float, se: float, low: float, high: float) -> Number:
    known = {"se": se, "low": low, "high": high}
    return Number(value=value, **{name: one if np.isfinite(one) else None for name, one in known.items()})


def _given_up(one: Removal) -> GivenUp:
    return GivenUp(what=one.words, outcome=one.outcome, cost=_share(one.rise))


def _claim(one: ClaimFound) -> ClaimVerdict:
    unit = one.unit
    return ClaimVerdict(
        what=unit.words,
        variable=unit.variable,
        feature=unit.feature.name,
        bits=unit.bits,
        unneeded=one.unneeded,
        crossed=_given_up(one.tested),
        coarser=None if one.finer is None else _coarser(one.finer),
        not_tested=one.not_tested,
        free=list(one.free),
        members=[_given_up(tested) for _, tested in one.members],
    )


def _coarser(one: Finer) -> CoarserFeature:
    classes = [[str(value) for value in values] for values in one.classes]
    return CoarserFeature(feature=one.feature.name, classes=classes, excess=one.excess, cost=_share(one.rise))


def _interpretation(one: Interchange) -> RunInterpretation:
    return RunInterpretation(
        output=one.output,
        label=one.label,
        model=one.model,
        variables=[
            SetVariable(
                variable=each.variable, what=each.words, disagreement=_share(each.disagreement), is_wrong=each.is_wrong
            )
            for each in one.exchanged
        ],
        nodes=[ReadNode(variable=each.variable, node=each.node, share=each.share) for each in one.read],
        wrong=one.wrong,
    )


def _perturbed(one: Perturbed) -> PerturbedRecord:
    run = one.interchange
    return PerturbedRecord(
        name=one.name,
        recovered=_recovered(one.lost),
        outcome=one.outcome,
        interpretation=None if run is None else _interpretation(run),
    )


def _wrong(one: Wrong) -> WrongValue:
    unit = one.unit
    return WrongValue(
        what=unit.words, variable=unit.variable, value=str(one.value), position=one.position, cost=_share(one.rise)
    )


def _stored(hypothesis: Hypothesis) -> dict[str, object] | None:
    try:
        return hypothesis.to_json()
    except ScrubbingError:
        return None  # one of its functions has no address
