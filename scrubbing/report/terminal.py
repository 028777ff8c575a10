"""Records in the terminal: one in full, or a ladder of several in one table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from scrubbing.records.schema import Equivalent, RunRecord
from scrubbing.report.words import MEANING, how, percent, percentages, short, unit, worse


def record_view(record: RunRecord) -> RenderableType:
    """One record: claim and tree, losses with every baseline, strata, what was drawn, and what to know."""
    _, _, claims = record.tree.partition("\n")  # its first line is the name and the claim again
    parts: list[RenderableType] = [
        Text(record.hypothesis, style="bold"),
        Text(record.claim),
        Text(""),
        Panel(Text(claims), title="claims, with one sampled input each", title_align="left", border_style="dim"),
        _losses(record),
    ]
    if record.strata:
        parts += [Text(""), _strata(record)]
    if record.claims:
        parts += [Text(""), _claims(record)]
    parts += [*_beyond(record), Text(""), *(_note(note) for note in record.notes)]
    parts.append(Text(_provenance(record), style="dim"))
    return Group(*parts)


def ladder_view(records: Sequence[RunRecord], title: str) -> RenderableType:
    """Several records of one experiment, one row each, with the baselines they share above."""
    first = records[0]
    further = [name for name in first.losses if name not in (*_SHORT, "model", "scrubbed", "mean rest")]
    shared = "   ".join(f"{name} {short(first.losses[name])}" for name in ("model", "constant", "null", *further))
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("hypothesis", overflow="fold")
    others = ("constant", "mean claimed") if first.zero == "null" else ("constant",)
    # Narrow enough for 80 columns: rich would otherwise drop the names first.
    heads = (
        f"of {first.zero} [95 %]",
        *("of " + name.replace(" ", "\n") if " " in name else f"of\n{name}" for name in others),
    )
    for name in ("loss (SE)", *heads, "rest\nat\nmean", "accu-\nracy", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        recovered = {one.baseline: one for one in record.recovered}
        table.add_row(
            record.hypothesis.rpartition("/")[2],
            short(record.losses["scrubbed"]),
            percent(recovered.get(first.zero), interval=True, sign=""),
            *(percent(recovered.get(name), sign="") for name in others),
            f"{record.losses['mean rest'].value:.3f}" if "mean rest" in record.losses else "-",
            "-" if record.accuracy is None else f"{100 * record.accuracy.value:.1f}",
            "!" if worse(record) else "",
        )
    parts: list[RenderableType] = [table, Text("")]
    parts += [Text(shared), Text(_legend(first), style="dim")]
    losers = [record.hypothesis.rpartition("/")[2] for record in records if worse(record)]
    if losers:
        constant = first.losses["constant"].value
        told = f"Worse than the constant model ({constant:.3f} nats): {', '.join(losers)}."
        parts.append(
            _note(told + " What they recover of the null does not make them an account of the model's performance.")
        )
    if worth := [(record, record.equivalent) for record in records if record.equivalent is not None]:
        told = "; ".join(f"{_last(record)} {_worth(one)}" for record, one in worth)
        parts.append(Text(f"As good as {worth[0][1].what} at ... {worth[0][1].unit}: {told}."))
    for i in range(len(first.slices)):
        parts += [Text(""), _slice_table(records, i)]
    return Group(*parts)


def _last(record: RunRecord) -> str:
    return record.hypothesis.rpartition("/")[2]


def _worth(one: Equivalent) -> str:
    return one.told.split(" than ")[0] + " than all" if one.amount is None else f"{one.amount.value:.3g}"


def _legend(record: RunRecord) -> str:
    further = {one.baseline: one.meaning for one in record.recovered if one.baseline not in (*_SHORT, "mean rest")}
    told = "; ".join(f"{name}, {words}" for name, words in (_SHORT | further).items())
    return (
        f"Loss in {unit(record)}. Recovered, in %, = 1 - (scrubbed - model) / (baseline - model), of each baseline: "
        f"{told}. Rest at mean: loss with everything unclaimed at its mean instead of resampled. Accuracy in %."
    )


_SHORT = {name: told for name, told in MEANING.items() if name != "model"}


def _slice_table(records: Sequence[RunRecord], index: int) -> Table:
    """Every hypothesis on one further slice, with the baselines there in the title."""
    first = records[0].slices[index]
    names = [name for name in first.losses if name not in ("scrubbed", "mean rest", "mean claimed")]
    told = "   ".join(f"{name} {first.losses[name].value:.3f}" for name in names)
    title = f"{first.name}: {first.counted:,} positions\n{told}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("hypothesis", overflow="fold")
    for name in ("loss (SE)", f"of {records[0].zero} [95 %]", "nats lost [95 %]"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        here = record.slices[index]
        recovered = {one.baseline: one for one in here.recovered}[record.zero]
        cells = (short(here.losses["scrubbed"]), percent(recovered, interval=True, sign=""), str(recovered.nats))
        table.add_row(record.hypothesis.rpartition("/")[2], *cells)
    return table


def _losses(record: RunRecord) -> Table:
    table = Table(title=f"losses ({unit(record)})", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("loss [95 %]", justify="right")
    table.add_column("recovered [95 %]", justify="right")
    table.add_column("meaning", style="dim")
    meaning = {one.baseline: one for one in record.recovered}
    table.add_row("model", str(record.losses["model"]), "", "as it is")
    table.add_row("scrubbed", str(record.losses["scrubbed"]), "", how(record), style="bold")
    for name, loss in record.losses.items():
        if name in meaning:
            one = meaning[name]
            table.add_row(name, str(loss), percent(one, interval=True), one.meaning)
    for one in record.measures:
        value = percentages(one.value) if one.unit == "share" else str(one.value)
        table.add_row(one.name, value, "", one.meaning + ("" if one.unit == "share" else f", {one.unit}"))
    if (both := record.cancellation) is not None:
        table.add_row("raised", str(both.worse), "", "mean increase of the loss, inputs with a decrease counting 0")
        table.add_row("lowered", str(both.better), "", "mean decrease, likewise: what cancels")
    return table


def _beyond(record: RunRecord) -> list[RenderableType]:
    """What is to be known beside losses: size, recalibration, compute."""
    told: list[str] = []
    if (size := record.size) is not None:
        told.append(
            f"Size: {size.claims} claims on {size.nodes} of {size.of_nodes} nodes, keeping at most {size.bits:.1f} of "
            f"{size.of_bits:.1f} bits of an input."
        )
    if (again := record.recalibrated) is not None:
        done = "ignoring the logits" if again.temperature is None else f"temperature {again.temperature:.2f}"
        told.append(
            f"Recalibrated ({done}, base rates times {again.prior:.2f}; fitted on the other half): {again.loss} on "
            f"{again.references:,} references, {again.before.value:.3f} without."
        )
    if record.equivalent is not None:
        told.append(f"Compute: {record.equivalent.told}.")
    null = next((one for one in record.recovered if one.baseline == record.zero), None)
    if null is not None and null.nines is not None and null.nines > 1:
        told.append(f"Nines: {null.nines:.1f} of {record.zero} (1 is 90 %, 2 is 99 %).")
    return [Text(""), *(Text(line) for line in told)] if told else []


def _strata(record: RunRecord) -> Table:
    table = Table(title="by stratum", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("where", "references", "model", "scrubbed [95 %]", "accuracy"):
        table.add_column(name, justify="left" if name == "where" else "right")
    for stratum in record.strata:
        accuracy = "-" if stratum.accuracy is None else f"{100 * stratum.accuracy:.1f} %"
        table.add_row(stratum.name, f"{stratum.n:,}", f"{stratum.model:.3f}", str(stratum.scrubbed), accuracy)
    return table


def _claims(record: RunRecord) -> Table:
    table = Table(title="what was drawn", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("claim", "agreeing on", "bits", "draws", "agreed: min", "median", "itself"):
        table.add_column(name, justify="left" if name in ("claim", "agreeing on") else "right")
    for claim in record.claims:
        table.add_row(
            claim.what,
            claim.feature,
            f"{claim.bits:.2f}",
            f"{claim.draws:,}",
            "-" if claim.agreed_min is None else f"{claim.agreed_min:,}",
            "-" if claim.agreed_median is None else f"{claim.agreed_median:,.0f}",
            f"{100 * claim.self_share:.1f} %",
        )
    return table


def _note(text: str) -> Text:
    return Text.assemble(("! ", "bold"), text)


def _provenance(record: RunRecord) -> str:
    choices, source = record.choices, record.provenance
    return (
        f"{choices.references:,} references x {choices.draws} draws, seed {choices.seed}, {choices.dtype} on "
        f"{choices.device}, "
        f"{source.seconds:.1f} s; model {source.model} {source.model_fingerprint[:8]}, data {source.data} "
        f"{source.data_fingerprint[:8]} ({source.inputs_in_scope:,} inputs in scope)"
    )
