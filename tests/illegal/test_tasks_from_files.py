"""Tasks that lack something, and files that no task can be made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scrubbing import BadData, FileError, ModelMismatch, Task, UsageError
from scrubbing.cli import app
from scrubbing.data import from_any_file
from scrubbing.experiment.from_files import loss_named, task_from_files
from scrubbing.experiment.task import read_config
from scrubbing.graph import config_graph


def test_a_task_without_functions(refused: Any) -> None:
    refused(UsageError, "SCR-TASK", lambda: Task("mine", data=list, model=4))  # pyright: ignore[reportArgumentType]


def test_a_config_without_sizes(refused: Any) -> None:
    refused(ModelMismatch, "SCR-CONFIG SCR-CONFIG", lambda: config_graph({"model_type": "llama", "hidden_size": 8}, 4))


def test_configs_that_are_none(refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(FileError, "SCR-FILE", lambda: read_config("config.json"))
    Path("list.json").write_text("[1]")
    refused(FileError, "SCR-FILE", lambda: read_config("list.json"))


def test_an_unknown_loss(refused: Any) -> None:
    refused(UsageError, "SCR-LOSS", lambda: loss_named("next-tokens"))
    refused(UsageError, "SCR-LOSS", lambda: task_from_files("folder", "file.txt", "next-token:label"))


FILES = {
    "picture.png": "x",
    "broken.jsonl": "{",
    "broken.parquet": "no",
    "list.jsonl": "[1, 2]",
    "ragged.jsonl": '{"tokens": [1, 2]}\n{"tokens": [1]}',
}


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(FILES[name])
    kind, code = (BadData, "SCR-DATA") if name == "ragged.jsonl" else (FileError, "SCR-FILE")
    words = {r"\(ArrowInvalid: .*\)\)": "(ArrowInvalid: <its words>)"}
    refused(kind, code, lambda: from_any_file(name), words)


def test_text_without_a_tokenizer(refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("some words")
    refused(UsageError, "SCR-TEXT", lambda: from_any_file("words.txt"))


def test_options_that_do_not_go_together(snapshot: Any) -> None:
    done = CliRunner().invoke(app, ["run", "h.py::x", "--model", "folder"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == snapshot
