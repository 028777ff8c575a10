"""What the tests of a hypothesis came to: sentences, the number behind each word, and a line for each claim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scrubbing.numbers import SHARE, SHORT, Form, many
from scrubbing.records.tested import (
    ClaimVerdict,
    GivenUp,
    PerturbedRecord,
    RunInterpretation,
    VerdictRecord,
)
from scrubbing.report.pictures import shortened
from scrubbing.report.view.blocks import MISSING, Block, Fact, Facts, Section, Sentences, Source, Table
from scrubbing.report.view.entry import Entry
from scrubbing.report.view.notes import claim
from scrubbing.report.view.verdict_words import further, not_asked, verdict_sentence

_COST = Form(1, 100.0, " %", sign=True)


def tested(entry: Entry) -> Section | None:
    """The verdict, and the tests behind it."""
    found = entry.record.tested
    if found is None:
        return None
    blocks: list[Block] = [Sentences([verdict_sentence(found), *further(found), *not_asked(entry.record)])]
    if found.claims:
        blocks.append(Facts(list(_facts(found))))
        blocks.append(_table(found))
    if found.interpretation is not None and (found.interpretation.variables or found.interpretation.nodes):
        blocks.append(_interpretation(found.interpretation, "The interpretation, run"))
    if found.perturbed:
        blocks.append(_perturbations(found.perturbed))
        runs = ((one.name, one.interpretation) for one in found.perturbed)
        blocks += [_interpretation(run, f"The interpretation, run with {name} too") for name, run in runs if run]
    if found.tighter is not None:
        blocks.append(Source("Tighter", found.tighter))
    return Section("tested", "Verdict", blocks)


def _facts(found: VerdictRecord) -> Iterator[Fact]:
    yield Fact.of("together", found.together, SHARE, "recovered of the null", name="verdict.together")
    words = "lost on top where each unclaimed node draws an input of its own, of the gap"
    yield Fact.of("apart", found.apart, _COST, words, name="verdict.apart")
    words = "by which losses of single draws fall below the model's own, of the gap"
    yield Fact.of("cancelled", found.cancelled, SHARE, words, name="verdict.cancelled")
    words = "how far outputs are from the model's own, of how far they are in the null"
    yield Fact.of("moved", found.moved, SHARE, words, name="verdict.moved")
    bits, less = SHORT.one(found.bits), SHORT.one(found.unneeded)
    yield Fact("bits claimed", bits, name="verdict.bits", value=found.bits)
    yield Fact("not needed", less, "bits, of these", name="verdict.unneeded", value=found.unneeded)
    told = f"{many(found.references, 'reference')} x {found.draws} draws a test"
    yield Fact(
        "tests", f"{many(found.examples, 'example')} in all", told, name="verdict.examples", value=found.examples
    )
    if found.interpretation is not None:
        run = found.interpretation
        words = "references on which the interpretation, when it is run, says the same"
        yield Fact("as the model", SHARE.one(run.model), words, name="verdict.as_model", value=run.model)
        if run.label is not None:
            words = "and on which it predicts the label"
            yield Fact("as the label", SHARE.one(run.label), words, name="verdict.as_label", value=run.label)
    yield Fact("word", "", name="verdict", value=found.word)  # said above


def _table(found: VerdictRecord) -> Table:
    heads = ["claim", "bits", "cost", "outcome", "finer than needed"]
    rows: list[list[Fact]] = []
    for one in found.claims:
        rows.append(_row(claim(one.what, one.variable), SHORT.one(one.bits), one.crossed, _coarser(one)))
        rows += [_row(f"· {member.what}", "", member, "") for member in one.members]
    for what, several in (("all that is idle", found.idle_together), ("all that is not needed", found.given_up)):
        if several is not None:
            rows.append(_row(what, "", several, "", wanted="idle"))  # together they should cost as little as alone
    caption = (
        "Cost of giving up: rise of the loss where other values stand in for the claimed one, as a share of the gap "
        "between null and model, with one-sided 95 % bounds. Needed: surely more than "
        f"{SHARE.one(found.margin)}; idle: surely less. Finer than needed: values that count as equal, or why that was "
        "not tested."
    )
    return Table("", heads, rows, caption, [heads[-1]])


def _interpretation(run: RunInterpretation, title: str) -> Table:
    rows: list[list[Fact]] = []
    for one in run.variables:
        share = Fact.of(one.variable, one.disagreement, _COST)
        rows.append([Fact("", one.variable), share, Fact("", one.what)])
    rows += [
        [Fact("", one.variable), Fact("", SHARE.one(1 - one.share)), Fact("", f"read at {one.node}")]
        for one in run.nodes
    ]
    caption = (
        "Each variable is set to another input's value, in the interpretation and at every node claimed to carry it: "
        "share of draws in which their outputs differ, less that without. Read: inputs on which the node's number is "
        "not the variable's value."
    )
    heads = ["variable", "differs", "at"]
    return Table(title, heads, rows, caption, ["at"])


def _perturbations(found: Sequence[PerturbedRecord]) -> Table:
    words = {"needed": "too much is lost", "idle": "holds", "undecided": "undecided"}
    rows: list[list[Fact]] = []
    for one in found:
        wrong = one.interpretation is not None and bool(one.interpretation.wrong)
        told = "wrong values" if wrong else words[one.outcome]
        emphasis = "" if told == "holds" else "warn"
        rows.append([Fact("", one.name), Fact.of(one.name, one.recovered, SHARE), Fact("", told, emphasis=emphasis)])
    caption = (
        "The same claims and references, with draws from the dataset and from its inputs with something changed: "
        "recovered of the null on the dataset, with one-sided 95 % bounds."
    )
    return Table("Beside the dataset", ["inputs with", "recovered", ""], rows, caption)


def _row(what: str, bits: str, given_up: GivenUp, words: str, wanted: str = "needed") -> list[Fact]:
    return [
        Fact(what, what),
        Fact("", bits),
        Fact.of(what, given_up.cost, _COST),
        Fact("", given_up.outcome, emphasis="" if given_up.outcome == wanted else "warn"),
        Fact("", words),
    ]


def _coarser(one: ClaimVerdict) -> str:
    told = [one.not_tested] if one.not_tested else []
    if one.coarser is not None:
        alike = "; ".join(map(" = ".join, one.coarser.classes)) or one.coarser.feature
        told.append(f"{shortened(alike, 80)} ({SHORT.one(one.coarser.excess)} bits less)")
    if one.free:
        told.append(f"not at {', '.join(map(str, one.free))}")
    return "; ".join(told) or MISSING
