"""Inputs: named columns of equal length with stable ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.data.padding import ATTENTION_MASK, MASK, padded
from scrubbing.errors import BadData, Fault, ScrubbingError, UsageError, brief, counted, fail
from scrubbing.printable import can_be_written
from scrubbing.shown import Shown
from scrubbing.user_code import array_of, running


class Dataset(Shown):
    """An immutable set of inputs, stored as named columns. Two datasets are equal only if they are the same object.

    Inputs are drawn by id, not by row, so reordering a dataset changes no result. Ids default to the row numbers.

    Args:
        columns: name to array `[n, ...]`, copied. A transformer reads `tokens` (int `[n, positions]`) and, where inputs
            have different lengths, `mask` (`[n, positions]`, true or 1 at real positions, which come first). A column
            called `attention_mask` is the mask.
        ids: one integer per input, all different; copied.
        name: shown in reports.
        show: how to print one input, given the dataset and a row; the default prints the tokens.
        pad: the token id written to `tokens` at masked positions, so that no result depends on the ids that were
            there. It matters only where padding is read as part of a fixed-length input: give the pad token that the
            model was trained with.
        preparation: how the tokens were made, such as which begin token they have and what padding; for the record.
        source: what made the inputs, such as `Prompts`, so that a sampler can have more made.

    Raises:
        BadData: SCR-DATA, no columns, no inputs, columns of unequal length, with NaN, masked entries, or of a type that
            is neither numbers nor text; repeated or negative ids; SCR-PADDING, a mask of another shape or type,
            padding on the left or between real positions, an input without a real position, or a pad token that the
            tokens' type cannot hold.
    """

    def __init__(
        self,
        columns: Mapping[str, ArrayLike],
        *,
        ids: ArrayLike | None = None,
        name: str = "dataset",
        show: Callable[[Dataset, int], str] | None = None,
        pad: int = 0,
        preparation: str = "",
        source: Any = None,
    ) -> None:
        if not can_be_written(name):
            fail(BadData, "SCR-DATA", f"a dataset is called {name!r}.", "Give it a name, as text.")
        self.name = name
        self._columns, faults = _arrays(columns, name)
        self._show = show
        self.pad, self.preparation, self.source = pad, preparation, source
        faults = faults or list(self._column_faults())
        if not faults:
            self._columns, faults = padded(self._columns, pad, name)
        n = 0 if faults else len(next(iter(self._columns.values())))
        self.ids: NDArray[np.int64] = np.empty(0, np.int64)
        try:
            self.ids = _frozen(np.arange(n) if ids is None else ids)
        except (TypeError, ValueError, RuntimeError, OverflowError, MemoryError) as error:
            told = str(error) if isinstance(error, _Unusable) else f"cannot be made an array ({brief(error)})"
            faults.append(Fault("SCR-DATA", name, f"what was passed as ids {told}.", "Pass integers."))
        if not faults:
            faults = list(self._id_faults(n))
        if faults:
            raise BadData(faults)
        self._cache: dict[Any, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what is derived, which is made again where it is needed."""
        return {**vars(self), "_cache": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._columns = {name: _frozen(values) for name, values in self._columns.items()}
        self.ids = _frozen(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __contains__(self, column: str) -> bool:
        return (MASK if column == ATTENTION_MASK else column) in self._columns

    def __getitem__(self, column: str) -> NDArray[Any]:
        """The column of this name.

        Raises:
            BadData: SCR-COLUMN, there is none.
        """
        column = MASK if column == ATTENTION_MASK else column
        if column in self._columns:
            return self._columns[column]
        fail(
            BadData,
            "SCR-COLUMN",
            f"{self.name} has no column {column!r}.",
            f"Its columns: {', '.join(self._columns)}. Add one with .with_columns({column}=...).",
        )

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self)} inputs, columns {', '.join(self._columns)})"

    def take(self, rows: ArrayLike) -> Dataset:
        """A dataset of the inputs in the given rows (indices, or one bool per input), with their ids.

        Raises:
            BadData: SCR-DATA, they are no such rows, or there are none.
        """
        remedy = f"Give indices of 0 to {len(self) - 1}, or a boolean per input."
        chosen = array_of(rows, "SCR-DATA", remedy, BadData)
        flags = chosen.dtype.kind == "b" and chosen.shape == (len(self),)
        indices = chosen.dtype.kind in "iu" and chosen.ndim == 1 and bool((chosen < len(self)).all())
        if not flags and not (indices and bool((chosen.astype(np.int64) >= -len(self)).all())):
            problem = f"rows of {len(self)} inputs were expected, and these are {chosen.dtype} {list(chosen.shape)}."
            fail(BadData, "SCR-DATA", problem, remedy, self.name)
        columns = {key: values[chosen] for key, values in self._columns.items()}
        return self._made(columns, self.ids[chosen])

    def with_columns(self, **columns: ArrayLike) -> Dataset:
        """A dataset of the same inputs and ids in which the given columns are added or replaced."""
        if ATTENTION_MASK in columns:
            columns = {MASK: columns.pop(ATTENTION_MASK), **columns}
        return self._made({**self._columns, **columns}, self.ids)

    def like(self, columns: Mapping[str, ArrayLike], name: str | None = None) -> Dataset:
        """A dataset of new inputs, numbered from 0. Pad token, printing and (by default) name are those of this one."""
        return self._made(columns, name=name)

    def _made(self, columns: Mapping[str, ArrayLike], ids: ArrayLike | None = None, name: str | None = None) -> Dataset:
        how: Any = {"show": self._show, "pad": self.pad, "preparation": self.preparation, "source": self.source}
        return Dataset(columns, ids=ids, name=name or self.name, **how)

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Which positions are real, `[n, positions]`; None where nothing is padded or there are no positions."""
        found = self._columns.get(MASK)
        return found if found is not None and found.ndim == 2 else None

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """Number of real positions of each input, `[n]`; None where `mask` is None."""
        mask = self.mask
        return None if mask is None else self.remember("lengths", lambda: mask.sum(axis=1))

    def show(self, row: int) -> str:
        """The input in a row as text, as trees and tables print it. If the function given as `show` fails, it says so:
        it is asked when everything has been computed.
        """
        if self._show is not None:
            try:
                return self.checked_show(row)
            except ScrubbingError as error:
                return f"(not shown: {error.faults[0].problem})"
        values = self["tokens"][row] if "tokens" in self else next(iter(self._columns.values()))[row]
        if "tokens" in self and self.mask is not None:
            values = values[self.mask[row]]
        return " ".join(map(str, np.ravel(values)[:40]))

    def checked_show(self, row: int) -> str:
        """As `show`, but for its mistakes.

        Raises:
            UsageError: SCR-CODE, the function raised an exception, or returned no text.
        """
        if self._show is None:
            return self.show(row)
        with running("show="):
            found = self._show(self, row)
            if not isinstance(found, str):
                raise TypeError(f"text was expected, not {type(found).__name__}")
        return found.encode("utf-8", "backslashreplace").decode()  # half a character has no place in a file

    def with_inputs(self, columns: Mapping[str, ArrayLike]) -> Dataset:
        """A dataset of these inputs and then further ones, whose ids follow the largest.

        Args:
            columns: of the further inputs; all columns of this dataset, with entries of the same shape.
        """
        both = {name: np.concatenate([values, columns[name]]) for name, values in self._columns.items()}
        further = len(next(iter(both.values()))) - len(self)
        ids = np.concatenate([self.ids, self.ids.max() + 1 + np.arange(further)])
        return self._made(both, ids)

    def remember(self, key: Any, compute: Callable[[], Any]) -> Any:
        """Compute a value derived from this dataset once, and return the cached value from then on.

        The columns never change, so a cached value cannot go stale.
        """
        if key not in self._cache:
            self._cache[key] = compute()
        return self._cache[key]

    def forget(self, about: Any) -> None:
        """Drop what was derived from this dataset for one thing, such as a feature that nobody will ask for again."""
        self._cache = {key: v for key, v in self._cache.items() if not (isinstance(key, tuple) and about in key)}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the contents: column names, types, shapes and values, and ids."""
        digest = hashlib.blake2b(digest_size=16)
        for key in sorted(self._columns):
            values = np.ascontiguousarray(self._columns[key])
            digest.update(f"{key}\x00{values.dtype.str}\x00{values.shape}\x00".encode())
            digest.update(values.tobytes() if values.dtype.kind != "O" else repr(values.tolist()).encode())
        digest.update(np.ascontiguousarray(self.ids).tobytes())
        return digest.hexdigest()

    def _column_faults(self) -> Iterator[Fault]:
        if not self._columns:
            yield Fault("SCR-DATA", self.name, "a dataset needs at least one column.", "Pass a mapping of arrays.")
            return
        lengths = {key: len(values) if values.ndim else -1 for key, values in self._columns.items()}
        if len(set(lengths.values())) > 1 or -1 in lengths.values():
            told = ", ".join(f"{key} {'is a single value' if n < 0 else f'has {n}'}" for key, n in lengths.items())
            problem = f"columns do not have one entry per input: {told}."
            yield Fault("SCR-DATA", self.name, problem, "Give every column one entry per input.")
        elif not any(lengths.values()):
            yield Fault("SCR-DATA", self.name, "it has no inputs.", "Give its columns at least one entry.")
        for key, values in self._columns.items():
            unknown = np.isnan if values.dtype.kind == "f" else np.isnat
            if values.ndim and values.dtype.kind in "fMm" and unknown(values).any():
                rows = np.unique(np.argwhere(unknown(values))[:, 0])
                what = "NaN" if values.dtype.kind == "f" else "NaT"
                problem = f"column {key!r} has {what} in {counted(len(rows), 'input')}, first in row {rows[0]}."
                yield Fault("SCR-DATA", self.name, problem, "Give these inputs a value, or leave the column out.")

    def _id_faults(self, n: int) -> Iterator[Fault]:
        if self.ids.shape != (n,) or self.ids.dtype.kind not in "iu":
            problem = f"its ids are {self.ids.dtype} of shape {list(self.ids.shape)}."
            yield Fault("SCR-DATA", self.name, problem, f"Pass one integer per input: {n} of them.")
            return
        if self.ids.dtype.kind == "u" and int(self.ids.max()) >= 2**63:
            yield Fault("SCR-DATA", self.name, f"id {self.ids.max()} is too large.", "Number inputs from 0.")
        if self.ids.min() < 0:
            yield Fault("SCR-DATA", self.name, f"id {self.ids.min()} is negative.", "Number inputs from 0.")
        found, times = np.unique(self.ids, return_counts=True)
        if times.max() > 1:
            problem = f"id {found[times.argmax()]} belongs to {times.max()} inputs."
            yield Fault("SCR-DATA", self.name, problem, "Give every input an id of its own.")


