"""The hypothesis without what is not needed: legal, smaller, and no worse."""

from __future__ import annotations

from benchmarks.parens.task import our_data, task
from hypotheses.parens.shipped import signs
from scrubbing import Experiment, Hypothesis


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
