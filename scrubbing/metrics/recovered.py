"""Loss recovered, against named baselines, and when no fraction can be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrubbing.errors import Fault, NoFraction
from scrubbing.stats.influence import Influence, Losses, linear, means
from scrubbing.stats.intervals import Bootstrap, Estimate


def fraction(means: Mapping[str, Any], baseline: str) -> Any:
    """`1 - (scrubbed - model) / (baseline - model)`, of mean losses.

    The published form is `(scrubbed - baseline) / (model - baseline)`, which is the same number. It may be below 0 or
    above 1. Source: causal scrubbing appendix, section 2.1.
    """
    return 1 - (means["scrubbed"] - means["model"]) / (means[baseline] - means["model"])


def told_apart(gap: float, se: float | None) -> bool:
    """Whether a baseline's loss is above the model's by more than noise: only then is there something to recover.

    Args:
        gap: mean loss of the baseline minus that of the model.
        se: standard error of the gap; None below two units.
    """
    return gap > 2 * (se or 0.0)


def loss_recovered(losses: Bootstrap, baseline: str) -> Estimate:
    """Fraction of the loss between model and baseline that survives scrubbing, with its interval.

    Args:
        losses: columns `model`, `scrubbed` and the baseline, per reference input.
        baseline: a column's name.

    Raises:
        NoFraction: SCR-FRACTION, the model is not better than the baseline by more than two standard errors.
    """
    gap = losses.of(lambda means: means[baseline] - means["model"])
    if not told_apart(gap.value, gap.se):
        _none({name: losses.mean(name).value for name in ("model", baseline)}, baseline)
    return losses.of(lambda means: fraction(means, baseline))


def recovered(losses: Losses, baseline: str = "null") -> Influence:
    """The same fraction with the influence of each unit, for verdicts and comparisons.

    Raises:
        NoFraction: SCR-FRACTION, the model is not better than the baseline by more than two standard errors.
    """
    at = means(losses)
    gap = linear(losses, at[baseline] - at["model"], {baseline: 1.0, "model": -1.0})
    if not told_apart(gap.estimate, gap.se if gap.n > 1 else None):
        _none(at, baseline)
    share = float(fraction(at, baseline))
    slopes = {"scrubbed": -1.0, "model": share, baseline: 1.0 - share}
    return linear(losses, share, {name: slope / gap.estimate for name, slope in slopes.items()})


def _none(at: Mapping[str, float], baseline: str) -> None:
    told = ", ".join(f"{name} {at[name]:.4g}" for name in ("model", baseline))
    problem = f"the model is not better than the {baseline} baseline by more than two standard errors ({told})."
    remedy = "There is no loss to recover: choose another baseline, or report the losses themselves."
    raise NoFraction(Fault("SCR-FRACTION", "loss recovered", problem, remedy))
