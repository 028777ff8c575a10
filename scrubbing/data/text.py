"""Text of the user's own as token sequences: from a file or the `datasets` library, with any tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.hub import answers, library
from scrubbing.errors import BadData, FileError, brief, fail
from scrubbing.guards import is_dict
from scrubbing.user_code import content_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MOST = 8_000_000
"""Characters that are read at most, from the start."""
_BEGINS = ("<|endoftext|>", "<s>", "<bos>", "<|begin_of_text|>", "[BEGIN]", "<begin>")
_LOCAL = {".json": "json", ".jsonl": "json", ".csv": "csv", ".parquet": "parquet", ".txt": "text"}


def read_text(path: str | Path) -> list[str]:
    """Read a UTF-8 text file as a single document, at most `MOST` characters of it.

    Raises:
        FileError: SCR-FILE, the file cannot be read.
        BadData: SCR-TEXT, the file is not UTF-8 text.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(4 * MOST)
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", error)
        fail(FileError, "SCR-FILE", f"it cannot be read ({told}).", "Check the path.", str(path))
    try:
        # A cut in the middle of a character is ours, and no fault of the file.
        text = raw.decode("utf-8", errors="strict" if len(raw) < 4 * MOST else "ignore")
    except UnicodeDecodeError as error:
        problem = f"it is not text in UTF-8 (byte {raw[error.start]:#04x} at {error.start})."
        fail(BadData, "SCR-TEXT", problem, "Give plain text; convert other encodings to UTF-8.", str(path))
    if not text.strip():
        fail(BadData, "SCR-TEXT", "it is empty.", "Give plain text in UTF-8.", str(path))
    if "\0" in text:
        fail(BadData, "SCR-TEXT", "it has zero bytes, so it is no text.", "Give plain text in UTF-8.", str(path))
    return [text[:MOST]]


def read_dataset(spec: str) -> list[str]:
    """Read the documents of a text dataset, at most `MOST` characters in total.

    Args:
        spec: `NAME[,CONFIG][:SPLIT[:COLUMN]]`, where the name is one of the hub's, a local json, csv, parquet or text
            file, or a folder written by `save_to_disk`. Split defaults to `train`, column to `text`.

    Raises:
        UsageError: SCR-EXTRA, the library is not installed.
        FileError: SCR-HUB, the dataset is not here and cannot be fetched; SCR-FILE, it cannot be read.
        BadData: SCR-COLUMN, the dataset has no such column of strings.
    """
    name, split, column = (*spec.split(":"), "", "")[:3]
    rows = _rows(name, split or "train")
    column = column or "text"
    documents: list[str] = []
    total = 0
    try:
        for row in rows:
            if not isinstance(row.get(column), str):
                known = ", ".join(key for key, value in row.items() if isinstance(value, str)) or "none"
                problem = f"it has no column {column!r} of strings."
                remedy = f"Its columns of strings: {known}. Name one as NAME:SPLIT:COLUMN."
                fail(BadData, "SCR-COLUMN", problem, remedy, spec)
            documents.append(row[column][: MOST - total])
            total += len(documents[-1])
            if total >= MOST:
                break
    except (OSError, ValueError) as error:
        if isinstance(error, BadData):
            raise
        fail(FileError, "SCR-FILE", f"its rows cannot be read ({brief(error)}).", "Fetch it again.", spec)
    return documents


def _rows(name: str, split: str) -> Any:
    name, _, config = name.partition(",")
    path = Path(name)
    offline = library("huggingface_hub.constants").HF_HUB_OFFLINE
    if not path.exists() and not offline:
        hub = library("huggingface_hub")
        answers(lambda: hub.HfApi().dataset_info(name), name, _by_hand(name))
    datasets = library("datasets")
    remedy = "Give NAME[,CONFIG][:SPLIT[:COLUMN]] of a dataset, or a json, csv, parquet or text file."
    try:
        if path.is_file():
            return datasets.load_dataset(_LOCAL.get(path.suffix, "text"), data_files=str(path), split="train")
        if path.is_dir() and any((path / one).is_file() for one in ("state.json", "dataset_dict.json")):
            found = datasets.load_from_disk(str(path))
            return found[split] if is_dict(found) else found
        # Whole corpora are large, and their beginning is enough; what was fetched before is read from where it is.
        return datasets.load_dataset(name, config or None, split=split, streaming=not offline)
    except Exception as error:  # the library lets through the errors of all its readers
        if offline and not path.exists():
            problem = "it was not fetched before, and HF_HUB_OFFLINE forbids to do so now."
            fail(FileError, "SCR-HUB", problem, _by_hand(name), name)
        fail(FileError, "SCR-FILE", f"no dataset can be loaded from it ({brief(error)}).", remedy, name)


