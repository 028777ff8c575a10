"""Coordinates of the page's charts: plain numbers, which the templates turn into SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    scale = _for(np.concatenate([model, scrubbed]))
    return Scatter(scale, [(scale.at(float(model[i])), scale.at(float(scrubbed[i]))) for i in shown], len(model))


@dataclass(frozen=True)
class Lane:
    """Losses of the inputs in one row: bars of the scrubbed model above a line, of the model below it."""

    name: str
    inputs: int
    above: Sequence[tuple[float, float]]
    """Place in per cent of the width, and height from 0 to 1: the square root of the share of inputs."""
    below: Sequence[tuple[float, float]]
    medians: tuple[float, float]
    """Places, of the scrubbed model and of the model."""


@dataclass(frozen=True)
class Distribution:
    """How losses spread over inputs, a row for each group of inputs, on one axis."""

    title: str
    axis: Axis
    lanes: Sequence[Lane]
    bar: float
    """Width of a bar, in per cent."""
    caption: str = ""


BARS = 50
"""Of a histogram."""


def distribution(
    title: str, model: NDArray[Any], scrubbed: NDArray[Any], groups: Sequence[tuple[str, NDArray[np.bool_]]]
) -> Distribution:
    """The distribution of two losses over groups of inputs, as histograms on one axis.

    Args:
        title: what the losses are, with their unit.
        model: `[n]`, losses of the model.
        scrubbed: `[n]`, of the scrubbed model.
        groups: names of groups, each with who is in it, `[n]`; at least one input is.
    """
    scale = _for(np.concatenate([model, scrubbed]))

    def bars(values: NDArray[Any]) -> list[tuple[float, float]]:
        places = np.array([scale.at(float(value)) for value in values])
        bins = np.minimum((places * BARS / 100).astype(int), BARS - 1)
        there = zip(*np.unique(bins, return_counts=True), strict=True)
        return [(100 * int(i) / BARS, round(math.sqrt(number / len(values)), 3)) for i, number in there]

    lanes: list[Lane] = []
    for name, where in groups:
        medians = scale.at(float(np.median(scrubbed[where]))), scale.at(float(np.median(model[where])))
        lanes.append(Lane(name, int(where.sum()), bars(scrubbed[where]), bars(model[where]), medians))
    return Distribution(title, scale, lanes, 100 / BARS)


def _for(values: NDArray[Any]) -> Axis:
    """An axis for losses: logarithmic where most are less than a hundredth of the highest."""
    high = max(float(values.max()), 10 * FLOOR)
    log = bool(values.min() >= 0 and np.median(values) < high / 100)
    return Axis(FLOOR, high, log) if log else Axis(min(0.0, float(values.min())), high)


@dataclass(frozen=True)
class Point:
    """One hypothesis in a picture of size against loss recovered, in per cent of the width and of the height."""

    number: int
    name: str
    x: float
    y: float
    found: bool
    on_front: bool


@dataclass(frozen=True)
class Front:
    """What is recovered against what is claimed."""

    across: Axis
    up: Axis
    points: Sequence[Point]
    caption: str = ""

    @property
    def line(self) -> Sequence[Point]:
        """The points on the front, the smallest first."""
        return sorted((one for one in self.points if one.on_front), key=lambda one: one.x)


def front(points: Sequence[tuple[int, str, float, float, bool]], best: Set[int]) -> Front | None:
    """The picture of points `(number, name, bits claimed, fraction recovered, found)`; None where there are none.

    Args:
        points: to draw.
        best: numbers of those on the front.
    """
    if not points:
        return None
    across = axis(0.0, max(size for _, _, size, *_ in points))
    up = Axis(max(LEAST, min(0.0, *(100 * share for *_, share, _ in points), 0.0)), 100.0)
    drawn = [Point(i, name, across.at(x), up.at(100 * y), found, i in best) for i, name, x, y, found in points]
    return Front(across, up, drawn)
