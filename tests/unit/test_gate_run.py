"""Running a policy: which rules share an experiment, and which may not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.parens.task import our_data, task
from scrubbing import InProcess, UsageError
from scrubbing.gate.policy import policy_of
from scrubbing.gate.run import Runner, chosen

SMALL = replace(task, data=lambda: our_data(300))


@pytest.fixture
def runner(tmp_path, monkeypatch):
    monkeypatch.setattr("scrubbing.experiment.task.find_task", lambda name: SMALL)
    rules = [
        {"hypothesis": "parens/signs", "references": 20, "budget": 30},
        {"hypothesis": "parens/two-tests", "references": 20, "budget": 30, "beats": ["mean rest"]},
        {"hypothesis": "parens/four-heads", "references": 20, "budget": 30},
    ]
    policy = policy_of({"rules": rules, "missing": "inconclusive"}, tmp_path / "pyproject.toml")
    return Runner.of(policy, chosen(policy, []))


def test_rules_share_what_they_can_and_each_gets_its_baselines(runner, monkeypatch):
    computed = []
    real = InProcess.measured
    monkeypatch.setattr(
        InProcess,
        "measured",
        lambda self, job, *how: computed.append((id(self), job.name)) or real(self, job, *how),
    )
    gates = [runner.gate(rule) for rule in runner.policy.rules]
    assert len({executor for executor, _ in computed}) == 1  # one store for all rules of a task
    assert [name for _, name in computed].count("null") == 1  # and one null
    assert [name for _, name in computed].count("mean rest") == 1  # only one of the rules asks for an ablation
    checks = [[check.what for check in gate.checks] for gate in gates]
    assert checks == [["change", "beats constant"], ["change", "beats mean rest"], ["change", "beats constant"]]
    assert runner.checks == 9
    assert gates[0].verdict == "inconclusive"  # no snapshot, and the policy is lenient about that


def test_snapshots_beside_the_policy(runner, tmp_path):
    path = runner.update(runner.policy.rules[0], "first", only_new=True)
    assert path == Path(tmp_path) / "snapshots" / "parens--signs.json"
    assert runner.update(runner.policy.rules[0], "again", only_new=True) is None
    assert runner.gate(runner.policy.rules[0]).snapshot.record.choices.references == 30


def test_tasks_of_one_name_are_kept_apart(runner, monkeypatch):
    runner.gate(runner.policy.rules[0])
    monkeypatch.setattr("scrubbing.experiment.task.find_task", lambda name: replace(SMALL, data=lambda: our_data(200)))
    other = runner.gate(runner.policy.rules[2])
    assert other.record.provenance.inputs_in_scope == 200


def test_hypotheses_of_one_name_cannot_share_a_snapshot(tmp_path, monkeypatch):
    """The second would be judged by what the first was accepted with, or replace it."""
    monkeypatch.setattr("scrubbing.experiment.task.find_task", lambda name: SMALL)
    rules = [
        {"hypothesis": "parens/signs", "references": 20},
        {"hypothesis": "hypotheses.parens.shipped:signs", "task": "parens", "references": 20},
    ]
    policy = policy_of({"rules": rules}, tmp_path / "pyproject.toml")
    runner = Runner.of(policy, chosen(policy, []))
    runner.gate(policy.rules[0])
    with pytest.raises(UsageError, match="parens/signs is called 'parens/signs' too"):
        runner.gate(policy.rules[1])
