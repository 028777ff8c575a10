"""Two toy models share a fingerprint only if they compute the same: every kind of thing a function can read."""

from __future__ import annotations

import functools
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from scrubbing import ToyModel


def helper(x: Any) -> Any:
    return x + 1


def other_helper(x: Any) -> Any:
    return x + 2


def fingerprint(function: Callable[..., Any], **options: Any) -> str:
    return ToyModel({"a": "a"}, {"logits": (function, {"x": ["a"]})}, **options).fingerprint


def scaled(by: Any) -> Callable[..., Any]:
    return lambda x: by * x


def defaulted(by: float) -> Callable[..., Any]:
    def scaled(x: Any, *, by: float = by) -> Any:
        return by * x

    return scaled


@dataclass
class Scale:
    by: float

    def __call__(self, x: Any) -> Any:
        return self.by * x

    def twice(self, x: Any) -> Any:
        return 2 * self.by * x


class Slotted:
    __slots__ = ("by",)

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, x: Any) -> Any:
        return self.by * x


class Shifted(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.register_buffer("by", torch.tensor(by))

    def forward(self, x: Any) -> Any:
        return x + self.by


def linear(weight: float, bias: float = 0.0) -> nn.Linear:
    made = nn.Linear(1, 1)
    nn.init.constant_(made.weight, weight)
    nn.init.constant_(made.bias, bias)
    return made


def reads_global(name: str, value: Any) -> Callable[..., Any]:
    namespace: dict[str, Any] = {name: value, "torch": torch}
    exec(f"def function(x):\n    return x * {name}\n", namespace)
    return namespace["function"]


def calls_global(called: Any) -> Callable[..., Any]:
    namespace: dict[str, Any] = {"called": called}
    exec("def function(x):\n    return [called(one) for one in (x,)][0]\n", namespace)
    return namespace["function"]


KINDS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "constants": (lambda: lambda x: 2 * x, lambda: lambda x: 3 * x),
    "operations": (lambda: lambda x: 2 * x, lambda: lambda x: 2 + x),
    "methods called": (lambda: lambda x: x.sin(), lambda: lambda x: x.cos()),
    "a closure over a number": (lambda: scaled(2), lambda: scaled(3)),
    "a closure over 1 and True": (lambda: scaled(1), lambda: scaled(True)),
    "a closure over a tensor": (lambda: scaled(torch.tensor([1.0])), lambda: scaled(torch.tensor([2.0]))),
    "a closure over a tensor of another dtype": (
        lambda: scaled(torch.tensor([1.0])),
        lambda: scaled(torch.tensor([1.0], dtype=torch.float64)),
    ),
    "a closure over a function": (lambda: lambda x, f=helper: f(x), lambda: lambda x, f=other_helper: f(x)),
    "a default": (lambda: defaulted(2.0), lambda: defaulted(3.0)),
    "a partial": (lambda: functools.partial(torch.mul, other=2), lambda: functools.partial(torch.mul, other=3)),
    "what a partial calls": (lambda: functools.partial(torch.sin), lambda: functools.partial(torch.cos)),
    "a module's weights": (lambda: linear(1.0), lambda: linear(2.0)),
    "a module's bias": (lambda: linear(1.0), lambda: linear(1.0, 1.0)),
    "a module's buffers": (lambda: Shifted(1.0), lambda: Shifted(2.0)),
    "modules of two kinds": (lambda: nn.ReLU(), lambda: nn.Sigmoid()),
    "a module's options": (lambda: nn.LeakyReLU(0.1), lambda: nn.LeakyReLU(0.2)),
    "modules inside a module": (lambda: nn.Sequential(linear(1.0)), lambda: nn.Sequential(linear(2.0))),
    "a callable object": (lambda: Scale(1.0), lambda: Scale(2.0)),
    "an object with slots": (lambda: Slotted(1.0), lambda: Slotted(2.0)),
    "a bound method": (lambda: Scale(1.0).twice, lambda: Scale(2.0).twice),
    "methods of one object": (lambda: Scale(1.0).twice, lambda: Scale(1.0).__call__),
    "a global number": (lambda: reads_global("factor", 2.0), lambda: reads_global("factor", 3.0)),
    "a global tensor": (lambda: reads_global("t", torch.ones(1)), lambda: reads_global("t", torch.zeros(1))),
    "a global helper, inside a comprehension": (lambda: calls_global(helper), lambda: calls_global(other_helper)),
    "built-in functions": (lambda: torch.sin, lambda: torch.cos),
    "a built-in function of a value": (lambda: torch.ones(1).mul, lambda: torch.zeros(1).mul),
    "argument names": (lambda: eval("lambda x, y=1: x"), lambda: eval("lambda x, z=1: x")),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_differs_is_told_apart(kind: str) -> None:
    first, second = KINDS[kind]
    assert fingerprint(first()) != fingerprint(second())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_equal_shares_a_fingerprint(kind: str) -> None:
    """Made twice, by the same code on the same values."""
    for make in KINDS[kind]:
        assert fingerprint(make()) == fingerprint(make())
        assert "this object only" not in fingerprint(make())


def test_a_helper_of_the_user_counts_by_what_it_does() -> None:
    namespace: dict[str, Any] = {}
    exec("def helper(x):\n    '''Says the same.'''\n    y = x + 1\n    return y\n", namespace)
    assert fingerprint(calls_global(helper)) != fingerprint(calls_global(namespace["helper"]))  # other bytecode


def test_names_do_not_count() -> None:
    def one(x: Any) -> Any:
        return 2 * x

    def another(x: Any) -> Any:
        return 2 * x

    assert fingerprint(one) == fingerprint(another)


def test_the_graph_counts() -> None:
    def double(x: Any) -> Any:
        return 2 * x

    def made(reads: list[str], column: str = "a", **options: Any) -> str:
        nodes = {"one": (double, {"x": ["a"]}), "logits": (double, {"x": reads})}
        return ToyModel({"a": column}, nodes, **options).fingerprint

    prints = [made(["one"]), made(["a"]), made(["one", "a"]), made(["one"], "b"), made(["one"], positions=2)]
    prints.append(made(["one"], dtype=torch.float32))
    assert len(set(prints)) == len(prints)


def test_weights_that_are_trained_later_count() -> None:
    layer = linear(1.0)
    model = ToyModel({"a": "a"}, {"logits": (layer, {"x": ["a"]})})
    before = model.fingerprint
    nn.init.constant_(layer.weight, 5.0)
    assert model.fingerprint != before


@pytest.mark.parametrize("unreadable", [io.StringIO("text"), (n for n in range(3)), torch.Generator()], ids=type)
def test_what_cannot_be_read_is_like_nothing_else(unreadable: Any) -> None:
    """Not even like itself made into another model; and it says why."""
    first, second = fingerprint(scaled(unreadable)), fingerprint(scaled(unreadable))
    assert first[:8] != second[:8]
    assert "of this object only: at node logits, the content of a" in first


def test_a_function_that_names_itself() -> None:
    def down(x: Any, n: int = 3) -> Any:
        return x if n == 0 else down(x + 1, n - 1)

    assert fingerprint(down) == fingerprint(down)


def test_the_same_in_another_process() -> None:
    code = (
        "from scrubbing import ToyModel\n"
        "def f(x, by=2.5):\n    return by * x.sin() + sum(n for n in {1, 2})\n"
        "print(ToyModel({'a': 'a'}, {'logits': (f, {'x': ['a']})}).fingerprint)"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in "ab"
    }
    assert len(runs) == 1
