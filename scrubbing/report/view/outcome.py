"""What came out, in sections: verdict, notes, losses, measures, controls, strata and slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from scrubbing.numbers import PLAIN, RECOVERED, SHARE, SHORT, Amounts, count, many
from scrubbing.records.measured import ControlValue, SeveralTried
from scrubbing.records.schema import NUMERICS, Equivalent, MeasureValue, Note, Number, Recovered, RunRecord, Size
from scrubbing.report import drawing
from scrubbing.report.view.blocks import MISSING, Block, Fact, Facts, Section, Sentences, Table
from scrubbing.report.view.entry import Entry, Verdict
from scrubbing.report.view.notes import sentence

_MEANING = {
    "model": "as it is",
    "null": "the whole output resampled",
    "constant": "the best prediction that ignores the input",
    "mean claimed": "everything claimed at its mean",
    "apart": "unclaimed nodes drawn apart",
}
"""Losses that a record, or a slice of it, does not explain itself."""
_EXPECTED = {"fails": "should recover less", "holds": "should recover as much"}


def verdict(entry: Entry) -> Section | None:
    """What a gate said."""
    said = entry.verdict
    if said is None:
        return None
    line = ": ".join(filter(None, [said.verdict.upper(), reason(said)]))
    return Section("verdict", "Gate", [Sentences([line, *said.details], said.verdict)])


def reason(said: Verdict) -> str:
    """Why a gate said it; empty where its details say the same, a check each."""
    rest = said.reason
    for detail in said.details:
        rest = rest.replace(detail.partition(": ")[2] or detail, "")
    return said.reason if rest.strip() else ""


def said(record: RunRecord) -> list[str]:
    """Every sentence that a reader must know before quoting a number of this record."""
    notes = list(record.notes)
    notes += [Note(code="shared", values=one.model_dump()) for one in record.shared]
    if record.choices.numerics != NUMERICS:
        code = "older-numerics" if record.choices.numerics < NUMERICS else "newer-numerics"
        notes.append(Note(code=code, values={"numerics": record.choices.numerics, "now": NUMERICS}))
    return [sentence(note) for note in notes]


def notes(entry: Entry) -> Section | None:
    """What to know before quoting."""
    lines = said(entry.record)
    return Section("notes", "Know before quoting", [Sentences(lines, "note")]) if lines else None


def unit(record: RunRecord) -> str:
    """What losses are means over, with their unit."""
    per_input = record.counted in (None, record.choices.references)
    return f"{record.choices.unit} per {'reference input' if per_input else 'counted position'}"


def scope(record: RunRecord) -> str:
    """The inputs on which the hypothesis claims to hold, as a sentence; empty where these are all."""
    if not record.scope:
        return ""
    share, source = share_in_scope(record), record.provenance
    if share is None or source.inputs is None:
        return f"On inputs where {record.scope}."
    return (
        f"On inputs where {record.scope}: {count(source.inputs_in_scope)} of {count(source.inputs)}, "
        f"{SHARE.one(share)} of the dataset."
    )


def share_in_scope(record: RunRecord) -> float | None:
    """Share of the dataset on which the hypothesis claims to hold; None in older records."""
    source = record.provenance
    return source.inputs_in_scope / source.inputs if source.inputs else None


def how(record: RunRecord) -> str:
    """How unclaimed inputs were treated."""
    if record.choices.ablation is None:
        return "what is unclaimed resampled"
    return f"what is unclaimed ablated ({record.choices.ablation}), not resampled"


def losses(entry: Entry) -> Section:
    """Losses, and what is recovered of each baseline."""
    record = entry.record
    table = _losses(record, record.losses, record.recovered, "", f"In {unit(record)}")
    charts: list[drawing.Scale | None] = [
        drawing.losses(f"Loss, {unit(record)}", list(record.losses.items()), PLAIN),
        drawing.fractions("Loss recovered, %", [(one.baseline, one.fraction) for one in record.recovered]),
    ]
    return Section("losses", "Losses", [*(chart for chart in charts if chart is not None), table])


def _losses(
    record: RunRecord, values: Mapping[str, Number], recovered: Sequence[Recovered], prefix: str, title: str
) -> Table:
    """A row per loss: itself, the fraction recovered of it, what is lost, nines, and what it means."""
    of = {one.baseline: one for one in recovered}
    rows: list[list[Fact]] = []
    for name, loss in values.items():
        one = of.get(name)
        emphasis = "strong" if name == "scrubbed" else ""
        words = how(record) if name == "scrubbed" else _meaning(one) or _MEANING.get(name, "")
        zero = " (0 %)" if name == record.zero and one is not None else ""
        row = [Fact(name, name + zero, emphasis=emphasis), Fact.of(name, loss, name=f"{prefix}loss.{name}")]
        if one is None:
            row += [Fact(name, ""), Fact(name, "")]
        else:
            fraction = Fact.of(name, one.fraction, RECOVERED, name=f"{prefix}recovered.{name}")
            row += [fraction, _nines(one, f"{prefix}nines.{name}")]
        rows.append([*row, Fact(name, words)])
    if recovered:
        lost = Fact.of("lost", recovered[0].lost, name=f"{prefix}lost")
        rows.insert(2, [Fact("lost", "lost"), lost, Fact("", ""), Fact("", ""), Fact("", "scrubbed minus model")])
    caption = (
        "Recovered = 1 - (scrubbed - model) / (baseline - model); nines = -log10(1 - recovered): 1 is 90 %, 2 is "
        "99 %. Intervals are 95 %."
    )
    heads = ["loss of", "loss", "recovered", "nines", "meaning"]
    return Table(title, heads, rows, "" if prefix else caption, ["meaning"])


def _meaning(one: Recovered | None) -> str:
    return "" if one is None else one.meaning


def _nines(one: Recovered, name: str) -> Fact:
    if one.nines is None:
        return Fact(one.baseline, MISSING, name=name)
    return Fact(one.baseline, SHORT.one(one.nines), name=name, value=one.nines + 0.0)


def measures(entry: Entry) -> Section | None:
    """What the mean of losses leaves unsaid."""
    record = entry.record
    facts = [measure(record, one) for one in record.measures]
    if (both := record.cancellation) is not None:
        facts += [
            Fact.of("raised", both.worse, words="mean increase of the loss; no increase counts 0", name="raised"),
            Fact.of("lowered", both.better, words="mean decrease, likewise: what cancels", name="lowered"),
        ]
        if both.share is not None:
            facts.append(Fact.of("cancelled", both.share, SHARE, "lowered, of null minus model", name="cancelled"))
        if both.correlation is not None:
            words = "of the losses of model and scrubbed model over inputs"
            text = PLAIN.one(both.correlation)
            facts.append(Fact("correlation", text, words, name="correlation", value=both.correlation))
    facts += [*_carried(record), *_padding(record)]
    facts += _recalibrated(record)
    if record.size is not None:
        facts += _size(record.size)
    if record.equivalent is not None:
        facts.append(equivalent(record.equivalent))
    return Section("measures", "Beyond the mean", [Facts(facts)]) if facts else None


def measure(record: RunRecord, one: MeasureValue) -> Fact:
    """A measure; of a share that is 0 or 1, what the run could have seen."""
    form = SHARE if one.unit == "share" else PLAIN
    words = one.meaning if one.unit == "share" or not one.unit else f"{one.meaning}, {one.unit}"
    n = record.choices.references
    if one.unit == "share" and one.value.value in (0.0, 1.0) and n > 3:
        which = "none" if one.value.value == 0 else "all"
        words += f" ({which} of {count(n)}: at most {SHARE.one(3 / n)} of inputs may be otherwise)"
    return Fact.of(one.name, one.value, form, words, name=one.name)


def _carried(record: RunRecord) -> Iterator[Fact]:
    """On how many references the rise rests, and what share of inputs may be raised unseen."""
    found = record.carried
    if found is None:
        return
    text = f"{SHORT.one(found.effective)} of {count(found.references)}"
    words = "references that would carry the rise of the loss if all carried the same"
    yield Fact("carried by", text, words, name="carried", value=found.effective)
    text = f"{count(found.raised)} of {count(found.references)}, at most {SHARE.one(found.at_most)}"
    words = f"references that scrubbing costs more than {PLAIN.one(found.threshold)}, and the share of all inputs"
    yield Fact("raised much", text, words, name="raised_much", value=found.at_most)


def _padding(record: RunRecord) -> Iterator[Fact]:
    """How often an input was read where it is padding."""
    if (found := record.padding) is not None:
        words = f"draws in which an input was read at padding, {many(found.reads, 'time')} in all"
        yield Fact("padding read", SHARE.one(found.draws), words, name="padding_read", value=found.draws)


def _recalibrated(record: RunRecord) -> Iterator[Fact]:
    again = record.recalibrated
    if again is None:
        return
    done = "ignoring the logits"
    if again.temperature is not None:
        done = f"temperature {PLAIN.one(again.temperature)}"
    words = (
        f"{done}, base rates times {PLAIN.one(again.prior)}, fitted on the other half; {PLAIN.one(again.before.value)} "
        f"without, on the same {many(again.references, 'reference')}"
    )
    yield Fact.of("recalibrated", again.loss, words=words, name="recalibrated")


def _size(given: Size) -> Iterator[Fact]:
    nodes = f"{count(given.nodes)} of {count(given.of_nodes)}"
    kept = f"{SHORT.one(given.bits)} of {SHORT.one(given.of_bits)}"
    yield Fact("claims", count(given.claims), "how many there are", name="claims", value=given.claims)
    yield Fact("nodes", nodes, "of the model, that a claim names", name="nodes", value=given.nodes)
    yield Fact("bits", kept, "of an input that are kept, at most", name="bits", value=given.bits)
    if given.claimed is not None:
        words = "of features, summed over all that is claimed"
        yield Fact("bits claimed", SHORT.one(given.claimed), words, name="bits.claimed", value=given.claimed)
    beyond = given.conditional
    if beyond is not None and beyond != given.claimed:
        words = "of these, given what the claim above each says"
        yield Fact("bits beyond", SHORT.one(beyond), words, name="bits.beyond", value=beyond)


def equivalent(given: Equivalent) -> Fact:
    """The amount of training that is as good."""
    form = Amounts(unit=f" {given.unit}")
    if given.amount is not None:
        return Fact.of("worth", given.amount, form, f"where {given.what} had this loss", name="worth")
    if given.beyond is None:
        return Fact("worth", MISSING, given.what, name="worth")
    better, than = ("worse", "less") if given.beyond == "first" else ("better", "more")
    end = f"the {given.beyond} of the series" if given.end is None else form.one(given.end)
    words = f"{better} than {given.what} at the {given.beyond} of the series"
    return Fact("worth", f"{than} than {end}", words, name="worth")


def controls(entry: Entry) -> Section | None:
    """The same hypothesis on something else, and others of its size."""
    record = entry.record
    rows: list[Sequence[Fact | str]] = []
    for one in record.controls:
        zero = next((part for part in one.recovered if part.baseline == record.zero), None)
        rows.append(
            [
                Fact(one.name, one.name),
                Fact.of(one.name, one.losses.get("model"), name=f"control.{one.name}.loss.model"),
                Fact.of(one.name, one.losses.get("scrubbed"), name=f"control.{one.name}.loss.scrubbed"),
                Fact.of(one.name, zero and zero.fraction, RECOVERED, name=f"control.{one.name}.recovered"),
                _came_out(one),
                Fact(one.name, f"{one.meaning}; {_EXPECTED[one.expected]}"),
            ]
        )
    if not rows:
        return None
    heads = ["control", "model", "scrubbed", f"of {record.zero}", "outcome", "meaning"]
    blocks: list[Block] = [Table("", heads, rows, wordy=["outcome", "meaning"])]
    if counted := [_counted(one, one.several) for one in record.controls if one.several is not None]:
        blocks.append(Facts(counted))
    return Section("controls", "Controls", blocks)


def _came_out(one: ControlValue) -> Fact:
    """What a control says, and whether that is what it should."""
    several = one.several
    if several is not None:
        text = f"{count(several.as_well)} of {count(several.tried)} do as well"
        return Fact(one.name, text, name=f"control.{one.name}.as_well", value=several.as_well)
    text = one.outcome or (f"not run: {one.not_run}" if one.not_run else MISSING)
    unlike = "supported" if one.expected == "fails" else "not supported"
    return Fact(
        one.name,
        text,
        name=f"control.{one.name}.outcome",
        value=one.outcome,
        emphasis="warn" if one.outcome == unlike else "",
    )


def _counted(one: ControlValue, several: SeveralTried) -> Fact:
    """How a hypothesis stands among others of its size."""
    words = f"{count(several.as_well)} of {count(several.tried)} others do as well"
    if several.own is not None and several.best is not None:
        shares = RECOVERED.one(several.own), RECOVERED.one(several.best)
        words += f": the hypothesis {shares[0]}, the best of them {shares[1]}"
    if several.wanted is not None and several.tried < several.wanted:
        least = PLAIN.one(1 / (1 + several.tried))
        found = f"only {count(several.tried)} other places of {count(several.wanted)} were found"
        words += f"; {found}, so that p is at least {least}"
    return Fact(one.name, f"p = {PLAIN.one(several.p)}", words, name=f"control.{one.name}.p", value=several.p)


def where(entry: Entry) -> Section | None:
    """Losses by stratum, and on further sets of positions."""
    record = entry.record
    blocks: list[Block] = []
    if record.strata:
        heads = ["where", "references", "model", "scrubbed", "accuracy"]
        rows: list[Sequence[Fact | str]] = []
        for one in record.strata:
            name = one.name
            accuracy = MISSING if one.accuracy is None else SHARE.one(one.accuracy)
            rows.append(
                [
                    Fact(name, name),
                    Fact(name, count(one.n)),
                    Fact(name, PLAIN.one(one.model)),
                    Fact.of(name, one.scrubbed, name=f"stratum.{name}"),
                    Fact(name, accuracy, name=f"stratum.{name}.accuracy", value=one.accuracy),
                ]
            )
        blocks.append(Table(f"By stratum, losses in {record.choices.unit}", heads, rows))
    for one in record.slices:
        title = f"{one.name}: {many(one.counted, 'position')}, losses in {record.choices.unit} per position"
        blocks.append(_losses(record, one.losses, one.recovered, f"slice.{one.name}.", title))
    return Section("where", "Where", blocks) if blocks else None
