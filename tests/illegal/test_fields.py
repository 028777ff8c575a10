"""Values of the language whose fields hold what they should not, made by hand or from JSON: refused by name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import pytest

from scrubbing import everything
from scrubbing.graph.edges import Edge
from scrubbing.graph.nodes import Node
from scrubbing.parts import attending_to, neurons, offsets, pairs, project
from scrubbing.routes import Along, AnyPath, Via
from scrubbing.samplers.crossing import Cross
from scrubbing.samplers.ours import Agree, Fixed, Paired
from scrubbing.storable import unusable

NODE, OTHER = Node("head", 0, 1), Node("head", 1, 0)
RIGHT: list[Any] = [
    AnyPath(),
    AnyPath(frozenset([NODE])),
    Via((NODE,)),
    Along(frozenset([Edge(NODE, OTHER, "q")])),
    Agree(),
    Agree(everything),
    Paired(everything),
    Fixed(np.int64(3)),  # pyright: ignore[reportArgumentType]
    Cross(share=1),
    neurons(np.array([2, 0])),
    offsets(-1, 0),
    attending_to(-1),
    pairs(np.eye(4, dtype=bool)),
    project(np.eye(3)[:2]),
]
HOSTILE: list[Any] = [..., b"x", (b"",), frozenset([1]), 2.5j]
"""No field of the language holds any of these."""


@pytest.mark.parametrize("value", RIGHT, ids=str)
def test_what_is_right_is_let_through(value: Any) -> None:
    assert list(unusable(value)) == []


@pytest.mark.parametrize("wrong", HOSTILE, ids=repr)
@pytest.mark.parametrize("value", RIGHT, ids=str)
def test_every_field_of_another_type_is_told(value: Any, wrong: Any) -> None:
    for field in fields(value):
        kind: Any = value.__class__
        made: Any = object.__new__(kind)
        for one in fields(value):
            object.__setattr__(made, one.name, wrong if one.name == field.name else getattr(value, one.name))
        found = list(unusable(made))
        assert len(found) == 1 and f" in {field.name}, which is no " in found[0][0], field.name


def test_a_bool_is_no_number() -> None:
    assert len(list(unusable(Fixed(True)))) == 1
    assert get_type_hints(Fixed)["input_id"] is int
