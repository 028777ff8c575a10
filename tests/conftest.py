"""One thread per test process, nothing from the network, and models built once."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "disabled"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from scrubbing import baselines, controls, executors, measures, tasks
from scrubbing.report.view import sections
from tests import warm
from tests.fuzz import counts

collect_ignore = [] if "SCRUBBING_DEVICE" in os.environ else ["devices"]
"""The pretend device is registered for a whole process, which `make test` makes for it."""

REGISTRIES = (baselines, controls, executors, measures, tasks, sections)
OURS = {registry.kind: set(registry._added) for registry in REGISTRIES}
"""What was registered before any test file was."""

# The same examples every time: a failure that comes and goes teaches nothing. Search wider by hand with
# `--hypothesis-profile=default`.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


def pytest_sessionfinish() -> None:
    warm.stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Here, since the process that sums up what workers ran reads no other conftest."""
    counts.tell(terminalreporter)


@pytest.fixture(autouse=True)
def reports_say_what_they_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections and wordings that a test registers are in no later test."""
    from scrubbing.report import sections, wordings

    for registry in (sections, wordings):
        monkeypatch.setattr(registry, "_added", dict(registry._added))


@cache
def _bridge(name: str) -> Any:
    from scrubbing.models.transformer_lens.tiny import tiny

    return tiny(name)


@pytest.fixture(autouse=True)
def _only_our_own(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plug-ins that test files register when they are collected are there in their own tests only."""
    if "plugins" not in request.path.parts:
        for registry in REGISTRIES:
            kept = {name: one for name, one in registry._added.items() if name in OURS[registry.kind]}
            monkeypatch.setattr(registry, "_added", kept)


@pytest.fixture(scope="session")
def tiny_bridge() -> Any:
    """Tiny random bridges by family name, built once."""
    return _bridge


@pytest.fixture(scope="session")
def tiny_model() -> Any:
    """Tiny scrubbable models by family name, built and self-checked once."""
    from scrubbing.models.transformer_lens import from_bridge

    return cache(lambda name: from_bridge(_bridge(name), name=name))


@pytest.fixture(scope="session")
def stories_folder() -> Path:
    """A Llama of one megabyte without tokenizer files (stories260K), and `samples.npz` with text that it wrote."""
    beside = Path(__file__).parents[3] / "shared" / "data" / "stories260k"
    folder = Path(os.environ.get("SCRUBBING_STORIES") or beside)
    if not folder.is_dir():
        pytest.skip("the model stories260K is not here: set SCRUBBING_STORIES to its folder")
    return folder


@pytest.fixture(scope="session")
def original_folder() -> Path:
    """The original study's files; tests that need them carry the marker `original`."""
    folder = os.environ.get("SCRUBBING_ORIGINAL")
    if not folder:
        pytest.skip("the original study's files are not here: set SCRUBBING_ORIGINAL to their folder")
    return Path(folder)
