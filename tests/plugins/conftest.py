"""What terminal, page and Markdown say of a result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scrubbing.cli import app
from scrubbing.records import load, load_inputs, save


@pytest.fixture
def outlets(tmp_path: Path) -> Callable[[Any], dict[str, str]]:
    """By name, of a record that was written with its values per input, and read again."""

    def shown(result: Any) -> dict[str, str]:
        path = save(result.record(), tmp_path / "record.json", result.inputs())
        inputs = load_inputs(load(path), path)
        assert inputs is not None and set(inputs.columns) == set(result.inputs().columns)
        found = {"terminal": said("show", str(path))}
        for name, file in (("page", "page.html"), ("Markdown", "summary.md")):
            said("report", str(path), "--out", str(tmp_path / file))
            found[name] = (tmp_path / file).read_text()
        return found

    return shown


def said(*arguments: str) -> str:
    """What a command prints."""
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def command() -> Callable[..., str]:
    """Run a command, and give what it prints."""
    return said
