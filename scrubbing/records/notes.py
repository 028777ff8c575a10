"""What a reader must know before quoting a score: which notes apply, as codes with numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scrubbing.metrics.recovered import fraction
from scrubbing.records.measured import Cancellation, Carried, MeasureValue, Number, Padding, Recovered, Stratum
from scrubbing.records.schema import ClaimCounts, Note
from scrubbing.stats.rare import FEW

_ALL_SELF, _MOSTLY_SELF = 0.999, 0.5
"""Shares of self-draws above which a claim exchanges nothing, and is hardly tested."""
_HIDDEN = 0.02
"""Fraction of the null gap that is worth a note."""
_CHANGED = 0.02
"""Share of changed predictions below which none is worth a note beside a fraction."""
_TIMES, _SURE = 3.0, 2.0
"""A stratum whose loss rises so many times as much as elsewhere, and by so many standard errors, is named."""
_FEW = 30
"""References, or clusters, below which means are called uncertain whatever their interval. Ours."""
_NOTHING = 1e-9
"""Loss of a constant prediction at which all labels are the same."""


def notes(found: Mapping[str, Any], claims: Sequence[ClaimCounts], exchanged: bool, units: int) -> list[Note]:
    """All notes that follow from the numbers of a record, the gravest first.

    Args:
        found: `losses`, `recovered`, `measures`, `strata`, `cancellation`, `carried` and `padding` of a record.
        claims: what was drawn.
        exchanged: whether any activation comes from another input.
        units: references, or their clusters.
    """
    losses = found["losses"]
    return [
        *_model(losses),
        *_constant(losses),
        *_units(units, losses),
        *([] if exchanged else [Note.of("nothing-exchanged")]),
        *_claims(claims),
        *_carried(found.get("carried"), units),
        *_changed(found["recovered"], found["measures"]),
        *_cancellation(found["cancellation"]),
        *_apart(losses),
        *_places(losses, found["recovered"]),
        *_strata(losses, found["strata"]),
        *_padding(found.get("padding")),
    ]


CODES = frozenset(
    {
        "cancelled",
        "changed-despite-fraction",
        "claim-exchanges-nothing",
        "claim-hardly-tested",
        "few-carry",
        "few-references",
        "like-constant",
        "model-loses-to-constant",
        "near-ties",
        "nothing-exchanged",
        "one-class",
        "padding-read",
        "places-not-features",
        "stratum-fails",
        "unclaimed-agree",
        "worse-than-constant",
    }
)
"""The notes that are made here; a record may carry others, which an experiment knows more about."""


def _model(losses: Mapping[str, Number]) -> Iterator[Note]:
    model, constant = losses["model"], losses.get("constant")
    if constant is not None and model.value > constant.value:
        sure = model.low is not None and model.low > constant.value
        yield Note.of("model-loses-to-constant", model=model.value, constant=constant.value, sure=sure)


def _constant(losses: Mapping[str, Number]) -> Iterator[Note]:
    scrubbed, constant = losses["scrubbed"], losses.get("constant")
    if constant is None:
        return
    if scrubbed.value > constant.value:
        sure = scrubbed.low is not None and scrubbed.low > constant.value
        yield Note.of("worse-than-constant", scrubbed=scrubbed.value, constant=constant.value, sure=sure)
    elif scrubbed.high is not None and scrubbed.high > constant.value:
        yield Note.of("like-constant", scrubbed=scrubbed.value, constant=constant.value)


def _units(units: int, losses: Mapping[str, Number]) -> Iterator[Note]:
    if units < _FEW:
        yield Note.of("few-references", units=units)
    if "constant" in losses and abs(losses["constant"].value) < _NOTHING:
        yield Note.of("one-class")


def _carried(found: Carried | None, units: int) -> Iterator[Note]:
    """Notes on means that rest on a few inputs, so that inputs that were not drawn could move them as much."""
    if found is not None and units >= _FEW and 0 < found.effective < FEW:
        yield Note.of("few-carry", effective=found.effective, references=found.references)


def _changed(recovered: Sequence[Recovered], measures: Sequence[MeasureValue]) -> Iterator[Note]:
    """Predictions that change more often than the fraction lets one expect."""
    null = next((one for one in recovered if one.baseline == "null"), None)
    changed = next((one.value for one in measures if one.name == "changed"), None)
    if null is None or null.fraction is None or changed is None or changed.low is None:
        return
    if changed.low > max(_CHANGED, 2 * (1 - null.fraction.value)):
        values = {"changed": changed.value, "fraction": null.fraction.value}
        yield Note.of("changed-despite-fraction", **values, baseline="null")


def _places(losses: Mapping[str, Number], recovered: Sequence[Recovered]) -> Iterator[Note]:
    """A note where replacing unclaimed activations by means, with claimed nodes intact, keeps more than the scrub."""
    null = next((one for one in recovered if one.baseline == "null"), None)
    if "mean rest" not in losses or null is None or null.fraction is None:
        return
    kept = fraction(
        {**{name: loss.value for name, loss in losses.items()}, "scrubbed": losses["mean rest"].value}, "null"
    )
    if kept - null.fraction.value > _HIDDEN:
        yield Note.of("places-not-features", kept=float(kept), fraction=null.fraction.value)


def _apart(losses: Mapping[str, Number]) -> Iterator[Note]:
    """Where what is unclaimed says nothing only as long as it is all from one other input."""
    apart, scrubbed, null = losses.get("apart"), losses["scrubbed"], losses.get("null")
    if apart is None or null is None:
        return
    rise, gap = apart.value - scrubbed.value, null.value - losses["model"].value
    error = ((apart.se or 0.0) ** 2 + (scrubbed.se or 0.0) ** 2) ** 0.5
    if rise > max(_HIDDEN * gap, _SURE * error, 0.0):
        yield Note.of("unclaimed-agree", rise=rise, share=rise / gap if gap > 0 else None)


def _cancellation(found: Cancellation) -> Iterator[Note]:
    share = found.share
    if share is not None and share.low is not None and share.low > _HIDDEN:
        yield Note.of("cancelled", worse=found.worse.value, better=found.better.value, share=share.value)


def _strata(losses: Mapping[str, Number], strata: Sequence[Stratum]) -> Iterator[Note]:
    """Strata in which scrubbing costs several times what it costs elsewhere, and not next to nothing."""
    gap = losses["null"].value - losses["model"].value if "null" in losses else 0.0
    bad: list[tuple[float, Stratum, float]] = []
    for one in strata:
        if one.n < 2 or one.rest_scrubbed is None or one.rest_model is None:
            continue
        here, elsewhere = one.scrubbed.value - one.model, one.rest_scrubbed.value - one.rest_model
        error = ((one.scrubbed.se or 0.0) ** 2 + (one.rest_scrubbed.se or 0.0) ** 2) ** 0.5
        if here > max(_TIMES * elsewhere, _HIDDEN * gap, 0.0) and here - elsewhere > _SURE * error:
            bad.append((here, one, elsewhere))
    for here, one, elsewhere in sorted(bad, key=lambda found: -found[0])[:2]:
        where = {"feature": one.feature, "value": one.value, "n": one.n}
        yield Note.of("stratum-fails", **where, here=here, elsewhere=elsewhere, accuracy=one.accuracy)


def _padding(found: Padding | None) -> Iterator[Note]:
    if found is not None and found.reads:
        yield Note.of("padding-read", reads=found.reads, draws=found.draws)


def _claims(claims: Sequence[ClaimCounts]) -> Iterator[Note]:
    for claim in claims:
        if claim.draws and claim.self_share >= _MOSTLY_SELF:
            code = "claim-exchanges-nothing" if claim.self_share >= _ALL_SELF else "claim-hardly-tested"
            yield Note.of(code, what=claim.what, variable=claim.variable, self_share=claim.self_share)
        if claim.near_ties:
            yield Note.of("near-ties", feature=claim.feature, near_ties=claim.near_ties)
