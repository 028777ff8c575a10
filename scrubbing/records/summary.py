"""Estimates from the values per input: what a record says, also where the records of several runs are merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import NoFraction
from scrubbing.metrics.recovered import is_better, loss_recovered
from scrubbing.records.inputs import (
    LOSS,
    LOWERED,
    MEASURE,
    PADDING_DRAWS,
    PADDING_READS,
    RAISED,
    SLICE,
    STRATUM,
    InputTable,
    digest,
)
from scrubbing.records.measured import (
    Cancellation,
    Carried,
    MeasureValue,
    Number,
    Padding,
    Recovered,
    Slice,
    Stratum,
)
from scrubbing.records.older import MEASURES
from scrubbing.records.worst import shared, worst
from scrubbing.stats.influence import Influence, mean_loss
from scrubbing.stats.intervals import SEEN, Means
from scrubbing.stats.rare import effective_number, share_at_most

Floats = NDArray[np.float64]
_LARGE, _LEAST = 0.1, 0.001
"""Shares of the distance from model to null: from the one on the rise of an input's loss is counted as large, below the
other it is none."""


def summarise(
    inputs: InputTable, meanings: Mapping[str, str], measures: Mapping[str, tuple[str, str]] = MEASURES
) -> dict[str, Any]:
    """The fields of a record that follow from its values per input.

    Args:
        inputs: of all references.
        meanings: every baseline in words.
        measures: meaning in words and unit of each measure; those without a column are left out.
    """
    columns = {name: column for name, column in inputs.names(MEASURE).items() if name in measures}
    shares = {name: 1.0 for name in columns if measures[name][1] == "share"}
    measured = means(inputs, columns, "counted", shares) if columns else None
    whole = means(inputs, inputs.names(LOSS) | _differences(inputs), "weight")
    losses, fractions = _estimates(whole, list(inputs.names(LOSS)), meanings)
    found = worst(inputs)
    return {
        "losses": losses,
        "recovered": fractions,
        "measures": [
            MeasureValue(name=name, meaning=meaning, unit=unit, value=Number.of(measured.mean(name)))
            for name, (meaning, unit) in measures.items()
            if measured is not None and name in columns
        ],
        "strata": [one for name, of in inputs.names(STRATUM).items() for one in _strata(inputs, name, of)],
        "slices": list(_slices(inputs, meanings)),
        "counted": int(inputs["counted"].sum()),
        "cancellation": _cancellation(inputs, whole),
        "carried": _carried(inputs),
        "padding": _padding(inputs),
        "worst": found,
        "shared": shared(inputs, found),
        "references_digest": digest(np.sort(inputs["id"]).astype("<i8").tobytes()),
    }


def estimates(inputs: InputTable, meanings: Mapping[str, str]) -> tuple[dict[str, Number], list[Recovered]]:
    """Mean losses, and what is recovered of each baseline."""
    names = inputs.names(LOSS)
    return _estimates(means(inputs, names, "weight"), list(names), meanings)


def _estimates(
    whole: Means, names: list[str], meanings: Mapping[str, str]
) -> tuple[dict[str, Number], list[Recovered]]:
    losses = {name: Number.of(whole.mean(name)) for name in names}
    return losses, [_recovered(whole, name, meanings) for name in meanings if name in whole.columns]


def means(
    inputs: InputTable, columns: Mapping[str, Floats], weight: str, ceiling: Mapping[str, float] | None = None
) -> Means:
    """Means of columns of a table, with its clusters, weighted by another of its columns.

    Args:
        inputs: the table.
        columns: by name.
        weight: name of the column that weighs.
        ceiling: the largest value on an input that was not drawn, of columns where that is not the table's bound.
    """
    bound = inputs.ceiling()
    given = (dict.fromkeys(columns.keys() - SEEN, bound) if bound is not None else {}) | dict(ceiling or {})
    return Means(columns, weights=inputs[weight], clusters=inputs.clusters, ceiling=given)


def _recovered(losses: Means, baseline: str, meanings: Mapping[str, str]) -> Recovered:
    try:
        fraction: Number | None = Number.of(loss_recovered(losses, baseline))
    except NoFraction:
        fraction = None
    lost = losses.of(lambda means: means["scrubbed"] - means["model"], ["scrubbed", "model"])
    return Recovered(baseline=baseline, meaning=meanings[baseline], fraction=fraction, lost=Number.of(lost))


def _slices(inputs: InputTable, meanings: Mapping[str, str]) -> list[Slice]:
    weights = {name: w for name, w in inputs.names(SLICE).items() if name.endswith(".weight")}
    slices: list[Slice] = []
    for name in (name.removesuffix(".weight") for name in weights):
        before = f"{SLICE}{name}"
        whole = means(inputs, inputs.names(f"{before}.{LOSS}"), f"{before}.weight")
        slices.append(
            Slice(
                name=name,
                counted=int(inputs[f"{before}.weight"].sum()),
                losses={one: Number.of(whole.mean(one)) for one in whole.columns},
                recovered=[_recovered(whole, one, meanings) for one in meanings if one in whole.columns],
            )
        )
    return slices


def _strata(inputs: InputTable, name: str, values: NDArray[Any]) -> list[Stratum]:
    strata: list[Stratum] = []
    for value in np.unique(values)[::-1]:
        chosen = values == value
        here, rest = (inputs.rows(np.flatnonzero(rows)) for rows in (chosen, ~chosen))
        if not here["weight"].any():
            continue
        losses = {one: here[f"{LOSS}{one}"] for one in ("scrubbed", "model")}
        part = means(here, losses, "weight")
        right = here.get(f"{MEASURE}accuracy")
        elsewhere = rest.losses() if rest["weight"].any() else None
        strata.append(
            Stratum(
                feature=name,
                value=value.item(),
                n=len(here),
                model=part.value("model"),
                scrubbed=Number.of(part.mean("scrubbed")),
                accuracy=None if right is None else float(np.average(right, weights=here["counted"])),
                rest_model=None if elsewhere is None else mean_loss(elsewhere, "model").estimate,
                rest_scrubbed=None if elsewhere is None else _without_interval(mean_loss(elsewhere)),
            )
        )
    return strata


def _without_interval(x: Influence) -> Number:
    return Number(value=x.estimate, se=x.se if x.n > 1 else None, low=None, high=None)


def _differences(inputs: InputTable) -> dict[str, Floats]:
    """What scrubbing adds to the loss of each input, and what it takes away; of the mean over draws in older tables."""
    if RAISED in inputs:
        return {name: inputs[name] for name in (RAISED, LOWERED)}
    rise = inputs[f"{LOSS}scrubbed"] - inputs[f"{LOSS}model"]
    return {RAISED: rise.clip(min=0), LOWERED: (-rise).clip(min=0)}


def _cancellation(inputs: InputTable, whole: Means) -> Cancellation:
    scrubbed, model = inputs[f"{LOSS}scrubbed"], inputs[f"{LOSS}model"]
    varied = len(model) > 1 and scrubbed.std() > 0 and model.std() > 0
    share = None
    if "null" in whole.columns and is_better(whole, "null"):
        names = [LOWERED, "null", "model"]
        share = Number.of(whole.of(lambda m: m[LOWERED] / (m["null"] - m["model"]), names, asked=[LOWERED]))
    return Cancellation(
        worse=Number.of(whole.mean(RAISED)),
        better=Number.of(whole.mean(LOWERED)),
        correlation=float(np.corrcoef(scrubbed, model)[0, 1]) if varied else None,
        share=share,
    )


def _carried(inputs: InputTable) -> Carried | None:
    if f"{LOSS}null" not in inputs:
        return None
    columns = {name: inputs[f"{LOSS}{name}"] - inputs[f"{LOSS}model"] for name in ("scrubbed", "null")}
    rise = means(inputs, columns, "weight")
    threshold = _LARGE * rise.value("null")
    if threshold <= 0:
        return None
    sums, weights = rise.sums("scrubbed"), rise.unit_weights
    seen = np.where(np.abs(sums) > _LEAST / _LARGE * threshold * weights, sums, 0.0)
    raised, n = int((sums > threshold * weights).sum()), int((weights > 0).sum())
    return Carried(
        effective=effective_number(seen),
        references=n,
        raised=raised,
        at_most=share_at_most(raised, n),
        threshold=threshold,
    )


def _padding(inputs: InputTable) -> Padding | None:
    if PADDING_READS not in inputs:
        return None
    return Padding(reads=int(inputs[PADDING_READS].sum()), draws=float(inputs[PADDING_DRAWS].mean()))
