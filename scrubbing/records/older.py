"""Records of versions 1 and 2 in the shape of version 3. What they said in prose alone is read here, nowhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scrubbing.records.inputs import digest

MEASURES = {
    "accuracy": ("most likely scrubbed prediction is right", "share"),
    "changed": ("most likely prediction differs from the model's", "share"),
    "kl": ("KL(model || scrubbed)", "nats"),
}
"""Meaning and unit of the measures that every record had, by name."""


def upgraded(given: Mapping[str, Any]) -> dict[str, Any]:
    """A record of any version as one of version 3; what is not of version 1 or 2 comes back as it is.

    Raises:
        ValueError: it has not the shape that records of these versions have.
    """
    if given.get("version") not in (1, 2):
        return dict(given)
    try:
        return _upgraded(dict(given))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"a field is not what version {given['version']} holds there") from error


def _upgraded(record: dict[str, Any]) -> dict[str, Any]:
    if missing := {"tree", "notes", "choices", "recovered", "strata", *MEASURES} - record.keys():
        raise ValueError(f"{', '.join(sorted(missing))}: field required")
    record["version"] = 3
    record["measures"] = [
        {"name": name, "meaning": meaning, "unit": unit, "value": record.pop(name)}
        for name, (meaning, unit) in MEASURES.items()
    ]
    text = record.pop("tree")
    if not record.get("branches"):
        record["claims_text"] = _claims(text)
    notes = record["notes"]
    record["exchanged"] = not any(str(note).startswith("No activation is ever exchanged") for note in notes)
    record["notes"] = [{"code": "text", "values": {"text": note}} for note in notes]
    record["choices"] = _choices(record["choices"])
    record["recovered"] = [_renamed(one, nats="lost") for one in record["recovered"]]
    record["strata"] = [_renamed(one, name="feature") for one in record["strata"]]
    record["slices"] = [
        {**one, "recovered": [_renamed(part, nats="lost") for part in one["recovered"]]}
        for one in record.get("slices", [])
    ]
    costs = record.get("claim_costs", [])
    record["claim_costs"] = [_renamed({k: v for k, v in one.items() if k != "what"}, nats="cost") for one in costs]
    if record.get("hash") is None and record.get("stored") is not None:
        record["hash"] = digest(json.dumps(record["stored"], sort_keys=True).encode())
    if record.get("equivalent"):
        record["equivalent"] = _equivalent(record["equivalent"])
    return record


def _renamed(given: Mapping[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in given.items()}


def _claims(tree: str) -> str:
    """A tree without its heading: name and sentence, and the scope where there is one."""
    lines = tree.split("\n")[1:]
    return "\n".join(lines[1:] if lines and lines[0].startswith("  on inputs where ") else lines)


def _choices(given: Mapping[str, Any]) -> dict[str, Any]:
    """Choices with the unit that the name of the loss used to tell, and the numerics of that time."""
    loss = given.get("loss")
    unit = loss if loss == "squared error" else "nats"
    return {"unit": unit, "numerics": 1, **given}


def _equivalent(given: Mapping[str, Any]) -> dict[str, Any]:
    """A training equivalent with the end of the series that its sentence used to name."""
    rest = {key: value for key, value in given.items() if key != "told"}
    told = str(given.get("told", ""))
    if given.get("amount") is not None:
        return rest
    beyond = {"worse": "first", "better": "last"}.get(told.split(" ")[0])
    end = re.search(rf" at (\S+) {re.escape(str(given.get('unit')))}, the ", told)
    return {**rest, "beyond": beyond, "end": float(end[1]) if end else None}
