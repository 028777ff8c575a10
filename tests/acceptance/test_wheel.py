"""From the built wheel, in an empty folder: a project that passes, our ladder, a page of it; and an sdist to build it.

Installed without its requirements, which are those of this environment, and in front of the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt")
FOLDERS = ("scrubbing", "hypotheses", "benchmarks", "docs", "tests")
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "SCRUBBING", "PYTHON"))}

pytestmark = pytest.mark.slow


def build(kind: str, folder: Path) -> Path:
    call = f"from setuptools import build_meta; print(build_meta.build_{kind}('dist'))"
    done = subprocess.run([sys.executable, "-c", call], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "dist" / done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built of the sdist, which is built of a copy of the checkout."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        shutil.copy(ROOT / name, copy)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
    sdist, unpacked = build("sdist", copy), tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as packed:
        packed.extractall(unpacked, filter="data")
    (folder,) = unpacked.iterdir()
    return build("wheel", folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def ran(installed: Path, folder: Path, *command: str) -> str:
    environment = {**PLAIN, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_small_and_has_what_it_needs(wheel: Path) -> None:
    assert wheel.stat().st_size < 10_000_000
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("scrubbing/report/templates/page.js", "scrubbing/report/templates/map.css"):
        assert wanted in names
    assert not any(name.startswith(("tests/", "docs/")) for name in names)


def test_what_runs_is_the_wheel(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "where.py").write_text("import scrubbing\nprint(scrubbing.__file__)\n")
    assert Path(ran(installed, tmp_path, "where").strip()).is_relative_to(installed)


def test_a_project_of_it_passes(installed: Path, tmp_path: Path) -> None:
    ran(installed, tmp_path, "scrubbing.cli", "init")
    assert "1 passed" in ran(installed, tmp_path, "pytest", "-q", "-p", "no:cacheprovider")
    assert "1 pass" in ran(installed, tmp_path, "scrubbing.cli", "gate")


def test_our_ladder_runs_in_an_empty_folder_within_a_minute(installed: Path, tmp_path: Path) -> None:
    few = ("--references", "200", "--draws", "2")
    before = os.times().children_user
    shown = ran(installed, tmp_path, "scrubbing.cli", "bench", "parens", *few, "--no-verdict", "--out", "records")
    assert os.times().children_user - before < 60
    assert "tight-signs" in shown
    ran(installed, tmp_path, "scrubbing.cli", "report", "records", "--out", "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<article") >= 12


def test_every_example_and_notebook_of_the_docs_runs_with_it(installed: Path, tmp_path: Path) -> None:
    """The tests of the docs, which run each page in an empty folder, with the wheel in front of the checkout."""
    (tmp_path / "where.py").write_text(
        "import benchmarks, hypotheses, scrubbing\n"
        f"assert all({str(installed)!r} in one.__file__ for one in (benchmarks, hypotheses, scrubbing))\n"
    )
    environment = {**PLAIN, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    pages = [str(ROOT / "tests" / "docs" / name) for name in ("test_examples.py", "test_notebooks.py")]
    options = ["-q", "-n", "0", "-p", "where", "-p", "no:cacheprovider", f"--confcutdir={ROOT}", f"--rootdir={ROOT}"]
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), *options, *pages]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
