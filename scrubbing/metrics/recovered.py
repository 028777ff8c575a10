"""Loss recovered, against named baselines, and when no fraction can be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrubbing.errors import NoFraction, fail
from scrubbing.stats.bounds import Influence
from scrubbing.stats.influence import Losses
from scrubbing.stats.intervals import Bootstrap, Estimate

BASELINES = {
    "null": "the whole output resampled: labels as they are, output of another input",
    "constant": "the best prediction that ignores the input",
    "mean rest": "claims kept, everything unclaimed replaced by its mean over the dataset",
    "mean claimed": "everything claimed replaced by its mean over the dataset, the rest kept",
}
"""The baselines, in words."""
_NOTHING = 1e-9
"""Loss of a constant prediction where all labels are the same."""


def fraction(means: Mapping[str, Any], baseline: str) -> Any:
    """`1 - (scrubbed - model) / (baseline - model)`, of mean losses.

    The published form is `(scrubbed - baseline) / (model - baseline)`, which is the same number. It may be below 0 or
    above 1. Source: causal scrubbing appendix, section 2.1.
    """
    return 1 - (means["scrubbed"] - means["model"]) / (means[baseline] - means["model"])


def unbeaten(losses: Bootstrap, baseline: str) -> str | None:
    """The baseline than which the model is not better by more than sampling error; None if it is better than all.

    The model must be better than the baseline whose fraction is asked for, and than the constant, if it is among the
    columns. A model that gains nothing by looking at its input has no performance to explain: a network with random
    weights is often better than its own outputs exchanged, by an amount that means nothing. The constant does not
    count where it loses nothing because all labels are the same. Below two inputs any gap counts. Source: ours.

    Args:
        losses: columns `model`, the baseline, and any others.
        baseline: a column's name.
    """
    others = [name for name in ("constant",) if name in losses.columns and losses.value(name) > _NOTHING]
    for name in dict.fromkeys((baseline, *others)):
        gap = losses.of(lambda means, name=name: means[name] - means["model"])
        if not (gap.value > 0 and (gap.low is None or gap.low > 0)):
            return name
    return None


def loss_recovered(losses: Bootstrap, baseline: str) -> Estimate:
    """Fraction of the loss between model and baseline that survives scrubbing, with its interval.

    Args:
        losses: columns `model`, `scrubbed` and the baseline, per reference input.
        baseline: a column's name.

    Raises:
        NoFraction: SCR-FRACTION, there is nothing to recover; see `unbeaten`.
    """
    return losses.estimate(recovered(losses, baseline))


def recovered(losses: Losses | Bootstrap, baseline: str = "null") -> Influence:
    """The same fraction as verdicts and comparisons take it.

    Raises:
        NoFraction: SCR-FRACTION, there is nothing to recover; see `unbeaten`.
    """
    means = losses.means if isinstance(losses, Losses) else losses
    if name := unbeaten(means, baseline):
        known = ", ".join(
            f"{one} {means.value(one):.4g}" for one in dict.fromkeys(("model", "scrubbed", baseline, name))
        )
        problem = f"the model is not better than the {name} baseline by more than sampling error ({known})."
        remedy = "There is no performance to recover: report the losses themselves."
        if name == baseline:
            remedy = "There is no loss to recover: choose another baseline, or report the losses themselves."
        fail(NoFraction, "SCR-FRACTION", problem, remedy, "loss recovered")
    return means.influence(lambda m: fraction(m, baseline), list(dict.fromkeys(("model", "scrubbed", baseline))))
