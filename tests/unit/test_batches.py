"""How much is computed at a time: results do not depend on it, and memory does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from scrubbing import OUTPUT, Experiment, Hypothesis, NextToken, SquaredError, Variable, everything, feature, head, mlp
from scrubbing.engine.batches import rows_at_once, tokens_at_once
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.testing.random_hypotheses import halves, random_hypothesis


@feature
def first_token(data):
    """Whether the first token is even."""
    return data["tokens"][:, 0] % 2 == 0


def claim(*targets):
    claims = (target.carries(Variable("first", first_token)) for target in targets)
    return Hypothesis("h", "c", OUTPUT.carries(Variable("o", everything), *claims))


@pytest.mark.parametrize("family", ["native LN", "native rotary", "GPT-2", "Gemma 2"])
@pytest.mark.parametrize("seed", range(4))
def test_outputs_in_pieces_are_those_of_the_whole(family, seed, tiny_model, monkeypatch):
    """Pieces of one token, of a few that cut rows apart, and of everything."""
    model, data = tiny_model(family), random_inputs(VOCABULARY, 6, padded=True, n=12)
    engine = Engine(model, data, fixed((0, 2, 5)))
    compiled = engine.compile(random_hypothesis(engine.graph, data, seed), with_model=True)
    counted = []

    def outputs(most):
        monkeypatch.setattr("scrubbing.engine.engine.tokens_at_once", lambda *_: most)
        found = {name: torch.zeros(2, 12, 3, VOCABULARY) for name in ("scrubbed", "model")}
        pieces = list(engine.run(compiled, np.arange(12), 2, seed=3, batch=5))
        for one in pieces:
            assert len(one.tokens) <= most
            for name, output in one.outputs.items():
                draw, row = torch.tensor(one.draw)[one.tokens.rows], torch.tensor(one.index)[one.tokens.rows]
                found[name][draw, row, torch.searchsorted(torch.tensor([0, 2, 5]), one.tokens.positions)] = output
        counted.append((len(pieces), sum(one.last for one in pieces)))
        return found

    whole = outputs(1000)
    for most in (1, 4):
        for name, found in outputs(most).items():
            torch.testing.assert_close(found, whole[name], rtol=1e-5, atol=1e-5)
    assert counted == [(6, 6), (72, 6), (20, 6)]


@pytest.mark.parametrize("batch", [1, 5, 12, 17, 24, 36, 100])
def test_batches_hold_several_draws_where_there_is_room(batch, tiny_model):
    """Of 12 references and 3 draws. Every pair comes once, and gives what it gives alone, whoever it comes with."""
    model, data = tiny_model("GPT-2"), random_inputs(VOCABULARY, 6, padded=True, n=12)
    engine = Engine(model, data, fixed((0, 2, 5)))
    compiled = engine.compile(random_hypothesis(engine.graph, data, 1), with_model=True)
    batches = list(engine.run(compiled, np.arange(12), 3, seed=3, batch=batch))
    pairs = [(int(draw), int(row)) for one in batches for draw, row in zip(one.draw, one.index, strict=True)]
    assert sorted(pairs) == [(draw, row) for draw in range(3) for row in range(12)]
    assert max(len(one.index) for one in batches) == (batch if batch < 12 else 12 * min(3, batch // 12))
    for skip in range(len(batches)):
        left = next(iter(engine.run(compiled, np.arange(12), 3, seed=3, batch=batch, skip=skip)))
        assert np.array_equal(left.index, batches[skip].index) and np.array_equal(left.draw, batches[skip].draw)
    found, alone = (engine.outputs(compiled, np.arange(12), 3, seed=3, batch=size) for size in (batch, 1))
    torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-5)


def test_a_run_does_not_depend_on_the_budget(tiny_model):
    """Every number of two records, one made in pieces of a single token and batches of a single row."""
    model, data = tiny_model("GPT-2"), random_inputs(VOCABULARY, 6, padded=False, n=80)
    made = [
        Experiment(model, data, NextToken(), references=64, draws=2, memory=memory).run(claim(head(1, 0).direct()))
        for memory in (2**30, 2**10)
    ]
    plan = made_plan(model, data)
    assert (rows_at_once(plan, 2**10 // 5), tokens_at_once(plan, 2**10 // 5)) == (1, 1)
    for name in made[0].losses:
        np.testing.assert_allclose(made[1].losses[name], made[0].losses[name], rtol=1e-4, atol=1e-5, err_msg=name)
    for name in ("correct", "changed"):
        assert (getattr(made[0], name) == getattr(made[1], name)).all()
    np.testing.assert_allclose(made[1].kl, made[0].kl, rtol=1e-3, atol=1e-5)
    told = [result.record().recalibrated for result in made]
    assert told[0] is not None and told[1] is not None
    assert told[1].loss.value == pytest.approx(told[0].loss.value, rel=1e-3)


def made_plan(model, data):
    return Engine(model, data, fixed((0, 1, 2, 3, 4))).compile(claim(head(1, 0).direct()), with_model=True).plan


def test_smaller_budgets_make_smaller_batches(tiny_model):
    plan = made_plan(tiny_model("GPT-2"), random_inputs(VOCABULARY, 6, padded=False, n=80))
    budgets = [2**power for power in range(6, 31, 3)]
    rows, tokens = [[at_once(plan, budget) for budget in budgets] for at_once in (rows_at_once, tokens_at_once)]
    assert rows == sorted(rows) and tokens == sorted(tokens)
    assert rows[0] == tokens[0] == 1
    assert rows[-1] >= 64 and tokens[-1] > 10**5


def test_rows_of_a_claim_per_position_count(tiny_model):
    """Such a claim computes a row for every token, so a batch holds fewer references."""
    model, data = tiny_model("GPT-2"), random_inputs(VOCABULARY, 6, padded=False, n=20)
    engine = Engine(model, data, fixed(tuple(range(6))))
    sizes: list[int] = []
    for target in (mlp(1).direct(), mlp(1).direct().each()):
        v = Variable("v", halves_at if target.each_position else halves)
        whole = OUTPUT.carries(Variable("o", everything), target.carries(v, head(0, 0).direct().carries(v)))
        sizes.append(rows_at_once(engine.compile(Hypothesis("h", "c", whole)).plan, 100_000))
    assert sizes[1] < sizes[0]


@feature(per="position")
def halves_at(data):
    """The first feature again, at every position."""
    return np.broadcast_to(halves(data)[:, None], data["tokens"].shape)


def test_outputs_of_plain_functions_come_whole(toy):
    """A function may read all positions, so nobody may cut its tokens apart."""
    few, many = (
        Experiment(toy.model, toy.data, SquaredError(), draws=2, memory=memory).run(toy.hypothesis("x")).losses
        for memory in (10, 2**30)
    )
    assert all((few[name] == many[name]).all() for name in few)


PEAK = Path(__file__).parent / "peak_memory.py"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")
@pytest.mark.parametrize(("counted", "most"), [(1, 200), (25, 300)])
def test_the_budget_holds_for_a_large_vocabulary(counted, most):
    """200 MiB, a vocabulary of 50,000 and 100 positions: outputs alone would be 20 MB per reference.

    With few counted positions, logits are also kept for the recalibration; where they are put together they are there
    twice, which may exceed the budget by as much as they take, 64 MiB.
    """
    found = subprocess.run(
        [sys.executable, str(PEAK), "200", str(counted)], capture_output=True, text=True, timeout=300, check=True
    )
    assert float(found.stdout) < most
