"""What must be equal for two records to be compared, or merged, input by input."""

from __future__ import annotations

from scrubbing.records.schema import RunRecord


def key(record: RunRecord) -> dict[str, str]:
    """What two runs must have in common to be compared input by input. The weights are not in it: how a change of them
    moves the score is what a gate is for.
    """
    choices, source = record.choices, record.provenance
    return {
        "hypothesis": record.hypothesis,
        "definition": record.hash or record.tree,
        "model": source.model,
        "dataset": source.data_fingerprint,
        "loss": choices.loss,
        "seed": str(choices.seed),
        "ablation": str(choices.ablation),
        "dtype": choices.dtype,
        "device": choices.device,
        "numerics": str(choices.numerics),
    }


def differences(record: RunRecord, snapshot: RunRecord) -> list[str]:
    """What of the key differs, in words."""
    now, before = key(record), key(snapshot)
    long = ("definition", "dataset")
    return [
        f"{name} changed" if name in long else f"{name} was {before[name]}, is {now[name]}"
        for name in now
        if now[name] != before[name]
    ]
