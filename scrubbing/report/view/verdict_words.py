"""What a verdict says in sentences: the word with its numbers, what else was found, and what was not asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scrubbing.numbers import PLAIN, SHARE, SHORT, count
from scrubbing.records.schema import Number, RunRecord
from scrubbing.records.tested import (
    ClaimVerdict,
    CoarserFeature,
    RunInterpretation,
    Unspecific,
    VerdictRecord,
    WrongValue,
)
from scrubbing.report.pictures import shortened
from scrubbing.report.view.notes import claim

_HOLDS = 0.95
_MOST = 3
"""Things that are named in a sentence; the table has them all."""


def verdict_sentence(found: VerdictRecord) -> str:
    """The verdict in one sentence."""
    return _SENTENCES[found.word](found)


def _nothing(found: VerdictRecord) -> str:
    return "Nothing to explain: the model is no better than the null or the constant by more than sampling error."


def _vacuous(found: VerdictRecord) -> str:
    why = {
        "nothing-exchanged": "nothing is exchanged",
        "output-by-own-value": "all that the output reads is claimed to carry the model's own prediction",
        "feature-is-label": "all that the output reads is claimed to carry the label",
        "no-claim": "no claim says what anything carries",
    }
    told = "; ".join(why[code] for code in found.reasons if code in why) or "nothing is held to anything"
    return f"Vacuous: {told}, so it cannot fail."


def _insufficient(found: VerdictRecord) -> str:
    known = ("loses", "cancels", "outputs", "apart", "values", "perturbed")
    reason = next((one for one in found.reasons if one in known), "loses")
    start = f"Insufficient: {_recovered(found)} is recovered"
    if reason == "cancels" and found.cancelled is not None:
        return (
            f"{start}, but only as losses fall below the model's own in some draws, by {_cost(found.cancelled)} of the "
            "gap, while they rise in others."
        )
    if reason == "outputs" and found.moved is not None:
        return (
            f"{start}, but outputs are {_cost(found.moved)} as far from the model's own as those of other inputs: the "
            "loss does not show what is lost."
        )
    if reason == "apart" and found.apart is not None:
        return (
            f"{start}, but {_cost(found.apart)} of the gap is lost on top where each unclaimed node draws an input of "
            "its own: the claims rely on nodes they leave out."
        )
    if reason == "values" and found.wrong:
        one = found.wrong[0]
        at = "" if one.position is None else f" at position {one.position}"
        return (
            f"{start}, but where {one.variable} = {one.value}{at} is held, {_cost(one.cost)} of the gap is lost "
            f"({claim(one.what, one.variable)})."
        )
    if reason == "perturbed":
        one = next(one for one in found.perturbed if one.outcome == "needed")
        return f"{start}, but only {_cost(one.recovered)} where inputs with {one.name} are drawn too."
    return f"{start}, less than {SHARE.one(1 - found.margin)} for sure."


def _values(found: VerdictRecord) -> str:
    told = [] if found.interpretation is None else _computed(found.interpretation)
    for one in found.perturbed:
        if one.interpretation is not None:
            told += [f"with {one.name} too, {words}" for words in _computed(one.interpretation)]
    listed = _listed(told) if told else "the interpretation computes something else"
    return f"Wrong values: {_recovered(found)} is recovered, but {listed}."


def _computed(run: RunInterpretation) -> list[str]:
    """Where an interpretation computes something else than the model, in words."""
    told: list[str] = []
    if run.output in run.wrong:
        told.append(
            f"{run.output}, computed as the interpretation says, is what the model says on {SHARE.one(run.model)}"
        )
    told += [
        f"with {one.variable} set to another input's value, model and interpretation differ in "
        f"{_cost(one.disagreement)} of draws"
        for one in run.variables
        if one.is_wrong
    ]
    told += [
        f"{one.node} holds {one.variable} on {SHARE.one(one.share)} of inputs only"
        for one in run.nodes
        if one.variable in run.wrong and one.share < _HOLDS
    ]
    return told


def _unspecific(found: VerdictRecord) -> str:
    return f"Not specific: {_recovered(found)} is recovered, but {_listed(_passed(found))}."


def _passed(found: VerdictRecord) -> list[str]:
    """Controls that should fail and do not, in words."""
    told: list[str] = []
    for one in found.unspecific:
        if one.p is not None and one.tried is not None and one.as_well is not None:
            more = f"{count(one.as_well)} of {count(one.tried)} other hypotheses of the same size"
            told.append(f"{more} do as well (p = {PLAIN.one(one.p)})")
        else:
            share = "as much" if one.recovered is None else SHARE.one(one.recovered)
            told.append(f"with {one.control}, where it should fail, {share} is recovered too")
    return told


def _unsettled(one: Unspecific) -> str:
    if one.p is not None and one.tried is not None and one.as_well is not None:
        so_far = f"{count(one.as_well)} of {count(one.tried)} do as well, p = {PLAIN.one(one.p)}"
        return f"whether it is better than others of its size takes more of them ({so_far})"
    share = "" if one.recovered is None else f" ({SHARE.one(one.recovered)} is recovered there)"
    return f"whether it fails with {one.control}, as it should, takes more references{share}"


def _redundant(found: VerdictRecord) -> str:
    lost = "" if found.idle_together is None else f", which costs {_cost(found.idle_together.cost)} of the gap"
    return (
        f"Redundant: {_recovered(found)} is recovered, and each of these can be given up alone, but not all at once"
        f"{lost}: {_listed(_idle(found))}."
    )


def _out_of_scope(found: VerdictRecord) -> str:
    scope = found.scope
    told = f"Out of scope: {_recovered(found)} is recovered"
    if scope is None or scope.outside is None:
        return f"{told} in scope, and too little outside."
    return (
        f"{told} in scope, which is {SHARE.one(scope.share)} of the dataset, and only {_cost(scope.outside)} outside."
    )


def _wider(found: VerdictRecord) -> str:
    least = "at least " if found.tests == "word" else ""
    told = f"{least}{SHORT.one(found.unneeded)} of {SHORT.one(found.bits)} bits claimed are not needed"
    return (
        f"Supported, wider or finer than needed: {_recovered(found)} is recovered, and {told}: {_listed(_less(found))}."
    )


def _undecided(found: VerdictRecord) -> str:
    told = list(dict.fromkeys([*map(_unsettled, found.unsettled), *_open(found)]))
    return f"Undecided: {_recovered(found)} is recovered; {_listed(told)}."


def _tight(found: VerdictRecord) -> str:
    return (
        f"Supported and tight: {_recovered(found)} is recovered, and every claim, member and value of the "
        f"{SHORT.one(found.bits)} bits claimed is needed."
    )


_SENTENCES = {
    "nothing to explain": _nothing,
    "vacuous": _vacuous,
    "insufficient": _insufficient,
    "wrong values": _values,
    "not specific": _unspecific,
    "redundant": _redundant,
    "out of scope": _out_of_scope,
    "wider or finer than needed": _wider,
    "undecided": _undecided,
    "tight": _tight,
}


def further(found: VerdictRecord) -> Iterator[str]:
    """What else was found, beside what the word rests on."""
    if found.unspecific and found.word != "not specific":
        yield f"Not specific either: {_listed(_passed(found))}."
    if found.unsettled and found.word != "undecided":
        yield f"Undecided: {_listed([*map(_unsettled, found.unsettled)])}."
    # The same value held in two claims is held on the same references, and costs the same.
    held: dict[tuple[str, str, int | None, float], WrongValue] = {}
    for one in found.wrong:
        held.setdefault((one.variable, one.value, one.position, one.cost.value), one)
    for one in list(held.values())[: _MOST + 1]:
        at = "" if one.position is None else f" at position {one.position}"
        if found.reasons[:1] != ["values"] or one is not found.wrong[0]:
            yield f"Where {one.variable} = {one.value}{at} is held, {_cost(one.cost)} of the gap is lost."
    if found.word in ("insufficient", "wrong values", "out of scope", "undecided") and (less := _less(found)):
        yield f"Not needed: {_listed(less)}."
    elif found.word not in ("undecided", "tight") and found.claims and (unknown := list(dict.fromkeys(_open(found)))):
        yield f"Undecided: {_listed(unknown)}."
    if found.given_up is not None and found.given_up.outcome == "needed" and found.word != "redundant":
        yield (
            f"All of this at once costs {_cost(found.given_up.cost)} of the gap: what can be left out alone is not all "
            "free together."
        )
    if found.given_up is not None and found.given_up.outcome == "undecided":
        cost = _cost(found.given_up.cost)
        yield f"Whether all of this can be left out at once takes more references: it costs {cost} of the gap."


def not_asked(record: RunRecord) -> Iterator[str]:
    """What was not tested as it cannot change the word, and what a word of support leaves open where controls were not
    run.
    """
    if record.tested is not None and record.tested.tests == "word":
        yield "Not asked: what cannot change this word (--verdict)."
    if record.tested is None or record.tested.word not in ("tight", "wider or finer than needed"):
        return
    others = "whether other hypotheses of its size do as well"
    if not record.controls:
        yield f"Not asked: whether it fails on weights that mean nothing, and {others} (--control all)."
    elif all(one.several is None for one in record.controls):
        yield f"Not asked: {others} (--control random-hypotheses)."


def _idle(found: VerdictRecord) -> list[str]:
    claims = [claim(one.what, one.variable) for one in found.claims if one.crossed.outcome == "idle"]
    members = [
        m.what for one in found.claims if one.crossed.outcome != "idle" for m in one.members if m.outcome == "idle"
    ]
    return claims + members


def _less(found: VerdictRecord) -> list[str]:
    """What is not needed, in words."""
    told = [f"{what} is idle" for what in _idle(found)]
    for one in found.claims:
        if one.crossed.outcome == "idle":
            continue
        if one.free:
            told.append(f"{claim(one.what, one.variable)} needs none of the positions {', '.join(map(str, one.free))}")
        if one.coarser is not None:
            told.append(f"{one.what} {_enough(one, one.coarser)}")
    return told


def _enough(one: ClaimVerdict, coarser: CoarserFeature) -> str:
    """What a claim can do without."""
    if not coarser.classes:
        return f"needs to carry only {coarser.feature}, not {one.feature}"
    return f"need not tell {shortened(alike(coarser), 80)} of {one.feature}"


def alike(coarser: CoarserFeature) -> str:
    """Values that count as equal in a coarser feature, in words."""
    return "; ".join(" from ".join(values) for values in coarser.classes)


def _open(found: VerdictRecord) -> Iterator[str]:
    """What is undecided, and what would decide it."""
    if "loses?" in found.reasons:
        yield f"whether that is {SHARE.one(1 - found.margin)} or more takes more references"
    if "apart?" in found.reasons:
        yield "what unclaimed nodes cost apart takes more references"
    for one in found.perturbed:
        if one.outcome == "undecided":
            yield f"whether that is so where inputs with {one.name} are drawn too takes more references"
    for one in found.claims:
        if one.crossed.outcome == "undecided":
            yield f"whether {claim(one.what, one.variable)} is needed takes more references"
        for member in one.members:
            if member.outcome == "undecided":
                yield f"whether {member.what} is needed takes more references"
        if one.not_tested:
            yield f"whether {one.feature} is finer than needed was not tested, as {one.not_tested}"


def _listed(words: Sequence[str]) -> str:
    more = f"; and {len(words) - _MOST} more" if len(words) > _MOST else ""
    return "; ".join(words[:_MOST]) + more


def _recovered(found: VerdictRecord) -> str:
    one = found.together
    return "what is claimed" if one is None else SHARE.interval(one.value, one.low, one.high)


def _cost(number: Number) -> str:
    return SHARE.interval(number.value, number.low, number.high)
