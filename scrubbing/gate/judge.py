"""Verdicts: a run held against its rule and its snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from scrubbing.errors import NoFraction
from scrubbing.gate.held import Change, vacuities
from scrubbing.gate.policy import Rule
from scrubbing.gate.snapshots import Snapshot
from scrubbing.metrics.recovered import recovered
from scrubbing.numbers import CHANGE, PLAIN, Form
from scrubbing.records.compare import differences, measure_alike
from scrubbing.records.inputs import InputTable
from scrubbing.records.schema import RunRecord
from scrubbing.records.tested import VerdictRecord
from scrubbing.report.view import verdict_sentence
from scrubbing.stats.critical import Critical
from scrubbing.stats.influence import Influence, Losses, mean_loss
from scrubbing.stats.paired import LEAST, Comparison, compare
from scrubbing.stats.rare import FEW, effective_number
from scrubbing.stats.verdict import Verdict, at_least, at_most

Outcome = Literal["pass", "fail", "inconclusive"]
EXIT = {"pass": 0, "fail": 1, "inconclusive": 3}
"""Exit codes of the command; 2 is for what cannot be judged at all."""


@dataclass(frozen=True)
class Check:
    """One thing that must hold."""

    what: str
    outcome: Outcome
    text: str
    needed: int | None = None
    """References that would settle it."""


@dataclass(frozen=True, eq=False)
class Gate:
    """The verdict on one hypothesis."""

    name: str
    rule: Rule
    record: RunRecord
    inputs: InputTable
    checks: tuple[Check, ...]
    snapshot: Snapshot | None
    drift: tuple[str, ...] = field(default=())
    """Sentences about what changed since the snapshot, where anything did."""
    notes: tuple[str, ...] = field(default=())
    """The notes of the record, as sentences."""

    @property
    def verdict(self) -> Outcome:
        """The worst of the checks."""
        outcomes = {check.outcome for check in self.checks}
        return "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"

    def _repr_html_(self) -> str:
        """For notebooks."""
        from scrubbing.report.page import fragment
        from scrubbing.report.view import Entry

        return fragment(Entry(self.record, self.inputs, self, [] if self.snapshot is None else [self.snapshot.record]))

    @property
    def reason(self) -> str:
        """The checks that decided, in words."""
        return " ".join(check.text for check in self.checks if check.outcome == self.verdict)

    @property
    def details(self) -> tuple[str, ...]:
        """Every check, what moved, and what a reader of the record is told."""
        checks = (f"{check.outcome}: {check.text}" for check in self.checks)
        return (*checks, *self.drift, *(f"! {note}" for note in self.notes))

    @property
    def is_held(self) -> bool:
        """Whether it is still held to what was accepted; more references do not settle what is not."""
        return all(check.outcome == "pass" for check in self.checks if check.what in ("held", "tested"))

    @property
    def needed(self) -> int | None:
        """References that would settle every check, as far as can be said."""
        known = [check.needed for check in self.checks if check.needed is not None]
        return max(known, default=None)


def checks_of(rule: Rule) -> int:
    """How many verdicts a rule asks for, among which the chance of a false alarm is divided."""
    return 2 + (rule.floor is not None) + len(rule.beats)


def judge(
    rule: Rule,
    record: RunRecord,
    inputs: InputTable,
    snapshot: Snapshot | None,
    *,
    alpha: float,
    critical: Critical,
    missing: Outcome = "fail",
    changes: Sequence[Change] = (),
) -> Gate:
    """Hold one run against its rule.

    Args:
        rule: what must hold.
        record: of the run.
        inputs: its values per input.
        snapshot: to compare with; None if there is none.
        alpha: of each check.
        critical: `fixed_size`, or `AlwaysValid()` where the verdict decides whether more references are drawn.
        missing: verdict without a snapshot that can be compared.
        changes: in what is held, since the snapshot was accepted.
    """
    losses = inputs.losses()
    checks = [_change(rule, record, losses, snapshot, alpha, critical, missing), *_tested(record), *_held(changes)]
    if snapshot is not None and not differences(record, snapshot.record, "snapshot"):
        checks.append(_model(rule, record, losses, snapshot, alpha, critical))
    if rule.floor is not None:
        checks.append(_floor(rule, record, losses, alpha, critical))
    checks += [_beats(name, losses, alpha, critical) for name in rule.beats]
    if rule.verdict is not None and record.tested is not None:
        checks.append(_verdict(rule.verdict, record.tested))
    return Gate(record.hypothesis, rule, record, inputs, tuple(checks), snapshot)


def _tested(record: RunRecord) -> Iterator[Check]:
    """A hypothesis that cannot fail is not held to anything."""
    if codes := list(vacuities(record)):
        yield Check("tested", "fail", f"Nothing could make it fail ({', '.join(codes)}), so it is held to nothing.")


def _verdict(wanted: Literal["supported", "tight"], found: VerdictRecord) -> Check:
    """What the tests of the hypothesis came to, held against what they must."""
    good = {"tight"} if wanted == "tight" else {"tight", "wider or finer than needed"}
    outcome: Outcome = "pass" if found.word in good else "fail"
    if found.word == "undecided":
        enough = wanted == "supported" and not {"loses?", "apart?"} & set(found.reasons)
        outcome = "pass" if enough else "inconclusive"
    return Check("verdict", outcome, f"{verdict_sentence(found)} Asked for: {wanted}.")


def _held(changes: Sequence[Change]) -> Iterator[Check]:
    """What is held is what was accepted, or somebody has to accept that it is not."""
    for change in changes:
        text = f"{change.text} Accept that with --update." if change.loosens else change.text
        yield Check("held", "inconclusive" if change.loosens else "pass", text)


def _model(
    rule: Rule, record: RunRecord, losses: Losses, snapshot: Snapshot, alpha: float, critical: Critical
) -> Check:
    """The model itself: one that gets worse has less to lose when it is scrubbed, and would pass."""
    found = compare(snapshot.inputs.losses(), losses, lambda one: mean_loss(one, "model"))
    verdict = at_most(found.change, rule.margin, alpha, critical)
    same = record.provenance.model_fingerprint == snapshot.record.provenance.model_fingerprint
    verdict, told = _unless(same, "weights are", found, verdict)
    before, after = found.before.estimate, found.after.estimate
    text = f"Loss of the model itself {before:.3f} -> {after:.3f}, change {_bounds(verdict, CHANGE)} nats"
    return _check("model", verdict, f"{text}, margin {rule.margin:g}{told}", found.change)


def _change(
    rule: Rule,
    record: RunRecord,
    losses: Losses,
    snapshot: Snapshot | None,
    alpha: float,
    critical: Critical,
    missing: Outcome,
) -> Check:
    what = "change"
    if snapshot is None:
        return Check(what, missing, "There is no snapshot; take one with --update-new.")
    if told := differences(record, snapshot.record, "snapshot"):
        text = f"There is no snapshot for this key ({'; '.join(map(str, told))}); accept the new one with --update."
        return Check(what, missing, text)
    comparison = compare(snapshot.inputs.losses(), losses)
    verdict = at_most(comparison.change, rule.margin, alpha, critical)
    same = measure_alike(record, snapshot.record)
    verdict, told = _unless(same, "weights, features and draws are", comparison, verdict)
    before = comparison.before.estimate
    text = (
        f"Scrubbed loss {before:.3f} -> {comparison.after.estimate:.3f}, change {_bounds(verdict, CHANGE)} nats, "
        f"margin {rule.margin:g}, on {verdict.n:,} common references{told}"
    )
    return _check(what, verdict, text, comparison.change)


def _unless(same: bool, what: str, found: Comparison, verdict: Verdict) -> tuple[Verdict, str]:
    """A pass where all that decides a loss is as it was, and so are the losses: then inputs that were not drawn lose
    what they lost, and nothing is left to chance.
    """
    if same and found.is_nothing:
        return replace(verdict, outcome="pass", low=None, high=None), f"; {what} the snapshot's"
    return verdict, ""


def _floor(rule: Rule, record: RunRecord, losses: Losses, alpha: float, critical: Critical) -> Check:
    assert rule.floor is not None
    baseline = rule.baseline or record.zero
    try:
        found = recovered(losses, baseline)
    except NoFraction:
        text = f"The model is not better than {baseline}, so there is no fraction to hold to {rule.floor:g}."
        return Check("floor", "inconclusive", text)
    verdict = at_least(found, rule.floor, alpha, critical)
    text = f"Recovered {_bounds(verdict, PLAIN)} of {baseline}, floor {rule.floor:g}"
    return _check("floor", verdict, text, _difference(losses, "scrubbed", "model"))


def _beats(name: str, losses: Losses, alpha: float, critical: Critical) -> Check:
    excess = _difference(losses, "scrubbed", name)
    verdict = at_most(excess, 0.0, alpha, critical)
    text = f"Scrubbed minus {name} {_bounds(verdict, CHANGE)} nats"
    return _check(f"beats {name}", verdict, text, _difference(losses, "scrubbed", "model"))


def _difference(losses: Losses, name: str, other: str) -> Influence:
    return mean_loss(losses, name) - mean_loss(losses, other)


def _bounds(verdict: Verdict, form: Form) -> str:
    return form.interval(verdict.estimate, verdict.low, verdict.high)


def _check(what: str, verdict: Verdict, text: str, seen: Influence) -> Check:
    """With the reason where it is inconclusive; `seen` is the mean whose few large values may be that reason."""
    if verdict.outcome == "inconclusive":
        text += f"; {verdict.reason}"
        carrying = effective_number(np.where(np.abs(seen.each) < LEAST, 0.0, seen.each))
        if carrying == 0:
            text += f", and none of {seen.n:,} references shows anything"
        elif carrying < FEW:
            text += f", and it rests on about {carrying:.1f} of {seen.n:,} references"
        text += f", about {verdict.needed:,} references would settle it" if verdict.needed is not None else ""
    return Check(what, verdict.outcome, text + ".", verdict.needed)


Run = Callable[[int], tuple[RunRecord, InputTable]]
"""A run on so many references."""


def settle(judged: Callable[[RunRecord, InputTable], Gate], run: Run, sizes: Sequence[int]) -> Gate:
    """Run on ever more references until the verdict is settled, or the last size is reached.

    The bounds must be always valid (`AlwaysValid`): those for a fixed number of references would raise more false
    alarms the more often one looks.
    """
    gate = judged(*run(sizes[0]))
    for size in sizes[1:]:
        if gate.verdict != "inconclusive" or not any(check.needed for check in gate.checks):
            break
        gate = judged(*run(size))
    return gate
