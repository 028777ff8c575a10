"""Values per reference input: a table of named columns, on disk as parquet."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas

LOSS, STRATUM, SLICE = "loss.", "stratum.", "slice."
"""Prefixes of column names."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """One row per reference input, draws averaged.

    Columns: `id`; `text`; `weight` (what it counts in a mean) and `counted` (positions); `loss.NAME` for model,
    scrubbed model and every baseline; `right` and `model_right` (share of counted positions whose most likely
    prediction is right), `kl` and `changed`; `stratum.NAME`; `slice.NAME.weight` and `slice.NAME.loss.LOSS`; `cluster`
    where inputs come in clusters; where one position is counted `prediction`, of the first draw, and
    `model_prediction`.
    """

    columns: Mapping[str, NDArray[Any]]
    bound: float | None = None
    """The largest loss that a draw of the null reached, where draws were known: what an input that was not drawn is
    reckoned to lose at most. Kept in the record (`Choices.bound`)."""

    def __len__(self) -> int:
        return len(self.columns["id"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    @property
    def clusters(self) -> NDArray[Any] | None:
        """The family of each input; None where every input is one of its own."""
        return self.columns.get("cluster")

    def rows(self, chosen: NDArray[np.int64]) -> Inputs:
        """These rows, in this order."""
        return Inputs({name: values[chosen] for name, values in self.columns.items()}, self.bound)

    def ceiling(self) -> float | None:
        """The bound; where it is not known, the largest mean over draws. None without a null."""
        null = self.columns.get(f"{LOSS}null")
        return self.bound if self.bound is not None or null is None else float(null.max(initial=0.0))

    def names(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Columns whose name starts with a prefix, by the rest of the name."""
        return {name.removeprefix(prefix): values for name, values in self.columns.items() if name.startswith(prefix)}

    def to_frame(self) -> pandas.DataFrame:
        """As a pandas table indexed by `id`."""
        import pandas

        return pandas.DataFrame({name: list(v) if v.ndim > 1 else v for name, v in self.columns.items()}).set_index(
            "id"
        )

    def to_parquet(self) -> bytes:
        """As the bytes of a parquet file; equal tables give equal bytes."""
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.table({name: pyarrow.array(values) for name, values in self.columns.items()})
        written = io.BytesIO()
        pyarrow.parquet.write_table(table, written, compression="zstd")
        return written.getvalue()

    @classmethod
    def from_parquet(cls, content: bytes) -> Inputs:
        """The inverse of `to_parquet`.

        Raises:
            pyarrow.ArrowInvalid: not a parquet file.
        """
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(io.BytesIO(content))
        return cls(
            {
                name: np.asarray(table[name].to_pylist()) if _is_text(table, name) else table[name].to_numpy()
                for name in table.column_names
            }
        )


def digest(content: bytes) -> str:
    """Of a file's content."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _is_text(table: Any, name: str) -> bool:
    return str(table.schema.field(name).type) in ("string", "large_string")
