"""Registries: what is added by a file, by the same file loaded twice, and by an installed package."""

from __future__ import annotations

import sys

import pytest

from scrubbing import UsageError
from scrubbing.hypothesis.addresses import load_file
from scrubbing.registry import Registry

SHAPES: Registry[object] = Registry("shape", "tests.shapes", "SCR-PLUGIN")


def test_by_call_and_by_decorator():
    shapes: Registry[object] = Registry("shape", None)

    @shapes("square")
    class Square:
        pass

    assert shapes.add("round", "a disc") == "a disc"
    assert (shapes["square"], shapes["round"]) == (Square, "a disc")
    assert list(shapes) == ["square", "round"]
    assert "round" in shapes and "flat" not in shapes
    with pytest.raises(UsageError, match="There are: square, round") as caught:
        _ = shapes["flat"]
    assert caught.value.codes == ("SCR-PLUGIN",)


def test_one_name_for_two_things():
    """Said with the place of the first; an equal thing may come again from anywhere."""
    shapes: Registry[object] = Registry("shape", None)
    shapes.add("round", "a disc")
    shapes.add("round", "a disc")
    with pytest.raises(UsageError, match=r"called 'round' already, from .*test_registry\.py:\d+"):
        shapes.add("round", "a ball")
    assert shapes["round"] == "a disc"


def test_a_file_that_is_loaded_twice(tmp_path):
    """As a module and by its path, for instance: its classes and functions are others the second time."""
    code = """
from tests.unit.test_registry import SHAPES
@SHAPES("flat")
class Flat: pass
SHAPES.add("line", lambda: "a line")
"""
    for name in ("first", "second"):
        place = tmp_path / name / "shapes.py"
        place.parent.mkdir()
        place.write_text(code.replace("flat", f"flat {name}").replace('"line"', f'"line {name}"'))
    once = (tmp_path / "first" / "shapes.py").read_text()
    for _ in range(2):
        exec(compile(once, str(tmp_path / "first" / "shapes.py"), "exec"), {"__name__": "shapes"})
    assert "flat first" in SHAPES and "line first" in SHAPES
    load_file(tmp_path / "second" / "shapes.py")
    assert "flat second" in SHAPES


def installed(folder, name, point):
    """A package of this name that adds something, as pip leaves it."""
    home = folder / f"{name}-1.0.dist-info"
    home.mkdir(parents=True)
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (home / "entry_points.txt").write_text(f"[tests.shapes]\n{point}\n")


def test_installed(monkeypatch, tmp_path):
    installed(tmp_path, "shapes", "parens = benchmarks.parens.task:task")
    monkeypatch.syspath_prepend(tmp_path)
    assert SHAPES["parens"].name == "parens"
    assert "parens" in SHAPES


@pytest.mark.parametrize("place", ["", ".", None])
def test_the_current_folder_installs_nothing(place, monkeypatch, tmp_path):
    """Not even where Python looks there first, as with `python -m`."""
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    installed(own, "shapes", "parens = benchmarks.parens.task:task")
    for name in ("aaa", "shapes"):
        installed(foreign, name, "parens = evil:task")
    (foreign / "evil.py").write_text("raise SystemExit('it ran')")
    monkeypatch.chdir(foreign)
    monkeypatch.setattr("sys.path", [str(foreign) if place is None else place, *sys.path, str(own)])
    assert SHAPES["parens"].name == "parens"
    monkeypatch.setattr("sys.path", sys.path[:-1])
    assert "parens" not in SHAPES
