"""Reading weights and configs from local files, with an error that names the file for everything that can be wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scrubbing.errors import FileError, ModelMismatch, brief, fail


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Names with a tensor each, and the header's notes, from `.safetensors` or a pickled state dict (weights only).

    Raises:
        FileError: SCR-FILE, missing, truncated, or of another kind.
    """
    if not path.is_file():
        fail(FileError, "SCR-FILE", "there is no such file.", "Check the path.", str(path))
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(str(path), "pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors and pickle raise a dozen kinds for a damaged file
        problem = f"it cannot be read ({brief(error)})."
        fail(FileError, "SCR-FILE", problem, "The file is truncated or not a checkpoint: fetch it again.", str(path))
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        problem = f"it holds a {type(loaded).__name__}, and names with a tensor each were expected."
        fail(FileError, "SCR-FILE", problem, "Save the model's state_dict().", str(path))
    return loaded, {}


def read_config(
    given: Mapping[str, Any] | str | Path | None, header: Mapping[str, str], path: Path
) -> Mapping[str, Any]:
    """The config that was given (fields, or a JSON file), or the file's own.

    Raises:
        FileError: SCR-FILE, there is none, or it is not a JSON object.
        ModelMismatch: SCR-WEIGHTS, the two contradict each other.
    """
    stored = _mapping(header["config"], path) if "config" in header else None
    if isinstance(given, (str, Path)):
        try:
            text = Path(given).read_bytes()
        except OSError as error:
            fail(FileError, "SCR-FILE", f"it cannot be read ({error.strerror}).", "Check the path.", str(given))
        given = _mapping(text, Path(given))
    if given is None and stored is None:
        problem = "the file has no config in its header and none was given."
        fail(FileError, "SCR-FILE", problem, "Pass config= (a mapping, or a JSON file).", str(path))
    if given is None or stored is None:
        return given or stored or {}
    # Shapes do not tell how a matrix is cut into heads, so weights of another architecture may fit.
    both = [key for key in given if key in stored and key != "seed"]
    told = [f"{key} {given[key]!r} instead of {stored[key]!r}" for key in both if given[key] != stored[key]]
    if told:
        problem = f"the config that was given is not the one in the file: {', '.join(told)}."
        fail(ModelMismatch, "SCR-WEIGHTS", problem, "Leave out config=, or correct it.", str(path))
    return given


def _mapping(text: str | bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        fail(FileError, "SCR-FILE", f"its config is not JSON ({brief(error)}).", "Write it again.", str(path))
    if not isinstance(found, dict):
        problem = f"its config is a {type(found).__name__}, not fields with values."
        fail(FileError, "SCR-FILE", problem, "Write it as a JSON object.", str(path))
    return found
