"""Records as a pandas table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from scrubbing.errors import UsageError, fail
from scrubbing.records.schema import Number, RunRecord

if TYPE_CHECKING:
    import pandas


def to_frame(records: Iterable[RunRecord]) -> pandas.DataFrame:
    """One row per record, in their order.

    Columns: `hypothesis`, `zero`; `loss.NAME`, `recovered.NAME` and `nats.NAME` for each baseline, `accuracy`, `kl` and
    `changed`, each with `.low` and `.high`; `nines.NAME`; `claims`, `nodes`, `bits` where sizes are known; choices and
    provenance. What a record lacks is NaN.

    Raises:
        UsageError: SCR-EXTRA, pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        missing("pandas")
    return pandas.DataFrame([_row(record) for record in records])


def missing(package: str) -> NoReturn:
    """Say how to install an optional package."""
    remedy = "Install it with the other packages for reports: pip install 'scrubbing[report]'."
    fail(UsageError, "SCR-EXTRA", f"{package} is not installed.", remedy)


def _row(record: RunRecord) -> dict[str, Any]:
    row: dict[str, Any] = {"hypothesis": record.hypothesis, "zero": record.zero}
    for name, loss in record.losses.items():
        row |= _ends(f"loss.{name}", loss)
    for one in record.recovered:
        row |= _ends(f"recovered.{one.baseline}", one.fraction) | _ends(f"nats.{one.baseline}", one.nats)
        row[f"nines.{one.baseline}"] = one.nines
    row |= _ends("accuracy", record.accuracy) | _ends("kl", record.kl) | _ends("changed", record.changed)
    if record.size is not None:
        row |= {"claims": record.size.claims, "nodes": record.size.nodes, "bits": record.size.bits}
    choices, source = record.choices, record.provenance
    row |= {name: getattr(choices, name) for name in ("references", "draws", "seed", "ablation", "dtype", "device")}
    row |= {name: getattr(source, name) for name in ("model", "model_fingerprint", "data", "data_fingerprint")}
    return row | {"seconds": source.seconds, "when": source.when, "git": source.git, "hash": record.hash}


def _ends(name: str, number: Number | None) -> dict[str, float | None]:
    if number is None:
        return {name: None, f"{name}.low": None, f"{name}.high": None}
    return {name: number.value, f"{name}.low": number.low, f"{name}.high": number.high}
