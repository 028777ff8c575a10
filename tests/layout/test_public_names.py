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


def home(name: str) -> Any:
    """The module that defines a public name."""
    return importlib.import_module(scrubbing._MODULE_OF[name])


def told_in_source(name: str) -> str | None:
    """The string after `name = ...`, which documents a constant; the class of its value documents others as well."""
    body = ast.parse(inspect.getsource(home(name))).body
    for statement, after in pairwise(body):
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        if target is not None and ast.unparse(target) == name:
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            return str(after.value.value) if is_text else None
    decorated = [one for one in body if isinstance(one, ast.FunctionDef) and one.name == name]
    return ast.get_docstring(decorated[0]) if decorated else None


@pytest.mark.parametrize("name", scrubbing.__all__)
def test_resolves_to_what_its_module_defines_and_says_what_it_is(name: str) -> None:
    value = getattr(scrubbing, name)
    assert value is getattr(home(name), name)
    made_by_hand = inspect.isclass(value) or inspect.isfunction(value)
    told = value.__doc__ if made_by_hand else told_in_source(name)
    assert told
    assert told.strip()[0].isupper()
    assert told.strip().endswith((".", ":"))
    if inspect.isclass(value):
        assert "Args" in told or not told.startswith(f"{name}("), "not the signature that dataclass puts there"


@pytest.mark.parametrize("name", scrubbing.__all__)
def test_is_in_the_reference_under_its_module(name: str) -> None:
    listed = re.findall(
        rf"^\.\. currentmodule:: (\S+)\n(?:(?!\.\. currentmodule).*\n)*?\.\. auto\w+:: {name}$",
        REFERENCE.read_text(),
        re.M,
    )
    assert listed == [scrubbing._MODULE_OF[name]]


def test_the_reference_lists_nothing_that_is_gone() -> None:
    module = ""
    for directive, argument in re.findall(r"^\.\. (currentmodule|auto\w+):: (\S+)$", REFERENCE.read_text(), re.M):
        if directive == "currentmodule":
            module = argument
        else:
            assert hasattr(importlib.import_module(module), argument), f"{module}.{argument}"