def pool(data: Dataset, n: int | None) -> Dataset:
    """So many inputs of a dataset to draw from, chosen by hashed id alone; None is all.

    A smaller pool is part of a larger one.

    Raises:
        UsageError: SCR-SETTING, there are fewer.
    """
    if n is None or n == len(data):
        return data
    if n > len(data):
        problem = f"a pool of {n} inputs was asked for, and {data.name} has {counted(len(data), 'input')}."
        fail(UsageError, "SCR-SETTING", problem, f"Ask for 1 to {len(data)}, or for none, which is all.")
    from scrubbing.rng import stream_key, uniform

    def chosen() -> Dataset:
        order = np.lexsort((data.ids, uniform(stream_key(0, "pool"), data.ids, 0)))
        return data.take(np.sort(order[:n]))

    return data.remember(("pool", n), chosen)


def choose(data: Dataset, n: int | Sequence[int] | None, seed: int) -> NDArray[np.int64]:
    """Rows of the reference inputs of a dataset: all, `n` chosen by hashing ids with the seed, or those of given ids.

    A smaller `n` gives a subset of a larger one, and the choice does not depend on the order of the rows.

    Raises:
        BadData: SCR-REFERENCES, more references than inputs, no reference, an unknown or repeated id, or a value that
            is neither a number nor a list of ids.
    """
    from scrubbing.rng import stream_key, uniform

    if n is None:
        return np.arange(len(data))
    wanted = array_of(n, "SCR-REFERENCES", "Give a whole number, or ids.", BadData)
    if wanted.size and (wanted.dtype.kind not in "iu" or wanted.ndim > 1):
        problem = f"references={n!r} is neither a number of inputs nor a list of their ids."
        fail(BadData, "SCR-REFERENCES", problem, "Give a whole number, or ids.")
    if wanted.ndim:
        return _rows_of(wanted, data)
    if not 0 < wanted <= len(data):
        problem = f"references={int(wanted)} was asked for, and there are {counted(len(data), 'input')} to choose from."
        fail(BadData, "SCR-REFERENCES", problem, f"Ask for 1 to {len(data)}.")
    order = np.lexsort((data.ids, uniform(stream_key(seed, "references"), data.ids, 0)))
    return np.sort(order[: int(wanted)])


