"""Single inputs: how losses are distributed over them, those that scrubbing costs most, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scrubbing.numbers import PLAIN, SHARE, SHORT, count, many
from scrubbing.records.inputs import LOSS, MEASURE, STRATUM, InputTable
from scrubbing.records.measured import WorstInput, stratum
from scrubbing.records.schema import RunRecord
from scrubbing.records.worst import worst
from scrubbing.report import drawing
from scrubbing.report.pictures import shortened
from scrubbing.report.view.blocks import MISSING, Block, Fact, Listing, Section, Sentences, Table
from scrubbing.report.view.entry import Entry
from scrubbing.report.view.why import told

LISTED = 120
"""Inputs that a page lists at most."""
_LONGEST = 120
_GROUPS = 10
"""Strata that are shown at most."""
_READ = (
    " Scrubbed to is the prediction of the first draw alone, which may be right where another draw cost much; and a "
    "loss rises without a changed prediction where the right one is only less sure."
)
_CHANGED = " Changed: share of draws whose prediction is not the model's."


def inputs(entry: Entry) -> Section | None:
    """Single inputs: how losses spread over them, where scrubbing costs most, and which exchange did it."""
    record, table = entry.record, entry.inputs
    blocks: list[Block] = []
    if table is not None:
        blocks += _spread(record, table)
        if (both := _agreement(table)) is not None:
            blocks.append(both)
    if found := record.worst or ([] if table is None else worst(table)):
        blocks.append(_worst(entry, found))
    failing = [one for one in record.explained if any(draw.broken for draw in one.draws)]
    blocks += [Sentences(told(one), anchor=_anchor(entry, one.id)) for one in failing]
    if others := [str(one.id) for one in record.explained if one not in failing]:
        least = PLAIN.one(record.explained[0].threshold)
        blocks.append(Sentences([f"No draw costs over {least} {record.choices.unit} more of {', '.join(others)}."]))
    if table is not None and len(table.counted()):
        blocks.append(_listing(record, table.counted()))
    return Section("inputs", "Single inputs", blocks) if blocks else None


def _anchor(entry: Entry, id_: int) -> str:
    return f"{entry.place or 'record'}-input-{id_}"


def _worst(entry: Entry, found: Sequence[WorstInput]) -> Table:
    predicted = any(one.prediction is not None for one in found)
    changed = any(one.changed is not None for one in found)
    explained = {one.id for one in entry.record.explained if any(draw.broken for draw in one.draws)}
    heads = ["input", "model", "scrubbed", *(["predicted", "scrubbed to"] if predicted else [])]
    heads += [*(["changed"] if changed else []), "text"]
    rows: list[Sequence[Fact | str]] = []
    for one in found:
        classes = [MISSING if p is None else str(p) for p in (one.model_prediction, one.prediction)]
        rows.append(
            [
                Fact(str(one.id), str(one.id), link=_anchor(entry, one.id) if one.id in explained else ""),
                Fact("model", PLAIN.one(one.model)),
                Fact("scrubbed", PLAIN.one(one.scrubbed)),
                *(Fact("class", text) for text in classes if predicted),
                *([Fact("changed", MISSING if one.changed is None else SHARE.one(one.changed))] if changed else []),
                Fact("text", one.text),
            ]
        )
    title = f"Inputs that scrubbing costs most, {entry.record.choices.unit}"
    caption = "Losses are means over all draws." + _READ * predicted + _CHANGED * changed
    if not entry.record.explained and entry.record.source is not None:
        caption += " Which exchange broke each of these: run with --why, or scrub why RECORD.json --worst --keep."
    return Table(title, heads, rows, caption, wordy=["text"])


def _spread(record: RunRecord, table: InputTable) -> Iterator[Block]:
    """Losses of inputs, in all and by stratum: a picture, and the same in numbers."""
    counted = table.counted()
    if not len(counted):
        return
    of_model, of_scrubbed = (np.asarray(counted[LOSS + name], dtype=float) for name in ("model", "scrubbed"))
    groups = [("all", np.ones(len(counted), dtype=np.bool_)), *_strata(counted)]
    caption = (
        "Scrubbed model above each line, model below; the ticks are medians. Heights go with the square root of the "
        "share of inputs, so that single ones are seen."
    )
    chart = drawing.distribution(f"Losses of inputs, {record.choices.unit}", of_model, of_scrubbed, groups)
    yield replace(chart, caption=caption + " Logarithmic axis." * chart.axis.log)
    rows: list[Sequence[Fact | str]] = []
    for name, where in groups:
        model, scrubbed = of_model[where], of_scrubbed[where]
        numbers = [np.median(model), *np.quantile(scrubbed, [0.5, 0.9]), scrubbed.max()]
        rows.append([Fact(name, name), count(int(where.sum())), *(PLAIN.one(float(one)) for one in numbers)])
    heads = ["inputs where", "inputs", "model, median", "scrubbed, median", "nine in ten below", "highest"]
    yield Table(f"How losses spread over inputs, {record.choices.unit}", heads, rows)


def _strata(table: InputTable) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each stratum that some and not all inputs are in."""
    found = [
        (stratum(name, value.item()), values == value)
        for name, values in table.names(STRATUM).items()
        for value in np.unique(values)[::-1]
    ]
    yield from [(name, where) for name, where in found if not where.all()][:_GROUPS]


