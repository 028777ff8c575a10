"""Where things go in the page's charts: plain numbers, which the templates turn into SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from scrubbing.records.inputs import LOSS, Inputs
from scrubbing.records.schema import Number, RunRecord
from scrubbing.report.words import of, share, unit

POINTS = 1_500
"""Most points of a scatter."""
FLOOR = 1e-3
"""Losses of fewer nats are drawn here on a logarithmic axis; nobody needs to tell them apart."""
LEAST = -100.0
"""Per cent recovered at which an axis ends at the latest: what is worse is an arrow, and a number."""


@dataclass(frozen=True)
class Axis:
    """From values to per cent of the width."""

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
        return [(self.at(i * step), f"{round(i * step, 10):g}") for i in range(first, last + 1)]


@dataclass(frozen=True)
class Mark:
    """One value: a row with a name, the value in words, and a glyph with its interval."""

    name: str
    told: str
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
    marks: list[Mark]
    guides: list[float] = field(default_factory=list)
    """Places of dashed lines through all rows."""


def loss_scale(record: RunRecord) -> Scale:
    """Model, scrubbed model, and every baseline from the best to the worst, on one axis of losses."""
    losses = record.losses
    highest = max(one.value if one.high is None else one.high for one in losses.values())
    axis = Axis(min(0.0, *(one.value for one in losses.values())), highest if highest > 0 else 1.0)
    named = [name for name in ("model", "scrubbed") if name in losses]
    order = named + sorted(losses.keys() - set(named), key=lambda name: losses[name].value)
    kinds = {name: name for name in named}
    marks = [_mark(axis, name, losses[name], str(losses[name]), kinds.get(name, "baseline")) for name in order]
    return Scale(f"Loss, {unit(record)}", axis, marks, [axis.at(losses[name].value) for name in named])


def recovered_scale(record: RunRecord) -> Scale:
    """What one record recovers of each baseline."""
    return _fractions("Loss recovered, %", [(one.baseline, one.fraction) for one in record.recovered])


def compared_scale(records: Sequence[RunRecord], names: Iterable[str]) -> Scale:
    """What several records recover of the zero of the first."""
    zero = records[0].zero
    found = [(name, of(record, zero)) for name, record in zip(names, records, strict=True)]
    return _fractions(f"Loss recovered of {zero}, %", [(name, one and one.fraction) for name, one in found])


def _fractions(title: str, rows: Iterable[tuple[str, Number | None]]) -> Scale:
    there = [(name, fraction) for name, fraction in rows if fraction is not None]
    ends = [100 * (fraction.value if fraction.low is None else fraction.low) for _, fraction in there]
    axis = Axis(max(LEAST, min([0.0, *ends])), 100.0)
    marks: list[Mark] = []
    for name, one in there:
        scaled = Number(value=100 * one.value, se=None, low=one.low and 100 * one.low, high=one.high and 100 * one.high)
        marks.append(_mark(axis, name, scaled, share(one), "scrubbed"))
    return Scale(title, axis, marks, [axis.at(0.0)] if axis.low < 0 else [])


def _mark(axis: Axis, name: str, number: Number, told: str, kind: str) -> Mark:
    low, high = (number.value if end is None else end for end in (number.low, number.high))
    outside = number.value < axis.low
    return Mark(name, told, "outside" if outside else kind, axis.at(number.value), axis.at(low), axis.at(high))


@dataclass(frozen=True)
class Scatter:
    """Loss of the model against that of the scrubbed model, a point per input, on two equal axes."""

    axis: Axis
    points: list[tuple[float, float]]
    """Per cent of the width, and of the height from below."""
    total: int
    """Inputs, of which some may be left out."""


def scatter(inputs: Inputs) -> Scatter | None:
    """The scatter of a table of inputs; None where none is counted.

    Of more than `POINTS` inputs, every so-many-th in the order of the difference is shown: both extremes, and the
    shape of what lies between. Axes are logarithmic where most losses are less than a hundredth of the highest.
    """
    model, scrubbed, _ = losses(inputs)
    if not len(model):
        return None
    order = np.argsort(scrubbed - model, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(POINTS, len(order))).round().astype(int))]
    both = np.concatenate([model, scrubbed])
    high = max(float(both.max()), 10 * FLOOR)
    log = bool(both.min() >= 0 and np.median(both) < high / 100)
    axis = Axis(FLOOR, high, log) if log else Axis(min(0.0, float(both.min())), high)
    return Scatter(axis, [(axis.at(float(model[i])), axis.at(float(scrubbed[i]))) for i in shown], len(model))


def losses(inputs: Inputs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Losses of model and scrubbed model, and the rows they are of: inputs in which anything is counted."""
    rows = np.flatnonzero(inputs["weight"] > 0) if "weight" in inputs else np.arange(len(inputs))
    model, scrubbed = (np.asarray(inputs[LOSS + name], dtype=float)[rows] for name in ("model", "scrubbed"))
    return model, scrubbed, rows
