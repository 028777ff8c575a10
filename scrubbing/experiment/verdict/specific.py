"""Whether a hypothesis is specific: not supported where it should fail, and better than others of its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scrubbing.experiment.measured import MEASURE, Measured, Reference
from scrubbing.experiment.verdict.needed import ALPHA, MARGIN, judged
from scrubbing.experiment.verdict.runs import MOVED, Rise
from scrubbing.metrics.recovered import fraction, unbeaten
from scrubbing.metrics.slices import MAIN
from scrubbing.records.measured import ControlValue, SeveralTried
from scrubbing.records.tested import Unspecific
from scrubbing.stats.intervals import Means

Floats = NDArray[np.float64]
_MOVED = f"{MEASURE}{MOVED.name}"
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


def several_of(
    own: Mapping[str, Mapping[str, Floats]],
    scrub: Measured,
    others: Sequence[Measured],
    reference: Reference,
    wanted: int | None,
) -> SeveralTried:
    """How many of several hypotheses do as well as one: lose no more, with outputs no further from the model's own.

    Losses alone would count what only adds noise that the labels do not depend on.

    Args:
        own: losses of the model, the hypothesis and the baselines, by slice.
        scrub: what was measured of the hypothesis, with how far its outputs are from the model's own.
        others: the same of each other one.
        reference: on which all of them were scrubbed.
        wanted: how many others there were to be.
    """
    weights = reference.weights()[MAIN]
    columns = {name: found[MAIN].reshape(len(weights), -1).mean(axis=1) for name, found in own.items()}

    def mean(values: Floats) -> float:
        return float(np.average(values.mean(axis=1), weights=weights))

    lost, moved = [mean(one.losses()[MAIN]) for one in others], [mean(one.values[_MOVED]) for one in others]
    away = mean(scrub.values[_MOVED])
    means = Means(columns, weights=weights)
    as_well = sum(a <= means.value("scrubbed") and b <= away for a, b in zip(lost, moved, strict=True))
    explained = "null" in columns and unbeaten(means, "null") is None
    values = {name: means.value(name) for name in columns}
    return SeveralTried(
        tried=len(others),
        wanted=wanted,
        as_well=as_well,
        p=(1 + as_well) / (1 + len(others)),
        own=fraction(values, "null") if explained else None,
        best=fraction(values | {"scrubbed": min(lost)}, "null") if explained else None,
    )


def unspecific(controls: Sequence[ControlValue]) -> list[Unspecific]:
    """Controls that should fail and do not, of those that were run.

    Of several others at least one has to do as well: where there are too few for p to be small, that none does is no
    evidence against the hypothesis.
    """
    found: list[Unspecific] = []
    for one in controls:
        several = one.several
        if several is not None and several.p > P and several.as_well:
            found.append(Unspecific(control=one.name, tried=several.tried, as_well=several.as_well, p=several.p))
        if one.expected == "fails" and one.outcome == "supported":
            null = next(each for each in one.recovered if each.baseline == "null").fraction
            found.append(Unspecific(control=one.name, recovered=None if null is None else null.value))
    return found
