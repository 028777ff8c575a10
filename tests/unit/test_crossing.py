"""Crossing: the engine draws what the oracle draws, every other value equally likely, and only where it may."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Dataset,
    Experiment,
    Feature,
    Hypothesis,
    IllegalHypothesis,
    SquaredError,
    ToyModel,
    Variable,
    everything,
    feature,
    head,
    mlp,
    reads,
)
from scrubbing.samplers import Cross, cross
from scrubbing.sampling.contexts import Context
from scrubbing.sampling.frames import Frame
from scrubbing.testing import Oracle, ProtocolNodes, check_hypothesis, expected_output

TOKENS = np.random.default_rng(3).integers(0, 50, (24, 4))
DATA = Dataset({"tokens": TOKENS, "label": np.arange(24) % 2}, name="numbers")


@feature
def rare(data: Dataset) -> Any:
    """0 for most inputs, 1 to 3 for the others."""
    return np.where(data.ids < 15, 0, data.ids % 3 + 1)


@feature
def halves(data: Dataset) -> Any:
    return rare(data) // 2


@feature
def thirds(data: Dataset) -> Any:
    return data.ids % 3


@feature(per="position")
def digit(data: Dataset) -> Any:
    return data["tokens"] % 3


@feature(per="position")
def even(data: Dataset) -> Any:
    return digit(data) % 2 == 0


OUT, RARE, DIGIT = Variable("output", everything), Variable("rare", rare), Variable("digit", digit)


def claims(sampler: Cross, each: bool = False) -> Hypothesis:
    inner = [reads("v", each=True).carries(DIGIT, sampler=sampler)] if each else []
    crossed = head(1, 0).direct().carries(RARE, *inner, sampler=None if each else sampler)
    return Hypothesis(
        "crossed", "It is not rare that counts.", OUTPUT.carries(OUT, crossed, mlp(1).direct().carries(RARE))
    )


@pytest.mark.parametrize(("sampler", "each"), [(cross(), False), (cross(halves), False), (cross(), True)], ids=str)
def test_the_engine_draws_what_the_oracle_draws(sampler: Cross, each: bool, tiny_model: Callable[[str], Any]) -> None:
    check_hypothesis(claims(sampler, each), tiny_model("native classifier"), DATA, references=12)


def _drawn(sampler: Cross, variable: Variable, each: bool) -> Any:
    """Rows drawn for every input, 300 times (at each position)."""
    of = sampler.compares(variable.agrees_on())
    frame = Frame.root(DATA, np.tile(np.arange(24), 300), np.repeat(np.arange(300), 24), 0, {})
    from scrubbing.sampling.contexts import REFERENCE

    space = 0
    if each:
        space = 1
        frame = frame.below(1, np.repeat(np.arange(len(frame)), 4), np.tile(np.arange(4), len(frame)), 4)
    return frame.source(Context("crossed", "a stream", REFERENCE, sampler, of, space=space))[1]


def test_every_other_value_is_as_likely_and_within_it_every_input() -> None:
    drawn = _drawn(cross(), RARE, each=False).reshape(300, 24)
    held, found = rare(DATA), rare(DATA)[drawn]
    assert (found != held).all()
    for value in range(4):
        counts = Counter(found[:, held == value].ravel().tolist())
        total = sum(counts.values())
        assert set(counts) == set(range(4)) - {value}
        assert all(abs(n / total - 1 / 3) < 4 * np.sqrt(2 / 9 / total) for n in counts.values())
    of_ones = Counter(drawn[found == 1].tolist())
    assert set(of_ones) == set(np.flatnonzero(held == 1))


def test_values_are_crossed_within_a_coarser_feature_only() -> None:
    drawn = _drawn(cross(halves), RARE, each=False).reshape(300, 24)
    assert (halves(DATA)[drawn] == halves(DATA)).all()
    assert (rare(DATA)[drawn] != rare(DATA)).all()
    with pytest.raises(IllegalHypothesis, match=r"SCR-SAMPLER.*thirds differs between inputs that agree on rare"):
        _drawn(cross(thirds), RARE, each=False)


@pytest.mark.parametrize("single", [False, True])
def test_positions(single: bool) -> None:
    drawn = _drawn(Cross(positions=(1, 2), single=single), DIGIT, each=True).reshape(300, 24, 4)
    values = digit(DATA)
    differ = np.stack([values[drawn[..., j], j] != values[:, j] for j in range(4)], axis=-1)
    assert not differ[..., [0, 3]].any()
    if single:
        assert (differ.sum(axis=-1) == 1).all()
        assert differ[..., 1].mean() == pytest.approx(0.5, abs=0.03)
    else:
        assert differ[..., [1, 2]].all()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_within_a_feature_here_and_anywhere_there(share: float) -> None:
    """As a claim with a coarser feature that says nothing at some positions is tested."""
    sampler = Cross(even, (1, 2), share=share, otherwise=Cross(positions=(0, 3), share=share))
    drawn = _drawn(sampler, DIGIT, each=True).reshape(300, 24, 4)
    digits, evens = (np.stack([of(DATA)[drawn[..., j], j] for j in range(4)], axis=-1) for of in (digit, even))
    crossed = digits != digit(DATA)
    assert (evens == even(DATA))[..., [1, 2]].all()
    assert (evens != even(DATA))[..., [0, 3]].any()
    other = digit(DATA) != 1  # the only odd digit has none to be crossed with
    assert not crossed[..., [1, 2]][:, ~other[:, [1, 2]]].any()
    for at in range(4):
        here = crossed[:, other[:, at] if at in (1, 2) else slice(None), at]
        assert here.mean() == pytest.approx(share, abs=0.03)


def test_padding_by_hand() -> None:
    """The model gives out its last token, 3, 5, 6, 9, or 10, and what is drawn must be real there. Of inputs of another
    kind 3 can get 9 or 10 only, and they 3; 5 gets 2, or 8 or 8; 6 gets 1, or 7 or 7.
    """
    tokens = [[1, 2, 3], [4, 5, 99], [6, -7, 99], [7, 8, 9], [7, 8, 10]]
    columns = {
        "tokens": tokens,
        "mask": [[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1]],
        "kind": [0, 1, 1, 2, 2],
    }
    copies = 700
    data = Dataset({name: np.tile(one, (copies, 1) if np.ndim(one) == 2 else copies) for name, one in columns.items()}
                   | {"label": np.tile([3, 5, 6, 9, 10], copies)}, pad=0)  # fmt: skip
    model = ToyModel({"x": "tokens"}, {"logits": (lambda x: x, {"x": ["x"]})}, positions=3)
    kind = Variable("kind", Feature("kind", compute=lambda data: data["kind"]))
    made = Hypothesis("crossed", "It is the kind.", OUTPUT.carries(OUT, reads().carries(kind, sampler=cross())))
    result = Experiment(model, data, SquaredError(position="last"), draws=8, baselines=False).run(made)
    found = result.losses["scrubbed"].reshape(copies, 5, -1).mean(axis=(0, 2))
    assert found == pytest.approx([(36 + 49) / 2, 9, (25 + 1) / 2, 36, 49], abs=0.3)
    assert (found[[1, 3, 4]] == [9, 36, 49]).all()


def test_the_rows_that_are_not_crossed_are_those_of_the_claims_own_sampler() -> None:
    from scrubbing.samplers import Agree

    own = _drawn(Agree(), DIGIT, each=True).reshape(-1, 4)  # type: ignore[arg-type]
    crossed = _drawn(Cross(positions=(2,)), DIGIT, each=True).reshape(-1, 4)
    assert (own[:, [0, 1, 3]] == crossed[:, [0, 1, 3]]).all()


def test_without_another_value_the_input_agrees() -> None:
    drawn = _drawn(cross(rare), RARE, each=False)
    assert (rare(DATA)[drawn].reshape(300, 24) == rare(DATA)).all()


def test_exact_expectation(tiny_model: Callable[[str], Any]) -> None:
    """By enumeration: each other value with the same weight, whatever its number of inputs."""
    model = tiny_model("native classifier")
    root = OUTPUT.carries(OUT, reads().carries(RARE, sampler=cross()))
    made = Hypothesis("crossed", "The output comes from an input of another kind.", root)
    oracle = Oracle(ProtocolNodes(model), model.graph(DATA), DATA, model)
    found = expected_output(oracle, made, 0, lambda output: float(output[0, 0]))
    own = [
        float(oracle.output(Hypothesis("own", "", OUTPUT.carries(OUT)), row, 0, lambda *a: 0)[0, 0])
        for row in range(24)
    ]
    wanted = np.mean([np.mean([own[row] for row in np.flatnonzero(rare(DATA) == value)]) for value in (1, 2, 3)])
    assert found == pytest.approx(wanted, abs=1e-6)


def test_stored_and_printed() -> None:
    made = claims(cross(halves))
    assert Hypothesis.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert "rare [cross within halves]" in str(made)
