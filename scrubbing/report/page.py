"""Records as HTML: one self-contained page, and a fragment for notebooks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from scrubbing.records.inputs import Inputs
from scrubbing.records.schema import RunRecord
from scrubbing.report import drawing, pictures, words

WORST = 10
"""Inputs shown as text."""
_LONGEST = 240
"""Characters of an input that are shown."""


def page(
    records: Sequence[RunRecord],
    inputs: Mapping[str, Inputs] | None = None,
    history: Iterable[RunRecord] = (),
    verdicts: Iterable[words.Verdict] = (),
) -> str:
    """One HTML file that shows everything the records hold. It loads nothing and runs no script.

    Args:
        records: one per hypothesis; several get an overview, a row each, in this order.
        inputs: values per reference input, by name of the hypothesis.
        history: further records; those of the same hypotheses are shown beside them, in the order of time.
        verdicts: what a gate said, if one did.

    Returns:
        The text of the file. Equal arguments give equal texts.
    """
    history, verdicts = list(history), list(verdicts)
    views = [
        _view(i, record, (inputs or {}).get(record.hypothesis), history, words.verdict_of(record.hypothesis, verdicts))
        for i, record in enumerate(records)
    ]
    ladder = drawing.compared_scale(records, map(words.short_name, records)) if len(records) > 1 else None
    title = records[0].hypothesis if len(records) == 1 else f"{len(records)} hypotheses"
    return _templates().get_template("page.html.j2").render(views=views, ladder=ladder, title=title)


def fragment(record: RunRecord) -> str:
    """A short HTML fragment with styles of its own, for notebooks: claim, notes, losses, tree."""
    return _templates().get_template("fragment.html.j2").render(record=record, tree=_claims_text(record))


def _view(
    index: int, record: RunRecord, inputs: Inputs | None, history: Sequence[RunRecord], verdict: words.Verdict | None
) -> dict[str, Any]:
    """What the template shows of one record beyond the record itself."""
    past = [one for one in history if one.hypothesis == record.hypothesis and one != record]
    ordered = sorted([*past, record], key=lambda one: one.provenance.when)
    return {
        "id": f"hypothesis-{index + 1}",
        "record": record,
        "verdict": verdict,
        "graph": pictures.interpretation(record.variables),
        "grid": pictures.grid(record),
        "tree": pictures.tree(record.branches),
        "claims_text": _claims_text(record),
        "losses": drawing.loss_scale(record),
        "recovered": drawing.recovered_scale(record),
        "past": ordered if past else [],
        "over_time": drawing.compared_scale(ordered, map(words.day, ordered)),
        "scatter": None if inputs is None else drawing.scatter(inputs),
        "worst": [] if inputs is None else worst(inputs),
        "right": None if inputs is None else right(inputs),
        "stored": None if record.stored is None else json.dumps(record.stored, indent=1, ensure_ascii=False),
    }


def worst(inputs: Inputs, most: int = WORST) -> list[dict[str, Any]]:
    """The inputs that scrubbing costs most, as `id`, `text`, `model`, `scrubbed` and both predictions if there."""
    model, scrubbed, rows = drawing.losses(inputs)
    order = np.argsort(model - scrubbed, kind="stable")[:most]
    found: list[dict[str, Any]] = []
    for i in order.tolist():
        row = rows[i]
        text = str(inputs["text"][row]) if "text" in inputs else ""
        told = {name: str(inputs[name][row]) for name in ("model_prediction", "prediction") if name in inputs}
        losses = {"model": float(model[i]), "scrubbed": float(scrubbed[i])}
        found.append({"id": str(inputs["id"][row]), "text": pictures.shortened(text, _LONGEST), **losses, **told})
    return found


def right(inputs: Inputs) -> list[list[float]] | None:
    """How many inputs model (rows: right, wrong) and scrubbed model (columns) get right; draws count as fractions.

    None where several positions of an input are counted: shares of them do not say which coincide.
    """
    if "measure.accuracy" not in inputs or "model_right" not in inputs:
        return None
    _, _, rows = drawing.losses(inputs)
    model, scrubbed = inputs["model_right"][rows], inputs["measure.accuracy"][rows]
    if not np.isin(model, (0, 1)).all():
        return None
    return [[float((m * s).sum()) for s in (scrubbed, 1 - scrubbed)] for m in (model, 1 - model)]


def _claims_text(record: RunRecord) -> str:
    return record.tree.partition("\n")[2]  # its first line is the name and the claim again


@cache
def _templates() -> jinja2.Environment:
    """The templates; everything they are given is escaped."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.globals |= {"words": words, "STATES": pictures.STATES}
    found.filters["shortened"] = pictures.shortened
    return found
