"""The notebooks run from top to bottom, and every value at the end of a cell shows itself.

They are stored without outputs, so that no number in them can be out of date, and run here cell by cell in one
namespace: a kernel would need some thirty packages more, and would run the same Python.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[str]:
    """The source of each cell of code."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert found["nbformat"] == 4
    return ["".join(cell["source"]) for cell in found["cells"] if cell["cell_type"] == "code"]


def run(source: str, namespace: dict[str, Any]) -> Any:
    """The value that a notebook shows below a cell; None where its last line is no expression."""
    body = ast.parse(source).body
    shown = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), namespace)
    return None if shown is None else eval(compile(ast.Expression(shown.value), "cell", "eval"), namespace)


@pytest.mark.parametrize(
    "path", [pytest.param(one, marks=[pytest.mark.slow] * (one.stem == "induction"), id=one.stem) for one in NOTEBOOKS]
)
def test_runs_and_shows_itself(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    shown = [value for source in cells(path) if (value := run(source, namespace)) is not None]
    pages = [value._repr_html_() for value in shown if hasattr(value, "_repr_html_")]
    assert len(pages) >= 3
    for page in pages:
        assert page.startswith("<div") and page.rstrip().endswith("</div>") and "<script" not in page
    plain = [value for value in shown if not hasattr(value, "_repr_html_")]
    assert all(isinstance(value, (int, float, str, dict)) for value in plain), "something shows a wall of text"


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first-hypothesis", "induction", "your-own-model"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_stored(path: Path) -> None:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in found["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
