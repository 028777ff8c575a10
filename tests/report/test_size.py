"""What is recovered against what is claimed: the front, and the figure."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from matplotlib import rc_context

from scrubbing import UsageError
from scrubbing.report import plot
from scrubbing.report.plot import _RC, WIDTHS, Kind, _figure, front
from scrubbing.report.view import Entry

POINTS = {
    "a ladder": ([(1, 0.5), (2, 0.7), (3, 0.9)], [0, 1, 2]),
    "one is beaten": ([(1, 0.5), (2, 0.4), (3, 0.9)], [0, 2]),
    "as much for less": ([(3, 0.9), (2, 0.9)], [1]),
    "more for as much": ([(2, 0.8), (2, 0.9)], [1]),
    "equals": ([(2, 0.9), (2, 0.9), (1, 0.1)], [2, 0, 1]),
    "negative": ([(0, -0.5), (5, -0.2)], [0, 1]),
    "one": ([(4, 1.0)], [0]),
}


@pytest.mark.parametrize("case", POINTS)
def test_the_front(case):
    points, wanted = POINTS[case]
    assert front(points) == wanted
    beaten = set(range(len(points))) - set(wanted)
    for i in beaten:
        x, y = points[i]
        assert any(a <= x and b >= y and (a, b) != (x, y) for a, b in points)


def sized(full, name, claimed, value):
    """A record with so many bits that recovers so much of the null."""
    null = next(one for one in full.recovered if one.baseline == "null")
    fraction = null.fraction.model_copy(update={"value": value, "low": value, "high": value})
    recovered = [null.model_copy(update={"fraction": fraction})]
    size = full.size.model_copy(update={"claimed": claimed})
    return full.model_copy(update={"hypothesis": name, "size": size, "recovered": recovered})


def test_the_figure(full, tmp_path):
    made = [sized(full, "small", 1.0, 0.4), sized(full, "beaten", 4.0, 0.3), sized(full, "large", 6.0, 0.95)]
    text = plot(made, tmp_path / "size.svg", "size").read_text()
    for name in ("small", "beaten", "large", "bits claimed"):
        assert re.search(rf">[^<]*{name}", text), name


def test_records_without_a_size(full, tmp_path):
    record = full.model_copy(update={"size": full.size.model_copy(update={"claimed": None})})
    with pytest.raises(UsageError, match=r"SCR-PLOT.*no fractions of the null with a size to draw"):
        plot([record], tmp_path / "size.svg", "size")


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("width", WIDTHS)
def test_words_at_the_axes_of_every_figure_are_not_cut(kind, width, full, inputs):
    with rc_context(_RC):
        figure = _figure(["found"], [Entry(sized(full, "found", 8.3, 0.9), inputs)], kind, WIDTHS[width])
        figure.draw_without_rendering()
    labels = [one for axes in figure.axes for one in (axes.xaxis.label, axes.yaxis.label) if one.get_text()]
    assert labels
    for label in labels:
        box = label.get_window_extent()
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, label.get_text()
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, label.get_text()
