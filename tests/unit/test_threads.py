"""With how many threads of a CPU a model is computed, and that a record says so."""

from __future__ import annotations

import pytest
import torch

from benchmarks.parens.task import our_data, task
from benchmarks.speed.gpu import Shape
from scrubbing import OUTPUT, Experiment, Hypothesis, ToyModel, Variable, everything, head
from scrubbing.experiment.sharded.work import Worker
from scrubbing.models.threads import threads_for, use_threads
from scrubbing.parts import activation


@pytest.fixture
def two(monkeypatch):
    """Nobody asked for a number of threads, and torch has two."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def run():
    """The threads that a part of a hypothesis sees, and those of the record."""
    seen = set()

    def noted(output):
        seen.add(torch.get_num_threads())
        return output

    claim = head(1, 0).part(activation(noted)).direct().carries(Variable("all", everything))
    hypothesis = Hypothesis("threads", "Something.", OUTPUT.carries(Variable("all", everything), claim))
    result = Experiment(task.model(), our_data(100), task.loss(), references=8, draws=1).run(hypothesis)
    return seen, result.record().provenance.machine.rpartition(", ")[2]


def test_a_small_model_has_one(two):
    assert run() == ({1}, "1 thread")
    assert torch.get_num_threads() == 2


def test_unless_others_were_asked_for(two, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert run() == ({2}, "2 threads")
    use_threads(1)
    assert run() == ({1}, "1 thread")


def test_a_worker_has_those_that_it_was_given(two, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # put back afterwards
    Worker(tmp_path, threads=2)
    assert threads_for(task.model()) == torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("shape", "threads"),
    [
        (Shape("small", 2, 4, 64, 1000, 16), 1),
        (Shape("many tokens", 1, 4, 64, 2**14, 16), 2),
        (Shape("wide", 1, 4, 512, 100, 16), 2),
    ],
)
def test_by_the_largest_matrix(two, shape, threads):
    assert threads_for(shape.model(torch.device("cpu"), torch.float32)) == threads


def test_of_a_model_that_says_nothing_of_its_matrices(two):
    assert threads_for(ToyModel({"a": "a"}, {"logits": (lambda x: x, {"x": ["a"]})})) == 2
