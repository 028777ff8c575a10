"""A search on a trained model, without being told anything: as good as what people wrote, in minutes."""

from __future__ import annotations

import pytest

from benchmarks.parens.task import our_data, task
from hypotheses.parens.shipped import ladder
from scrubbing import Experiment
from scrubbing.report.plot import front
from scrubbing.search import search

RUNGS = ("two-tests", "four-heads", "signs", "tight-signs")
"""Those of the ladder that nobody wrote beats; what lies below is larger, and recovers less."""


@pytest.mark.slow
def test_paren_heads_are_found_on_the_front_of_what_people_wrote() -> None:
    experiment = Experiment(task.model(), our_data(6_000), task.loss(), baselines=False)
    beside = [one for one in ladder() if one.name.rpartition("/")[2] in RUNGS]
    found = search(experiment, through=("mlp",), depth=1, beside=beside, random=120, name="parens/found")
    records = [*found.record.found, *found.record.beside]
    points = [(one.size.claimed, one.recovered_of("null").fraction.value) for one in records]
    assert set(front(points)) & set(range(len(found.hypotheses)))
    assert found.record.word == "tight"
    assert found.record.found[0].recovered_of("null").fraction.value > 0.98
    assert {one.word for one in found.record.controls} == {"nothing to explain"}
