"""Graphs of plain functions whose interpretation can be run: right values, wrong ones, and wrong equations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.groundtruth.columns import column
from benchmarks.groundtruth.truth import Truth
from benchmarks.groundtruth.variations import Case
from scrubbing import OUTPUT, Dataset, Hypothesis, SquaredError, Variable, node

if TYPE_CHECKING:
    from torch import Tensor

INPUTS = 600
Equation = Callable[[Any, Any], Any]
EQUATIONS: dict[str, Equation] = {
    "and": lambda a, b: a * b,
    "or": lambda a, b: a + b - a * b,
    "xor": lambda a, b: a + b - 2 * a * b,
    "sum": lambda a, b: a + b,
    "number": lambda a, b: 2 * a + b,
}
"""Of two bits; torch and numpy compute them alike."""
CODES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "as it is": (lambda x: x, lambda a: a),
    "inverted": (lambda x: 1 - x, lambda a: 1 - a),
    "tripled": (lambda x: 3 * x, lambda a: a / 3),
    "shifted": (lambda x: x + 5, lambda a: a - 5),
}
"""What a node makes of a bit, and how its reader undoes it."""


def cases(seed: int) -> Iterator[tuple[Truth, Case]]:
    """Every equation with every code, and every equation claimed of a graph that computes another."""
    rng = np.random.default_rng([seed, 7])
    for name in EQUATIONS:
        for code in CODES:
            truth = _truth(seed, name, code, rng)
            right = code == "as it is"
            yield truth, Case("values", seed, "right values" if right else f"values {code}", truth.tight[0],
                              "tight" if right else "false")  # fmt: skip
    for name, other in (("or", "sum"), ("xor", "or"), ("sum", "xor"), ("or", "xor")):
        truth = _truth(seed, name, "as it is", rng, never_both=True)
        yield truth, Case("values", seed, "wrong equation", _claimed(truth.data, other), "false")


def _truth(seed: int, name: str, code: str, rng: np.random.Generator, never_both: bool = False) -> Truth:
    from scrubbing import ToyModel

    rows = rng.integers(2, size=(4 * INPUTS, 3)).astype(np.float64)
    rows = rows[(rows[:, 0] * rows[:, 1] == 0) | (not never_both)][:INPUTS]
    equation, (inside, outside) = EQUATIONS[name], CODES[code]
    columns = {"x": rows[:, 0], "y": rows[:, 1], "z": rows[:, 2], "label": equation(rows[:, 0], rows[:, 1])}
    data = Dataset(
        {**columns, "bit_x": rows[:, 0].astype(int), "bit_y": rows[:, 1].astype(int)}, name=f"{name}, {code}"
    )

    def a(x: Tensor) -> Tensor:
        return inside(x)

    def b(x: Tensor) -> Tensor:
        return x

    def idle(x: Tensor) -> Tensor:
        return x

    def logits(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return equation(outside(a), b) + 0 * c

    nodes = {
        "a": (a, {"x": ["x"]}),
        "b": (b, {"x": ["y"]}),
        "idle": (idle, {"x": ["z"]}),
        "logits": (logits, {"a": ["a"], "b": ["b"], "c": ["idle"]}),
    }
    model = ToyModel({"x": "x", "y": "y", "z": "z"}, nodes, name=f"{name}, {code}")
    about = f"A graph that computes {name} of two bits, one of which a node holds {code}."
    return Truth("values", seed, about, model, data, SquaredError("label"), (_claimed(data, name),))


def _claimed(data: Dataset, name: str) -> Hypothesis:
    x, y = Variable("x", column("bit_x")), Variable("y", column("bit_y"))
    answer = Variable("answer", parents=(x, y), value=EQUATIONS[name])
    root = OUTPUT.carries(answer, node("a").direct().carries(x), node("b").direct().carries(y))
    return Hypothesis(f"{data.name}: {name}", f"Two nodes hold a bit each, and the output is {name} of them.", root)
