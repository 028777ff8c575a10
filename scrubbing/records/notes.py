"""What a reader must know before quoting a score, in sentences that appear without being asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scrubbing.records.schema import Cancellation, ClaimCounts, Number, Padding, Recovered, Stratum

_MOSTLY_SELF = 0.5
"""Share of self-draws above which a claim's test is called empty."""
_HIDDEN = 0.02
"""Difference between mean-ablated and resampled recovery that is worth a sentence."""
_CANCELLED = 0.3
"""Share of the increases in loss that decreases make up for, above which a mean is called misleading."""
_STRATUM = 3.0
"""A stratum this many times worse than the whole is named."""


def notes(found: Mapping[str, Any], claims: Sequence[ClaimCounts], exchanged: bool) -> list[str]:
    """All sentences that apply.

    Args:
        found: `losses`, `recovered`, `strata`, `cancellation` and `padding` of a record.
        claims: what was drawn.
        exchanged: whether any activation comes from another input.
    """
    losses = found["losses"]
    return [
        *_model(losses),
        *_constant(losses),
        *_mean_ablation(losses, found["recovered"]),
        *_cancellation(found["cancellation"]),
        *_strata(losses, found["strata"]),
        *_padding(found.get("padding")),
        *_claims(claims),
        *_trivial(exchanged),
    ]


def _model(losses: Mapping[str, Number]) -> Iterator[str]:
    model, constant = losses["model"], losses.get("constant")
    if constant is not None and model.value > constant.value:
        sure = model.low is not None and model.low > constant.value
        yield (
            f"The model itself is worse than the constant model{'' if sure else ' (not beyond sampling error)'}: its "
            f"loss is {model.value:.3f}, always predicting the base rate costs {constant.value:.3f}. There is no "
            "performance here for a hypothesis to explain."
        )


def _padding(found: Padding | None) -> Iterator[str]:
    if found is not None and found.reads:
        yield (
            f"Padding is read: in {100 * found.draws:.1f} % of draws an input is read where it is padding "
            f"({found.reads:,} inputs in all), as part of a fixed-length input. What the model has there enters the "
            "score; if inputs are texts of different lengths, score them with padding_is_input=False."
        )


def _constant(losses: Mapping[str, Number]) -> Iterator[str]:
    scrubbed, constant = losses["scrubbed"], losses.get("constant")
    if constant is None:
        return
    if scrubbed.value > constant.value:
        sure = scrubbed.low is not None and scrubbed.low > constant.value
        yield (
            f"Worse than the constant model{'' if sure else ' (not beyond sampling error)'}: the scrubbed loss is "
            f"{scrubbed.value:.3f}, always predicting the base rate costs {constant.value:.3f}. A high fraction "
            "recovered "
            "against the null does not make this an account of the model's performance."
        )
    elif scrubbed.high is not None and scrubbed.high > constant.value:
        yield f"Not distinguishable from the constant model ({constant.value:.3f} nats) at this sample size."


def _mean_ablation(losses: Mapping[str, Number], recovered: Sequence[Recovered]) -> Iterator[str]:
    null = next((r for r in recovered if r.baseline == "null"), None)
    if "mean rest" not in losses or null is None or null.fraction is None:
        return
    gap = losses["null"].value - losses["model"].value
    mean_kept = 1 - (losses["mean rest"].value - losses["model"].value) / gap
    if mean_kept - null.fraction.value > _HIDDEN:
        yield (
            f"Mean ablation hides what resampling shows: with everything unclaimed at its mean {100 * mean_kept:.1f} % "
            "is "
            f"recovered, resampled {100 * null.fraction.value:.1f} %."
        )


def _cancellation(found: Cancellation) -> Iterator[str]:
    worse, better = found.worse.value, found.better.value
    if better > _CANCELLED * worse and better > 2 * (found.better.se or 0.0) and better > 0.01:
        yield (
            f"Losses cancel: scrubbing raises them by {worse:.3f} nats on some inputs and lowers them by {better:.3f} "
            "on others, so the mean difference says less than it seems to. Look at the losses per input."
        )


def _strata(losses: Mapping[str, Number], strata: Sequence[Stratum]) -> Iterator[str]:
    whole = losses["scrubbed"].value
    bad = [s for s in strata if s.n > 1 and s.scrubbed.value > _STRATUM * whole and s.scrubbed.value - s.model > 0.1]
    for stratum in sorted(bad, key=lambda s: -s.scrubbed.value)[:2]:
        yield (
            f"The failures sit where {stratum.name}: loss {stratum.scrubbed.value:.2f} there, {whole:.2f} overall "
            f"(accuracy {100 * stratum.accuracy:.0f} %)."
        )


def _claims(claims: Sequence[ClaimCounts]) -> Iterator[str]:
    for claim in claims:
        if claim.draws and claim.self_share >= _MOSTLY_SELF:
            yield (
                f"The claim {claim.what} carries {claim.variable} is hardly tested: {100 * claim.self_share:.0f} % of "
                "draws returned the input itself, because its feature has few inputs per value. Use a coarser "
                "feature, more data, or a generated sampler."
            )
        if claim.near_ties:
            yield (
                f"Feature {claim.feature} has {claim.near_ties} near ties: values that a rounding barely sent one way. "
                "Widen the tolerance or compute the feature exactly."
            )


def _trivial(exchanged: bool) -> Iterator[str]:
    if not exchanged:
        yield (
            "No activation is ever exchanged: this hypothesis says that everything matters, and passes whatever the "
            "model does."
        )
