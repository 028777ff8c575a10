"""What moved between an earlier run and a later one: weights, features, claims, strata, inputs. Codes with numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scrubbing.records.compare import differences
from scrubbing.records.inputs import LOSS, STRATUM, InputTable
from scrubbing.records.schema import Note, RunRecord
from scrubbing.stats.paired import LEAST, compare

_WORTH_SAYING = 2.0
"""Standard errors from which a stratum or claim is said to have moved."""
_INPUTS = 3
_STRATA = 3


def moved(record: RunRecord, inputs: InputTable, earlier: RunRecord, earlier_inputs: InputTable) -> list[Note]:
    """What moved, most telling first; inputs and strata only where their losses may be compared.

    This is no test: it is chosen among many numbers after looking, and has no level.
    """
    found = [*_definition(record, earlier), *_claims(record, earlier)]
    if differences(record, earlier, "pair") or not np.isin(inputs["id"], earlier_inputs["id"]).any():
        return found
    return [
        *found,
        *_strata(inputs, earlier_inputs, record.choices.unit),
        *_inputs(inputs, earlier_inputs, record.choices.unit),
    ]


def _definition(record: RunRecord, before: RunRecord) -> Iterator[Note]:
    now, then = record.provenance, before.provenance
    if now.model_fingerprint != then.model_fingerprint:
        yield Note.of("moved-weights", before=then.model_fingerprint[:8], after=now.model_fingerprint[:8])
    if record.stored is not None and before.stored is not None and record.stored != before.stored:
        yield Note.of("moved-definition")
    old = {variable.name: variable for variable in before.variables}
    for one in record.variables:
        if one.name not in old:
            yield Note.of("moved-variable-new", variable=one.name)
        elif one.feature != old[one.name].feature:
            yield Note.of("moved-feature", variable=one.name, feature=one.feature, before=old[one.name].feature)
        elif one.digest != old[one.name].digest:
            yield Note.of("moved-feature-values", variable=one.name, feature=one.feature)
    for name in old.keys() - {variable.name for variable in record.variables}:
        yield Note.of("moved-variable-gone", variable=name)
    for package, version in now.versions.items():
        if then.versions.get(package) != version:
            yield Note.of("moved-package", package=package, before=then.versions.get(package), after=version)


def _claims(record: RunRecord, before: RunRecord) -> Iterator[Note]:
    old = {one.path: one.cost for one in before.claim_costs}
    branches = {branch.path: branch for branch in record.branches}
    found: list[tuple[float, Note]] = []
    for one in record.claim_costs:
        if one.path not in old:
            continue
        earlier, branch = old[one.path], branches.get(one.path)
        change = one.cost.value - earlier.value
        error = np.hypot(one.cost.se or 0.0, earlier.se or 0.0)
        if abs(change) > max(_WORTH_SAYING * error, LEAST):
            claim = {"what": branch.what if branch else one.path, "variable": branch.variable if branch else ""}
            values = {"before": earlier.value, "after": one.cost.value}
            found.append((-change, Note.of("moved-cost", **claim, **values, unit=record.choices.unit)))
    yield from (note for _, note in sorted(found, key=lambda one: one[0]))


def _strata(inputs: InputTable, before: InputTable, unit: str) -> Iterator[Note]:
    now, then = inputs.losses(), before.losses()
    whole = compare(then, now).change
    found: list[tuple[float, Note]] = []
    for name, column in inputs.names(STRATUM).items():
        for value in np.unique(column):
            rows = np.flatnonzero(column == value)
            if not inputs["weight"][rows].any() or not np.isin(inputs["id"][rows], before["id"]).any():
                continue
            here = compare(then, now.rows(rows)).change
            if not abs(here.estimate) > max(_WORTH_SAYING * np.nan_to_num(here.se), LEAST):
                continue
            where = {"feature": name, "value": value.item(), "inputs": here.inputs}
            note = Note.of("moved-stratum", **where, change=here.estimate, overall=whole.estimate, unit=unit)
            found.append((-abs(here.estimate), note))
    yield from (note for _, note in sorted(found, key=lambda one: one[0])[:_STRATA])


def _inputs(inputs: InputTable, before: InputTable, unit: str) -> Iterator[Note]:
    _, here, there = np.intersect1d(inputs["id"], before["id"], return_indices=True)
    change = inputs[f"{LOSS}scrubbed"][here] - before[f"{LOSS}scrubbed"][there]
    for row in np.argsort(-np.abs(change), kind="stable")[:_INPUTS]:
        if abs(change[row]) > LEAST:
            text = str(inputs["text"][here[row]]) if "text" in inputs else ""
            id_ = int(inputs["id"][here[row]])
            yield Note.of("moved-input", id=id_, text=text[:200], change=float(change[row]), unit=unit)
