"""Several records in the terminal: a list, a comparison of two, and how many references a change needs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scrubbing.metrics.recovered import recovered
from scrubbing.records.inputs import LOSS, Inputs
from scrubbing.records.schema import RunRecord
from scrubbing.report.words import worse
from scrubbing.stats.critical import fixed_size
from scrubbing.stats.influence import Influence, Losses, mean_loss
from scrubbing.stats.paired import compare
from scrubbing.stats.power import references_needed, smallest_change

_SHARES = (0.1, 0.2, 0.5, 1.0)
"""Changes to plan for where none is asked for, in standard deviations."""


def listing(records: Sequence[tuple[str, RunRecord]]) -> str:
    """One line per record. Plain text: a table of rich takes a second for a thousand rows."""
    rows = [("record", "when", "references", "loss", "recovered", "of", "")]
    for path, record in records:
        main = next((one for one in record.recovered if one.baseline == record.zero), None)
        share = "-" if main is None or main.fraction is None else f"{100 * main.fraction.value:.1f} %"
        when = record.provenance.when[:16].replace("T", " ")
        loss = f"{record.losses['scrubbed'].value:.3f}"
        rows.append(
            (path, when, f"{record.choices.references:,}", loss, share, record.zero, "!" if worse(record) else "")
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    if any(row[-1] == "!" for row in rows):
        lines.append("! worse than the constant model")
    return "\n".join(line.rstrip() for line in lines)


def comparison(before: tuple[RunRecord, Inputs], after: tuple[RunRecord, Inputs], alpha: float) -> RenderableType:
    """Losses and fractions of two runs on the inputs they share, and their paired differences."""
    both = before[1].names(LOSS).keys() & after[1].names(LOSS).keys()
    names = [name for name in ("model", "scrubbed", "null") if name in both]
    old, new = (Losses(i["id"], i.names(LOSS), i["weight"], i.clusters, i.ceiling()) for _, i in (before, after))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(before[0].hypothesis)
    for name in ("before", "after", f"change [{100 * (1 - 2 * alpha):g} %]"):
        table.add_column(name, justify="right")
    common = 0
    for name in names:
        found = compare(old, new, lambda losses, name=name: mean_loss(losses, name))
        common = len(found.ids)
        table.add_row(f"{name} loss", *_cells(found.before, found.after, found.change, alpha))
    zero = after[0].zero
    if before[0].zero == zero and f"{LOSS}{zero}" in before[1]:
        found = compare(old, new, lambda losses: recovered(losses, zero))
        table.add_row(f"recovered of {zero}", *_cells(found.before, found.after, found.change, alpha))
    return Group(table, Text(f"on {common:,} common references, paired", style="dim"))


def _cells(before: Influence, after: Influence, change: Influence, alpha: float) -> tuple[str, str, str]:
    low, high = change.bounds(fixed_size, alpha)
    return f"{before.estimate:.3f}", f"{after.estimate:.3f}", f"{change.estimate:+.3f} [{low:+.3f}, {high:+.3f}]"


def planning(
    sd: float, n: int, change: float | None, margin: float, wanted: float, alpha: float, paired: bool, reach: float
) -> RenderableType:
    """References needed for a change, or for several."""
    changes = [change] if change is not None else [margin + share * sd for share in _SHARES if sd > 0]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("change (nats)", "references needed"):
        table.add_column(name, justify="right")
    for one in changes:
        table.add_row(f"{one:+.3f}", f"{references_needed(sd, one, margin, wanted, alpha, reach=reach):,}")
    least = smallest_change(n, sd, margin, wanted, alpha, reach=reach)
    how = "of the paired difference" if paired else "of the loss of one run: a paired difference usually varies less"
    told = (
        f"sd {sd:.3f} nats per reference ({how}); margin {margin:g}, power {wanted:g}, alpha {alpha:g}. "
        f"With these {n:,} references the smallest rise seen is {least:.3f} nats."
    )
    return Group(table, Text(told, style="dim"))
