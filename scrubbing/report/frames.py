"""Records as a pandas table: the named facts of the view, a row per record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from scrubbing.errors import UsageError, fail
from scrubbing.records.schema import RunRecord
from scrubbing.report.view import Entry, cautions, named, said, view

if TYPE_CHECKING:
    import pandas


def to_frame(records: Iterable[RunRecord | Entry]) -> pandas.DataFrame:
    """A pandas table of records, one row each, in their order.

    Columns: `hypothesis`, `claim`, `notes` (one sentence per line), `unlike` (differences between the records, the same
    in every row); `loss.NAME`, `recovered.NAME`, `lost`, measures by name, `raised`, `lowered`, `recalibrated`,
    `stratum.NAME`, `slice.NAME.loss.LOSS`, `control.NAME.recovered` and every other named value of the page, with the
    ends of its interval as `.low` and `.high`; choices and provenance. Values that a record lacks are NaN.

    Raises:
        UsageError: SCR-EXTRA, pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        missing("pandas")
    entries = [one if isinstance(one, Entry) else Entry(one) for one in records]
    unlike = "\n".join(cautions([entry.record for entry in entries])) if entries else ""
    return pandas.DataFrame([_row(entry) | {"unlike": unlike} for entry in entries])


def _row(entry: Entry) -> dict[str, object]:
    record = entry.record
    head = {"hypothesis": record.hypothesis, "claim": record.claim, "notes": "\n".join(said(record))}
    return head | named(view(entry))


def missing(package: str) -> NoReturn:
    """Say how to install an optional package."""
    remedy = "Install it with the other packages for reports: pip install 'scrubbing[report]'."
    fail(UsageError, "SCR-EXTRA", f"{package} is not installed.", remedy)
