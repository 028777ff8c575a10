"""The verdict on one hypothesis: every test in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from scrubbing.errors import ScrubbingError
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.result import Result
from scrubbing.experiment.vacuous import vacuous
from scrubbing.experiment.verdict.attribution import attribute
from scrubbing.experiment.verdict.claims import Unit, units
from scrubbing.experiment.verdict.complete import remaining
from scrubbing.experiment.verdict.fineness import Fineness, known_features
from scrubbing.experiment.verdict.found import TAU, ClaimFound, Found, gravity, is_redundant, loss_of, met
from scrubbing.experiment.verdict.interchange import interchange
from scrubbing.experiment.verdict.needed import ALPHA, Needs, Removal
from scrubbing.experiment.verdict.perturbed import perturbed
from scrubbing.experiment.verdict.runs import Rise, Runs
from scrubbing.experiment.verdict.scope import reach
from scrubbing.experiment.verdict.specific import unsettled, unspecific
from scrubbing.experiment.verdict.sufficient import cancelled, together, wrong_values
from scrubbing.experiment.verdict.tight import tighter
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.metrics.recovered import unbeaten
from scrubbing.progress import bar
from scrubbing.sampling.contexts import Member, Mode

VACUOUS = ("nothing-exchanged", "output-by-own-value", "feature-is-label")


def judge(result: Result, executor: Executor, *, everything: bool = True) -> Found:
    """Put a hypothesis to the tests.

    Args:
        result: of scrubbing it, with the null.
        executor: what measures.
        everything: whether to run every test, or only those that can change the word.
    """
    started = time.perf_counter()
    found = Found(result.hypothesis, everything=everything)
    runs = Runs.of(result, executor)
    found.references, found.draws = runs.references, runs.draws
    _all_tests(found, result, runs)
    found.examples, found.seconds = runs.count, time.perf_counter() - started
    return found


def _all_tests(found: Found, result: Result, runs: Runs) -> None:
    if unbeaten(result.means, "null") is not None:
        found.word, found.reasons = "nothing to explain", ["no-gap"]
        return
    found.together, found.cancelled = together(result), cancelled(result)
    every, told = units(result.job), _vacuous(result)
    if told or not every:
        found.word, found.reasons = "vacuous", told or ["no-claim"]
        found.moved = _moved(runs) if found.everything else None
        return
    found.unspecific, found.unsettled = unspecific(result.controls), unsettled(result.controls)
    title, parts = f"verdict on {result.hypothesis.name}", _parts(found, result, runs, every)
    with bar(title, len(parts)) as progress:
        for part in parts:
            progress.begin(f"{title}, {part.title}")
            if found.everything or gravity(part.gravest) < _gravest(found):
                before = _gravest(found)
                part.test()
                assert _gravest(found) >= min(before, gravity(part.gravest)), part.title
            progress.advance()
    holds = met(found)
    found.word = holds[0][0] if holds else "tight"
    found.reasons = [code for _, code in holds]


@dataclass(frozen=True)
class _Part:
    """One part of a verdict."""

    title: str
    test: Callable[[], None]
    gravest: str | None = None
    """Code of the gravest that it may find; None where it only tells more of what is known."""


def _gravest(found: Found) -> int:
    """Of what was found so far."""
    return gravity(next((code for _, code in met(found)), None))


def _parts(found: Found, result: Result, runs: Runs, every: Sequence[Unit]) -> list[_Part]:
    """All parts, each of which may read what those before it found."""
    assert found.together is not None
    gap, sufficient = found.together.gap, loss_of(found.together) != "needed"
    needs = Needs(runs, gap, sufficient=sufficient)
    fine = Fineness(runs, gap, known_features(runs.data, [one.feature for one in every]))

    def outputs() -> None:
        found.moved = _moved(runs)

    def values() -> None:
        found.wrong = wrong_values(runs, every, gap, ALPHA)

    def run() -> None:
        found.interchange = interchange(runs, every) if sufficient else None

    def beside() -> None:
        found.perturbed = list(perturbed(result, runs, gap, TAU)) if sufficient else []

    def claims() -> None:
        tested = needs.claims(every)
        found.claims = [ClaimFound(unit, tested[unit]) for unit in every]

    def members() -> None:
        tested = needs.members()
        found.claims = [_with_members(one, tested) for one in found.claims]

    def together() -> None:
        found.idle_together = _idle_together(found, runs, needs)

    def finer(place: int) -> None:
        if sufficient:
            found.claims[place] = _finer(found.claims[place], needs, fine, search=not is_redundant(found))

    return [
        _Part("outputs", outputs, "outputs"),
        _Part("unclaimed nodes apart", lambda: _apart(found, needs), "apart"),
        _Part("each value", values, "values"),
        _Part("the interpretation", run, "wrong values"),
        _Part("declared perturbations", beside, "perturbed"),
        _Part("claims given up", claims, "redundant"),
        _Part("members of claims given up", members, "redundant"),
        _Part("what is idle given up", together, "redundant"),
        *(
            _Part(f"is {unit.words} finer than needed", partial(finer, place), "positions")
            for place, unit in enumerate(every)
        ),
        _Part("all that is not needed given up", lambda: _at_once(found, runs, needs)),
        *_around(found, result, runs, None if sufficient else gap),
    ]


def _around(found: Found, result: Result, runs: Runs, gap: float | None) -> list[_Part]:
    """Parts about what is not claimed; `gap` where too much of it is lost."""

    def lost() -> None:
        found.attribution = None if gap is None else attribute(runs, gap)

    def left_out() -> None:
        found.complete = remaining(result, runs)

    def scope() -> None:
        found.scope = None if result.hypothesis.scope is None else reach(result, runs)

    return [
        _Part("where the rest is lost", lost),
        _Part("what is left out", left_out),
        _Part("scope", scope, "scope"),
    ]


def _vacuous(result: Result) -> list[str]:
    """Codes of why the hypothesis cannot fail."""
    told = {note.code for note in vacuous(result.job, result.inputs().get("model_prediction"))}
    if not result.exchanged:
        told.add("nothing-exchanged")
    return [code for code in VACUOUS if code in told]


def _moved(runs: Runs) -> Rise:
    sample = runs.sample(0)
    ((_, moved),) = runs.measured([(sample, runs.scrub.mode)])
    return sample.rise(moved, runs.spread)


def _apart(found: Found, needs: Needs) -> None:
    mode = needs.runs.scrub.apart
    if mode is not None:
        found.apart = needs.together([mode], "unclaimed nodes apart").rise


def _with_members(found: ClaimFound, members: Sequence[tuple[int, Member, Removal]]) -> ClaimFound:
    own = tuple((member, one) for region, member, one in members if region in found.unit.regions)
    return replace(found, members=own)


def _finer(found: ClaimFound, needs: Needs, fine: Fineness, search: bool) -> ClaimFound:
    """With what is finer than needed of a claim that is not idle; `search` among its positions and its values too."""
    unit = found.unit
    if found.tested.outcome == "idle":
        return found
    free: tuple[int, ...] = ()
    if search and unit.positions is not None and len(unit.positions) > 1:
        free, _ = needs.positions(unit)
    finer = fine.of(unit, search)
    reason = finer if isinstance(finer, str) else ""
    return replace(found, free=free, finer=None if isinstance(finer, str) else finer, not_tested=reason)


def _idle(found: Found) -> tuple[list[ClaimFound], set[Member]]:
    """Claims that are idle, and idle members of those that are not."""
    kept = [one for one in found.claims if one.tested.outcome != "idle"]
    freed = {member for one in kept for member, tested in one.members if tested.outcome == "idle"}
    return [one for one in found.claims if one.tested.outcome == "idle"], freed


def _idle_together(found: Found, runs: Runs, needs: Needs) -> Removal | None:
    """All that is idle alone, given up at once; None where that is one thing at most."""
    idle, freed = _idle(found)
    return needs.together(_without(runs, idle, freed, []), "what is idle") if len(idle) + len(freed) > 1 else None


def _at_once(found: Found, runs: Runs, needs: Needs) -> None:
    """Everything that is not needed, given up together, finer values too."""
    idle, freed = _idle(found)
    merged = [one for one in found.claims if one.finer is not None or one.free]
    if not (idle or freed or merged):
        return
    found.given_up = found.idle_together if not merged else None
    if found.given_up is None:
        found.given_up = needs.together(_without(runs, idle, freed, merged), "what is not needed")
    if found.given_up.outcome != "needed" and not is_redundant(found):
        found.tight = _tighter(found, runs, idle, freed)


def _without(runs: Runs, idle: Sequence[ClaimFound], freed: set[Member], merged: Sequence[ClaimFound]) -> list[Mode]:
    """The hypothesis without these claims and members, and with coarser features: crossed at all positions, and at half
    of them.
    """
    modes: list[Mode] = []
    for share in (0.5, 1.0):
        mode = replace(runs.scrub.mode, freed=runs.scrub.mode.freed | freed)
        for one in idle:
            mode = one.unit.crossed(mode, runs.scrub.tree, share=share)
        for one in merged:
            within = None if one.finer is None else one.finer.feature
            mode = one.unit.coarsened(mode, runs.scrub.tree, within, one.free, share)
        modes.append(mode)
    anywhere = any(one.unit.positions is not None for one in (*idle, *merged))
    return modes if anywhere else modes[1:]


def _tighter(found: Found, runs: Runs, idle: Sequence[ClaimFound], freed: set[Member]) -> Hypothesis | None:
    tree = runs.scrub.tree
    dropped = {region for one in idle for region in one.unit.regions}
    features = {r: one.finer.feature for one in found.claims if one.finer is not None for r in one.unit.regions}
    kept = {
        region: tuple(p for p in one.unit.positions if p not in one.free)
        for one in found.claims
        if one.free and one.unit.positions is not None
        for region in one.unit.regions
    }
    made = tighter(tree, dropped, freed, features, kept)
    try:
        runs.scrub.subject.legal(made)
    except ScrubbingError:
        return None  # what is left out was needed to say the rest, such as a slot whose mask another claim names
    return made
