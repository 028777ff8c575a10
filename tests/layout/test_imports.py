"""What starting must not load, and how the house is laid out."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformer_lens", "transformers")
SOURCES = sorted(
    path for room in ("scrubbing", "hypotheses", "benchmarks", "tests") for path in (ROOT / room).rglob("*.py")
)


def loaded_by(code: str) -> set[str]:
    """The heavy modules that a fresh interpreter has loaded after running this."""
    report = f"\nimport sys; print('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import scrubbing",
        "import scrubbing.cli",
        "from scrubbing import *",
        "from scrubbing import Hypothesis, Variable, feature, head, Dataset, OUTPUT, Task",
        "import hypotheses.parens.original as o; o.ladder()",
        "import hypotheses.parens.shipped as s; s.ladder()",
        "from benchmarks.parens.task import task; task.graph(); task.ladder()",
        "from typer.testing import CliRunner; from scrubbing.cli import app; r = CliRunner().invoke(app, "
        "['--help']); assert not r.exit_code",
        "from typer.testing import CliRunner; from scrubbing.cli import app; r = CliRunner().invoke(app, "
        "['check', 'parens/best']); "
        "assert not r.exit_code, r.output",
    ],
    ids=lambda code: code[:60],
)
def test_loads_nothing_heavy(code: str) -> None:
    wanted = {"torch"} if "import *" in code else set()
    assert loaded_by(code) - wanted == set()


def test_collecting_tests_of_hypotheses_loads_nothing_heavy(tmp_path: Path) -> None:
    """pytest collects a file of hypotheses and gates without loading torch."""
    (tmp_path / "test_gate.py").write_text(
        "from scrubbing import OUTPUT, Hypothesis, Variable, feature, head\n"
        "from hypotheses.parens.original import ladder\n"
        "import sys\n"
        "assert 'torch' not in sys.modules and 'transformer_lens' not in sys.modules\n"
        "def test_one(): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_packages_stand_side_by_side() -> None:
    import benchmarks
    import hypotheses
    import scrubbing

    places = {Path(str(package.__file__)).parent.parent for package in (benchmarks, hypotheses, scrubbing)}
    assert places == {ROOT}


def test_every_public_name_resolves() -> None:
    import scrubbing

    for name in scrubbing.__all__:
        assert getattr(scrubbing, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = scrubbing.nonsense


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= 400
    assert not text.strip() or ast.get_docstring(tree), "a file opens with a sentence on what lives there"
    for inner in ast.walk(tree):
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) and inner.end_lineno is not None:
            assert inner.end_lineno - inner.lineno < 60, inner.name


def test_import_rules() -> None:
    """The floors and doors of pyproject.toml."""
    done = subprocess.run(
        [sys.executable, "-m", "importlinter.cli", "lint"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    if "No module named" in done.stderr:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "lint-imports")], capture_output=True, text=True, cwd=ROOT, check=False
        )
    assert done.returncode == 0, done.stdout[-2000:]
