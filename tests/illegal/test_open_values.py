"""Parts, samplers and routes of a user that cannot be what they are meant to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from scrubbing import EMBED, OUTPUT, Hypothesis, IllegalHypothesis, UsageError, head, mlp
from scrubbing.parts import AttentionPart, NeuronPart, OutputPart
from scrubbing.routes import Route
from scrubbing.samplers import Among, exact, fixed, separate


class Bare(OutputPart):
    """No dataclass at all."""

    def __str__(self) -> str:
        return "bare"

    def function(self, model: Any) -> Any:
        return lambda output: output


@dataclass(frozen=True)
class Holds(OutputPart):
    """An array cannot be compared."""

    by: Any

    def function(self, model: Any) -> Any:
        return lambda output: output


class Inherits(Holds):
    """Its own fields would not be compared."""


@dataclass(frozen=True)
class Lopsided(AttentionPart):
    """Pairs that are none."""

    shape: tuple[int, ...]

    def between(self, length: int) -> Any:
        return np.ones(self.shape, dtype=bool)


@dataclass(frozen=True)
class Claims(AttentionPart):
    """Distances that are not those of its pairs."""

    def between(self, length: int) -> Any:
        return np.eye(length, dtype=bool)

    @property
    def distances(self) -> tuple[int, ...]:
        return (-1,)


@dataclass(frozen=True)
class Beyond(NeuronPart):
    """One neuron too many."""

    def chosen(self, width: int) -> tuple[int, ...]:
        return (0, width)


@dataclass
class Loose(Route):
    """Not frozen."""

    def step(self, state: Any, node: Any) -> Any:
        return state


@dataclass
class Drifting(Among):
    """Not frozen."""

    def allowed(self, held: Any) -> Any:
        return np.ones(len(held.data), dtype=bool)


@dataclass(frozen=True)
class Numbers(Among):
    """Rows where booleans are asked for."""

    def allowed(self, held: Any) -> Any:
        return np.arange(len(held.data))


@dataclass(frozen=True)
class Nobody(Among):
    """Nothing is ever allowed."""

    def allowed(self, held: Any) -> Any:
        return np.zeros(len(held.data), dtype=bool)


def part(w: Any, one: Any, target: Any = None) -> None:
    w.check((target or head(1, 0)).direct().part(one).carries(w.parity))


ILLEGAL = {
    "part that is no dataclass": ("SCR-PART", lambda w: part(w, Bare())),
    "part that holds an array": ("SCR-PART", lambda w: part(w, Holds(np.ones(3)))),
    "part whose class inherits its fields": ("SCR-PART", lambda w: part(w, Inherits(1))),
    "pairs of another length": ("SCR-PART", lambda w: part(w, Lopsided((2, 2)))),
    "distances of other pairs": ("SCR-PART", lambda w: part(w, Claims())),
    "a neuron too many": ("SCR-PART", lambda w: part(w, Beyond(), mlp(1))),
    "route that can change": ("SCR-ROUTE", lambda w: w.check(EMBED.by(Loose()).carries(w.parity))),
    "sampler that can change": (
        "SCR-SAMPLER",
        lambda w: w.check(mlp(1).direct().carries(w.parity, sampler=Drifting())),
    ),
    "rule of a hypothesis that can change": (
        "SCR-SAMPLER",
        lambda w: Hypothesis(
            "h", "c", OUTPUT.carries(w.output, mlp(1).direct().carries(w.parity)), unclaimed=Drifting()
        ).check(w.graph),
    ),
    "rule of a hypothesis with an input that is not there": (
        "SCR-SAMPLER",
        lambda w: Hypothesis(
            "h", "c", OUTPUT.carries(w.output, mlp(1).direct().carries(w.parity)), unclaimed=separate(fixed(99))
        ).check(w.graph, w.data),
    ),
    "rows instead of booleans": (
        "SCR-SAMPLER",
        lambda w: w.scrub(mlp(1).direct().carries(w.parity, sampler=Numbers())),
    ),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_illegal(case: str, world: Any, refused: Any) -> None:
    codes, call = ILLEGAL[case]
    refused(IllegalHypothesis, codes, lambda: call(world))


USAGE = {
    "no route": ("SCR-ROUTE", lambda w: EMBED.by("direct")),
    "a route that is a part": ("SCR-ROUTE", lambda w: EMBED.by(Claims())),
    "no part": ("SCR-PART", lambda w: mlp(1).part(exact)),
    "no rule": (
        "SCR-SAMPLER",
        lambda w: Hypothesis("h", "c", OUTPUT.carries(w.output), unclaimed="uniform"),  # pyright: ignore
    ),
    "a class inside of a function": ("SCR-JSON", lambda w: w.hypothesis(local(w)).to_json()),
    "something that has no place in JSON": (
        "SCR-JSON",
        lambda w: w.hypothesis(mlp(1).direct().part(Holds(1j)).carries(w.parity)).to_json(),
    ),
}


def local(w: Any) -> Any:
    @dataclass(frozen=True)
    class Here(OutputPart):
        def function(self, model: Any) -> Any:
            return lambda output: output

    return mlp(1).direct().part(Here()).carries(w.parity)


@pytest.mark.parametrize("case", USAGE)
def test_usage(case: str, world: Any, refused: Any) -> None:
    codes, call = USAGE[case]
    refused(UsageError, codes, lambda: call(world))


def test_a_sampler_that_allows_nothing(world: Any, refused: Any) -> None:
    from scrubbing import NothingToDraw

    claim = mlp(1).direct().carries(world.parity, sampler=Nobody())
    refused(NothingToDraw, "SCR-DRAW", lambda: world.scrub(claim))
