"""Strict induction as a program: what it writes, and that engine and oracle exchange the same remainder."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from hypotheses.induction.ladder import ladder, strict
from hypotheses.induction.program import StrictInduction, fitted, followed, written
from hypotheses.induction.roles import Roles
from scrubbing import OUTPUT, Dataset, Hypothesis, IllegalHypothesis, NextToken, Variable, everything, head, part, scrub
from scrubbing.parts import InputPart
from scrubbing.samplers import uniform
from scrubbing.testing import check_hypothesis

TOKENS = np.array([[3, 5, 3, 5, 5, 3], [1, 1, 2, 1, 7, 2], [4, 9, 8, 7, 6, 0], [3, 5, 9, 3, 3, 5], [2, 4, 2, 8, 4, 2]])
DATA = Dataset({"tokens": TOKENS})
SEQUENCE = Variable("sequence", everything)
ROLES = Roles(((0, 0),), (), ((1, 0), (1, 1)), 2, 2, strict={"1.0": 0.7, "1.1": -0.4})


def test_it_is_the_token_after_the_last_earlier_copy() -> None:
    wanted = [[-1, -1, 5, 3, 5, 5], [-1, 1, -1, 2, -1, 1], [-1] * 6, [-1, -1, -1, 5, 3, 9], [-1, -1, 4, -1, 2, 8]]
    assert followed(DATA).tolist() == wanted


@pytest.mark.parametrize("name", ["native attention-only", "native LNPre attention-only", "native rotary", "GPT-2"])
def test_engine_and_oracle_agree(name: str, tiny_model: Any) -> None:
    model = tiny_model(name)
    roles = replace(ROLES, mlps=bool(model.weights.mlps))
    made = strict(roles)
    check_hypothesis(made, model, DATA, references=3)
    assert Hypothesis.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made in ladder(roles)
    assert made.name not in [one.name for one in ladder(replace(roles, strict={}))]


def test_a_head_that_does_nothing_else_is_explained_in_full(tiny_model: Any) -> None:
    """A head is overwritten by what the program says, in a model of our own reckoning: then nothing remains."""
    model = tiny_model("native attention-only")
    program = StrictInduction(1, 0, 0.5)
    table = program.table(model)
    np.testing.assert_allclose(table, 0.5 * written(model, (1, 0)))
    attention = model.weights.attention[1]
    position = torch.zeros(len(model.weights.W_E), dtype=torch.long)
    by_hand = model.prepare(("head", 1, ""), model.weights.W_E, position, None) @ attention.W_V[0]
    by_hand = by_hand if attention.b_V is None else by_hand + attention.b_V[0]
    np.testing.assert_allclose(written(model, (1, 0)), by_hand @ attention.W_O[0], atol=1e-5)


def test_the_fitted_scale_leaves_the_least(tiny_model: Any) -> None:
    model = tiny_model("native attention-only")
    (scale,) = fitted(model, TOKENS, [(1, 1)]).values()
    actual, where = model.read("a1.h1", DATA).double().numpy(), followed(DATA)

    def left(factor: float) -> float:
        program = factor * written(model, (1, 1))[where.clip(0)]
        return float((((actual - program) ** 2).sum(-1) * (where >= 0)).sum())

    assert left(scale) <= min(left(scale + 0.01), left(scale - 0.01)) + 1e-9


@dataclass(frozen=True)
class Table(InputPart):
    """Numbers of the vectors of a table."""

    kind: str

    def values(self, data: Any) -> Any:
        return {"floats": TOKENS * 1.0, "too large": TOKENS + 90}.get(self.kind, TOKENS)

    def table(self, model: Any) -> Any:
        return np.zeros((50, 3)) if self.kind == "width" else np.full((50, 8), np.nan if self.kind == "nan" else 1.0)


@pytest.mark.parametrize(
    ("kind", "told"),
    [("floats", "float64"), ("too large", "90 to 99, and its table has 50"), ("width", "shape"), ("nan", "not finite")],
)
def test_tables_that_cannot_be_used(kind: str, told: str, tiny_model: Any) -> None:
    claim = head(1, 0).direct().carries(SEQUENCE, part(Table(kind)).carries(SEQUENCE), unclaimed=uniform)
    made = Hypothesis("h", "s", OUTPUT.carries(SEQUENCE, claim))
    with pytest.raises(IllegalHypothesis, match=rf"SCR-PART.*{told}"):
        scrub(made, tiny_model("native attention-only"), DATA, NextToken(), references=5, draws=1)
