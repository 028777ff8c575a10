"""Whether a hypothesis is specific: not supported where it should fail, and better than others of its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scrubbing.experiment.jobs import OTHER_VALUES
from scrubbing.experiment.measured import MEASURE, Measured, Reference
from scrubbing.experiment.verdict.needed import ALPHA, MARGIN, judged
from scrubbing.experiment.verdict.runs import MOVED, Rise, rise_of
from scrubbing.metrics.recovered import fraction, unbeaten
from scrubbing.metrics.slices import MAIN
from scrubbing.records.measured import ControlValue, SeveralTried
from scrubbing.records.tested import Unspecific
from scrubbing.stats.intervals import Means

Floats = NDArray[np.float64]
_MOVED = f"{MEASURE}{MOVED.name}"
_ROUNDING = 1e-9
P = 0.01
"""A hypothesis is better than chance where p is no larger than this."""


def outcome_of(control: ControlValue) -> str | None:
    """Whether a hypothesis is supported in a control, by the rule of the verdict; None without the null.

    Where the model of the control is no better than the null or the constant there is no performance to explain, so
    that no hypothesis is supported, whatever its losses.
    """
    null = next((one for one in control.recovered if one.baseline == "null"), None)
    if null is None:
        return None
    if null.fraction is None:
        return "nothing to explain"
    se = np.inf if null.fraction.se is None else null.fraction.se
    lost = Rise(1 - null.fraction.value, se, control.references, 1.0)
    words = {"idle": "supported", "needed": "not supported", "undecided": "undecided"}
    return words[judged(lost, ALPHA, MARGIN)]


@dataclass(frozen=True, eq=False)
class Others:
    """A hypothesis among others, on the same references. Those do as well that lose no more, with outputs no further
    from the model's own, and are not insufficient where everything unclaimed has a draw of its own.

    Losses alone would count what only adds noise that the labels do not depend on; and together, what relies on nodes
    that it leaves out.
    """

    own: Mapping[str, Mapping[str, Floats]]
    """Losses of the model, the hypothesis and the baselines, by slice."""
    scrub: Measured
    """The hypothesis, with how far its outputs are from the model's own."""
    others: Mapping[str, Measured]
    """The same of each other one, by name; those with other features too have names that say so."""
    apart: Mapping[str, Measured]
    """Of some of them, with everything unclaimed apart."""
    reference: Reference

    @cached_property
    def means(self) -> Means:
        """Of the losses."""
        weights = self.reference.weights()[MAIN]
        columns = {name: found[MAIN].reshape(len(weights), -1).mean(axis=1) for name, found in self.own.items()}
        return Means(columns, weights=weights)

    @cached_property
    def no_worse(self) -> list[str]:
        """Names of those that lose no more, with outputs no further away; to rounding."""
        lost, away = self.means.value("scrubbed"), self._mean(self.scrub.values[_MOVED])
        slack = _ROUNDING * max(1.0, abs(lost))
        return [
            name
            for name, one in self.others.items()
            if self._mean(one.losses()[MAIN]) <= lost + slack and self._mean(one.values[_MOVED]) <= away + slack
        ]

    def counted(self, wanted: int | None) -> SeveralTried:
        """How many do as well. Where there are few other places, and at one of them the same features do, the others
        are these places: random features beside them would only make it look rare.

        Args:
            wanted: how many others there were to be.
        """
        as_well = [name for name in self.no_worse if not self._insufficient_apart(name)]
        tried = list(self.others)
        places, found = (tuple(n for n in names if not n.startswith(OTHER_VALUES)) for names in (tried, as_well))
        number, of = (len(found), len(places)) if found else (len(as_well), len(tried))
        best = min(self._mean(one.losses()[MAIN]) for one in self.others.values())
        explained = "null" in self.own and unbeaten(self.means, "null") is None
        values = {name: self.means.value(name) for name in self.own}
        return SeveralTried(
            tried=of,
            wanted=wanted,
            as_well=number,
            p=(1 + number) / (1 + of),
            own=fraction(values, "null") if explained else None,
            best=fraction(values | {"scrubbed": best}, "null") if explained else None,
        )

    def _insufficient_apart(self, name: str) -> bool:
        """By the rule of the verdict."""
        if name not in self.apart or "null" not in self.own:
            return False
        rise = (self.apart[name].losses()[MAIN] - self.others[name].losses()[MAIN]).mean(axis=1)
        gap = self.means.value("null") - self.means.value("model")
        return gap > 0 and judged(rise_of(rise, self.reference.weights()[MAIN], gap), ALPHA) == "needed"

    def _mean(self, values: Floats) -> float:
        return float(np.average(values.mean(axis=1), weights=self.reference.weights()[MAIN]))


def unspecific(controls: Sequence[ControlValue]) -> list[Unspecific]:
    """Controls that should fail and do not, of those that were run."""
    return [_told(one) for one in controls if (_rivals(one) if _by_chance(one) else _outcome(one) == "supported")]


def unsettled(controls: Sequence[ControlValue]) -> list[Unspecific]:
    """Controls that should fail, and of which it is open whether they do: their own loss is too uncertain, or there are
    too few others for p to be small, of which none does as well.
    """
    return [_told(one) for one in controls if (not _rivals(one) if _by_chance(one) else _outcome(one) == "undecided")]


def _outcome(one: ControlValue) -> str | None:
    """Of a control that should fail."""
    return one.outcome if one.expected == "fails" else None


def _by_chance(one: ControlValue) -> bool:
    return one.several is not None and one.several.p > P


def _rivals(one: ControlValue) -> bool:
    return one.several is not None and one.several.as_well > 0


def _told(one: ControlValue) -> Unspecific:
    if (several := one.several) is not None:
        return Unspecific(control=one.name, tried=several.tried, as_well=several.as_well, p=several.p)
    null = next(each for each in one.recovered if each.baseline == "null").fraction
    return Unspecific(control=one.name, recovered=None if null is None else null.value)
