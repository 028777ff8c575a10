"""Whether records may be compared, and in what they differ: one table of aspects for gate, merging, lists and pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scrubbing.records.schema import RunRecord

Purpose = Literal["pair", "snapshot", "merge"]
"""What two records are wanted for, each asking for more than the one before.

`pair`: loss against loss, input by input. `snapshot`: the same measurement, of weights that may have changed. `merge`:
parts of one run.
"""
_ORDER: tuple[Purpose, ...] = ("pair", "snapshot", "merge")


@dataclass(frozen=True)
class Aspect:
    """Something in which records can differ."""

    name: str
    of: Callable[[RunRecord], Any]
    stops: Purpose | None
    """The least that a difference rules out; None where it is only said."""
    hidden: bool = False
    """Whether its values say nothing to a reader, as those of a digest."""


def _loss(record: RunRecord) -> str:
    return record.choices.loss.removesuffix(f" ({record.choices.unit})")


def _definition(record: RunRecord) -> Any:
    """What is claimed; of what cannot be stored, as far as it is written."""
    return record.hash or [record.claim, record.claims_text, *(one.line for one in record.branches)]


ASPECTS = (
    Aspect("loss", _loss, "pair"),
    Aspect("unit", lambda r: r.choices.unit, "pair"),
    Aspect("dataset", lambda r: r.provenance.data_fingerprint, "pair", hidden=True),
    Aspect("pool", lambda r: r.choices.pool or "all inputs", "pair"),
    Aspect("hypothesis", lambda r: r.hypothesis, "snapshot"),
    Aspect("definition", _definition, "snapshot", hidden=True),
    Aspect("scope", lambda r: r.scope or "all inputs", "snapshot"),
    Aspect("model", lambda r: r.provenance.model, "snapshot"),
    Aspect("seed", lambda r: r.choices.seed, "snapshot"),
    Aspect("padding", lambda r: "avoided" if r.choices.padding == "avoided" else "not avoided", "snapshot"),
    Aspect("ablation", lambda r: r.choices.ablation or "none", "snapshot"),
    Aspect("dtype", lambda r: r.choices.dtype, "snapshot"),
    Aspect("device", lambda r: r.choices.device, "snapshot"),
    Aspect("accelerator", lambda r: r.choices.accelerator or "none", "snapshot"),
    Aspect("numerics", lambda r: r.choices.numerics, "snapshot"),
    Aspect("weights", lambda r: r.provenance.model_fingerprint, "merge", hidden=True),
    Aspect("draws", lambda r: r.choices.draws, "merge"),
    Aspect("clusters", lambda r: r.choices.clusters or "none", "merge"),
    Aspect("interval", lambda r: r.choices.interval, "merge"),
    Aspect("zero", lambda r: r.zero, "merge"),
    Aspect("references", lambda r: r.choices.references, None),
)
"""All properties of a record that change what its numbers mean, or how certain they are."""


_SINGULAR = ("loss", "hypothesis", "numerics")


@dataclass(frozen=True)
class Difference:
    """One aspect in which two records differ."""

    aspect: str
    before: Any
    after: Any
    hidden: bool

    def __str__(self) -> str:
        was, now = ("were", "are") if self.aspect.endswith("s") and self.aspect not in _SINGULAR else ("was", "is")
        return f"{self.aspect} changed" if self.hidden else f"{self.aspect} {was} {self.before}, {now} {self.after}"


def differences(record: RunRecord, earlier: RunRecord, purpose: Purpose | None = None) -> list[Difference]:
    """List the differences between a record and an earlier one.

    Args:
        record: the later one.
        earlier: the record to compare with.
        purpose: list only differences that rule out this use; None for all.
    """
    found: list[Difference] = []
    for aspect in ASPECTS:
        before, after = aspect.of(earlier), aspect.of(record)
        if before != after and (purpose is None or _stops(aspect, purpose)):
            found.append(Difference(aspect.name, before, after, aspect.hidden))
    return found


def _stops(aspect: Aspect, purpose: Purpose) -> bool:
    return aspect.stops is not None and _ORDER.index(aspect.stops) <= _ORDER.index(purpose)


_ONLY_SAID = ("references", "clusters", "interval", "zero")


def measure_alike(record: RunRecord, earlier: RunRecord) -> bool:
    """Whether all that decides the loss of an input is the same in two runs, so that inputs they did not draw lose the
    same as well.
    """

    def decides(one: RunRecord) -> tuple[Any, ...]:
        aspects = [aspect.of(one) for aspect in ASPECTS if aspect.name not in _ONLY_SAID]
        return aspects, one.choices.loss_identity, [(variable.name, variable.digest) for variable in one.variables]

    return decides(record) == decides(earlier)


@dataclass(frozen=True)
class Unlike:
    """An aspect that records side by side do not share."""

    aspect: str
    values: tuple[Any, ...]
    """The aspect's value in each record, in order."""
    hidden: bool


def unlike(records: Sequence[RunRecord]) -> list[Unlike]:
    """What records in one table, page or figure do not have in common beside what they claim.

    Datasets that differ because scopes do are not named twice.
    """
    found: list[Unlike] = []
    for aspect in ASPECTS:
        if aspect.name in ("hypothesis", "definition"):
            continue
        values = tuple(aspect.of(record) for record in records)
        if aspect.name == "dataset":
            within = {(record.scope, value) for record, value in zip(records, values, strict=True)}
            if len(within) == len({record.scope for record in records}):
                continue
        if any(value != values[0] for value in values):
            found.append(Unlike(aspect.name, values, aspect.hidden))
    return found
