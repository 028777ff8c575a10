"""Verdicts: a run held against its rule and its snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from scrubbing.errors import NoFraction
from scrubbing.gate.policy import Rule
from scrubbing.gate.snapshots import Snapshot
from scrubbing.metrics.recovered import recovered
from scrubbing.records.identity import differences
from scrubbing.records.inputs import LOSS, Inputs
from scrubbing.records.schema import RunRecord
from scrubbing.stats.critical import Critical
from scrubbing.stats.influence import Influence, Losses
from scrubbing.stats.paired import Comparison, compare
from scrubbing.stats.rare import FEW, effective_number
from scrubbing.stats.verdict import Verdict, at_least, at_most

Outcome = Literal["pass", "fail", "inconclusive"]
EXIT = {"pass": 0, "fail": 1, "inconclusive": 3}
"""Exit codes of the command; 2 is for what cannot be judged at all."""
_LEAST = 0.001
"""Nats below which a loss is the same: other batches differ in the last digits."""


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
    inputs: Inputs
    checks: tuple[Check, ...]
    snapshot: Snapshot | None
    drift: tuple[str, ...] = field(default=())
    """What moved, where something did."""

    @property
    def verdict(self) -> Outcome:
        """The worst of the checks."""
        outcomes = {check.outcome for check in self.checks}
        return "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"

    @property
    def reason(self) -> str:
        """The checks that decided, in words."""
        return " ".join(check.text for check in self.checks if check.outcome == self.verdict)

    @property
    def details(self) -> tuple[str, ...]:
        """Every check, and what moved."""
        return (*(f"{check.outcome}: {check.text}" for check in self.checks), *self.drift)

    @property
    def needed(self) -> int | None:
        """References that would settle every check, as far as can be said."""
        known = [check.needed for check in self.checks if check.needed is not None]
        return max(known, default=None)


def checks_of(rule: Rule) -> int:
    """How many verdicts a rule asks for, among which the chance of a false alarm is divided."""
    return 1 + (rule.floor is not None) + len(rule.beats)


def judge(
    rule: Rule,
    record: RunRecord,
    inputs: Inputs,
    snapshot: Snapshot | None,
    *,
    alpha: float,
    critical: Critical,
    missing: Outcome = "fail",
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
    """
    losses = losses_of(inputs)
    checks = [_change(rule, record, losses, snapshot, alpha, critical, missing)]
    if rule.floor is not None:
        checks.append(_floor(rule, record, losses, alpha, critical))
    checks += [_beats(name, losses, alpha, critical) for name in rule.beats]
    return Gate(record.hypothesis, rule, record, inputs, tuple(checks), snapshot)


def losses_of(inputs: Inputs) -> Losses:
    """The losses of a run as the comparison takes them."""
    return Losses(inputs["id"], inputs.names(LOSS), inputs["weight"], inputs.clusters, inputs.ceiling())


def compared(inputs: Inputs, snapshot: Snapshot) -> Comparison:
    """A run with its snapshot, on the inputs they share."""
    return compare(losses_of(snapshot.inputs), losses_of(inputs))


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
    if told := differences(record, snapshot.record):
        text = f"There is no snapshot for this key ({'; '.join(told)}); accept the new one with --update."
        return Check(what, missing, text)
    comparison = compare(losses_of(snapshot.inputs), losses)
    verdict = at_most(comparison.change, rule.margin, alpha, critical)
    changes = comparison.change.values + comparison.change.estimate
    same = _same(record, snapshot.record) and bool(np.abs(changes).max() < _LEAST)
    if same:
        verdict = replace(verdict, outcome="pass", low=None, high=None)
    text = (
        f"Scrubbed loss {comparison.before.estimate:.3f} -> {comparison.after.estimate:.3f}, "
        f"change {_bounds(verdict, '+.3f')} nats, margin {rule.margin:g}, on {verdict.n:,} common references"
    )
    text += "; weights, features and draws are the snapshot's" if same else ""
    return _check(what, verdict, text, comparison.change)


def _floor(rule: Rule, record: RunRecord, losses: Losses, alpha: float, critical: Critical) -> Check:
    assert rule.floor is not None
    baseline = rule.baseline or record.zero
    try:
        found = recovered(losses, baseline)
    except NoFraction:
        text = f"The model is not better than {baseline}, so there is no fraction to hold to {rule.floor:g}."
        return Check("floor", "inconclusive", text)
    verdict = at_least(found, rule.floor, alpha, critical)
    text = f"Recovered {_bounds(verdict, '.3f')} of {baseline}, floor {rule.floor:g}"
    return _check("floor", verdict, text, _difference(losses, "scrubbed", "model"))


def _beats(name: str, losses: Losses, alpha: float, critical: Critical) -> Check:
    excess = _difference(losses, "scrubbed", name)
    verdict = at_most(excess, 0.0, alpha, critical)
    text = f"Scrubbed minus {name} {_bounds(verdict, '+.3f')} nats"
    return _check(f"beats {name}", verdict, text, _difference(losses, "scrubbed", "model"))


def _difference(losses: Losses, name: str, other: str) -> Influence:
    from scrubbing.stats.influence import mean_loss

    return mean_loss(losses, name) - mean_loss(losses, other)


def _bounds(verdict: Verdict, form: str) -> str:
    def told(number: float) -> str:
        return f"{round(number, 3) + 0.0:{form}}"  # a sum, because -0.000 would look like a change

    if verdict.low is None or verdict.high is None:
        return told(verdict.estimate)
    return f"{told(verdict.estimate)} [{told(verdict.low)}, {told(verdict.high)}]"


def _same(record: RunRecord, before: RunRecord) -> bool:
    """Whether all that decides a loss is as it was, so that inputs which were not drawn lose what they lost."""

    def of(one: RunRecord) -> tuple[object, ...]:
        return one.provenance.model_fingerprint, one.choices.draws, [(v.name, v.digest) for v in one.variables]

    return of(record) == of(before)


def _check(what: str, verdict: Verdict, text: str, lost: Influence) -> Check:
    """With the reason where it is inconclusive; `lost` is the mean whose few large values may be that reason."""
    if verdict.outcome == "inconclusive":
        text += f"; {verdict.reason}"
        large = lost.values + lost.estimate
        if (carrying := effective_number(np.where(np.abs(large) < _LEAST, 0.0, large))) < FEW:
            text += f", and it rests on about {carrying:.1f} of {lost.n:,} references"
        text += f", about {verdict.needed:,} references would settle it" if verdict.needed is not None else ""
    return Check(what, verdict.outcome, text + ".", verdict.needed)


Run = Callable[[int], tuple[RunRecord, Inputs]]
"""A run on so many references."""


def settle(judged: Callable[[RunRecord, Inputs], Gate], run: Run, sizes: Sequence[int]) -> Gate:
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
