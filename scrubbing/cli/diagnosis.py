"""What `scrub doctor` says: versions, devices, threads, memory, caches, and the hub."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scrubbing.errors import ScrubbingError

_NEEDED = ("torch", "numpy", "scipy", "pyarrow", "pydantic", "typer")
_OPTIONAL = {
    "tl": ("transformer_lens", "transformers"),
    "text": ("datasets", "huggingface_hub", "tokenizers"),
    "report": ("matplotlib", "pandas"),
    "slurm": ("submitit",),
    "ray": ("ray",),
}
_GB = 2**30


def diagnosis(hub: bool) -> Iterator[tuple[str, str]]:
    """What is asked of whoever reports a fault: a word, and what is there.

    Args:
        hub: whether to ask the Hugging Face hub whether it is there.
    """
    yield "scrubbing", f"{_version('scrubbing') or 'not installed'}, in {Path(__file__).parents[1]}"
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    yield "libraries", ", ".join(f"{name} {_version(name) or 'missing'}" for name in _NEEDED)
    for extra, names in _OPTIONAL.items():
        there = [f"{name} {found}" for name in names if (found := _version(name))]
        missing = [name for name in names if not _version(name)]
        told = ", ".join(there) or "none"
        yield (
            f"[{extra}]",
            f"{told}; missing {', '.join(missing)}: pip install 'scrubbing[{extra}]'" if missing else told,
        )
    yield from _devices()
    yield "memory", _memory()
    there = tempfile.gettempdir()
    yield "spill", f"{shutil.disk_usage(there).free / _GB:,.0f} GB free in {there}"
    yield from _hub(hub)
    from scrubbing.experiment.task import tasks

    yield "tasks", ", ".join(sorted(tasks)) or "none"


def _version(name: str) -> str:
    try:
        return version(name.replace("_", "-"))
    except PackageNotFoundError:
        return ""


def _devices() -> Iterator[tuple[str, str]]:
    try:
        import torch

        from scrubbing.device import resolve
    except ImportError as error:
        yield "device", f"torch cannot be loaded ({error})"
        return
    gpus = [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    others = ["mps"] if torch.backends.mps.is_available() else []
    try:
        auto = str(resolve("auto"))
    except ScrubbingError as error:
        auto = error.faults[0].problem
    yield "device", f"auto is {auto}; there are {', '.join(['cpu', *gpus, *others])}"
    set_to = os.environ.get("OMP_NUM_THREADS")
    limit = f", OMP_NUM_THREADS is {set_to}" if set_to else ""
    small = "" if set_to else "; one for a small model, unless --threads says otherwise"
    yield "threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores{limit}{small}"


def _memory() -> str:
    try:
        page, pages = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # not on this system
        return "unknown"
    return f"{page * pages / _GB:,.0f} GB; a run keeps to 1 GB of activations unless --memory says otherwise"


def _hub(ask: bool) -> Iterator[tuple[str, str]]:
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE, HF_HUB_OFFLINE
    except ImportError:
        yield "hub", "not used: pip install 'scrubbing[text]'"
        return
    cache = Path(HF_HUB_CACHE)
    models = sum(1 for _ in cache.glob("models--*")) if cache.is_dir() else 0
    yield "cache", f"{models} models in {cache}"
    if HF_HUB_OFFLINE:
        yield "hub", "offline, because HF_HUB_OFFLINE is set"
        return
    if not ask:
        yield "hub", f"{ENDPOINT}, not asked"
        return
    from scrubbing.data.hub import answers

    try:
        answers(lambda: HfApi().model_info("gpt2"), "gpt2", "", before="")
    except ScrubbingError as error:
        yield "hub", f"{ENDPOINT}: {error.faults[0].problem.rstrip('.')}"
    else:
        yield "hub", f"{ENDPOINT} answers"
