"""How many reference inputs a gate needs, and how small a change it then sees."""

from __future__ import annotations

import numpy as np

from scrubbing.errors import UsageError, fail
from scrubbing.stats.critical import Critical, fixed_size
from scrubbing.stats.verdict import ALPHA, first

POWER = 0.8
_ALLOWANCE = 1.2
"""How many times the references of normal theory are planned. Losses have heavier tails than the normal distribution,
and bounds are wider for it; of a planned 80 %, 75 to 79 % were left in simulations."""


def power(
    n: int,
    sd: float,
    change: float,
    margin: float = 0.0,
    alpha: float = ALPHA,
    critical: Critical = fixed_size,
    reach: float = 0.0,
) -> float:
    """Probability that a gate with this margin reaches the right verdict when the loss changes by `change`.

    The right verdict is a fail if the change is above the margin, and a pass if it is below; with `change=0` this is
    the probability that an unchanged model passes. Source: the noncentral t distribution of a studentised mean, of 5/6
    of the references; the rest is our allowance for losses that are not normal.

    Args:
        n: reference inputs.
        sd: standard deviation of the change per reference input, `compare(...).change.sd`. With one earlier run only,
            the `sd` of its mean loss is on the safe side if losses before and after correlate by more than 1/2.
        change: change of the mean loss, in its unit.
        margin: margin of the gate, in the same unit.
        alpha: level of the gate.
        critical: critical value of the gate; with `AlwaysValid()` the result is the power of a single look at the end
            of the budget, which more looks can only raise.
        reach: change that one further reference would show if it were the only one (`Influence.reach`). Bounds include
            one reference that was not drawn.
    """
    from scipy import stats

    z = critical(n, alpha)
    if np.isinf(z):
        return 0.0
    # Of the bound from the estimate. Where nothing varies, the further reference alone has the weight 1 - level^(1/n),
    # about -log(level) / n; where much does, 1/n.
    usual, alone = z * sd / np.sqrt(n), -stats.norm.logsf(z) - 1
    away = reach / n + np.hypot(usual, alone * reach / n)
    distance = abs(change - margin)
    if sd == 0:
        return float(distance > away)
    return float(stats.nct.sf(away * np.sqrt(n) / sd, n - 1, distance * np.sqrt(n / _ALLOWANCE) / sd))


def references_needed(
    sd: float,
    change: float,
    margin: float = 0.0,
    wanted: float = POWER,
    alpha: float = ALPHA,
    critical: Critical = fixed_size,
    reach: float = 0.0,
) -> int:
    """Number of reference inputs with which a gate detects a change with the wanted probability.

    It is about 1.2 (z sd / distance)^2, where the distance is that of the change from the margin.

    Arguments are those of `power`.

    Raises:
        UsageError: SCR-POWER, the change is at the margin or not finite, or the power is not between alpha and 1.
    """
    _check(wanted, alpha, change, margin)
    found = first(lambda n: power(n, sd, change, margin, alpha, critical, reach) >= wanted, 2)
    if found is None:
        problem = f"a change of {change:g} cannot be told from a margin of {margin:g} with any number of references."
        fail(UsageError, "SCR-POWER", problem, "Ask for a change further from the margin.", "power")
    return found


def smallest_change(
    n: int,
    sd: float,
    margin: float = 0.0,
    wanted: float = POWER,
    alpha: float = ALPHA,
    critical: Critical = fixed_size,
    reach: float = 0.0,
) -> float:
    """The smallest change above the margin that makes a gate on `n` reference inputs fail with the wanted probability;
    infinite where `n` is too small for any verdict. Arguments are those of `power`.

    Raises:
        UsageError: SCR-POWER, the margin is not finite, or the power is not between alpha and 1.
    """
    from scipy import optimize

    _check(wanted, alpha, margin)
    if np.isinf(critical(n, alpha)):
        return np.inf
    if sd == 0 and reach == 0:
        return margin
    unit = max(sd, reach / np.sqrt(n)) / np.sqrt(n)

    def missing(x: float) -> float:
        return power(n, sd, x * unit, 0.0, alpha, critical, reach) - wanted

    most = 1.0
    while missing(most) < 0:
        most *= 2
    return margin + float(optimize.brentq(missing, 0.0, most)) * unit


def _check(wanted: float, alpha: float, *losses: float) -> None:
    if not np.isfinite(losses).all():
        problem = f"changes and margins are numbers, and {', '.join(map(str, losses))} was given."
        fail(UsageError, "SCR-POWER", problem, "Give finite ones.", "power")
    if not 0 < alpha < wanted < 1:
        problem = f"power is {wanted:g} and alpha {alpha:g}."
        fail(UsageError, "SCR-POWER", problem, "Choose 0 < alpha < power < 1, such as 0.05 and 0.8.", "power")
