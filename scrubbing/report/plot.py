"""Figures for papers, with matplotlib: what a ladder recovers, against its size, losses, and losses per input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal, get_args

from scrubbing.errors import FileError, UsageError, fail, nearest
from scrubbing.numbers import RECOVERED
from scrubbing.records.inputs import InputTable
from scrubbing.records.schema import Number, RunRecord
from scrubbing.report.frames import missing
from scrubbing.report.view import Entry, cautions, entries, names
from scrubbing.report.view.outcome import unit
from scrubbing.report.view.single import scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Kind = Literal["recovered", "size", "losses", "inputs"]

_MM = 1 / 25.4
WIDTHS = {"single": 89 * _MM, "double": 183 * _MM}
"""Widths of one and of two columns of a journal, in inches."""
_STYLES = [("#0072B2", "D"), ("#000000", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "v"), ("#E69F00", "P")]
"""Colours of Okabe and Ito (2008), and markers, so that neither colour-blind eyes nor grey print lose anything."""
_RC = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "scrubbing",  # equal figures give equal files
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar sign in a name is one
}
_LEAST = -1.0
"""Fraction recovered at which an axis ends at the latest; what is worse is an arrow with its number."""


def plot(
    records: Sequence[RunRecord | Entry],
    path: str | Path,
    kind: Kind = "recovered",
    width: Literal["single", "double"] = "single",
    inputs: Sequence[InputTable | None] | Mapping[str, InputTable] | None = None,
) -> Path:
    """Draw records to a file whose extension gives the format: `.svg`, `.pdf` or `.png`.

    Differences between the records, and other cautions that a table of them would show, stand above the figure. Equal
    records give equal files.

    Args:
        records: records to draw; an `Entry` carries its values per input.
        path: path of the file to write.
        kind: `recovered` for the loss recovered against each baseline, with intervals; `size` for the loss recovered of
            the null against the bits claimed, with a line through those of which none claims less and recovers more;
            `losses` for the losses of
            model, scrubbed model and baselines; `inputs` for the loss of the scrubbed model against that of the model,
            with a point per input.
        width: width of the figure: one column (89 mm) or two (183 mm).
        inputs: for the kind `inputs`, values per input in the order of the records. (A mapping by hypothesis name is
            deprecated.)

    Raises:
        UsageError: SCR-EXTRA, matplotlib is not installed; SCR-PLOT, no such kind, width or format, or nothing to draw.
        FileError: SCR-FILE, the file cannot be written.
    """
    target = Path(path)
    _one_of("a format", target.suffix.lower(), (".svg", ".pdf", ".png"))
    _one_of("a kind of figure", kind, get_args(Kind))
    _one_of("a width", width, tuple(WIDTHS))
    given = entries(records, inputs)
    called = names([entry.record for entry in given])
    drawn = [(name, one) for name, one in zip(called, given, strict=True) if kind != "inputs" or one.inputs is not None]
    told = {"inputs": "values per input"}.get(kind, "records")
    if kind == "recovered" and drawn and not any(one.fraction for _, entry in drawn for one in entry.record.recovered):
        told, drawn = "fractions recovered", []
    if kind == "size":
        told, drawn = "fractions of the null with a size", [one for one in drawn if _place(one[1].record) is not None]
    if not drawn:
        remedy = "Pass at least one, in the order of the records; where there is no fraction, draw the losses."
        fail(UsageError, "SCR-PLOT", f"there are no {told} to draw.", remedy)
    try:
        from matplotlib import rc_context
    except ImportError:
        missing("matplotlib")
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[target.suffix.lower()]
    with rc_context(_RC):
        figure = _figure([name for name, _ in drawn], [entry for _, entry in drawn], kind, WIDTHS[width])
        try:
            figure.savefig(target, metadata=dates, dpi=300)
        except OSError as error:
            problem = f"the figure cannot be written ({error.strerror})."
            fail(FileError, "SCR-FILE", problem, "Choose a folder you can write.", str(target))
    return target


def _one_of(what: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        remedy = f"There are: {nearest('', known)}."
        fail(UsageError, "SCR-PLOT", f"{given!r} is not {what}.", remedy)


def _figure(called: Sequence[str], drawn: Sequence[Entry], kind: Kind, width: float) -> Figure:
    from matplotlib.figure import Figure

    records = [entry.record for entry in drawn]
    said = "\n".join(fill(line, int(width * 21)) for line in cautions(records))
    room = 3.2 * (said.count("\n") + 1) if said else 0
    if kind == "inputs":
        columns = min(len(records), 1 if width < 4 else 3)
        lines = -(-len(records) // columns)
        figure = Figure((width, lines * width / columns + (8 + room) * _MM), layout="constrained")
        for i, (name, entry) in enumerate(zip(called, drawn, strict=True)):
            _inputs(figure.add_subplot(lines, columns, i + 1), name, entry)
    elif kind == "size":
        figure = Figure((width, 0.8 * width + room * _MM), layout="constrained")
        _sizes(figure.add_subplot(), called, records)
    else:
        height = {"recovered": 3 * len(_losses_of(records)) - 4, "losses": 6}[kind]
        figure = Figure((width, (20 + height * len(records) + room) * _MM), layout="constrained")
        axes = figure.add_subplot()
        (_recovered if kind == "recovered" else _losses)(axes, records)
        axes.set_yticks(range(len(records)), list(called))
        axes.set_ylim(len(records) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside lower center", ncols=3 if width < 4 else 6, handletextpad=0.2, columnspacing=1.2)
    if said:
        figure.suptitle(said, x=0.01, ha="left", fontsize=6)
    return figure


def _recovered(axes: Axes, records: Sequence[RunRecord]) -> None:
    names = [name for name in _losses_of(records) if any(_fraction(record, name) for record in records)]
    for i, name in enumerate(names):
        shift = 0.7 * ((i + 0.5) / len(names) - 0.5)
        rows = [(y + shift, _fraction(record, name)) for y, record in enumerate(records)]
        for y, fraction in rows:
            if fraction is not None and fraction.value < _LEAST:
                colour, _ = _style(records, name)
                axes.plot(100 * _LEAST + 2, y, marker="<", color=colour, markersize=4, linestyle="")
                text = RECOVERED.one(fraction.value).removesuffix(RECOVERED.unit)
                axes.annotate(text, (100 * _LEAST, y), (9, 0), textcoords="offset points", va="center", fontsize=6)
        inside = [(y, fraction) for y, fraction in rows if fraction is not None and fraction.value >= _LEAST]
        _points(axes, inside, records, name, 100)
    left, right = axes.get_xlim()
    axes.set_xlim(max(100 * _LEAST, min(0, left)), max(103, min(right, 203)))
    axes.axvline(0, color="0.6", linewidth=0.6, zorder=0)
    axes.set_xlabel("loss recovered, % (95 % interval), of")


def _losses(axes: Axes, records: Sequence[RunRecord]) -> None:
    for name in _losses_of(records):
        rows = [(y, record.losses[name]) for y, record in enumerate(records) if name in record.losses]
        _points(axes, rows, records, name, 1)
    axes.set_xlabel(f"loss, {' or '.join(dict.fromkeys(map(unit, records)))} (95 % interval)")


def _points(
    axes: Axes, rows: Sequence[tuple[float, Number]], records: Sequence[RunRecord], name: str, scale: float
) -> None:
    colour, marker = _style(records, name)
    ends = [[scale * max(0.0, _difference(number, side)) for _, number in rows] for side in ("low", "high")]
    options: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4, "linestyle": "", "elinewidth": 1}
    # Hollow baselines: scrubbed and model stand out where they overlap.
    face = colour if name in ("scrubbed", "model") else "white"
    x = [scale * number.value for _, number in rows]
    axes.errorbar(x, [y for y, _ in rows], xerr=ends, label=name, markerfacecolor=face, **options)


def _place(record: RunRecord) -> tuple[float, Number] | None:
    """Bits claimed, and what is recovered of the null."""
    fraction = _fraction(record, "null")
    bits = None if record.size is None else record.size.claimed
    return None if bits is None or fraction is None else (bits, fraction)


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which of some hypotheses no other one beats, the smallest first: the Pareto front.

    Args:
        points: bits claimed and loss recovered of each. One is beaten by another that claims no more and recovers no
            less, and differs in one of them.
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    kept: list[int] = []
    for i in order:
        if not kept or points[i][1] > points[kept[-1]][1] or points[i] == points[kept[-1]]:
            kept.append(i)
    return kept


def _sizes(axes: Axes, called: Sequence[str], records: Sequence[RunRecord]) -> None:
    colour, marker = _style(records, "scrubbed")
    places = [place for record in records if (place := _place(record)) is not None]
    points = [(bits, 100 * fraction.value) for bits, fraction in places]
    best = front(points)
    axes.plot(
        *zip(*(points[i] for i in best), strict=True), color="0.6", linewidth=0.8, drawstyle="steps-post", zorder=0
    )
    options: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4, "linestyle": "", "elinewidth": 0.8}
    for i, ((x, y), (_, fraction), name) in enumerate(zip(points, places, called, strict=True)):
        ends = [[100 * max(0.0, _difference(fraction, side))] for side in ("low", "high")]
        axes.errorbar([x], [y], yerr=ends, markerfacecolor=colour if i in best else "white", **options)
        axes.annotate(name, (x, y), (4, -2), textcoords="offset points", fontsize=6, va="top")
    lowest = min([0.0, *(100 * (f.value if f.low is None else f.low) for _, f in places)])
    axes.set_ylim(max(100 * _LEAST, lowest) - 3, 103)
    axes.set_xscale("symlog", linthresh=1)  # one claim of whole inputs is a hundred others
    most = 2 * max([1.0, *(x for x, _ in points)])  # with room for names
    ticks = [0.0, *(10.0**power for power in range(int(most).bit_length()) if 10.0**power <= most)]
    axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])  # its own are formulas, which are off
    axes.set_xlim(0, most)
    axes.set_xlabel("bits claimed, summed over claims\n(filled: none claims less and recovers more)")
    axes.set_ylabel("loss recovered of the null, % (95 % interval)")


def _difference(number: Number, side: str) -> float:
    if number.low is None or number.high is None:
        return 0.0
    return number.value - number.low if side == "low" else number.high - number.value


def _fraction(record: RunRecord, baseline: str) -> Number | None:
    one = record.recovered_of(baseline)
    return None if one is None else one.fraction


def _losses_of(records: Sequence[RunRecord]) -> list[str]:
    """Every loss, the scrubbed model's first."""
    return list(dict.fromkeys(["scrubbed", "model", *(name for record in records for name in record.losses)]))


def _style(records: Sequence[RunRecord], name: str) -> tuple[str, str]:
    """A loss looks the same in every kind of figure of the same records."""
    return _STYLES[_losses_of(records).index(name) % len(_STYLES)]


def _inputs(axes: Axes, name: str, entry: Entry) -> None:
    axes.set_aspect("equal")
    axes.set_title(name, fontsize=7)
    found = None if entry.inputs is None else scatter(entry.record, entry.inputs)
    if found is None:
        return
    axes.set_xlabel(found.across)
    axes.set_ylabel(found.up)
    places, texts = zip(*found.axis.ticks, strict=True)
    axes.plot([0, 100], [0, 100], color="0.5", linewidth=0.6, linestyle="--", zorder=0)
    axes.plot(
        *zip(*found.points, strict=True), linestyle="", marker=".", markersize=2.5, color=_STYLES[0][0], alpha=0.6
    )
    axes.set_xticks(places, texts)
    axes.set_yticks(places, texts)
    axes.set_xlim(-2, 102)
    axes.set_ylim(-2, 102)
