"""Running a policy: every rule's hypothesis, against its snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from scrubbing.device import accelerator
from scrubbing.errors import ScrubbingError, UsageError, fail, nearest
from scrubbing.experiment.address import hypothesis_at, source_of, task_at
from scrubbing.experiment.baselines import OF_THE_DATA, baselines
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.experiment import Experiment
from scrubbing.experiment.result import Result
from scrubbing.experiment.settings import MEBIBYTE, Options, Settings
from scrubbing.experiment.task import Task
from scrubbing.gate import snapshots
from scrubbing.gate.held import Change, as_accepted, feature_changes, loss_changes, rule_changes
from scrubbing.gate.judge import Gate, checks_of, judge, settle
from scrubbing.gate.policy import Policy, Rule
from scrubbing.hypothesis.addresses import split
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.records.inputs import InputTable
from scrubbing.records.moved import moved
from scrubbing.records.schema import RunRecord
from scrubbing.report.view import sentence
from scrubbing.stats.critical import AlwaysValid, fixed_size, per_gate

BUDGET = 4
"""Snapshots hold this many times the references of a gate run, so that `--settle` has something to compare with."""


def chosen(policy: Policy, only: list[str]) -> list[Rule]:
    """The rules to run; all, or those with these addresses.

    Raises:
        UsageError: SCR-POLICY, no rule has such an address.
    """
    known = [rule.hypothesis for rule in policy.rules]
    if unknown := [address for address in only if address not in known]:
        remedy = f"Its rules: {nearest(unknown[0], known)}."
        fail(UsageError, "SCR-POLICY", f"no rule is about {unknown[0]}.", remedy, str(policy.file))
    return [rule for rule in policy.rules if not only or rule.hypothesis in only]


@dataclass(eq=False)
class Runner:
    """Runs the rules of a policy; rules about one task share its model, data and clean activations."""

    policy: Policy
    checks: int
    """All checks of the run, among which alpha is divided."""
    device: str | None = None
    """Where models compute; None for the task's own choice."""
    tf32: bool | None = None
    """Whether matrix products on a GPU may be rounded to TF32; None for the task's own choice."""
    executor: Callable[[Settings], Executor] | str | None = None
    """What measures; None for the task's own choice."""
    dtype: str | None = None
    """Precision that models compute in; None for the task's own choice."""
    _experiments: dict[int, tuple[Task, Experiment]] = field(default_factory=dict[int, tuple[Task, Experiment]])
    """By the task's identity, since two files may call theirs the same; the task is held so that it keeps it."""
    _places: dict[Path, str] = field(default_factory=dict[Path, str])
    """The address of the rule that each snapshot is of."""

    @classmethod
    def of(
        cls,
        policy: Policy,
        rules: list[Rule],
        device: str | None = None,
        tf32: bool | None = None,
        executor: Callable[[Settings], Executor] | str | None = None,
        dtype: str | None = None,
    ) -> Runner:
        """For these rules."""
        return cls(policy, sum(checks_of(rule) for rule in rules), device, tf32, executor, dtype)

    def gate(self, rule: Rule, settling: bool = False) -> Gate:
        """The verdict on one rule, and what moved if it is not a pass.

        Raises:
            ScrubbingError: the rule's hypothesis, task or snapshot cannot be used.
        """
        task, hypothesis = self._find(rule)
        experiment = self._experiment(task, rule)
        snapshot = snapshots.read(self._place(rule, hypothesis, experiment))
        results: list[Result] = []

        def run(references: int) -> tuple[RunRecord, InputTable]:
            tested = rule.verdict is not None
            results.append(experiment.but(references=references, verdict=tested).run(hypothesis))
            record = results[-1].record().model_copy(update={"source": source_of(rule.hypothesis, hypothesis)})
            return record, results[-1].inputs()

        least, most = self._sizes(rule, experiment, hypothesis)
        sizes = [least]
        while settling and sizes[-1] < most:
            sizes.append(min(2 * sizes[-1], most))

        def judged(record: RunRecord, inputs: InputTable) -> Gate:
            return judge(
                rule,
                record,
                inputs,
                snapshot,
                alpha=per_gate(self.policy.alpha, self.checks),
                critical=AlwaysValid() if settling else fixed_size,
                missing=self.policy.missing,
                changes=[] if snapshot is None else self._changes(rule, record, snapshot.record),
            )

        gate = settle(judged, run, sizes)
        gate = replace(gate, notes=tuple(map(sentence, gate.record.notes)))
        if gate.verdict == "pass" or gate.snapshot is None:
            return gate
        record = gate.record
        if gate.snapshot.record.claim_costs:
            record = record.model_copy(update={"claim_costs": experiment.claim_costs(results[-1])})
        found = moved(record, gate.inputs, gate.snapshot.record, gate.snapshot.inputs)
        return replace(gate, record=record, drift=tuple(map(sentence, found)))

    def update(self, rule: Rule, reason: str, only_new: bool) -> Path | None:
        """Take a snapshot; None where there is one already and only new ones are wanted.

        Raises:
            ScrubbingError: as `gate`. FileError: SCR-FILE, it cannot be written.
        """
        task, hypothesis = self._find(rule)
        experiment = self._experiment(task, rule)
        _, most = self._sizes(rule, experiment, hypothesis)
        path = self._place(rule, hypothesis, experiment)
        if only_new and path.exists():
            return None
        result = experiment.but(references=most).run(hypothesis)
        costs = experiment.claim_costs(result)
        more = {"source": source_of(rule.hypothesis, hypothesis), "claim_costs": costs}
        record = result.record().model_copy(update=more)
        return snapshots.write(path, record, result.inputs(), reason, as_accepted(rule, self.policy))

    def _changes(self, rule: Rule, record: RunRecord, before: RunRecord) -> list[Change]:
        """In what is held, since a snapshot was accepted."""
        accepted = None if before.accepted is None else before.accepted.rule
        found = rule_changes(rule, self.policy, accepted)
        return [*found, *feature_changes(record, before), *loss_changes(record, before)]

    def without_rule(self) -> list[Path]:
        """Snapshots in the folders that rules keep theirs in, of hypotheses that no rule is about any more.

        A rule that is deleted holds nothing, and looks like a pass.
        """
        known: dict[Path, set[Path]] = {}
        for rule in self.policy.rules:
            task, hypothesis = self._find(rule)
            own = self._place(rule, hypothesis, self._experiment(task, rule))
            known.setdefault(own.parent, set()).add(own)
        found = [path for folder, own in known.items() for path in sorted(folder.glob("*.json")) if path not in own]
        return [path for path in found if _is_snapshot(path)]

    def _find(self, rule: Rule) -> tuple[Task, Hypothesis]:
        task = task_at(rule.hypothesis, rule.task)
        return task, hypothesis_at(rule.hypothesis, task)

    def _experiment(self, task: Task, rule: Rule) -> Experiment:
        """The task's, with the rule's settings; those of one task share what has been computed."""
        if id(task) not in self._experiments:
            memory, changed = self.policy.memory, Options()
            if memory is not None:
                changed["memory"] = memory * MEBIBYTE
            if self.device is not None:
                changed["device"] = self.device
            if self.dtype is not None:
                changed["dtype"] = self.dtype
            if self.tf32 is not None:
                changed["tf32"] = self.tf32
            if self.executor is not None:
                changed["executor"] = self.executor
            made = task.experiment(**changed)
            self._experiments[id(task)] = (task, made)
        experiment = self._experiments[id(task)][1]
        settings = experiment.settings
        wanted, extra = {*rule.beats, rule.baseline or settings.zero_baseline}, settings.extra_baselines
        if unknown := sorted(wanted - {*baselines, *extra}):
            problem, known = f"{unknown[0]!r} is no baseline of task {task.name}.", ", ".join([*baselines, *extra])
            fail(UsageError, "SCR-BASELINE", problem, f"There are: {known}.", f"rule {rule.hypothesis}")
        names = [name for name in baselines if name in {*OF_THE_DATA, *wanted}]
        draws, seed = rule.draws or settings.draws, settings.seed if rule.seed is None else rule.seed
        return experiment.but(draws=draws, seed=seed, baselines=names, controls=())

    def _sizes(self, rule: Rule, experiment: Experiment, hypothesis: Hypothesis) -> tuple[int, int]:
        """References of a run, and of a snapshot."""
        available = len(hypothesis.in_scope(experiment.data))
        least = rule.references or experiment.settings.how_many(available)
        most = rule.budget or BUDGET * least
        return min(least, available), min(max(least, most), available)

    def _place(self, rule: Rule, hypothesis: Hypothesis, experiment: Experiment) -> Path:
        dtype = str(experiment.model.dtype).removeprefix("torch.")
        there = experiment.model.device
        told = accelerator(there, experiment.settings.tf32)
        place = snapshots.place(self._folder(rule), hypothesis.name, dtype, there.type, told)
        if (other := self._places.setdefault(place, rule.hypothesis)) != rule.hypothesis:
            problem = f"{other} is called {hypothesis.name!r} too, and their snapshots would have the same file."
            fail(UsageError, "SCR-NAME", problem, "Give each hypothesis a name of its own.", f"rule {rule.hypothesis}")
        return place

    def _folder(self, rule: Rule) -> Path:
        if self.policy.snapshots is not None:
            return self.policy.file.parent / self.policy.snapshots
        if ".py:" in rule.hypothesis:
            return Path(split(rule.hypothesis)[0]).parent / "snapshots"
        return self.policy.file.parent / "snapshots"


def _is_snapshot(path: Path) -> bool:
    try:
        found = snapshots.read(path)
    except ScrubbingError:
        return False  # some other file, or one that is damaged
    return found is not None and found.record.accepted is not None
