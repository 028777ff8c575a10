"""Values per reference input: a table of named columns, on disk as parquet."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.renamed import old_names
from scrubbing.stats.influence import Losses

if TYPE_CHECKING:
    import pandas
    import pyarrow

LOSS, MEASURE, STRATUM, SLICE = "loss.", "measure.", "stratum.", "slice."
"""Prefixes of column names."""
RAISED, LOWERED = "raised", "lowered"
"""Columns of what scrubbing adds to the loss of an input, and what it takes away."""
PADDING_READS, PADDING_DRAWS = "padding_reads", "padding_draws"
"""Columns of the inputs read at padding over all draws, and of the share of draws in which there was any."""
_OLDER = {"right": f"{MEASURE}accuracy", "kl": f"{MEASURE}kl", "changed": f"{MEASURE}changed"}
"""Columns of tables that are older than version 3 of the record, and what they are called now."""


@dataclass(frozen=True, eq=False)
class InputTable:
    """A table of values per reference input, one row each, averaged over draws.

    Columns: `id`; `text`; `weight` (of the input in means of losses); `counted` (number of positions that count, its
    weight in means of measures); `loss.NAME` for model, scrubbed model and every baseline; `raised` and `lowered`
    (mean over draws of the increase and of the decrease of the loss by scrubbing); `measure.NAME`; `model_right`
    (share of counted positions that the model gets right); `stratum.NAME`; `slice.NAME.weight` and
    `slice.NAME.loss.LOSS`. Where inputs come in clusters, `cluster`; where a single position counts, `prediction` (of
    the first draw) and `model_prediction`; where inputs are padded, `padding_reads` and `padding_draws`.
    """

    columns: Mapping[str, NDArray[Any]]
    bound: float | None = None
    """The largest loss of any draw of the null, taken as the upper bound for inputs that were not drawn. It is stored
    in the record (`Choices.bound`), not in the table; None where it is not known."""

    def __len__(self) -> int:
        return len(self.columns["id"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def get(self, name: str) -> NDArray[Any] | None:
        """The column of this name, `[n]`; None where there is none."""
        return self.columns.get(name)

    @property
    def clusters(self) -> NDArray[Any] | None:
        """Cluster of each input, `[n]`; None where inputs do not come in clusters."""
        return self.get("cluster")

    @property
    def units(self) -> int:
        """Number of independent units: clusters, or inputs where there are no clusters."""
        return len(self) if self.clusters is None else len(np.unique(self.clusters))

    def losses(self) -> Losses:
        """The losses with weights and clusters, from which means, comparisons and verdicts are computed."""
        return Losses(self["id"], self.names(LOSS), self.get("weight"), self.clusters, self.bound)

    def counted(self) -> InputTable:
        """The table of the inputs at which at least one position counts."""
        return self.rows(np.flatnonzero(self["weight"] > 0)) if "weight" in self else self

    def rows(self, chosen: NDArray[np.int64]) -> InputTable:
        """The table of these rows, in this order."""
        return InputTable({name: values[chosen] for name, values in self.columns.items()}, self.ceiling())

    def ceiling(self) -> float | None:
        """The bound; where it is not known, the largest loss of the null averaged over draws. None without a null."""
        null = self.get(f"{LOSS}null")
        return self.bound if self.bound is not None or null is None else float(null.max(initial=0.0))

    def names(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The columns whose name starts with a prefix, by the rest of the name."""
        return {name.removeprefix(prefix): values for name, values in self.columns.items() if name.startswith(prefix)}

    def to_frame(self) -> pandas.DataFrame:
        """The table as a `pandas.DataFrame` indexed by `id`."""
        import pandas

        columns = {name: list(v) if v.ndim > 1 else v for name, v in self.columns.items()}
        return pandas.DataFrame(columns).set_index("id")  # pyright: ignore[reportUnknownMemberType]; half-typed

    def to_parquet(self) -> bytes:
        """The table as the bytes of a parquet file. Equal tables give equal bytes."""
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.table({name: pyarrow.array(values) for name, values in self.columns.items()})
        written = io.BytesIO()
        pyarrow.parquet.write_table(table, written, compression="zstd")
        return written.getvalue()

    @classmethod
    def from_parquet(cls, content: bytes) -> InputTable:
        """The table in a parquet file; the inverse of `to_parquet`. Columns of older tables get their present names.

        Raises:
            pyarrow.ArrowInvalid: the bytes are not a parquet file.
        """
        import pyarrow.parquet

        # Not `read_table`: it starts threads, and where they still run as Python exits the process aborts.
        table = pyarrow.parquet.ParquetFile(io.BytesIO(content), pre_buffer=False).read(use_threads=False)
        columns: dict[str, NDArray[Any]] = {}
        for name in map(str, table.column_names):
            column = table[name]
            columns[_OLDER.get(name, name)] = (
                np.asarray(column.to_pylist()) if _is_text(table, name) else column.to_numpy()
            )
        return cls(columns)


def digest(content: bytes) -> str:
    """Sixteen hexadecimal digits that another content would not have."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _is_text(table: pyarrow.Table, name: str) -> bool:
    return str(table.schema.field(name).type) in ("string", "large_string")


__getattr__ = old_names(__name__, {"Inputs": "scrubbing.records.inputs.InputTable"})
