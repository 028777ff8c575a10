"""Pass, fail or inconclusive: an estimate held against a limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scrubbing.errors import counted
from scrubbing.stats.critical import Critical, fixed_size
from scrubbing.stats.influence import Influence

ALPHA = 0.05
_TOO_MANY = 2**40
_ROUNDS, _CLOSE = 30, 0.01


@dataclass(frozen=True)
class Verdict:
    """The result of a test against a limit, with the bounds it is based on."""

    outcome: Literal["pass", "fail", "inconclusive"]
    estimate: float
    low: float | None
    """Lower bound, wrong with probability alpha; together with `high` an interval of level 1 - 2 alpha. None where
    there is none: units are too few, or the denominator of a fraction may be zero."""
    high: float | None
    limit: float
    alpha: float
    n: int
    """Number of reference inputs (or clusters) that the verdict is based on."""
    needed: int | None = None
    """If inconclusive, about how many reference inputs would settle it if the estimate stayed as it is; None where
    that cannot be said."""
    reason: str = ""
    """If inconclusive, why."""


def at_most(x: Influence, limit: float, alpha: float = ALPHA, critical: Critical = fixed_size) -> Verdict:
    """Test whether a number is at most `limit`, such as the change of a loss with a margin (non-inferiority).

    Pass if its upper bound is at most the limit, fail if its lower bound is above it, otherwise inconclusive. A fail
    where the truth is at or below the limit, and a pass where it is at or above, each come with probability alpha at
    most. Losses that do not differ at all still have a bound above 0, since inputs that were not drawn may differ.

    Args:
        x: the estimate.
        limit: the largest acceptable value.
        alpha: chance of a false fail, and of a false pass; see `per_gate` for several gates.
        critical: `fixed_size`, or `AlwaysValid()` if the verdict decides whether more inputs are drawn.
    """
    low, high = x.bounds(critical, alpha)
    outcome = "pass" if high <= limit else "fail" if low > limit else "inconclusive"
    ends = (low if np.isfinite(low) else None, high if np.isfinite(high) else None)
    made = Verdict(outcome, x.estimate, *ends, limit, alpha, x.inputs)
    if outcome != "inconclusive":
        return made
    reason = "the limit is between the bounds"
    if x.n < 2 or np.isinf(critical(x.n, alpha)):
        least = first(lambda n: bool(np.isfinite(critical(n, alpha))), 1)
        reason = f"{counted(x.n, 'independent unit')}; bounds need {least}"
    return replace(made, needed=_needed(x, limit, alpha, critical), reason=reason)


def at_least(x: Influence, limit: float, alpha: float = ALPHA, critical: Critical = fixed_size) -> Verdict:
    """Test whether a number is at least `limit`, such as a fraction recovered with a floor.

    This is the mirror image of `at_most`.
    """
    mirrored = at_most(-x, -limit, alpha, critical)
    low, high = (None if bound is None else -bound for bound in (mirrored.high, mirrored.low))
    return replace(mirrored, estimate=x.estimate, low=low, high=high, limit=limit)


def _needed(x: Influence, limit: float, alpha: float, critical: Critical) -> int | None:
    """Inputs at which the bound that faces the limit would reach it, within 1 %, if they are like those there are."""
    if x.n < 2 or not np.isfinite(x.estimate) or x.estimate == limit:
        return None
    sign = 1 if x.estimate <= limit else -1
    facing, distance = x if sign == 1 else -x, abs(limit - x.estimate)
    least = float(first(lambda n: bool(np.isfinite(critical(n, alpha))), x.n) or _TOO_MANY)
    units = least
    power, before = 1.5, None  # distance^-2 where the spread decides, distance^-1 where the further unit does
    for _ in range(_ROUNDS):
        if not 1 < units < _TOO_MANY:
            return None
        with np.errstate(divide="ignore"):
            missing = float(np.log((facing.upper(critical, alpha, int(np.ceil(units))) - facing.estimate) / distance))
        if missing <= 0 and (missing > -_CLOSE or units == least):
            break
        if before is not None and before[1] != missing:
            power = float(np.clip(np.log(units / before[0]) / (before[1] - missing), 0.5, 2.5))
        before = (units, missing)
        units = max(least, units * np.exp(power * (missing + _CLOSE / 2)))
    return int(np.ceil(np.ceil(units) * x.inputs / x.n))


def first(holds: Callable[[int], bool], start: int) -> int | None:
    """The first number from `start` where something holds that then goes on to hold; None if that is very large."""
    low, high = start - 1, start
    while not holds(high):
        low, high = high, 2 * high
        if high > _TOO_MANY:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
