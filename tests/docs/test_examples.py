"""Every example in the README and the docs runs, and prints what the page shows.

One test per page, its examples in order and in one namespace, inside an empty folder, or for the README of an example
repository inside a copy of it:

- a `python` block is run; what it prints must be in a `text` block right after it. If its first line is a comment that
  names a file (`# beliefs.py`), it is written to that file instead;
- a `console` block holds commands after `$ ` and their output;
- in outputs, `...` stands for anything, and neither times, progress nor versions are compared;
- `sh` blocks (what to type to install things), `yaml` and `toml`, and `text` blocks that follow no `python`, are only
  shown.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from doctest import ELLIPSIS, OutputChecker
from io import StringIO
from pathlib import Path

import pytest
from sybil import Example
from sybil.document import Document
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from tests.warm import PYTEST, python

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
LONG = (
    "read-a-verdict",
    "dictionaries",
    "strict-induction",
    "slurm",
    "controls",
    "cli",
    "programs",
    "plan-a-run",
    "gitlab",
)
"""Pages that take ten seconds and more, half of the time of all: slow tests, which CI runs."""
COLUMNS = 80
_TIME = re.compile(r"\b\d+(\.\d+)? s\b")
_OF_THE_MACHINE = re.compile(
    r": [\d,]+ of [\d,]+ \(\d+%\)$|^ *(python|torch|numpy|transformer_lens) was \S+, is \S+\.$", re.M
)
"""What a slow one says of a run that takes half a minute, and one with other versions beside a snapshot that moved."""
_PYTHON = PythonEvaluator()


def run_page(path: Path, folder: Path) -> int:
    """Run every example of a page in a folder; how many there were."""
    printed = ""  # by the last python block, and not yet shown
    after_python = False

    def python(example: Example) -> None:
        nonlocal printed, after_python
        _nothing_hidden(printed)
        if name := re.match(r"# (\w+\.py)\n", example.parsed):
            (folder / name[1]).write_text(example.parsed)
            return
        out = StringIO()
        with redirect_stdout(out):
            _PYTHON(example)
        printed, after_python = out.getvalue(), True

    def text(example: Example) -> None:
        nonlocal printed, after_python
        if after_python:
            _compare(example.parsed, printed, f"{path.name}, line {example.line}")
        printed, after_python = "", False

    def console(example: Example) -> None:
        nonlocal after_python
        _nothing_hidden(printed)
        after_python = False
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n?)*)", example.parsed, re.M):
            _compare(shown, _run(command, folder), f"{path.name}, line {example.line}: {command}")

    document = Document.parse(str(path), *(_parser(run.__name__, run) for run in (python, text, console)))
    document.namespace["__name__"] = "__main__"
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    _nothing_hidden(printed)
    return len(examples)


def _parser(language: str, evaluate: Callable[[Example], None]) -> CodeBlockParser:
    return CodeBlockParser(language=language, evaluator=evaluate)


def _nothing_hidden(printed: str) -> None:
    assert not printed, f"this was printed, and no text block after it shows it:\n{printed}"


OURS = {"scrub": ("-m", "scrubbing.cli"), "pytest": PYTEST, "python": ()}


def _run(command: str, folder: Path) -> str:
    first, *rest = shlex.split(command)
    if first in OURS and not re.search(r"[|&;<>$`*]", command):
        return python(
            *OURS[first], *rest, cwd=folder, env={**os.environ, "COLUMNS": str(COLUMNS)}, together=True
        ).stdout
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": str(COLUMNS)}
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def _compare(shown: str, printed: str, where: str) -> None:
    wanted, got = _normal(shown), _normal(printed)
    assert OutputChecker().check_output(wanted, got, ELLIPSIS), f"{where}\n--- shown\n{wanted}--- printed\n{got}"


def _normal(text: str) -> str:
    lines = (
        _TIME.sub("N s", line).rstrip() for line in text.strip("\n").splitlines() if not _OF_THE_MACHINE.search(line)
    )
    return "\n".join(lines).strip("\n") + "\n"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] * (path.stem in LONG), id=str(path.relative_to(ROOT)))
        for path in PAGES
    ],
)
def test_examples(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path
    if path.parent.parent.name == "examples":
        folder = tmp_path / "copy"
        shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(folder)
    run_page(path, folder)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_are_of_a_kind_that_is_run_or_plainly_not_an_example(path: Path) -> None:
    languages = re.findall(r"^```(.*)\n(?:.*\n)*?```$", path.read_text(), re.M)
    known = {"python", "console", "text", "sh", "toml", "yaml"}
    assert {language for language in languages if not language.startswith("{")} <= known


GOOD = "```python\nprint(1 + 1, '3.1 s')\n```\n```text\n2 9.9 s\n```\n"
BAD = {
    "another output": "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n",
    "output not shown": "```python\nprint(1 + 1)\n```\n",
    "output not shown before the next": "```python\nprint(1)\n```\n```python\nx = 1\n```\n```text\n1\n```\n",
    "shown, not printed": "```python\nx = 1\n```\n```text\n1\n```\n",
    "raises": "```python\n1 / 0\n```\n",
    "another output of a command": "```console\n$ echo one\ntwo\n```\n",
    "second command": "```console\n$ echo one\none\n$ echo two\none\n```\n",
    "output of a command not shown": "```console\n$ echo one\n```\n",
}


@pytest.mark.parametrize("page", BAD.values(), ids=BAD)
def test_a_page_that_is_wrong_fails(page: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(GOOD + page)
    with pytest.raises((AssertionError, ZeroDivisionError)):
        run_page(tmp_path / "page.md", tmp_path)


def test_a_page_that_is_right_passes(tmp_path: Path) -> None:
    page = GOOD + '```python\n# noted.py\nprint("x")\n```\n```console\n$ python noted.py && echo any\nx\n...\n```\n'
    (tmp_path / "page.md").write_text(page)
    assert run_page(tmp_path / "page.md", tmp_path) == 4
