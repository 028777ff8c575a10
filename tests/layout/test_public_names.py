"""Every public name resolves, says what it is, and is in the reference."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import scrubbing

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"


PACKAGE = Path(scrubbing.__file__).parent
WORDS = ("scrubbing.parts", "scrubbing.samplers", "scrubbing.routes")
"""Modules that import what they list, and need no list beside them."""
MODULES = [*WORDS, *sorted(".".join(one.parent.relative_to(PACKAGE.parent).parts) for one in PACKAGE.rglob("*.pyi"))]
"""Everything whose names are public."""


def listed(module: str) -> dict[str, str]:
    """Public names of a module, and where they are defined."""
    lines = (PACKAGE.parent / module.replace(".", "/") / "__init__.pyi").read_text(encoding="utf-8")
    found = re.findall(r"^from \.(\S*) import (\w+) as \2$", lines, re.M)
    assert len(found) == len(lines.splitlines()), f"a line of {module}/__init__.pyi has another form"
    return {name: f"{module}.{home}".rstrip(".") for home, name in found}


HOMES = {(module, name): module for module in WORDS for name in importlib.import_module(module).__all__}
HOMES |= {(module, name): home for module in MODULES if module not in WORDS for name, home in listed(module).items()}
HOMES = {one: home for one, home in HOMES.items() if f"{home}.{one[1]}" not in WORDS}
"""Where a public name is defined, by the module it is imported from and its name."""


def told_in_source(name: str, module: Any) -> str | None:
    """The string after `name = ...`, which documents a constant; the class of its value documents others as well."""
    submodules = [one for one in vars(module).values() if getattr(one, "__package__", None) == module.__name__]
    for inner in [module, *submodules]:
        body = ast.parse(inspect.getsource(inner)).body
        for statement, after in pairwise(body):
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            if targets[0] is not None and ast.unparse(targets[0]) == name:
                is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                return str(after.value.value) if is_text else None
        if decorated := [one for one in body if isinstance(one, ast.FunctionDef) and one.name == name]:
            return ast.get_docstring(decorated[0])
    return None


@pytest.mark.parametrize(("module", "name"), HOMES)
def test_resolves_to_what_its_module_defines_and_says_what_it_is(module: str, name: str) -> None:
    value, home = getattr(importlib.import_module(module), name), importlib.import_module(HOMES[module, name])
    assert value is getattr(home, name)
    made_by_hand = inspect.isclass(value) or inspect.isfunction(value)
    told = value.__doc__ if made_by_hand else told_in_source(name, home)
    assert told
    assert told.strip()[0].isupper()
    assert re.split(r"\n\n *Example:", told)[0].strip().endswith((".", ":"))
    if inspect.isclass(value):
        assert "Args" in told or not told.startswith(f"{name}("), "not the signature that dataclass puts there"


@pytest.mark.parametrize(("module", "name"), HOMES)
def test_is_in_the_reference_under_its_module(module: str, name: str) -> None:
    listed = re.findall(
        rf"^\.\. currentmodule:: (\S+)\n(?:(?!\.\. currentmodule).*\n)*?\.\. auto\w+:: {name}$",
        REFERENCE.read_text(),
        re.M,
    )
    assert listed.count(HOMES[module, name]) == 1


@pytest.mark.parametrize("module", MODULES)
def test_a_public_module_says_what_it_is_for(module: str) -> None:
    assert importlib.import_module(module).__doc__
    assert set(dir(importlib.import_module(module))) >= {name for at, name in HOMES if at == module}


@pytest.mark.parametrize("module", WORDS)
def test_the_words_of_the_language_are_at_hand(module: str) -> None:
    assert getattr(scrubbing, module.partition(".")[2]) is importlib.import_module(module)
    assert module.partition(".")[2] in scrubbing.__all__


@pytest.mark.parametrize("name", scrubbing._NEW_HOME)
def test_a_name_that_moved_still_works_and_says_where_it_is_now(name: str) -> None:
    home = f"scrubbing.{scrubbing._NEW_HOME[name]}"
    with pytest.warns(DeprecationWarning, match=rf"scrubbing\.{name} is now {home}\.{name}$"):
        assert getattr(scrubbing, name) is getattr(importlib.import_module(home), name)
    assert name not in scrubbing.__all__
    old = importlib.import_module(f"scrubbing.hypothesis.{scrubbing._NEW_HOME[name]}")
    with pytest.warns(DeprecationWarning, match=f"is now {home}"):
        assert getattr(old, name) is getattr(importlib.import_module(home), name)


def test_the_reference_lists_nothing_that_is_gone() -> None:
    module = ""
    for directive, argument in re.findall(r"^\.\. (currentmodule|auto\w+):: (\S+)$", REFERENCE.read_text(), re.M):
        if directive == "currentmodule":
            module = argument
        else:
            assert hasattr(importlib.import_module(module), argument), f"{module}.{argument}"


SHOWN = [*REFERENCE.parents[1].rglob("*.md"), *REFERENCE.parents[1].rglob("examples/**/*.py")]
SHOWN += [REFERENCE.parents[2] / "README.md", *Path(__file__).parents[1].glob("plugins/test_*.py")]
PUBLIC = {*MODULES, "scrubbing.models.transformer_lens", "scrubbing.testing"}


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_what_the_docs_and_plug_ins_import_is_public(path: Path) -> None:
    """Names of a folder's list, or of a module that is in no folder."""
    text = path.read_text(encoding="utf-8")
    for module, names in re.findall(r"^ *from (scrubbing[\w.]*) import (\([^)]*\)|[^\n(]+)$", text, re.M):
        known = importlib.import_module(module)
        assert module in PUBLIC or "." not in module.partition(".")[2], module
        if module in PUBLIC:
            assert set(re.findall(r"(?<!as )\b(?!as\b)\w+", names)) <= set(known.__all__)
