"""Several records beside each other: an overview, and what must be said because they are not alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scrubbing.numbers import PLAIN, RECOVERED, SHARE, SHORT, many
from scrubbing.records.compare import Unlike, unlike
from scrubbing.records.schema import Number, RunRecord
from scrubbing.report import drawing
from scrubbing.report.view.blocks import MISSING, Block, Fact, Facts, Section, Sentences, Table
from scrubbing.report.view.entry import Entry, names
from scrubbing.report.view.notes import sentence
from scrubbing.report.view.outcome import equivalent, share_in_scope, unit

_MARKS = {
    "model-loses-to-constant": "model worse than constant",
    "worse-than-constant": "worse than constant",
    "few-references": "few references",
    "one-class": "one class",
    "nothing-exchanged": "nothing exchanged",
}
"""Notes that a row of a table cannot do without, in short."""


_RECOVERED, _SHARE = replace(RECOVERED, unit=""), replace(SHARE, unit="")
"""Under heads that say %."""


def trusted(records: Sequence[RunRecord]) -> str:
    """The baseline by which records are compared: zero, unless the constant model is better in any of them.

    A confident model loses much where its output is another input's, so that a fraction of the null is high also for
    what loses to a constant prediction; the notes say so of a score, and an overview must not show the other number.
    """
    zero = records[0].zero
    for record in records:
        constant, other = record.losses.get("constant"), record.losses.get(zero)
        if constant is not None and (other is None or constant.value < other.value):
            return "constant"
    return zero


def worse_than_constant(record: RunRecord) -> bool:
    """Whether a prediction that ignores the input does better."""
    constant = record.losses.get("constant")
    return constant is not None and record.losses["scrubbed"].value > constant.value


def marks(record: RunRecord) -> list[str]:
    """What a row must say of a record, in short."""
    codes = {note.code for note in record.notes}
    if worse_than_constant(record):
        codes.add("worse-than-constant")  # records older than version 3 have no codes
    return [mark for code, mark in _MARKS.items() if code in codes]


def title(records: Sequence[RunRecord]) -> str:
    """What a report on these is called."""
    hypotheses = dict.fromkeys(record.hypothesis for record in records)
    if len(hypotheses) == 1:
        return next(iter(hypotheses)) if len(records) == 1 else f"{len(records)} records of {next(iter(hypotheses))}"
    return f"{len(hypotheses)} hypotheses" + (f" in {len(records)} records" if len(records) > len(hypotheses) else "")


def overview(entries: Sequence[Entry]) -> Section:
    """A row per record, on the baseline that can be trusted, and everything in which they are not alike."""
    records = [entry.record for entry in entries]
    called, baseline = names(records), trusted(records)
    values = [(name, _fraction(record, baseline)) for name, record in zip(called, records, strict=True)]
    chart = drawing.fractions(f"Loss recovered of {baseline}, %", values)
    blocks: list[Block] = [Sentences(cautions(records), "note")] if cautions(records) else []
    blocks += [] if chart is None else [chart]
    blocks.append(_table(entries, called, baseline))
    if len(records) > 1:  # of one, its own sections say it
        blocks += [*_shared(records), *_slices(records, called), *_worth(records, called)]
    return Section("overview", "Overview", blocks)


def _worth(records: Sequence[RunRecord], called: Sequence[str]) -> list[Block]:
    """How much training of the model itself each is worth."""
    worth = [(name, record.equivalent) for name, record in zip(called, records, strict=True)]
    facts = [Fact(name, equivalent(one).text, equivalent(one).words) for name, one in worth if one is not None]
    return [Facts(facts, "Worth in training of the model itself")] if facts else []


def _table(entries: Sequence[Entry], called: Sequence[str], baseline: str) -> Table:
    records = [entry.record for entry in entries]
    zero = records[0].zero
    fractions = list(dict.fromkeys([baseline, zero, *("constant" for r in records if "constant" in r.losses)]))
    judged = any(entry.verdict for entry in entries)
    tested = any(record.tested for record in records)
    shares = [name for name in ("accuracy", "changed") if any(record.measure(name) for record in records)]
    heads = [
        "hypothesis",
        *(["gate"] if judged else []),
        *(["verdict"] if tested else []),
        "loss",
        *(f"% of {name}" for name in fractions),
    ]
    scoped = any(record.scope for record in records)
    heads += [*(f"{name} %" for name in shares), "bits", *(["in scope %"] if scoped else [])]
    rows: list[list[Fact]] = []
    for i, (name, entry) in enumerate(zip(called, entries, strict=True)):
        record = entry.record
        row = [Fact(name, name, record.claim, link=f"hypothesis-{i + 1}", warning="; ".join(marks(record)))]
        row += [_verdict(entry)] if judged else []
        row += [_tested(record)] if tested else []
        row.append(Fact.of(name, record.losses["scrubbed"], name="scrubbed"))
        row += [Fact.of(name, _fraction(record, one), _RECOVERED, name=f"of {one}") for one in fractions]
        row += [_share(record, one) for one in shares]
        kept = MISSING if record.size is None else SHORT.one(record.size.bits)
        row.append(Fact(name, kept))
        row += [_in_scope(record)] if scoped else []
        rows.append(row)
    caption = (
        f"Loss in {' or '.join(dict.fromkeys(map(unit, records)))}. Of a baseline: recovered = 1 - (scrubbed - model) "
        "/ (baseline - model). Bits: of an input, that are kept at most. Intervals are 95 %."
    )
    caption += " In scope: inputs of the dataset on which the hypothesis claims to hold." if scoped else ""
    return Table("", heads, rows, caption)


def _verdict(entry: Entry) -> Fact:
    said = MISSING if entry.verdict is None else entry.verdict.verdict
    return Fact("verdict", said, emphasis="warn" if said in ("fail", "inconclusive") else "")


def _tested(record: RunRecord) -> Fact:
    said = MISSING if record.tested is None else record.tested.word
    short = "wider" if said.startswith("wider") else said
    return Fact("verdict", short, name="verdict", value=said, emphasis="" if said in ("tight", MISSING) else "warn")


def _in_scope(record: RunRecord) -> Fact:
    share = share_in_scope(record)
    told = MISSING if share is None else _SHARE.one(share)
    return Fact("in scope", told, name="in scope", value=share, emphasis="warn" if record.scope else "")


def _share(record: RunRecord, name: str) -> Fact:
    one = record.measure(name)
    return Fact.of(name, one and one.value, _SHARE, name=name)


def _fraction(record: RunRecord, baseline: str) -> Number | None:
    one = record.recovered_of(baseline)
    return None if one is None else one.fraction


def _shared(records: Sequence[RunRecord]) -> list[Block]:
    """Losses that are the same for all, with what they mean: not in the table."""
    first = records[0]
    meaning = {one.baseline: one.meaning for one in first.recovered}
    same = [
        Fact.of(name, loss, words=meaning.get(name, "the model as it is" if name == "model" else ""))
        for name, loss in first.losses.items()
        if name != "scrubbed" and all(record.losses.get(name) == loss for record in records)
    ]
    return [Facts(same, f"Losses that all have in common, {unit(first)}")] if same else []


def _slices(records: Sequence[RunRecord], called: Sequence[str]) -> list[Block]:
    """Every record on each further set of positions."""
    blocks: list[Block] = []
    zero = records[0].zero
    for name in dict.fromkeys(one.name for record in records for one in record.slices):
        found = [next((one for one in record.slices if one.name == name), None) for record in records]
        first = next(one for one in found if one is not None)
        others = [loss for loss in first.losses if loss not in ("scrubbed", "mean rest", "mean claimed")]
        told = ", ".join(f"{loss} {PLAIN.one(first.losses[loss].value)}" for loss in others)
        rows: list[list[Fact]] = []
        for label, one in zip(called, found, strict=True):
            part = None if one is None else next((of for of in one.recovered if of.baseline == zero), None)
            rows.append(
                [
                    Fact(label, label),
                    Fact.of(label, one and one.losses.get("scrubbed")),
                    Fact.of(label, part and part.fraction, _RECOVERED),
                    Fact.of(label, part and part.lost),
                ]
            )
        title = f"{name}: {many(first.counted, 'position')}; {told}"
        blocks.append(Table(title, ["hypothesis", "loss", f"% of {zero}", "lost"], rows))
    return blocks


def cautions(records: Sequence[RunRecord]) -> list[str]:
    """Why these records are not simply comparable, and what holds for every row: never silent, in any outlet."""
    called = names(records)
    lines = [_unlike(one, called) for one in unlike(records)]
    for code in ("few-references", "one-class", "model-loses-to-constant"):
        whose = [name for name, one in zip(called, records, strict=True) if any(n.code == code for n in one.notes)]
        if whose:
            note = next(note for record in records for note in record.notes if note.code == code)
            lines.append(f"{_all_or(whose, called)}: {sentence(note)}")
    losers = [name for name, record in zip(called, records, strict=True) if "worse than constant" in marks(record)]
    if losers:
        lines.append(
            f"Worse than the constant model: {_all_or(losers, called)}. What they recover of another baseline does not "
            "make them an account of the model's performance."
        )
    return lines


def _all_or(some: Sequence[str], called: Sequence[str]) -> str:
    return "all" if len(some) == len(called) > 1 else ", ".join(some)


def _unlike(one: Unlike, called: Sequence[str]) -> str:
    """The sentence that an aspect differs."""
    groups: dict[Any, list[str]] = {}
    for value, name in zip(one.values, called, strict=True):
        groups.setdefault(value, []).append(name)
    told = [", ".join(some) if one.hidden else f"{value} ({', '.join(some)})" for value, some in groups.items()]
    return f"Not alike in {one.aspect}, so that rows are not simply comparable: {'; '.join(told)}."