def _listing(record: RunRecord, table: InputTable) -> Listing:
    """Inputs in the order of what scrubbing costs: the costliest half, and every so-many-th of the others."""
    model, scrubbed = (np.asarray(table[LOSS + name], dtype=float) for name in ("model", "scrubbed"))
    order = np.argsort(model - scrubbed, kind="stable")
    if len(order) > LISTED:
        half = LISTED // 2
        others = np.linspace(half, len(order) - 1, LISTED - half).round().astype(int)
        order = order[np.concatenate([np.arange(half), others])]
    right = [name for name in ("model_right", f"{MEASURE}accuracy", f"{MEASURE}changed") if name in table]
    shares = {"model_right": "model right", f"{MEASURE}accuracy": "scrubbed right", f"{MEASURE}changed": "changed"}
    strata = table.names(STRATUM)
    heads = ["input", "model", "scrubbed", "cost", *(shares[name] for name in right)]
    heads += [*(["where"] if strata else []), *(["text"] if "text" in table else [])]
    rows: list[Sequence[Fact | str]] = []
    for row in order.tolist():
        cells = [Fact("", str(table["id"][row]), value=int(table["id"][row]))]
        numbers = [float(model[row]), float(scrubbed[row]), float(scrubbed[row] - model[row])]
        cells += [Fact("", PLAIN.one(one), value=one) for one in numbers]
        cells += [Fact("", SHARE.one(float(table[name][row])), value=float(table[name][row])) for name in right]
        where = ", ".join(stratum(name, values[row].item()) for name, values in strata.items())
        cells += [Fact("", where)] if strata else []
        cells += [Fact("", shortened(str(table["text"][row]), _LONGEST))] if "text" in table else []
        rows.append(cells)
    kept = "" if len(table) <= LISTED else (
        f", {LISTED} of {count(len(table))}: the half that scrubbing costs most, and others in equal steps of cost"
    )  # fmt: skip
    title = f"Inputs by what scrubbing costs, {record.choices.unit}{kept}"
    return Listing(title, heads, rows, wordy=["where", "text"])


def scatter(record: RunRecord, table: InputTable) -> drawing.Scatter | None:
    """Losses of model and scrubbed model, a point per input; None where none is counted."""
    chart = drawing.scatter(table)
    if chart is None:
        return None
    shown = f"{count(len(chart.points))} of {many(chart.total, 'input')}. Above the diagonal, scrubbing costs."
    told = shown + " Logarithmic axes." * chart.axis.log
    unit = record.choices.unit
    return replace(chart, across=f"model loss, {unit}", up=f"scrubbed loss, {unit}", caption=told)


def _agreement(table: InputTable) -> Table | None:
    """How many inputs model and scrubbed model get right; None where several positions of an input are counted: shares
    of them do not say which coincide.
    """
    both = agreement(table)
    if both is None:
        return None
    rows = [
        [Fact(name, f"model {name}"), *(Fact(name, SHORT.one(x)) for x in row)]
        for name, row in zip(("right", "wrong"), both, strict=True)
    ]
    title = "Inputs that model and scrubbed model get right; draws count as fractions"
    return Table(title, ["", "scrubbed right", "scrubbed wrong"], rows)


def agreement(table: InputTable) -> list[list[float]] | None:
    """Numbers of inputs that the model (rows: right, wrong) and the scrubbed model (columns) get right."""
    rows = table.counted()
    if f"{MEASURE}accuracy" not in rows or "model_right" not in rows or not len(rows):
        return None
    model, scrubbed = rows["model_right"], rows[f"{MEASURE}accuracy"]
    if not ((model == 0) | (model == 1)).all():
        return None
    return [[float((m * s).sum()) for s in (scrubbed, 1 - scrubbed)] for m in (model, 1 - model)]
