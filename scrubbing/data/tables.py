"""Inputs in the files that people have: a column per name in JSONL, CSV or parquet, or text to be cut into tokens."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scrubbing.data import file as columns_of
from scrubbing.data.dataset import Dataset
from scrubbing.data.hub import fetch, is_file, tokenizer_file
from scrubbing.data.text import begin_token, load_tokenizer, read_text, stretches
from scrubbing.errors import BadData, FileError, UsageError, brief, fail
from scrubbing.user_code import content_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LENGTH = 128
"""Tokens of an input that is cut from text, where the model takes as many."""
_TEXT = (".txt", ".md", ".py", ".text")
_TABLES = (".jsonl", ".csv", ".parquet")
_REMEDY = (
    "Give plain text (.txt), a table with a column `text` or with columns of numbers (.jsonl, .csv, .parquet), or "
    "columns of arrays (.json, .npz)."
)


def from_any_file(path: str | Path, model: str | Path | None = None, length: int = LENGTH) -> Dataset:
    """The inputs in a file, whichever of these it is.

    - `.json` and `.npz`: a column per name.
    - `.jsonl`, `.csv`, `.parquet` with a column `text` and no `tokens`: documents, cut like plain text.
    - the same without: a column per name, of numbers or of lists of numbers, such as `tokens` and `label`.
    - `.txt`: one document, cut into consecutive sequences of `length` tokens.

    Args:
        path: the file.
        model: folder (or name on the hub) of the model whose `tokenizer.json` cuts text into tokens; not needed for
            columns.
        length: tokens of each sequence, at least 2.

    Raises:
        FileError: SCR-FILE, the file or the tokenizer cannot be read. BadData: SCR-TEXT, too little text; SCR-DATA.
        UsageError: SCR-TEXT, there is text and no model; SCR-EXTRA, the library tokenizers is not installed.
    """
    place = Path(path)
    if place.suffix in (".json", ".npz"):
        return columns_of.from_file(place)
    if place.suffix in _TABLES:
        columns = _table(place)
        if "text" in columns and "tokens" not in columns:
            return _cut([one for one in columns["text"] if isinstance(one, str)], place, model, length)
        return Dataset({name: _column(name, values, place) for name, values in columns.items()}, name=place.name)
    if place.suffix not in _TEXT:
        fail(FileError, "SCR-FILE", f"files that end in {place.suffix!r} are not read.", _REMEDY, str(path))
    return _cut(read_text(place), place, model, length)


def _cut(documents: list[str], place: Path, model: str | Path | None, length: int) -> Dataset:
    if model is None:
        problem = "it is text, and no model was named whose tokenizer cuts it."
        fail(UsageError, "SCR-TEXT", problem, "Give model=, a folder with tokenizer.json.", str(place))
    folder = Path(model).parent if is_file(model) else fetch(str(model))
    file = tokenizer_file(folder, str(model))
    made = load_tokenizer(file)
    begin = begin_token(made, folder)
    tokens = stretches(documents, made, begin, length, least=2)
    begins = "no begin token" if begin is None else f"begin token {begin} before every document and sequence"
    told = f"{begins}; cut into sequences of {length} tokens, none is padding"
    return Dataset({"tokens": tokens}, name=place.name, show=_shown_by(made), preparation=told)


def _shown_by(tokenizer: Tokenizer) -> Callable[[Dataset, int], str]:
    def show(data: Dataset, row: int) -> str:
        return repr(tokenizer.decode(data["tokens"][row].tolist()))[:200]

    return show


def _table(place: Path) -> dict[str, list[Any]]:
    try:
        content = content_of(place)
        if place.suffix == ".jsonl":
            rows: list[Any] = [json.loads(line) for line in content.decode().splitlines() if line.strip()]
            names = list(dict.fromkeys(name for row in rows for name in row))
            return {name: [row.get(name) for row in rows] for name in names}
        module, name = ("csv", "read_csv") if place.suffix == ".csv" else ("parquet", "read_table")
        read: Any = getattr(import_module(f"pyarrow.{module}"), name)
        return read(io.BytesIO(content)).to_pydict()
    except OSError as error:
        fail(FileError, "SCR-FILE", f"it cannot be read ({error.strerror or error}).", "Check the path.", str(place))
    except Exception as error:  # whatever the readers of these formats let through
        fail(FileError, "SCR-FILE", f"it holds no table ({brief(error)}).", _REMEDY, str(place))


def _column(name: str, values: list[Any], place: Path) -> Any:
    try:
        found = np.array(values)
    except ValueError as error:  # rows of different lengths
        problem = f"column {name!r} cannot be made an array ({brief(error)})."
        remedy = "Pad its rows to one length, and add a column `mask` that is 1 where they are real."
        fail(BadData, "SCR-DATA", problem, remedy, str(place))
    return found
