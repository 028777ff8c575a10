"""Loss recovered, against named baselines, and when no fraction can be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrubbing.errors import Fault, NoFraction
from scrubbing.stats.bounds import Influence
from scrubbing.stats.influence import Losses
from scrubbing.stats.intervals import Estimate, Means

_NOTHING = 1e-9
"""Loss of a constant prediction at which all labels are the same."""


def fraction(means: Mapping[str, Any], baseline: str) -> Any:
    """`1 - (scrubbed - model) / (baseline - model)`, of mean losses.

    The published form is `(scrubbed - baseline) / (model - baseline)`, which is the same number. It may be below 0 or
    above 1. Source: causal scrubbing appendix, section 2.1.
    """
    return 1 - (means["scrubbed"] - means["model"]) / (means[baseline] - means["model"])


def is_better(losses: Means, baseline: str) -> bool:
    """Whether the model's loss is below a baseline's by more than sampling error: by two standard errors, and by the
    interval of the difference. Below two inputs, by anything.

    Args:
        losses: columns `model` and the baseline, per reference input.
        baseline: a column's name.
    """
    gap = losses.of(lambda means: means[baseline] - means["model"], [baseline, "model"], asked=[])
    return gap.value > 2 * (gap.se or 0.0) and (gap.low is None or gap.low > 0)


def unbeaten(losses: Means, baseline: str) -> str | None:
    """The baseline than which the model is not better, so that there is nothing to recover; None if it is better.

    It must be better than the baseline whose fraction is asked for, and than the constant, if there is that column. A
    model that gains nothing by looking at its input has no performance to explain: a network with random weights is
    often better than its own outputs exchanged, by an amount that means nothing. The constant does not count where it
    loses nothing because all labels are the same. Source: ours.

    Args:
        losses: columns `model`, the baseline, and any others.
        baseline: a column's name.
    """
    others = [name for name in ("constant",) if name in losses.columns and losses.value(name) > _NOTHING]
    return next((name for name in dict.fromkeys((baseline, *others)) if not is_better(losses, name)), None)


def loss_recovered(losses: Means, baseline: str) -> Estimate:
    """Fraction of the loss between model and baseline that survives scrubbing, with its interval.

    Args:
        losses: columns `model`, `scrubbed` and the baseline, per reference input.
        baseline: a column's name.

    Raises:
        NoFraction: SCR-FRACTION, there is nothing to recover; see `unbeaten`.
    """
    return losses.estimate(recovered(losses, baseline))


def recovered(losses: Losses | Means, baseline: str = "null") -> Influence:
    """Loss recovered against a baseline, in the form that verdicts and comparisons take.

    Raises:
        NoFraction: SCR-FRACTION, there is nothing to recover; see `unbeaten`.
    """
    means = losses.means if isinstance(losses, Losses) else losses
    if name := unbeaten(means, baseline):
        told = ", ".join(f"{one} {means.value(one):.4g}" for one in dict.fromkeys(("model", baseline, name)))
        problem = f"the model is not better than the {name} baseline by more than sampling error ({told})."
        remedy = "There is no performance to recover: check labels and loss, or report the losses themselves."
        if name == baseline:
            remedy = "There is no loss to recover: choose another baseline, or report the losses themselves."
        raise NoFraction(Fault("SCR-FRACTION", "loss recovered", problem, remedy))
    return means.influence(lambda m: fraction(m, baseline), ["model", "scrubbed", baseline])