def _rows_of(ids: NDArray[Any], data: Dataset) -> NDArray[np.int64]:
    if not ids.size:
        fail(BadData, "SCR-REFERENCES", "no reference input was given.", "Give at least one id.")
    row_of = {int(identity): row for row, identity in enumerate(data.ids)}
    unknown = [int(identity) for identity in ids if int(identity) not in row_of]
    found, times = np.unique(ids, return_counts=True)
    if unknown:
        problem = f"there is no input with id {unknown[0]} to choose."
        fail(BadData, "SCR-REFERENCES", problem, "Give ids that are in the dataset, and in the hypothesis's scope.")
    if times.max() > 1:
        # A reference counted twice would make intervals too narrow.
        problem = f"reference input {found[times.argmax()]} is given {times.max()} times."
        fail(BadData, "SCR-REFERENCES", problem, "Give every id once, and ask for more draws instead.")
    return np.array([row_of[int(identity)] for identity in ids])


def _arrays(columns: Mapping[str, ArrayLike], name: str) -> tuple[dict[str, NDArray[Any]], list[Fault]]:
    """The columns, copied, and what is wrong with them one by one."""
    if not isinstance(columns, Mapping):
        problem = f"a {type(columns).__name__} was given, and a dataset is made of named columns."
        fail(BadData, "SCR-DATA", problem, 'Write Dataset({"tokens": tokens}).', name)
    arrays: dict[str, NDArray[Any]] = {}
    faults: list[Fault] = []
    for key, values in columns.items():
        if not can_be_written(key) or not key:
            faults.append(Fault("SCR-DATA", name, f"a column is called {key!r}.", "Name columns by text."))
            continue
        try:
            arrays[key] = _frozen(values)
        except _Unusable as error:
            faults.append(Fault("SCR-DATA", name, f"column {key!r} {error}.", error.remedy))
        except (
            TypeError,
            ValueError,
            RuntimeError,
            OverflowError,
            MemoryError,
        ) as error:  # ragged lists; tensors elsewhere or with gradients
            problem = f"column {key!r} cannot be made an array ({brief(error)})."
            remedy = "Give all inputs entries of one shape, padded and with a `mask` column if they differ in length."
            faults.append(Fault("SCR-DATA", name, problem, remedy))
    return arrays, faults


