"""Inputs from a file: the columns of a dataset as JSON or as arrays of numpy."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy as np

from scrubbing.data.dataset import Dataset
from scrubbing.errors import FileError, brief, fail, located
from scrubbing.user_code import content_of


def from_file(path: str | Path) -> Dataset:
    """The inputs in a file, numbered from 0.

    Args:
        path: a `.json` file with an object, or an `.npz` file: from the name of each column to its values, one entry
            per input.

    Raises:
        FileError: SCR-FILE, it cannot be read, or is neither.
        BadData: SCR-DATA, its columns are not those of a dataset.
    """
    place = Path(path)
    remedy = 'Give an .npz file, or a .json file such as {"tokens": [[3, 1], [2, 2]]}.'
    if place.suffix not in (".json", ".npz"):
        fail(FileError, "SCR-FILE", "its name ends neither in .json nor in .npz.", remedy, str(path))
    try:
        content = content_of(place)
    except OSError as error:
        fail(FileError, "SCR-FILE", f"it cannot be read ({error.strerror}).", "Check the path.", str(path))
    columns: Any
    try:
        if place.suffix == ".json":
            columns = json.loads(content)
        else:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                columns = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile, RecursionError, MemoryError) as error:
        fail(FileError, "SCR-FILE", f"it holds no columns of inputs ({brief(error)}).", remedy, str(path))
    if not isinstance(columns, dict):
        problem = f"it holds a {type(columns).__name__}, and columns have names."
        fail(FileError, "SCR-FILE", problem, remedy, str(path))
    with located(str(path)):
        return Dataset(cast("dict[str, Any]", columns), name=place.name)
