"""Loss recovered, against named baselines, and when no fraction can be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrubbing.errors import Fault, NoFraction
from scrubbing.stats.intervals import Bootstrap, Estimate


def fraction(means: Mapping[str, Any], baseline: str) -> Any:
    """`1 - (scrubbed - model) / (baseline - model)`, of mean losses.

    The published form is `(scrubbed - baseline) / (model - baseline)`, which is the same number. It may be below 0 or
    above 1. Source: causal scrubbing appendix, section 2.1.
    """
    return 1 - (means["scrubbed"] - means["model"]) / (means[baseline] - means["model"])


def loss_recovered(losses: Bootstrap, baseline: str) -> Estimate:
    """Fraction of the loss between model and baseline that survives scrubbing.

    Args:
        losses: columns `model`, `scrubbed` and the baseline, per reference input.
        baseline: a column's name.

    Raises:
        NoFraction: SCR-FRACTION, model and baseline cannot be told apart, so that any fraction would be noise.
    """
    gap = losses.of(lambda means: means[baseline] - means["model"])
    if abs(gap.value) <= 2 * (gap.se or 0.0) or gap.value == 0:
        told = ", ".join(f"{name} {losses.mean(name).value:.4g}" for name in ("model", "scrubbed", baseline))
        problem = f"model and {baseline} baseline have the same loss within two standard errors ({told})."
        remedy = "There is no loss to recover: choose another baseline, or report the losses themselves."
        raise NoFraction(Fault("SCR-FRACTION", "loss recovered", problem, remedy))
    return losses.of(lambda means: fraction(means, baseline))
