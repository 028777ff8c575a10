"""Drawing from a pool: which inputs it has, that nothing else is drawn, and what records say of it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.parens.task import our_data, task
from scrubbing import Experiment
from scrubbing.data.dataset import choose, pool
from scrubbing.experiment.verdict.held import held
from scrubbing.records.compare import differences

DATA = our_data(400)


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return Experiment(task.model(), DATA, task.loss(), references=40, baselines=["null", "apart"])


def test_a_smaller_pool_is_part_of_a_larger_one():
    order = np.random.default_rng(0).permutation(len(DATA))
    small, large = pool(DATA, 50), pool(DATA, 200)
    assert set(small.ids) < set(large.ids) < set(DATA.ids)
    assert set(pool(DATA.take(order), 50).ids) == set(small.ids)
    assert pool(DATA, None) is DATA and pool(DATA, len(DATA)) is DATA and pool(DATA, 50) is small


def test_it_is_a_run_on_these_inputs(experiment):
    rows = np.flatnonzero(np.isin(DATA.ids, pool(DATA, 150).ids))
    taken = Experiment(task.model(), DATA.take(rows), task.loss(), references=40, baselines=["null", "apart"])
    for rung in ("signs", "suffixes"):
        found, wanted = experiment.but(pool=150).run(task.rung(rung)), taken.run(task.rung(rung))
        for name, losses in wanted.losses.items():
            assert np.array_equal(found.losses[name], losses), name
        job = found.job
        for region in job.tree.regions[1:]:
            data, drawn = held(job, region.index)
            assert set(data.ids[np.unique(drawn)]) <= set(pool(DATA, 150).ids)


def test_references_are_among_them(experiment):
    some = experiment.but(pool=150)
    (job, *_) = some.jobs(task.rung("signs"))
    assert set(job.data.ids[job.reference.rows]) <= set(pool(DATA, 150).ids)
    assert np.array_equal(job.reference.rows, choose(pool(DATA, 150), 40, 0))


def test_records_say_so_and_are_not_compared(experiment):
    hypothesis = task.rung("signs")
    some, all_ = experiment.but(pool=150).run(hypothesis).record(), experiment.run(hypothesis).record()
    assert (some.choices.pool, all_.choices.pool) == (150, None)
    assert {"pool", "dataset"} <= {one.aspect for one in differences(some, all_, "pair")}
    back = experiment.but(pool=150).but(pool=None)
    assert back.data is DATA and back.run(hypothesis).record().choices.pool is None
