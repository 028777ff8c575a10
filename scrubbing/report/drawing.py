"""Coordinates of the page's charts: plain numbers, which the templates turn into SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from scrubbing.numbers import RECOVERED, Form
from scrubbing.records.inputs import LOSS, InputTable
from scrubbing.records.schema import Number

POINTS = 1_500
"""Most points of a scatter."""
FLOOR = 1e-3
"""Losses below this are drawn here on a logarithmic axis; nobody needs to tell them apart."""
LEAST = -100.0
"""Per cent recovered at which an axis ends at the latest: what is worse is an arrow, and a number."""


@dataclass(frozen=True)
class Axis:
    """An axis, which maps values to per cent of the width."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Place of a value; what lies outside is put on the edge."""
        low, high, value = (math.log(max(x, FLOOR)) if self.log else x for x in (self.low, self.high, value))
        return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places and texts of a few round values."""
        if self.log:
            first, last = round(math.log10(self.low)), math.floor(math.log10(self.high) + 1e-9)
            texts = [f"{10.0**power:g}" for power in range(first, last + 1)]
            return [(self.at(float(text)), "≤ " * (i == 0) + text) for i, text in enumerate(texts)]
        rough = (self.high - self.low) / 6
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(self.at(i * step), f"{i * step + 0.0:.6g}") for i in range(first, last + 1)]


def axis(low: float, high: float) -> Axis:
    """An axis that has a width also where all values are one."""
    return Axis(low, high if high > low else low + max(1.0, abs(low)))


@dataclass(frozen=True)
class Mark:
    """One value: a row with a name, the value in words, and a glyph with its interval."""

    name: str
    text: str
    kind: str
    """The glyph: `model`, `scrubbed`, `baseline`, or `outside` for a value left of the axis."""
    at: float
    low: float
    high: float


@dataclass(frozen=True)
class Scale:
    """Values in rows over one axis."""

    title: str
    axis: Axis
    marks: Sequence[Mark]
    guides: Sequence[float] = field(default_factory=list[float])
    """Places of dashed lines through all rows."""


def losses(title: str, values: Sequence[tuple[str, Number]], form: Form) -> Scale:
    """Model and scrubbed model, and every baseline from the best to the worst, on one axis."""
    by_name = dict(values)
    ends = [end for one in by_name.values() for end in (one.value, one.high) if end is not None]
    scale = axis(min([0.0, *ends]), max(ends))
    named = [name for name in ("model", "scrubbed") if name in by_name]
    order = named + sorted(by_name.keys() - set(named), key=lambda name: by_name[name].value)
    marks = [_mark(scale, name, by_name[name], form, name if name in named else "baseline") for name in order]
    return Scale(title, scale, marks, [scale.at(by_name[name].value) for name in named])


def fractions(title: str, values: Iterable[tuple[str, Number | None]], form: Form = RECOVERED) -> Scale | None:
    """Fractions on an axis up to 100 %; None where there are none."""
    there = [(name, one) for name, one in values if one is not None]
    if not there:
        return None
    ends = [100 * end for _, one in there for end in (one.value, one.low) if end is not None]
    most = max(100 * one.value for _, one in there)
    scale = Axis(max(LEAST, min([0.0, *ends])), max(100.0, min(most, 200.0)))
    marks = [_mark(scale, name, one, form, "scrubbed", 100.0) for name, one in there]
    return Scale(title, scale, marks, [scale.at(0.0)] if scale.low < 0 else [])


def _mark(scale: Axis, name: str, number: Number, form: Form, kind: str, times: float = 1.0) -> Mark:
    low, high = (number.value if end is None else end for end in (number.low, number.high))
    text = form.interval(number.value, number.low, number.high)
    kind = "outside" if times * number.value < scale.low else kind
    return Mark(name, text, kind, *(scale.at(times * value) for value in (number.value, low, high)))


@dataclass(frozen=True)
class Scatter:
    """Loss of the model against that of the scrubbed model, a point per input, on two equal axes."""

    axis: Axis
    points: Sequence[tuple[float, float]]
    """Per cent of the width, and of the height from below."""
    total: int
    """Inputs, of which some may be left out."""
    across: str = ""
    """Label of the horizontal axis,"""
    up: str = ""
    """and of the vertical one."""
    caption: str = ""


def scatter(inputs: InputTable) -> Scatter | None:
    """The scatter of a table of inputs; None where none is counted.

    Of more than `POINTS` inputs, every so-many-th in the order of the difference is shown: both extremes, and the
    shape of what lies between. Axes are logarithmic where most losses are less than a hundredth of the highest.
    """
    rows = inputs.counted()
    if not len(rows):
        return None
    model, scrubbed = (np.asarray(rows[LOSS + name], dtype=float) for name in ("model", "scrubbed"))
    order = np.argsort(scrubbed - model, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(POINTS, len(order))).round().astype(int))]
    both = np.concatenate([model, scrubbed])
    high = max(float(both.max()), 10 * FLOOR)
    log = bool(both.min() >= 0 and np.median(both) < high / 100)
    scale = Axis(FLOOR, high, log) if log else Axis(min(0.0, float(both.min())), high)
    return Scatter(scale, [(scale.at(float(model[i])), scale.at(float(scrubbed[i]))) for i in shown], len(model))
