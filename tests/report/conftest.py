"""Records to report on: one with every optional field and the nastiest texts, and old ones with none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scrubbing.records.inputs import InputTable
from scrubbing.records.schema import RunRecord
from scrubbing.records.store import load

STORED = Path(__file__).parents[1] / "compat" / "records"
NASTY = '<script>alert("x")</script> & <b>|`*_'


def number(value: float, se: float = 0.02) -> dict[str, float]:
    return {"value": value, "se": se, "low": value - 2 * se, "high": value + 2 * se}


def recovered(losses: dict[str, float]) -> list[dict[str, Any]]:
    lost = losses["scrubbed"] - losses["model"]
    gaps = {name: loss - losses["model"] for name, loss in losses.items() if name not in ("model", "scrubbed")}
    return [
        {
            "baseline": name,
            "meaning": f"{name}, in words",
            "fraction": number(1 - lost / gap) if gap > 0.1 else None,
            "lost": number(lost),
        }
        for name, gap in gaps.items()
    ]


LOSSES = {"model": 0.11, "scrubbed": 0.42, "null": 5.3, "constant": 0.57, "mean rest": 0.15, "mean claimed": 3.6}
SLICES = {"all": LOSSES, "second of a repeated bigram": {**LOSSES, "scrubbed": 1.2, "bigram": 2.5}}

BRANCHES = [
    ("logits", 0, "logits", "balanced", "(())((", "False", ")(" * 30),
    ("logits / a1.h0", 1, "a1.h0 | a1.h1", "count", "()()\N{SNOWMAN} " + NASTY, "True", "((("),
    ("logits / a1.h0 / m0", 2, "m0 [direction]", "depth", None, None, None),
    ("logits / a2.h0", 1, "a2.h0", "horizon", "(" * 300, "False", None),
]
STATES = {
    "embed": (-1, "behind"),
    **{f"a0.h{i}": (0, "behind") for i in range(2)},
    "m0": (0, "claimed"),
    **{f"a1.h{i}": (1, "claimed") for i in range(2)},
    "m1": (1, "mixed"),
    "a2.h0": (2, "claimed"),
    "a2.h1": (2, "unclaimed"),
    "m2": (2, "unclaimed"),
    "logits": (-1, "claimed"),
}
VARIABLES = [
    ("balanced", "balanced", ["count", "horizon"]),
    ("count", "count_ok & starts_open", ["depth"]),
    ("horizon", f"no suffix opens more {NASTY} " + "and so on " * 6, ["depth"]),
    ("depth", "depth", []),
]


def claim_counts(path: str, what: str, variable: str) -> dict[str, Any]:
    return {
        "path": path,
        "what": what,
        "variable": variable,
        "feature": variable,
        "bits": 0.97,
        "draws": 800,
        "agreed_min": 12,
        "agreed_median": 4321.0,
        "self_share": 0.015,
        "near_ties": 0,
    }


SAID: dict[str, Any] = {
    "controls": [
        {
            "name": "weights drawn anew",
            "meaning": f"the same hypothesis on a model that learnt nothing {NASTY}",
            "expected": "fails",
            "losses": {name: number(loss) for name, loss in LOSSES.items()},
            "recovered": recovered(LOSSES),
        }
    ],
    "notes": [
        {"code": "worse-than-constant", "values": {"scrubbed": 0.42, "constant": 0.37, "sure": False}},
        {"code": "nobody has worded it", "values": {"one": 1.5, "other": NASTY, "none": None}},
    ],
    "claims_text": None,
    "worst": [
        {
            "id": 1003 + i,
            "text": f"{NASTY} {'(' * 300}",
            "model": 0.1,
            "scrubbed": 5.0 - i,
            "model_prediction": 1,
            "prediction": 0,
        }
        for i in range(3)
    ],
    "shared": [{"kind": "word", "name": "[/INST]", "worst": 3, "of_worst": 3, "share": 0.01}],
    "references_digest": "0123456789abcdef",
    "claim_costs": [
        {"path": "", "cost": number(0.2)},
        {"path": BRANCHES[1][0], "cost": number(0.11)},
    ],
    "accepted": {"reason": f"because {NASTY}", "when": "2026-03-01T00:00:00+00:00"},
}
"""Controls, notes, single inputs, costs, and why it was accepted."""


def _beyond() -> dict[str, Any]:
    """What a record says beyond mean losses."""
    return {
        "cancellation": {
            "worse": number(0.4),
            "better": number(0.09),
            "correlation": 0.31,
            "share": number(0.017, 0.002),
        },
        "carried": {"effective": 6.5, "references": 300, "raised": 0, "at_most": 0.0099, "threshold": 0.52},
        "recalibrated": {
            "temperature": 2.5,
            "prior": 0.4,
            "loss": number(0.33),
            "before": number(0.43),
            "references": 100,
        },
        "equivalent": {
            "what": "checkpoints of the same model over training",
            "unit": "tokens",
            "amount": number(3.1e6, 2e5),
        },
    }


def full_record(old: RunRecord) -> RunRecord:
    """Version 3 with every field, on the ground of an old record."""
    branches = [
        {
            "path": p,
            "depth": d,
            "what": w,
            "variable": v,
            "line": f"{w} carries {v}",
            "sample": s,
            "value": x,
            "unclaimed": u,
        }
        for p, d, w, v, s, x, u in BRANCHES
    ]
    changed: dict[str, Any] = {
        "version": 3,
        "hypothesis": "parens/every-field",
        "claim": f"Heads 1.0 and 1.1 count; head 2.0 looks at the horizon {NASTY}",
        "scope": "starts_open",
        "losses": {name: number(loss) for name, loss in LOSSES.items()},
        "recovered": recovered(LOSSES),
        "slices": [
            {
                "name": name,
                "counted": 1234,
                "losses": {one: number(loss) for one, loss in losses.items()},
                "recovered": recovered(losses),
            }
            for name, losses in SLICES.items()
        ],
        "claims": [claim_counts(p, w, v) for p, _, w, v, *_ in BRANCHES[1:]],
        **SAID,
        "hash": "0123456789abcdef",
        "source": {"address": "beliefs.py::every_field", "file": "beliefs.py", "line": 12},
        "variables": [{"name": n, "feature": f, "parents": p, "digest": "ab"} for n, f, p in VARIABLES],
        "branches": branches,
        "nodes": [{"name": n, "layer": layer, "state": state} for n, (layer, state) in STATES.items()],
        "size": {"claims": 3, "nodes": 4, "of_nodes": 11, "bits": 2.5, "of_bits": 16.6},
        **_beyond(),
        "inputs": {"file": "every-field.parquet", "digest": "0123", "rows": 200},
    }
    return RunRecord.model_validate({**old.model_dump(), **changed})


@dataclass(frozen=True)
class Verdict:
    """What a gate will give."""

    name: str
    verdict: Any
    reason: str
    details: tuple[str, ...] = ()


@pytest.fixture(scope="session")
def old() -> list[RunRecord]:
    """Two records of version 1: one worse than the constant model, one good."""
    return [load(STORED / f"v1-{name}.json") for name in ("original-roles", "signs")]


@pytest.fixture(scope="session")
def full(old: list[RunRecord]) -> RunRecord:
    """A record with every field."""
    return full_record(old[1])


@pytest.fixture(scope="session")
def history(full: RunRecord) -> list[RunRecord]:
    """Two earlier records of it, one with another model."""
    first = full.provenance.model_copy(update={"when": "2026-01-05T10:00:00+00:00", "git": "a" * 40})
    other = first.model_copy(update={"when": "2026-02-05T10:00:00+00:00", "model_fingerprint": "another"})
    return [full.model_copy(update={"provenance": one}) for one in (other, first)]


@pytest.fixture(scope="session")
def inputs() -> InputTable:
    """200 inputs: long texts, markup, brackets, and one that is not counted."""
    n, random = 200, np.random.default_rng(0)
    model = random.exponential(0.1, n)
    scrubbed = model * random.lognormal(0, 1, n) + random.exponential(0.3, n)
    texts = [NASTY, "(" * 700, "\N{ARABIC LETTER ALEF}\N{SNOWMAN} \N{CJK UNIFIED IDEOGRAPH-4E2D}", "plain, " * 60]
    weight = np.ones(n)
    weight[7], scrubbed[7] = 0, 1e6
    return InputTable(
        {
            "id": np.arange(1000, 1000 + n),
            "text": np.array([f"{texts[i % 4]}{i}" for i in range(n)]),
            "weight": weight,
            "counted": weight.astype(int),
            "loss.model": model,
            "loss.scrubbed": scrubbed,
            "loss.null": random.exponential(5, n),
            "measure.accuracy": random.integers(0, 5, n) / 4,
            "model_right": (random.random(n) < 0.95).astype(float),
            "measure.kl": random.exponential(0.3, n),
            "measure.changed": random.integers(0, 5, n) / 4,
            "stratum.balanced": random.random(n) < 0.3,
            "prediction": random.integers(0, 2, n),
            "model_prediction": random.integers(0, 2, n),
        }
    )


@pytest.fixture(scope="session")
def verdicts(old: list[RunRecord], full: RunRecord) -> list[Verdict]:
    """One of each kind."""
    return [
        Verdict(full.hypothesis, "fail", "Lost 0.12 nats more than allowed.", (f"stratum balanced: {NASTY}", "a1.h0")),
        Verdict(old[0].hypothesis, "inconclusive", "2,300 references would settle it."),
        Verdict(old[1].hypothesis, "pass", "Within the margin."),
    ]