class _Unusable(ValueError):
    """An array that cannot be a column, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


def _frozen(values: ArrayLike) -> NDArray[Any]:
    """A copy that nobody can write to: its memory is that of a `bytes`, not of an array whose flag could be turned.

    Raises:
        ValueError: masked, or neither numbers nor text.
    """
    given: Any = values
    if np.ma.isMaskedArray(given) and np.ma.is_masked(given):
        rows = np.unique(np.argwhere(np.ma.getmaskarray(given))[:, :1])
        problem = f"has masked entries in {counted(len(rows), 'input')}" + (
            f", first in row {rows[0]}" if len(rows) else ""
        )
        raise _Unusable(problem, "Fill them, and say which are real in a column of their own, such as `mask`.")
    array = np.asarray(values)
    if array.dtype.kind == "O":
        array = _of_one_type(array)
    if array.dtype.kind not in "biufUSMm" or (array.dtype.kind == "f" and array.dtype.itemsize > 8):
        raise _Unusable(f"is of type {array.dtype}", "Give integers, booleans, floats up to 64 bits, or text.")
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, bytes):
        return array
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)
    if not array.size:
        array = array.copy()
        array.flags.writeable = False
        return array
    return np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)


def _of_one_type(array: NDArray[Any]) -> NDArray[Any]:
    """Python objects as an array of numbers or text, which they are if all of them are of one such type."""
    kinds = sorted({type(value).__name__ for value in array.flat})
    if len(kinds) == 1 and isinstance(array.flat[0], (str, bool, int, float, np.generic)):
        return np.array(array.tolist())
    raise _Unusable(f"holds Python objects ({', '.join(kinds[:5])})", "Give all inputs a number, or all of them text.")
