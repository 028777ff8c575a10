"""Folders of files from the Hugging Face hub, and a quick answer where there is no network."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from scrubbing.errors import FileError, UsageError, brief, fail

_PATIENCE = 0.8
"""Seconds the hub is given to answer the first request, unless HF_HUB_ETAG_TIMEOUT says otherwise. Its own client tries
again for over 20 seconds before it says that there is no network."""
_SAFE = ("*.safetensors", "*.safetensors.index.json")
_LEGACY = ("*final.pth", "pytorch_model*.bin")
"""The last weights of TransformerLens's own models, beside which lie checkpoints and training state; and those of old
Hugging Face ones."""
_SMALL = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
_TOKENIZERS = {
    # Its own tokenizer has a merge that is not in its vocabulary, which today's readers refuse.
    "ArthurConmy/redwood_tokenizer": "openai-community/gpt2",
    "ArthurConmy/redwood_attn_2l": "openai-community/gpt2",
}
"""Where to find a tokenizer that a model's own repository does not have."""


def is_file(name: str | Path) -> bool:
    """Whether a model is named by a file of its weights, and not by a folder or a name on the hub.

    Raises:
        FileError: SCR-FILE, no file can have this name.
    """
    try:
        return Path(name).is_file()
    except (OSError, ValueError) as error:
        remedy = "Name a folder with config.json and weights, a file of weights, or a repository of the hub."
        fail(FileError, "SCR-FILE", f"no file can be called so ({brief(error)}).", remedy, str(name)[:80])


def fetch(name: str) -> Path:
    """Path of a folder with a model's weights and tokenizer: a local folder, or a download from the Hugging Face hub.

    Files that were downloaded before are used without contacting the hub.

    Args:
        name: a local folder, or a repository such as `NeelNanda/Attn_Only_2L512W_C4_Code`.

    Raises:
        FileError: SCR-FILE, the name can only be a local folder and there is none; SCR-HUB, the model is neither
            available locally nor can it be downloaded.
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
    """Path of the `tokenizer.json` in a model's folder, or in the repository that its config names.

    Raises:
        FileError: SCR-HUB, neither place has a `tokenizer.json`.
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
    remedy = f"{name} has no tokenizer.json of its own. Where there is a network, run: "
    remedy += f"hf download {source} tokenizer.json --local-dir FOLDER. Then put the file into {folder}."
    where = f"tokenizer {source}"
    answers(lambda: hub.HfApi().model_info(source), where, remedy)
    try:
        return Path(hub.hf_hub_download(source, "tokenizer.json"))
    except OSError as error:
        fail(FileError, "SCR-HUB", f"it could not be fetched ({brief(error)}).", remedy, where)


def library(name: str, extra: str = "text") -> Any:
    """An optional library, which this extra of the package installs.

    Raises:
        UsageError: SCR-EXTRA, it is not installed.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        remedy = f"Install it with: pip install 'scrubbing[{extra}]'."
        fail(UsageError, "SCR-EXTRA", f"this needs the library {name} ({brief(error)}).", remedy)


def answers(ask: Callable[[], Any], name: str, remedy: str, before: str = "it was not fetched before, and ") -> None:
    """Ask the hub for something small before something large.

    Args:
        ask: makes the request.
        name: of what is asked for.
        remedy: what to do where there is no hub.
        before: why the hub was asked, as the start of a sentence.

    Raises:
        FileError: SCR-HUB, it does not answer in time, or does not know.
    """
    if library("huggingface_hub.constants").HF_HUB_OFFLINE:
        fail(FileError, "SCR-HUB", f"{before}HF_HUB_OFFLINE forbids to do so now.", remedy, name)
    patience = float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or _PATIENCE)
    found: list[Exception | None] = []

    def run() -> None:
        try:
            ask()
        except Exception as error:  # the client lets through the errors of whatever it makes its requests with
            found.append(error)
        else:
            found.append(None)

    # A timeout of the request would not cover looking up the host's name.
    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(patience)
    if not found:
        problem = f"{before}the hub did not answer within {patience} s (HF_HUB_ETAG_TIMEOUT sets how many)."
        fail(FileError, "SCR-HUB", problem, remedy, name)
    if found[0] is None:
        return
    if {kind.__name__ for kind in type(found[0]).__mro__} & {"RepositoryNotFoundError", "HFValidationError"}:
        problem = "the hub has no repository of this name, or none that you may read."
        fail(FileError, "SCR-HUB", problem, "Check the name, or log in with: hf auth login.", name)
    fail(FileError, "SCR-HUB", f"{before}the hub cannot be reached ({brief(found[0])}).", remedy, name)


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
        siblings: list[Any] = hub.HfApi().model_info(name).siblings or []
        files.extend(one.rfilename for one in siblings)

    answers(ask, name, _by_hand(name), "there is no such folder or file here, it was not fetched before, and ")
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
    else:
        told += " (and tokenizer.json of the tokenizer_name in its config.json, if it has none of its own)"
    return f"{told}. Bring the folder here, and run the same command with the folder instead of the name."


def _tokenizer_of(folder: Path, name: str) -> str | None:
    """The repository with a model's tokenizer."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        named = config.get("tokenizer_name")
    except (OSError, ValueError, AttributeError, RecursionError):
        named = None
    named = named if isinstance(named, str) else None
    return _TOKENIZERS.get(name) or _TOKENIZERS.get(str(named), named)
