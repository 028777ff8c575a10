"""Folders of files from the Hugging Face hub, and a quick answer where there is no network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from scrubbing.errors import FileError, UsageError, brief, fail

_PATIENCE = 1.0
"""Seconds the hub is given to answer the first request. Its own client tries again for over 20 seconds."""
_SAFE = ("*.safetensors", "*.safetensors.index.json")
_LEGACY = ("*final.pth",)
"""The last weights of TransformerLens's own models; beside them lie checkpoints and training state."""
_SMALL = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
_TOKENIZERS = {
    # Its own tokenizer has a merge that is not in its vocabulary, which today's readers refuse.
    "ArthurConmy/redwood_tokenizer": "openai-community/gpt2",
    "ArthurConmy/redwood_attn_2l": "openai-community/gpt2",
}
"""Where to find a tokenizer that a model's own repository does not have."""


def fetch(name: str) -> Path:
    """The folder of a model: the one of this name, or what the hub has under it, weights and tokenizer included.

    Files that were fetched before are used as they are, without asking the hub.

    Args:
        name: a local folder, or a repository such as `NeelNanda/Attn_Only_2L512W_C4_Code`.

    Raises:
        FileError: SCR-FILE, it can only be a folder and is none; SCR-HUB, it is not here and cannot be fetched.
        UsageError: SCR-EXTRA, huggingface_hub is not installed.
    """
    path = Path(name)
    if path.is_dir():
        return path
    if path.exists() or path.is_absolute() or name.startswith(".") or len(path.parts) > 2:
        problem = "there is no such folder." if not path.exists() else "it is a file, and a folder was expected."
        fail(FileError, "SCR-FILE", problem, "Name a folder with config.json, weights and tokenizer.json.", name)
    found = _cached(name)
    return found if found is not None else _downloaded(name)


def tokenizer_file(folder: Path, name: str) -> Path:
    """`tokenizer.json` of a model's folder, or of the repository that its config names.

    Raises:
        FileError: SCR-HUB, it is in neither place.
    """
    if (folder / "tokenizer.json").is_file():
        return folder / "tokenizer.json"
    source = _tokenizer_of(folder, name)
    if source is None:
        remedy = "Put the model's tokenizer.json into the folder; AutoTokenizer's save_pretrained writes it."
        fail(FileError, "SCR-FILE", "it has no tokenizer.json, and its config names no tokenizer.", remedy, str(folder))
    hub = library("huggingface_hub")
    try:
        return Path(hub.hf_hub_download(source, "tokenizer.json", local_files_only=True))
    except OSError:
        pass
    problem = _unreachable(lambda: hub.HfApi().model_info(source, timeout=_PATIENCE))
    if problem is None:
        try:
            return Path(hub.hf_hub_download(source, "tokenizer.json"))
        except OSError as error:
            problem = brief(error)
    remedy = f"Where there is a network, run: hf download {source} tokenizer.json --local-dir FOLDER. "
    remedy += f"Then put the file into {folder}."
    fail(FileError, "SCR-HUB", f"it has no tokenizer.json, and that of {source} is not here: {problem}", remedy, name)


def library(name: str) -> Any:
    """An optional library.

    Raises:
        UsageError: SCR-EXTRA, it is not installed.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        remedy = "Install it with: pip install 'scrubbing[text]'."
        fail(UsageError, "SCR-EXTRA", f"this needs the library {name} ({brief(error)}).", remedy)


def answers(ask: Callable[[], Any], name: str, remedy: str) -> None:
    """Ask the hub for something small before something large.

    Raises:
        FileError: SCR-HUB, it does not answer in time, or does not know.
    """
    problem = _unreachable(ask)
    if problem is not None:
        fail(FileError, "SCR-HUB", problem, remedy, name)


def offline() -> bool:
    """Whether the user has forbidden the network."""
    return bool(library("huggingface_hub").constants.HF_HUB_OFFLINE)


def _unreachable(ask: Callable[[], Any]) -> str | None:
    """Why the hub cannot be used, or None."""
    if offline():
        return "HF_HUB_OFFLINE is set, and it is not among the files fetched before."
    found: list[Exception | None] = []

    def run() -> None:
        try:
            ask()
        except Exception as error:  # the client lets through the errors of whatever it makes its requests with
            found.append(error)
        else:
            found.append(None)

    # Looking up a host's name has no timeout of its own.
    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(1.2 * _PATIENCE)
    if not found:
        return f"it is not among the files fetched before, and the hub did not answer within {_PATIENCE:.0f} s."
    if found[0] is None:
        return None
    kinds = [kind.__name__ for kind in type(found[0]).__mro__]
    if "GatedRepoError" in kinds:
        return "access to it has to be asked for on its page of the hub."
    if "RepositoryNotFoundError" in kinds or "HFValidationError" in kinds:
        return "the hub has no repository of this name, or none that may be read without logging in."
    return f"it is not among the files fetched before, and the hub cannot be reached ({brief(found[0])})."


def _cached(name: str) -> Path | None:
    hub = library("huggingface_hub")
    try:
        found = Path(hub.snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):
        return None
    complete = (found / "config.json").is_file() and any(any(found.glob(one)) for one in (*_SAFE, *_LEGACY))
    return found if complete else None


def _downloaded(name: str) -> Path:
    hub = library("huggingface_hub")
    files: list[str] = []

    def ask() -> None:
        siblings = hub.HfApi().model_info(name, timeout=_PATIENCE).siblings or []
        files.extend(one.rfilename for one in siblings)

    answers(ask, name, _by_hand(name))
    weights = _SAFE if any(file.endswith(".safetensors") for file in files) else _LEGACY
    try:
        return Path(hub.snapshot_download(name, allow_patterns=[*_SMALL, *weights]))
    except OSError as error:
        fail(FileError, "SCR-HUB", f"it could not be fetched ({brief(error)}).", _by_hand(name), name)


def _by_hand(name: str) -> str:
    folder = name.rpartition("/")[2]
    wanted: Sequence[str] = ("config.json", "'*.safetensors'", "'*final.pth'", "'tokenizer*.json'")
    patterns = " ".join(f"--include {one}" for one in wanted)
    told = f"Where there is a network, run: hf download {name} {patterns} --local-dir {folder}"
    if name in _TOKENIZERS:
        told += f"; hf download {_TOKENIZERS[name]} tokenizer.json --local-dir {folder}"
    return f"{told}. Bring the folder here, and run the same command with the folder instead of the name."


def _tokenizer_of(folder: Path, name: str) -> str | None:
    """The repository with a model's tokenizer."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        named = config.get("tokenizer_name")
    except (OSError, ValueError, AttributeError):
        named = None
    return _TOKENIZERS.get(name) or _TOKENIZERS.get(str(named), named)
