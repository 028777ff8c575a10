"""Losses whose means are known: skewed families, and the values per input of shipped hypotheses as populations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NULL = 8.0
"""Loss of a null draw that fails, which is half of them; the gap between model and null is half of it."""
RUNGS = ("two-tests", "four-heads", "one-number", "signs")
"""Hypotheses about the shipped paren model that lose from a third to 0.3 % of the null loss."""
POPULATION = 4096
_NULL_DRAWS = 4


@dataclass(frozen=True)
class Family:
    """A population of losses."""

    name: str
    sample: Callable[[np.random.Generator, int, int], dict[str, Floats]]
    """From generator, inputs and draws to the columns `model` `[n]`, `scrubbed` and `null` `[n, draws]`."""
    means: Callable[[int], Mapping[str, float]]
    """The true means, for a number of draws."""


def _skewed(name: str, rise: Callable[[np.random.Generator, tuple[int, int]], Floats], mean: float) -> Family:
    def sample(rng: np.random.Generator, n: int, draws: int) -> dict[str, Floats]:
        model = rng.exponential(0.01, size=n)
        failing = rng.random((n, _NULL_DRAWS)) < 0.5
        return {
            "model": model,
            "scrubbed": model[:, None] + rise(rng, (n, draws)),
            "null": model[:, None] + NULL * failing,
        }

    return Family(name, sample, lambda draws: {"model": 0.01, "scrubbed": 0.01 + mean, "null": 0.01 + NULL / 2})


def _rare(share: float) -> Callable[[np.random.Generator, tuple[int, int]], Floats]:
    """A few losses between 5 and 7, the others 0.01 or less."""
    return lambda rng, size: np.where(rng.random(size) < share, 5 + 2 * rng.random(size), 0.01 * rng.random(size))


def skewed() -> list[Family]:
    """Losses of every draw on its own: exponential, lognormal, 5 % or 1 % large, and 2 % as large as can be."""
    return [
        _skewed("exponential", lambda rng, size: rng.exponential(size=size), 1.0),
        _skewed("lognormal", lambda rng, size: rng.lognormal(size=size), float(np.exp(0.5))),
        _skewed("5 % large", _rare(0.05), 0.05 * 6 + 0.95 * 0.005),
        _skewed("1 % large", _rare(0.01), 0.01 * 6 + 0.99 * 0.005),
        _skewed("two-point", lambda rng, size: NULL * (rng.random(size) < 0.02), 0.02 * NULL),
    ]


def measured(rung: str) -> Mapping[str, Floats]:
    """Losses of a hypothesis about the shipped paren model on 4,096 references, 4 draws each."""
    from benchmarks.parens.task import task

    experiment = task.experiment(references=POPULATION, draws=_NULL_DRAWS, seed=0, baselines=False)
    losses = experiment.run(task.rung(rung)).losses
    return {name: np.asarray(losses[name]) for name in ("model", "scrubbed", "null")}


def population(name: str, losses: Mapping[str, Floats]) -> Family:
    """References drawn from those measured, with all their losses; of the draws the first so many."""
    model, scrubbed, null = (losses[column] for column in ("model", "scrubbed", "null"))

    def sample(rng: np.random.Generator, n: int, draws: int) -> dict[str, Floats]:
        rows = rng.integers(len(model), size=n)
        return {"model": model[rows], "scrubbed": scrubbed[rows, :draws], "null": null[rows]}

    def means(draws: int) -> dict[str, float]:
        columns = {"model": model, "scrubbed": scrubbed[:, :draws], "null": null}
        return {column: float(values.mean()) for column, values in columns.items()}

    return Family(name, sample, means)