def _by_hand(name: str) -> str:
    told = f"Where there is a network, run: hf download {name} --repo-type dataset --local-dir FOLDER. "
    return told + "Bring the folder here, and run the same command with a file of it instead of the name."


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a tokenizer from a `tokenizer.json`, with truncation and padding switched off whatever the file says.

    Raises:
        UsageError: SCR-EXTRA, the library tokenizers is not installed.
        FileError: SCR-FILE, no tokenizer can be read from the file.
    """
    tokenizers = library("tokenizers")
    try:
        found = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain exceptions
        remedy = "Give the tokenizer.json that belongs to the model."
        fail(FileError, "SCR-FILE", f"no tokenizer can be read from it ({brief(error)}).", remedy, str(path))
    # Both are stored where the tokenizer was saved in the middle of training; documents would end early, and padding
    # would become text.
    found.no_truncation()
    found.no_padding()
    return found


def begin_token(tokenizer: Tokenizer, folder: Path) -> int | None:
    """The id of the token that a model expects at the start of a text: from its config files, or else a common name.

    None where neither gives one.
    """
    for file in ("tokenizer_config.json", "config.json"):
        try:
            stored = json.loads(content_of(folder / file))
        except (OSError, ValueError, RecursionError):
            continue
        if not is_dict(stored):
            continue
        token = stored.get("bos_token")
        token = token.get("content") if is_dict(token) else token
        found = tokenizer.token_to_id(token) if isinstance(token, str) else stored.get("bos_token_id")
        if type(found) is int and 0 <= found < tokenizer.get_vocab_size():
            return found
    return next((found for one in _BEGINS if (found := tokenizer.token_to_id(one)) is not None), None)


def stretches(
    documents: list[str], tokenizer: Tokenizer, begin: int | None, length: int, least: int
) -> NDArray[np.int64]:
    """Concatenate documents and cut them into consecutive sequences that do not overlap, int `[n, length]`.

    Args:
        documents: texts.
        tokenizer: splits the documents into tokens; special tokens are not added.
        begin: token before every document and at the start of every sequence, never twice in a row; None leaves it
            out.
        length: tokens per sequence, `begin` included.
        least: the smallest number of sequences that is accepted.

    Raises:
        BadData: SCR-TEXT, the text gives fewer than `least` sequences.
    """
    prefix = [] if begin is None else [begin]
    encoded = tokenizer.encode_batch(documents, add_special_tokens=False)
    pieces = [np.asarray([*prefix, *one.ids], dtype=np.int64) for one in encoded if one.ids]
    stream = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)
    if begin is not None:  # a text may spell out its first token, or the one that ends it may be the same
        again = (stream == begin) & np.concatenate([[False], stream[:-1] == begin])
        stream = stream[~again]
    width = length - len(prefix)
    starts = list(_starts(stream, begin, width))
    if len(starts) < least:
        problem = f"it has {len(stream):,} tokens, which makes {len(starts)} sequences of {length}."
        fail(BadData, "SCR-TEXT", problem, f"Give at least {least * width:,} tokens of text.", "text")
    cut = stream[np.array(starts, dtype=np.int64)[:, None] + np.arange(width)]
    return np.concatenate([np.tile(np.array(prefix, dtype=np.int64), (len(cut), 1)), cut], axis=1)


def _starts(stream: NDArray[np.int64], begin: int | None, width: int) -> Iterator[int]:
    """Where each sequence is cut; the first token of a document that begins with a sequence is not taken twice."""
    at = 0
    while width and at + width <= len(stream):
        at += int(stream[at] == begin)
        if at + width <= len(stream):
            yield at
        at += width
