"""The hypothesis without what is not needed: legal, smaller, and no worse."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.parens.task import our_data, task
from hypotheses.parens.shipped import neighbours, signs, tight_neighbours
from scrubbing import Experiment, Hypothesis
from scrubbing.experiment.verdict.claims import members
from scrubbing.experiment.verdict.tight import tighter


def test_the_tighter_hypothesis_is_one_that_can_be_run() -> None:
    """Two claims of one variable may need different things of it."""
    experiment = Experiment(task.model(), our_data(5_000), task.loss(), references=1000)
    result = experiment.verdict(signs())
    assert result.tested is not None
    assert result.tested.tighter_stored is not None
    tighter = Hypothesis.from_json(result.tested.tighter_stored)
    again = experiment.verdict(tighter)
    assert again.tested is not None
    assert again.tested.bits < result.tested.bits
    rise = (again.losses["scrubbed"] - result.losses["scrubbed"]).mean()
    assert rise < 0.01 * (result.losses["null"] - result.losses["model"][:, None]).mean()


@pytest.mark.parametrize("rung", [signs, neighbours, tight_neighbours])
def test_whatever_members_are_given_up_a_hypothesis_is_left(rung: Callable[[], Hypothesis]) -> None:
    """All members of each claim in turn, and all of all: a claim without members is left out, with all below it."""
    tree = Experiment(task.model(), our_data(1_000), task.loss()).jobs(rung())[0].tree
    found = members(tree)
    whole = len(list(rung().correspondence.walk()))
    for region in {region for region, _, _ in found}:
        freed = {member for index, _, gone in found if index == region for member in gone}
        made = tighter(tree, (), freed, {}, {})
        assert len(list(made.correspondence.walk())) <= whole
        assert all(claim.targets for claim in made.correspondence.walk())
    everything = tighter(tree, (), {member for *_, gone in found for member in gone}, {}, {})
    assert all(claim.targets for claim in everything.correspondence.walk())
