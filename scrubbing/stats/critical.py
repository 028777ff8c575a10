"""How many standard errors away a one-sided bound lies: for one look at the data, and for any number of looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

Critical = Callable[[int, float], float]
"""Critical value: a function of the number of independent units and the alpha of one bound, in standard errors."""

SMALLEST = 200
"""Units at which one may first stop. Chosen by simulation: for all skewed changes tried, down to one input in twenty
that changes at all, false alarms are then below 3 % at alpha = 5 %; from 100 units, one was at 5.1 %. See
docs/reference/statistics.md."""


def fixed_size(n: int, alpha: float) -> float:
    """Critical value for a number of units fixed before the losses are seen: Student's t. Infinite for n < 2."""
    from scipy import special

    return -float(special.stdtrit(n - 1, alpha)) if n > 1 else np.inf


@dataclass(frozen=True)
class AlwaysValid:
    """Critical values for looking any number of times and stopping at any time, as `--settle` does.

    With probability 1 - alpha, the bound holds at all n at once, in the limit of late starts. For a sum of n values of
    variance 1 and mean 0, the likelihood ratio of a positive mean against 0, averaged over a half-normal prior of
    variance r / tuned_for, is a martingale that begins at 1 and by Ville's inequality passes 1 / alpha with probability
    alpha at most. With v = r n / tuned_for it passes where z standard errors satisfy

        2 Phi(y) exp(y^2 / 2) / sqrt(1 + v) = 1 / alpha,    y = z sqrt(v / (1 + v)).

    As (1 - Phi(y)) exp(y^2 / 2) <= 1/2, y = sqrt(2 log(1/2 + sqrt(1 + v) / (2 alpha))) is no smaller than the solution,
    by 1 % at most for alpha up to 0.05. The two-sided boundary at alpha = 0.05 would be 10 % wider.

    Sources: Robbins, "Statistical methods related to the law of the iterated logarithm" (1970), for the mixture;
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
    sequences", Annals of Statistics (2024), for its use with an estimated variance and any losses; Bibaut, Kallus and
    Lindon, "Near-optimal, near-calibrated, non-parametric sequential tests" (2022), for the late start. The bound on y
    and the choice of `smallest` are ours.
    """

    tuned_for: int = SMALLEST
    """Number of units at which the bound is tightest. From a third to five times as many it is at most 5 % wider."""
    smallest: int = SMALLEST
    """Number of units below which there is no bound."""

    def __call__(self, n: int, alpha: float) -> float:
        """See `Critical`; infinite below `smallest` units."""
        return _boundary(_tightest(alpha) * n / self.tuned_for, alpha) if n >= max(2, self.smallest) else np.inf


def _boundary(v: float, alpha: float) -> float:
    return float(np.sqrt(2 * (1 + 1 / v) * np.log(0.5 + np.sqrt(1 + v) / (2 * alpha))))


@cache
def _tightest(alpha: float) -> float:
    """The v whose boundary is nearest."""
    from scipy import optimize

    def boundary(log_v: float) -> float:
        return _boundary(float(np.exp(log_v)), alpha)

    found = optimize.minimize_scalar(boundary, bounds=(-5, 10), method="bounded")
    return float(np.exp(found.x))


def per_gate(alpha: float, gates: int) -> float:
    """Level of each of several gates, so that the chance of any false alarm among them is at most alpha.

    Bonferroni, alpha / gates: it holds however the gates depend on each other, and for gates that stop at different
    times. Holm's procedure fails more hypotheses, but its level for one gate depends on the verdicts of the others, so
    that it gives no bounds to print and no gate could settle alone.
    """
    return alpha / max(1, gates)
