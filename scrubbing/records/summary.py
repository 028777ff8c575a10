"""Estimates from the values per input: what a record says, also where the records of several runs are merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import NoFraction
from scrubbing.metrics.recovered import loss_recovered
from scrubbing.records.inputs import LOSS, SLICE, STRATUM, Inputs
from scrubbing.records.schema import Cancellation, Carried, Number, Recovered, Slice, Stratum
from scrubbing.stats.intervals import Bootstrap
from scrubbing.stats.rare import effective_number, share_at_most

Floats = NDArray[np.float64]


def summarise(inputs: Inputs, meanings: Mapping[str, str], seed: int) -> dict[str, Any]:
    """The fields of a record that follow from its values per input.

    Args:
        inputs: of all references.
        meanings: every baseline in words.
        seed: of the bootstrap.
    """
    known = {"right": 1.0, "changed": 1.0, "kl": inputs.ceiling() or 0.0}
    predictions = _bootstrap(inputs, {name: inputs[name] for name in known}, "counted", seed, known)
    whole = _bootstrap(inputs, inputs.names(LOSS), "weight", seed)
    return {
        "losses": {name: Number.of(whole.mean(name)) for name in whole.columns},
        "recovered": [_recovered(whole, name, meanings) for name in meanings if name in whole.columns],
        "accuracy": Number.of(predictions.mean("right")),
        "kl": Number.of(predictions.mean("kl")),
        "changed": Number.of(predictions.mean("changed")),
        "strata": [one for name, of in inputs.names(STRATUM).items() for one in _strata(inputs, name, of, seed)],
        "slices": list(_slices(inputs, meanings, seed)),
        "counted": int(inputs["counted"].sum()),
        "cancellation": _cancellation(inputs, seed),
        "carried": _carried(inputs, seed),
    }


def _bootstrap(inputs: Inputs, columns: Mapping[str, Floats], weight: str, seed: int, ceiling: Any = None) -> Bootstrap:
    ceiling = inputs.ceiling() if ceiling is None else ceiling
    return Bootstrap(columns, seed=seed, weights=inputs[weight], clusters=inputs.clusters, ceiling=ceiling)


def _carried(inputs: Inputs, seed: int) -> Carried | None:
    if f"{LOSS}null" not in inputs:
        return None
    columns = {name: inputs[f"{LOSS}{name}"] - inputs[f"{LOSS}model"] for name in ("scrubbed", "null")}
    rise = _bootstrap(inputs, columns, "weight", seed)
    threshold = 0.1 * rise.value("null")
    if threshold <= 0:
        return None
    sums, weights = rise.sums("scrubbed"), rise.unit_weights
    raised, n = int((sums > threshold * weights).sum()), int((weights > 0).sum())
    return Carried(
        effective=effective_number(sums),
        references=n,
        raised=raised,
        at_most=share_at_most(raised, n),
        threshold=threshold,
    )


def _recovered(losses: Bootstrap, baseline: str, meanings: Mapping[str, str]) -> Recovered:
    try:
        fraction: Number | None = Number.of(loss_recovered(losses, baseline))
    except NoFraction:
        fraction = None
    nats = losses.of(lambda means: means["scrubbed"] - means["model"])
    return Recovered(baseline=baseline, meaning=meanings[baseline], fraction=fraction, nats=Number.of(nats))


def _slices(inputs: Inputs, meanings: Mapping[str, str], seed: int) -> list[Slice]:
    weights = {name: w for name, w in inputs.names(SLICE).items() if name.endswith(".weight")}
    found: list[Slice] = []
    for name in (name.removesuffix(".weight") for name in weights):
        before = f"{SLICE}{name}"
        whole = _bootstrap(inputs, inputs.names(f"{before}.{LOSS}"), f"{before}.weight", seed, {})
        found.append(
            Slice(
                name=name,
                counted=int(inputs[f"{before}.weight"].sum()),
                losses={one: Number.of(whole.mean(one)) for one in whole.columns},
                recovered=[_recovered(whole, one, meanings) for one in meanings if one in whole.columns],
            )
        )
    return found


def _strata(inputs: Inputs, name: str, values: NDArray[Any], seed: int) -> list[Stratum]:
    found: list[Stratum] = []
    for value in np.unique(values)[::-1]:
        here = inputs.rows(np.flatnonzero(values == value))
        if not here["weight"].any():
            continue
        losses = {one: here[f"{LOSS}{one}"] for one in ("scrubbed", "model")}
        part = _bootstrap(here, losses, "weight", seed)
        found.append(
            Stratum(
                name=stratum_name(name, value),
                n=len(here),
                model=part.value("model"),
                scrubbed=Number.of(part.mean("scrubbed")),
                accuracy=float(np.average(here["right"], weights=here["counted"])),
            )
        )
    return found


def stratum_name(feature: str, value: Any) -> str:
    """The inputs where a feature has a value, in words."""
    if isinstance(value, (bool, np.bool_)):
        return feature if value else f"not {feature}"
    return f"{feature} = {value}"


def _cancellation(inputs: Inputs, seed: int) -> Cancellation:
    scrubbed, model = inputs[f"{LOSS}scrubbed"], inputs[f"{LOSS}model"]
    rise = scrubbed - model
    both = _bootstrap(inputs, {"worse": rise.clip(min=0), "better": (-rise).clip(min=0)}, "weight", seed)
    varied = len(rise) > 1 and scrubbed.std() > 0 and model.std() > 0
    return Cancellation(
        worse=Number.of(both.mean("worse")),
        better=Number.of(both.mean("better")),
        correlation=float(np.corrcoef(scrubbed, model)[0, 1]) if varied else None,
    )
