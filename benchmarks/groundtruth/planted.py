"""Trained models in which a circuit was planted: `planting.py` trained them so that these nodes carry these variables.

Nothing was written into their weights, so they are only as exact as training made them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.groundtruth.truth import INPUTS, Ints, Truth, all_rows, balanced_rows, says
from scrubbing import OUTPUT, Classification, Dataset, Hypothesis, Target, head, mlp
from scrubbing.parts import neurons

if TYPE_CHECKING:
    from scrubbing import Model

HERE = Path(__file__).parent
DIGITS, NOISE, END = 4, 4, 5
"""Positions: four symbols that matter, one that does not, and the last, where the answer is given."""
NEURONS = 48
"""Of each MLP."""


@dataclass(frozen=True)
class Plan:
    """What is planted: two variables, each of two of four symbols, and what the answer makes of them."""

    name: str
    kinds: int
    """Symbols; one more is the end."""
    outputs: int
    variables: tuple[str, str]
    variable: Callable[[Ints, Ints], Ints]
    """Of the first two symbols, and of the last two."""
    answer: Callable[[Ints, Ints], Ints]
    carried_by: tuple[Target, Target]
    """What MLP 1 reads the variables from."""
    groups: tuple[slice, slice] | None = None
    """Neurons of MLP 0, where the variables are carried by these; None for the heads of layer 1."""
    about: str = ""
    idle: tuple[Target, ...] = ()
    """Nodes that the output, as planted, does not read directly."""

    def of(self, symbols: Ints) -> tuple[Ints, Ints, Ints]:
        """Both variables and the answer, from symbols `[n, 4]`."""
        first, second = (self.variable(symbols[:, i], symbols[:, i + 1]) for i in (0, 2))
        return first, second, self.answer(first, second)

    def tokens(self, symbols: Ints, noise: Ints) -> Ints:
        """Inputs `[n, 6]`."""
        return np.column_stack([symbols, noise, np.full(len(symbols), self.kinds)])

    @property
    def weights(self) -> Path:
        """Where the trained weights are."""
        return HERE / f"{self.name.replace('-', '_')}.safetensors"


_HALVES = (slice(0, NEURONS // 2), slice(NEURONS // 2, NEURONS))
PLANS = {
    one.name: one
    for one in (
        Plan(
            "planted-pairs",
            4,
            3,
            ("first_equal", "second_equal"),
            lambda a, b: (a == b).astype(np.int64),
            lambda a, b: a + b,
            (head(1, 0), head(1, 1)),
            about="Trained to count the equal ones of two pairs; each head of layer 1 reports on one of them.",
            idle=(mlp(0),),
        ),
        Plan(
            "planted-sums",
            3,
            3,
            ("first_sum", "second_sum"),
            lambda a, b: a + b,
            lambda a, b: 1 + np.sign(a - b),
            (mlp(0).part(neurons(range(NEURONS)[_HALVES[0]])), mlp(0).part(neurons(range(NEURONS)[_HALVES[1]]))),
            _HALVES,
            "Trained to compare the sums of two pairs, each carried by half of the neurons of layer 0.",
            (head(1, 0), head(1, 1)),
        ),
    )
}


@cache
def _model(name: str) -> Model:
    from scrubbing.models.transformer import from_file

    return from_file(PLANS[name].weights, name=name)


def planted(name: str, seed: int) -> Truth:
    """The trained model of this name, and inputs drawn from the seed."""
    plan, rng = PLANS[name], np.random.default_rng([seed, 31])
    rows = all_rows(*[plan.kinds] * DIGITS)
    first, second, _ = plan.of(rows)
    symbols = rows[balanced_rows(rng, 10 * first + second)]
    noise = rng.integers(plan.kinds, size=INPUTS)
    first, second, label = plan.of(symbols)
    columns = {
        "tokens": plan.tokens(symbols, noise),
        "label": label,
        **dict(zip(plan.variables, (first, second), strict=True)),
    }
    data = Dataset(
        {**columns, "noise_0": noise, "first": symbols[:, 0], "third": symbols[:, 2], "parity": symbols.sum(1) % 2},
        name=f"inputs of {name}/{seed}",
    )
    carried = (says(node.direct(), of) for node, of in zip(plan.carried_by, plan.variables, strict=True))
    tight = Hypothesis(f"{name}/{seed}", plan.about, says(OUTPUT, "label", says(mlp(1).direct(), "label", *carried)))
    loss = Classification("label", position=-1)
    return Truth(name, seed, plan.about, _model(name), data, loss, (tight,), idle=plan.idle)
