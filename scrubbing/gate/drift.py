"""What moved between a snapshot and a run: weights, features, claims, strata, inputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scrubbing.gate.snapshots import Snapshot
from scrubbing.records.inputs import LOSS, STRATUM, Inputs
from scrubbing.records.schema import RunRecord
from scrubbing.records.summary import stratum_name
from scrubbing.stats.influence import Losses
from scrubbing.stats.paired import compare

_WORTH_SAYING = 2.0
"""Standard errors from which a stratum or claim is said to have moved."""
_LEAST = 0.001
"""Nats below which nothing moved: other batches differ in the last digits."""
_INPUTS = 3


def drift(record: RunRecord, inputs: Inputs, snapshot: Snapshot) -> list[str]:
    """What moved, most telling first, as sentences."""
    return [
        *_definition(record, snapshot.record),
        *_claims(record, snapshot.record),
        *_strata(inputs, snapshot.inputs),
        *_inputs(inputs, snapshot.inputs),
    ]


def _definition(record: RunRecord, before: RunRecord) -> Iterator[str]:
    now, then = record.provenance, before.provenance
    if now.model_fingerprint != then.model_fingerprint:
        yield f"The weights changed: {then.model_fingerprint[:8]} -> {now.model_fingerprint[:8]}."
    if record.stored is not None and before.stored is not None and record.stored != before.stored:
        yield "The hypothesis is written differently than before."
    old = {variable.name: variable for variable in before.variables}
    for variable in record.variables:
        if variable.name not in old:
            yield f"Variable {variable.name} is new."
        elif variable.feature != old[variable.name].feature:
            yield f"Variable {variable.name} agreed on {old[variable.name].feature}, and now on {variable.feature}."
        elif variable.digest != old[variable.name].digest:
            yield f"Feature {variable.feature} of variable {variable.name} has other values on the dataset than before."
    for name in old.keys() - {variable.name for variable in record.variables}:
        yield f"Variable {name} is gone."
    for package, version in now.versions.items():
        if then.versions.get(package) != version:
            yield f"{package} was {then.versions.get(package, 'not installed')}, is {version}."


def _claims(record: RunRecord, before: RunRecord) -> Iterator[str]:
    old = {cost.path: cost for cost in before.claim_costs}
    moved: list[tuple[float, str]] = []
    for cost in record.claim_costs:
        if cost.path not in old:
            continue
        change = cost.nats.value - old[cost.path].nats.value
        error = np.hypot(cost.nats.se or 0.0, old[cost.path].nats.se or 0.0)
        if abs(change) > max(_WORTH_SAYING * error, _LEAST):
            told = f"{old[cost.path].nats.value:.3f} -> {cost.nats.value:.3f} nats"
            moved.append((-change, f"Exchanging {cost.what} alone cost {told}."))
    yield from (told for _, told in sorted(moved))


def _strata(inputs: Inputs, before: Inputs) -> Iterator[str]:
    now, then = _of(inputs), _of(before)
    whole = compare(then, now).change
    found: list[tuple[float, str]] = []
    for name, values in inputs.names(STRATUM).items():
        for value in np.unique(values):
            here = compare(then, now.rows(np.flatnonzero(values == value))).change
            if not abs(here.estimate) > max(_WORTH_SAYING * np.nan_to_num(here.se), _LEAST):
                continue
            told = f"Where {stratum_name(name, value)}: {here.estimate:+.3f} nats on {here.inputs:,} references"
            found.append((-abs(here.estimate), f"{told} ({whole.estimate:+.3f} overall)."))
    yield from (told for _, told in sorted(found)[:3])


def _inputs(inputs: Inputs, before: Inputs) -> Iterator[str]:
    _, here, there = np.intersect1d(inputs["id"], before["id"], return_indices=True)
    change = inputs[f"{LOSS}scrubbed"][here] - before[f"{LOSS}scrubbed"][there]
    for row in np.argsort(-np.abs(change), kind="stable")[:_INPUTS]:
        if abs(change[row]) > _LEAST:
            text = str(inputs["text"][here[row]])
            told = text if len(text) <= 80 else text[:79] + "…"
            yield f"Input {inputs['id'][here[row]]} {told!r}: {change[row]:+.3f} nats."


def _of(inputs: Inputs) -> Losses:
    return Losses(inputs["id"], inputs.names(LOSS), inputs["weight"])
