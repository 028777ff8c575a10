"""Reading weights and configs from local files, with an error that names the file for everything that can be wrong."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from scrubbing.errors import FileError, ModelMismatch, brief, fail
from scrubbing.guards import is_dict
from scrubbing.models.transformer.config import SYNONYMS
from scrubbing.user_code import content_of

_POINTER = b"version https://git-lfs"
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
"""How files that torch.save writes begin: since 1.6, and before."""


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Names with a tensor each, and the header's notes, from `.safetensors` or a pickled state dict (weights only).

    Raises:
        FileError: SCR-FILE, missing, a pointer of git-lfs, truncated, or of another kind.
    """
    if not path.is_file():
        problem = "it is no file." if path.exists() else "there is no such file."
        fail(FileError, "SCR-FILE", problem, "Check the path.", str(path))
    try:
        size, begins = path.stat().st_size, _begin(path)
    except OSError as error:
        fail(FileError, "SCR-FILE", f"it cannot be read ({error.strerror}).", "Check its permissions.", str(path))
    if begins.startswith(_POINTER):
        problem = "it is a pointer that git-lfs leaves in place of the file."
        fail(FileError, "SCR-FILE", problem, "Fetch the file itself, with: git lfs pull.", str(path))
    if path.suffix == ".safetensors":
        return _safetensors(path, size, begins)
    if not begins.startswith((_ZIP, _PICKLE)):
        problem = "it does not begin as what torch.save writes."
        remedy = "The file is damaged or not a checkpoint: fetch it again. Other kinds of files: *.safetensors."
        fail(FileError, "SCR-FILE", problem, remedy, str(path))
    return _state_dict(path), {}


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _safetensors(path: Path, size: int, begins: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import safe_open

    header = int.from_bytes(begins[:8], "little")
    if size < 8 or header > size - 8:
        problem = f"it is not a whole safetensors file: its header alone would have {header} bytes, and it has {size}."
        fail(FileError, "SCR-FILE", problem, "Fetch it again, and look at what it is if that fails too.", str(path))
    try:
        with safe_open(str(path), "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:  # safetensors lets through the errors of three libraries
        problem = f"it cannot be read ({brief(error)})."
        fail(FileError, "SCR-FILE", problem, "The file is truncated or damaged: fetch it again.", str(path))


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"(?:GLOBAL|global|Unsupported class|type) ([\w.]+\.[\w.]+)", str(error))
        if found is None:
            _damaged(path, error)
        problem = f"it holds Python objects, such as {found[1]}, and not only tensors; reading it would run their code."
        remedy = "Open it where it was made, and save the state_dict() of the model instead."
        fail(FileError, "SCR-FILE", problem, remedy, str(path))
    except Exception as error:  # torch and zipfile raise a dozen kinds for a damaged file
        _damaged(path, error)
    if not is_dict(loaded) or not all(isinstance(value, Tensor) for value in loaded.values()):
        problem = f"it holds a {type(loaded).__name__}, and names with a tensor each were expected."
        if is_dict(loaded):
            others = [key for key, value in loaded.items() if not isinstance(value, Tensor)]
            problem = f"not a tensor, among what it holds: {', '.join(map(str, others[:5]))}."
        remedy = "Save the model's state_dict(); one that is inside other things can be passed to from_state_dict."
        fail(FileError, "SCR-FILE", problem, remedy, str(path))
    return {str(key): value for key, value in loaded.items()}


def _damaged(path: Path, error: Exception) -> NoReturn:
    problem = f"it cannot be read ({brief(error)})."
    fail(FileError, "SCR-FILE", problem, "The file is truncated or damaged: fetch it again.", str(path))


def read_folder(folder: Path) -> dict[str, Tensor]:
    """The tensors of a Hugging Face folder: one file of weights, or all files that an index lists.

    Raises:
        FileError: SCR-FILE, there are none, one of them is missing or cannot be read, or files and index differ.
    """
    where = str(folder)
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return read_tensors(folder / name)[0]
        if (folder / f"{name}.index.json").is_file():
            return _shards(folder, folder / f"{name}.index.json")
    remedy = "Give a folder that save_pretrained wrote, with model.safetensors."
    if (folder / "adapter_config.json").is_file():
        problem = "it holds an adapter, which is a change to a model and not one."
        fail(FileError, "SCR-FILE", problem, "Merge it into the model with merge_and_unload(), and save that.", where)
    found = sorted(path.name for path in folder.iterdir() if path.suffix in (".safetensors", ".bin", ".pt", ".pth"))
    there = f"; there are {', '.join(found[:5])}" if found else ""
    problem = f"it has no model.safetensors and no pytorch_model.bin, whole or with an index{there}."
    fail(FileError, "SCR-FILE", problem, remedy, where)


def _shards(folder: Path, index: Path) -> dict[str, Tensor]:
    place = read_json(index).get("weight_map")
    if not is_dict(place) or not all(isinstance(one, str) for one in place.values()):
        fail(FileError, "SCR-FILE", "it has no weight_map.", "Fetch it again.", str(index))
    found: dict[str, Tensor] = {}
    for name in sorted(set(place.values())):
        if name != os.path.basename(name) or name in ("", ".", ".."):
            fail(FileError, "SCR-FILE", f"it names {name!r}, outside of its folder.", "Fetch it again.", str(index))
        tensors, _ = read_tensors(folder / name)
        listed = {key for key, file in place.items() if file == name}
        if listed != set(tensors):
            differ = sorted(listed ^ set(tensors))
            problem = f"its tensors are not those that {index.name} lists; they differ in {', '.join(differ[:8])}."
            fail(FileError, "SCR-FILE", problem, "Fetch both again.", str(folder / name))
        found |= tensors
    return found


def read_config(
    given: Mapping[str, Any] | str | Path | None, header: Mapping[str, str], path: Path
) -> Mapping[str, Any]:
    """The config that was given (fields, or a JSON file), or the file's own.

    Raises:
        FileError: SCR-FILE, there is none, or it is not a JSON object.
        ModelMismatch: SCR-WEIGHTS, the two contradict each other.
    """
    stored = _mapping(header["config"], path, "its config") if "config" in header else None
    if isinstance(given, (str, Path)):
        given = read_json(Path(given))
    if not isinstance(given, Mapping | None):
        problem = f"config is a {type(given).__name__}, not fields with values."
        fail(ModelMismatch, "SCR-CONFIG", problem, "Pass a mapping, or the path of a JSON file.", str(path))
    if given is None and stored is None:
        problem = "the file has no config in its header and none was given."
        remedy = "Pass config= (a mapping, or a JSON file)."
        if (path.parent / "config.json").is_file():
            remedy = "Pass config=, or load the folder, which has a config.json."
        fail(FileError, "SCR-FILE", problem, remedy, str(path))
    if given is None:
        assert stored is not None
        return stored
    if stored is None:
        return given
    # Shapes do not tell how a matrix is cut into heads, so weights of another architecture may fit.
    same = {SYNONYMS.get(key, key): value for key, value in stored.items() if key != "seed"}
    both = [
        (key, value, same[SYNONYMS.get(key, key)]) for key, value in given.items() if SYNONYMS.get(key, key) in same
    ]
    told = [f"{key} {here!r} instead of {there!r}" for key, here, there in both if here != there]
    if told:
        problem = f"the config that was given is not the one in the file: {', '.join(told)}."
        fail(ModelMismatch, "SCR-WEIGHTS", problem, "Leave out config=, or correct it.", str(path))
    return {**stored, **given}


def read_json(path: Path) -> dict[str, Any]:
    """The fields of a JSON file.

    Raises:
        FileError: SCR-FILE, it cannot be read, or is not a JSON object.
    """
    try:
        text = content_of(path)
    except OSError as error:
        fail(FileError, "SCR-FILE", f"it cannot be read ({error.strerror}).", "Check the path.", str(path))
    return _mapping(text, path, "it")


def _mapping(text: str | bytes, path: Path, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        fail(FileError, "SCR-FILE", f"{what} is not JSON ({brief(error)}).", "Write it again.", str(path))
    if not is_dict(found):
        problem = f"{what} is a {type(found).__name__}, not fields with values."
        fail(FileError, "SCR-FILE", problem, "Write it as a JSON object.", str(path))
    return found
