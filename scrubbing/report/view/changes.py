"""Lists of records, two runs held against each other, and what a comparison needs."""

from __future__ import annotations

from collections.abc import Sequence

from scrubbing.errors import NoFraction
from scrubbing.metrics.recovered import recovered
from scrubbing.numbers import CHANGE, PLAIN, RECOVERED, count
from scrubbing.records.compare import differences, measure_alike
from scrubbing.records.inputs import InputTable
from scrubbing.records.moved import moved
from scrubbing.records.schema import RunRecord
from scrubbing.report.view.blocks import MISSING, Block, Fact, Section, Sentences, Table
from scrubbing.report.view.entry import when
from scrubbing.report.view.notes import sentence
from scrubbing.report.view.outcome import unit
from scrubbing.report.view.several import marks, trusted
from scrubbing.stats.bounds import Influence
from scrubbing.stats.critical import fixed_size
from scrubbing.stats.influence import mean_loss
from scrubbing.stats.paired import Comparison, Measure, compare
from scrubbing.stats.power import references_needed, smallest_change

_SHARES = (0.1, 0.2, 0.5, 1.0)
"""Changes to plan for where none is given, in standard deviations."""


def listing(records: Sequence[tuple[str, RunRecord]]) -> Table:
    """One row per record, each with the fraction that its notes trust."""
    rows: list[list[Fact]] = []
    for path, record in records:
        baseline = trusted([record])
        one = record.recovered_of(baseline)
        fraction = None if one is None or one.fraction is None else one.fraction.value
        rows.append(
            [
                Fact(path, path),
                Fact("when", when(record)),
                Fact("references", count(record.choices.references)),
                Fact("loss", PLAIN.one(record.losses["scrubbed"].value)),
                Fact("recovered", MISSING if fraction is None else RECOVERED.one(fraction)),
                Fact("of", baseline),
                Fact("", "; ".join(marks(record))),
            ]
        )
    return Table("", ["record", "when", "references", "loss", "recovered", "of", ""], rows, wordy=["of", ""])


def comparison(before: tuple[RunRecord, InputTable], after: tuple[RunRecord, InputTable], alpha: float) -> Section:
    """Losses and fractions of two runs on the inputs they share, their paired differences, and what moved.

    Raises:
        BadData: SCR-REFERENCES, the runs have no input in common.
    """
    (old, old_inputs), (new, new_inputs) = before, after
    earlier, later = old_inputs.losses(), new_inputs.losses()
    both = earlier.columns.keys() & later.columns.keys()
    rows: list[list[Fact]] = []
    common, alike = 0, measure_alike(new, old)
    for name in [name for name in ("model", "scrubbed", "null", "constant") if name in both]:
        found = compare(earlier, later, lambda losses, name=name: mean_loss(losses, name))
        common = len(found.ids)
        rows.append(_row(f"{name} loss", found, alpha, alike))
    for baseline in dict.fromkeys([new.zero, trusted([new])]):
        measure: Measure = lambda losses, baseline=baseline: recovered(losses, baseline)  # noqa: E731
        if baseline not in both:
            continue
        try:
            rows.append(_row(f"recovered of {baseline}", compare(earlier, later, measure), alpha, alike))
        except NoFraction:
            rows.append([Fact("", f"recovered of {baseline}"), *(Fact("", MISSING) for _ in range(3))])
    level = f"{100 * (1 - 2 * alpha):g} %"
    caption = f"On {count(common)} common references, paired; {unit(new)}."
    table = Table(new.hypothesis, ["", "before", "after", f"change [{level}]"], rows, caption)
    blocks: list[Block] = [table]
    if told := [f"{str(one)[0].upper()}{str(one)[1:]}." for one in differences(new, old)]:
        blocks.append(Sentences(told, "note"))
    if told := [sentence(note) for note in moved(new, new_inputs, old, old_inputs)]:
        blocks.append(Sentences(told))
    return Section("comparison", "Comparison", blocks)


def _row(label: str, found: Comparison, alpha: float, alike: bool) -> list[Fact]:
    """Both runs and the change; without an interval where runs of one thing came out alike, as they would anywhere."""
    low, high = found.change.bounds(fixed_size, alpha)
    known = abs(low) < float("inf") and abs(high) < float("inf") and not (alike and found.is_nothing)
    ends = (low, high) if known else (None, None)
    change = CHANGE.interval(found.change.estimate, *ends)
    texts = PLAIN.one(found.before.estimate), PLAIN.one(found.after.estimate), change
    return [Fact(label, label), *(Fact(label, text) for text in texts)]


def planning(
    found: Influence, change: float | None, margin: float, wanted: float, alpha: float, paired: bool, unit: str
) -> Section:
    """References needed for a change, or for several.

    Args:
        found: the mean loss of one run, or the difference of two.
        change: of the mean loss that is to be seen; None for several.
        margin: of the gate.
        wanted: probability of seeing it.
        alpha: of the gate.
        paired: whether it is a difference of two runs.
        unit: of the loss.
    """
    sd, n, reach = found.sd, found.inputs, found.reach
    changes = [change] if change is not None else [margin + share * sd for share in _SHARES if sd > 0]
    rows = [
        [Fact("change", CHANGE.one(one)), Fact("needed", count(needed))]
        for one in changes
        for needed in [references_needed(sd, one, margin, wanted, alpha, reach=reach)]
    ]
    least = smallest_change(n, sd, margin, wanted, alpha, reach=reach)
    seen = f"the smallest rise seen is {PLAIN.one(least)} {unit}" if least < float("inf") else "no rise is seen"
    how = "of the paired difference" if paired else "of the loss of one run: a paired difference usually varies less"
    caption = (
        f"sd {PLAIN.one(sd)} {unit} per reference ({how}), and up to {PLAIN.one(reach)} on one not drawn; margin "
        f"{margin:g}, power {wanted:g}, alpha {alpha:g}. With these {count(n)} references {seen}."
    )
    return Section("plan", "Plan", [Table("", [f"change ({unit})", "references needed"], rows, caption)])
