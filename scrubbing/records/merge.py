"""Records of parts of one run put together, from their values per input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scrubbing.errors import Fault, UsageError
from scrubbing.records.identity import differences
from scrubbing.records.inputs import Inputs
from scrubbing.records.notes import notes
from scrubbing.records.schema import ClaimCounts, RunRecord
from scrubbing.records.summary import summarise
from scrubbing.stats.intervals import METHOD


def merge(parts: Sequence[tuple[RunRecord, Inputs]]) -> tuple[RunRecord, Inputs]:
    """One record of runs of the same hypothesis on different references, as if they had been run at once.

    What is fitted or interpolated (recalibration, training equivalents) is left out: run the whole to have it.

    Raises:
        UsageError: SCR-MERGE, with every fault: another hypothesis, model, dataset or seed; a reference given twice.
    """
    first = parts[0][0]
    faults = list(_faults(parts))
    if faults:
        raise UsageError(faults)
    columns = {name: np.concatenate([part[name] for _, part in parts]) for name in parts[0][1].columns}
    inputs = Inputs(columns, max((part.bound for _, part in parts if part.bound is not None), default=None))
    inputs = inputs.rows(np.argsort(inputs["id"], kind="stable"))
    meanings = {one.baseline: one.meaning for one in first.recovered}
    found = summarise(inputs, meanings, first.choices.seed)
    claims = [_counts([record.claims[i] for record, _ in parts]) for i in range(len(first.claims))]
    exchanged = not any(note.startswith("No activation is ever exchanged") for note in first.notes)
    more = {
        "claims": claims,
        "notes": notes(found, claims, exchanged),
        "choices": first.choices.model_copy(
            update={"references": len(inputs), "bound": inputs.bound, "interval": METHOD}
        ),
        "provenance": first.provenance.model_copy(
            update={
                "seconds": round(sum(record.provenance.seconds for record, _ in parts), 3),
                "when": max(record.provenance.when for record, _ in parts),
            }
        ),
        "inputs": None,
        "recalibrated": None,
        "equivalent": None,
        "claim_costs": [],
        "accepted": None,
    }
    return first.model_copy(update=found | more), inputs


def _faults(parts: Sequence[tuple[RunRecord, Inputs]]) -> list[Fault]:
    first, found = parts[0][0], []
    remedy = "Merge runs of one hypothesis on parts of its references, as --shard makes them."
    for i, (record, inputs) in enumerate(parts[1:], start=2):
        told = differences(record, first)
        if record.provenance.model_fingerprint != first.provenance.model_fingerprint:
            told.append("the weights differ")
        if record.choices.draws != first.choices.draws:
            told.append(f"draws were {first.choices.draws}, are {record.choices.draws}")
        if list(inputs.columns) != list(parts[0][1].columns):
            told.append("it has other values per input")
        if told:
            found.append(Fault("SCR-MERGE", f"record {i}", f"{'; '.join(told)}.", remedy))
    ids, times = np.unique(np.concatenate([inputs["id"] for _, inputs in parts]), return_counts=True)
    if times.max() > 1:
        problem = f"reference input {ids[times.argmax()]} is in {times.max()} of them."
        found.append(Fault("SCR-MERGE", "references", problem, remedy))
    return found


def _counts(claims: Sequence[ClaimCounts]) -> ClaimCounts:
    draws = sum(claim.draws for claim in claims)
    least = [claim.agreed_min for claim in claims if claim.agreed_min is not None]
    medians = {claim.agreed_median for claim in claims}
    share = sum(claim.self_share * claim.draws for claim in claims) / draws if draws else 0.0
    changed = {
        "draws": draws,
        "agreed_min": min(least, default=None),
        "agreed_median": medians.pop() if len(medians) == 1 else None,  # a median of parts is not that of the whole
        "self_share": share,
    }
    return claims[0].model_copy(update=changed)
