"""A sampler from outside: draw an input that *dis*agrees. One file, public names only, from legality to the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Feature,
    Hypothesis,
    IllegalHypothesis,
    NothingToDraw,
    Variable,
    everything,
    feature,
    head,
    mlp,
    reads,
    scrub,
)
from scrubbing.samplers import Among, Generator, Held, separate
from scrubbing.testing import Oracle, ProtocolNodes, check_hypothesis, expected_output


@dataclass(frozen=True)
class Cross(Among):
    """Any input whose value differs, within one part of the dataset."""

    on: Feature | None = None
    within: Feature | None = None

    def compares(self, feature: Feature) -> Feature:
        return self.on or feature

    def faults(self, data: Dataset) -> Iterator[tuple[str, str]]:
        if self.within is not None and len(set(self.within(data).tolist())) == len(data):
            yield f"no two inputs agree on {self.within}.", "Cross within something coarser."

    def allowed(self, held: Held) -> Any:
        inside = np.ones(len(held.data), dtype=bool) if self.within is None else held.agreeing(self.within)
        return inside & ~held.agreeing(held.feature)

    def __str__(self) -> str:
        on = "" if self.on is None else f" {self.on}"
        return f"cross{on}" if self.within is None else f"cross{on} within {self.within}"


@dataclass(frozen=True)
class Turned(Generator):
    """The held input with its first tokens turned round."""

    first: int

    def columns(self, held: Dataset, uniform: Callable[[int], Any]) -> dict[str, Any]:
        tokens = held["tokens"].copy()
        tokens[:, : self.first] = tokens[:, : self.first][:, ::-1]
        return {"tokens": tokens}


@feature
def last_is_odd(data: Dataset) -> Any:
    return data["tokens"][:, -1] % 2 == 1


@feature
def thirds(data: Dataset) -> Any:
    return data.ids % 3


@feature
def halves(data: Dataset) -> Any:
    return data.ids % 2


@feature
def alone(data: Dataset) -> Any:
    return data.ids


@feature(per="position")
def odd(data: Dataset) -> Any:
    return data["tokens"] % 2 == 1


OUT, ODD, EACH = Variable("output", everything), Variable("odd", last_is_odd), Variable("odd there", odd)
TOKENS = np.random.default_rng(3).integers(0, 50, (12, 4))
DATA = Dataset({"tokens": TOKENS, "label": np.arange(12) % 2}, name="numbers")


def claims(sampler: Any, each: bool = False) -> Hypothesis:
    inner = [reads("v", each=True).carries(EACH, sampler=sampler)] if each else []
    root = OUTPUT.carries(
        OUT,
        head(1, 0).direct().carries(ODD, *inner, sampler=None if each else sampler, unclaimed=separate(Cross(thirds))),
        mlp(1).direct().carries(ODD),
    )
    told = "The head says something else than the last token."
    return Hypothesis("cross", told, root, unclaimed=Cross(last_is_odd, thirds))


@pytest.fixture(scope="module")
def model(tiny_model: Callable[[str], Any]) -> Any:
    return tiny_model("native classifier")


def test_its_faults_are_told(model: Any) -> None:
    with pytest.raises(IllegalHypothesis, match=r"(?s)no two inputs agree on alone.*coarser") as caught:
        claims(Cross(within=alone)).check(model.graph(DATA), DATA)
    assert "SCR-SAMPLER" in caught.value.codes


@pytest.mark.parametrize("each", [False, True], ids=["one draw", "at each position"])
@pytest.mark.parametrize("sampler", [Cross(), Cross(within=halves)], ids=str)
def test_the_engine_draws_what_the_oracle_draws(sampler: Cross, each: bool, model: Any) -> None:
    plan = check_hypothesis(claims(sampler, each), model, DATA, references=12)
    assert "a1.h0" in plan


def test_its_draws_disagree_and_every_one_is_possible(model: Any) -> None:
    """Exactly the inputs that disagree: the mean over many draws is the mean over all combinations."""
    root = OUTPUT.carries(OUT, reads().carries(ODD, sampler=Cross()))
    made = Hypothesis("cross", "The output comes from an input of the other kind.", root)
    oracle = Oracle(ProtocolNodes(model), model.graph(DATA), DATA, model)
    drawn: set[float] = set()
    wanted = expected_output(oracle, made, 0, lambda output: drawn.add(float(output[0, 0])) or float(output[0, 0]))
    others = np.flatnonzero(last_is_odd(DATA) != last_is_odd(DATA)[0])
    assert len(drawn) == len(others)
    result = scrub(made, model, DATA, Classification("label"), references=[0], draws=200)
    assert len(set(result.losses["scrubbed"][0].round(6))) == len(others)
    assert wanted == pytest.approx(np.mean(list(drawn)))


def test_nothing_to_draw(model: Any) -> None:
    same = Dataset(
        {"tokens": TOKENS[:1].repeat(3, 0) * 0 + [[1, 2, 3, 4], [2, 2, 3, 4], [3, 2, 3, 4]], "label": [0, 1, 0]}
    )
    made = Hypothesis("cross", "Nothing differs.", OUTPUT.carries(OUT, mlp(1).direct().carries(ODD, sampler=Cross())))
    with pytest.raises(NothingToDraw, match=r"no input may be drawn by cross for '1 2 3 4' \(reference input id 0"):
        scrub(made, model, same, Classification("label"))


def test_stored_printed_and_recorded(model: Any) -> None:
    made = claims(Cross(within=halves))
    assert Hypothesis.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert "odd = last_is_odd [cross within halves]" in str(made)
    assert "  unclaimed: cross last_is_odd within thirds, one draw for all" in str(made)
    record = scrub(made, model, DATA, Classification("label"), references=6, draws=2).record()
    assert Hypothesis.from_json(record.stored or {}) == made
    (line,) = [branch.line for branch in record.branches if "a1.h0" in branch.line]
    assert line == ("a1.h0 directly carries odd = last_is_odd [cross within halves]")
    assert "unclaimed: cross last_is_odd within thirds" in record.branches[0].line  # each line says all
    counts = {claim.what: claim for claim in record.claims}
    assert counts["a1.h0 directly"].self_share == 0.0
    assert counts["m1 directly"].self_share > 0.0


def test_a_generator(model: Any) -> None:
    """Inputs of its own, which must agree: the last token is kept by turning the first three, not by turning all."""

    def made(first: int) -> Hypothesis:
        root = OUTPUT.carries(OUT, mlp(1).direct().carries(ODD, sampler=Turned(first)))
        return Hypothesis("turned", "The order of the first tokens is nothing to the last MLP.", root)

    assert Hypothesis.from_json(made(3).to_json()) == made(3)
    result = scrub(made(3), model, DATA, Classification("label"), references=4, draws=1)
    assert "[Turned(first=3)]" in result.record().branches[1].line
    with pytest.raises(IllegalHypothesis, match="SCR-GENERATED"):
        scrub(made(4), model, DATA, Classification("label"))
