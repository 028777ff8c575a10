"""Records of parts of one run put together, from their values per input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scrubbing.errors import Fault, UsageError
from scrubbing.records.compare import differences
from scrubbing.records.inputs import InputTable
from scrubbing.records.notes import CODES, notes
from scrubbing.records.schema import ClaimCounts, Note, RunRecord
from scrubbing.records.summary import summarise
from scrubbing.stats.intervals import METHOD


def merge(parts: Sequence[tuple[RunRecord, InputTable]]) -> tuple[RunRecord, InputTable]:
    """Merge records of the same hypothesis on different references into one, as of a single run.

    Results that are fitted, interpolated or run separately (recalibration, training equivalents, claim costs, controls,
    the verdict) are left out, since they need a run of the whole. Notes that follow from numbers are derived anew;
    others are kept where all parts have them.

    Raises:
        UsageError: SCR-MERGE, with every fault: records of different hypotheses, models, datasets or seeds; a reference
            that is in two of them.
    """
    first = parts[0][0]
    faults = list(_faults(parts))
    if faults:
        raise UsageError(faults)
    bounds = [bound for _, part in parts if (bound := part.ceiling()) is not None]
    columns = {name: np.concatenate([part[name] for _, part in parts]) for name in parts[0][1].columns}
    inputs = InputTable(columns, max(bounds, default=None))
    inputs = inputs.rows(np.argsort(inputs["id"], kind="stable"))
    meanings = {one.baseline: one.meaning for one in first.recovered}
    measures = {one.name: (one.meaning, one.unit) for one in first.measures}
    found = summarise(inputs, meanings, measures)
    claims = [_counts([record.claims[i] for record, _ in parts]) for i in range(len(first.claims))]
    exchanged = any(record.exchanged for record, _ in parts)
    more: dict[str, Any] = {
        "claims": claims,
        "exchanged": exchanged,
        "notes": [*notes(found, claims, exchanged, inputs.units), *_others(parts)],
        "choices": first.choices.model_copy(
            update={"references": len(inputs), "interval": METHOD, "bound": inputs.bound}
        ),
        "provenance": first.provenance.model_copy(
            update={
                "seconds": round(sum(record.provenance.seconds for record, _ in parts), 3),
                "when": max(record.provenance.when for record, _ in parts),
            }
        ),
        **dict.fromkeys(("inputs", "recalibrated", "equivalent", "accepted")),
        **{name: [] for name in ("claim_costs", "controls")},
    }
    return first.model_copy(update=found | more), inputs


def _faults(parts: Sequence[tuple[RunRecord, InputTable]]) -> list[Fault]:
    first = parts[0][0]
    faults: list[Fault] = []
    remedy = "Merge runs of one hypothesis on parts of its references, as --shard writes them."
    for i, (record, inputs) in enumerate(parts[1:], start=2):
        told = [str(one) for one in differences(record, first, "merge")]
        if [claim.path for claim in record.claims] != [claim.path for claim in first.claims]:
            told.append("it counts the draws of other claims")
        if list(inputs.columns) != list(parts[0][1].columns):
            told.append("it has other values per input")
        if told:
            faults.append(Fault("SCR-MERGE", f"record {i}", f"{'; '.join(told)}.", remedy))
    ids, times = np.unique(np.concatenate([inputs["id"] for _, inputs in parts]), return_counts=True)
    if times.max() > 1:
        problem = f"reference input {ids[times.argmax()]} is in {times.max()} of them."
        faults.append(Fault("SCR-MERGE", "references", problem, remedy))
    return faults


def _others(parts: Sequence[tuple[RunRecord, InputTable]]) -> list[Note]:
    """Notes that an experiment made; sentences of older records were about the numbers of a part."""
    kept: list[Note] = []
    for record, _ in parts:
        kept += [note for note in record.notes if note.code not in (*CODES, "text") and note not in kept]
    return kept


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
