"""Shards measured on a Ray cluster of two nodes of this machine, one of which is killed."""

from __future__ import annotations

import pytest

from benchmarks.parens.task import our_data, task
from scrubbing import Experiment, Workers
from scrubbing.experiment.sharded import partition

ray = pytest.importorskip("ray", reason="needs the extra ray: pip install 'scrubbing[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of ray's own


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes with a core each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.second = made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def everything(executor):
    options = {"references": 40, "draws": 3, "baselines": False, "executor": executor}
    made = Experiment(task.model(), our_data(300), task.loss(), **options)
    result = made.run(task.rung("two-tests"))
    return made, (result.record().model_dump(exclude={"provenance": {"seconds", "when"}}), result.inputs().to_parquet())


@pytest.mark.parametrize("after", range(1, 11))
def test_a_node_is_killed(after, cluster, monkeypatch):
    """The same record bit for bit as from a process of this machine, though one of two nodes goes on the way."""
    monkeypatch.setitem(partition.ROWS, "cpu", 10)
    _, wanted = everything(Workers(1))
    made = Experiment(task.model(), our_data(300), task.loss(), executor="ray")
    real, seen = made.executor.run, []

    def run(name, manifest, files):
        for number in real(name, manifest, files):
            seen.append(len(made.executor._actors))
            if len(seen) == after:
                cluster.remove_node(cluster.second)
            yield number

    made.executor.run = run
    _, found = everything(made.executor)
    assert found == wanted
    assert len(seen) > 12
    assert (seen[0], seen[-1]) == (2, 1)  # what was on the node that is gone is measured by the other


def test_a_node_comes(monkeypatch):
    """A cluster that grows while it is used."""
    from ray.cluster_utils import Cluster

    monkeypatch.setitem(partition.ROWS, "cpu", 10)
    monkeypatch.setattr("scrubbing.experiment.sharded.cluster._PATIENCE", 0.1)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        ray.init(address=made.address, log_to_driver=False)
        experiment = Experiment(task.model(), our_data(300), task.loss(), executor="ray")
        real, seen = experiment.executor.run, []

        def run(name, manifest, files):
            for number in real(name, manifest, files):
                seen.append(len(experiment.executor._actors))
                if len(seen) == 2:
                    made.add_node(num_cpus=1)
                yield number

        experiment.executor.run = run
        _, found = everything(experiment.executor)
        assert found == everything(Workers(1))[1]
        assert (seen[0], seen[-1]) == (1, 2)
    finally:
        ray.shutdown()
        made.shutdown()
