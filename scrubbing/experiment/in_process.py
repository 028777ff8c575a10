"""Measuring jobs in this process, one after another; a run that was stopped goes on where it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import torch

from scrubbing.device import budget
from scrubbing.engine.engine import DEFAULT_MEMORY, Compiled, Engine
from scrubbing.engine.memory import MemoryBudget
from scrubbing.engine.together import Together, compile_together
from scrubbing.experiment.jobs import Job, Subject
from scrubbing.experiment.journal import Journal, key_of
from scrubbing.experiment.kept import reserved, room_for_logits
from scrubbing.experiment.measured import Measured
from scrubbing.models.threads import computing
from scrubbing.progress import bar
from scrubbing.records.files import alone, folder
from scrubbing.sampling.contexts import REFERENCE, SCRUB, Context
from scrubbing.sampling.frames import DrawCounts


@dataclass(frozen=True, eq=False)
class _Plan:
    """What runs a job, or several that differ in their mode alone."""

    jobs: tuple[Job, ...]
    compiled: Compiled
    together: Together | None = None
    """Which output is whose, of several."""


class InProcess:
    """Executor that runs jobs one by one in this process. Jobs share clean activations within one memory budget.

    Args:
        store: keep clean activations (`True`), or recompute them where they are needed.
        memory: bytes for activations, outputs and their losses; what does not fit goes to temporary files. On a GPU,
            the default stands for most of what it has free.
        spill: folder for temporary files; None for the system's.
        tf32: whether float32 matrix products on a GPU may be rounded to TF32.
        by_groups: whether to compute clean activations in groups of inputs that are the same whatever is read first,
            so that no number depends on what was measured before.
    """

    def __init__(
        self, *, store: bool, memory: int, spill: str | Path | None, tf32: bool = False, by_groups: bool = False
    ) -> None:
        self.tf32, self.by_groups = tf32, by_groups
        self.store, self.asked, self.spill = store, memory, None if spill is None else str(spill)
        self._rooms: dict[torch.device, tuple[int, MemoryBudget]] = {}
        self._engines: dict[tuple[int, int], Engine] = {}
        self._known: dict[Job, Measured] = {}
        self._journals: list[Journal | None] = []
        """Of the runs that go on and keep what they measure, the last one begun last."""

    def engine(self, subject: Subject) -> Engine:
        """The engine of a subject. Subjects that differ only in their loss share one."""
        key = (id(subject.model), id(subject.data))  # held by the engine, so that they stay theirs
        if key not in self._engines:
            memory, room = self._room(subject.model.device)
            self._engines[key] = Engine(
                subject.model,
                subject.data,
                subject.positions,
                store=self.store,
                memory=memory,
                room=room,
                by_groups=self.by_groups,
            )
        return self._engines[key]

    def budget(self, device: torch.device) -> int:
        """Bytes for activations, outputs and their losses on a device."""
        return self._room(device)[0]

    def _room(self, device: torch.device) -> tuple[int, MemoryBudget]:
        """The memory budget of the engines on a device, and what it leaves to kept activations."""
        if device not in self._rooms:
            memory = budget(device, self.asked, DEFAULT_MEMORY)
            memory -= reserved(memory)
            self._rooms[device] = memory, MemoryBudget(2 * memory // 5, self.spill, memory // 5)
        return self._rooms[device]

    def empty(self, job: Job) -> Measured:
        """A measurement before its first batch, whose logits keep to the budget."""
        return Measured.empty(job, room_for_logits(self.asked, self.spill))

    def compile(self, job: Job) -> Compiled:
        """Compile a job to a plan."""
        return self.compile_all([job])[0]

    def compile_all(self, jobs: Sequence[Job]) -> list[Compiled]:
        """Compile jobs to plans, such that one pass over the inputs computes what all of them read."""
        found = [_Plan((job,), one) for job, one in zip(jobs, self._compiled(jobs), strict=True)]
        for engine in dict.fromkeys(self.engine(job.subject) for job in jobs):
            self._announce(engine, found)
        return [one.compiled for one in found]

    def _compiled(self, jobs: Sequence[Job]) -> list[Compiled]:
        return [
            self.engine(job.subject).compile(
                job.tree,
                job.mode,
                job.with_model,
                data=job.data,
                real=job.subject.real,
                positions=job.positions,
                announce=False,
            )
            for job in jobs
        ]

    def _announce(self, engine: Engine, plans: Sequence[_Plan]) -> None:
        """Announce what jobs on an engine read."""
        if engine.store is not None:
            here = [one for one in dict.fromkeys(plans) if self.engine(one.jobs[0].subject) is engine]
            engine.store.register(*(one.compiled.plan for one in here))

    def measure(self, jobs: Sequence[Job], out: Path | None = None) -> Iterator[Measured]:
        """See `Executor.measure`. All jobs are compiled before the first is run, so that one pass over the inputs
        computes what all on the first one's model read. Other models, such as those of controls, are many: each keeps
        clean activations only while jobs on it follow each other. While a run with a folder goes on, its journal keeps
        whatever is measured.

        Raises:
            FileError: SCR-FILE, the folder cannot be written, or another run is writing to it.
            IllegalHypothesis: SCR-SUM, a rewrite does not add up.
            NothingToDraw: SCR-DRAW, a feature value has no agreeing input.
            ModelMismatch: SCR-NAN, SCR-CHECK, the model computes something else than its nodes.
        """
        plans = self._plans([job for job in dict.fromkeys(jobs) if job not in self._known])
        home = self.engine(jobs[0].subject) if jobs else None
        if home is not None:
            self._announce(home, list(plans.values()))
        with ExitStack() as held:
            if out is not None:
                held.enter_context(alone(folder(out)))
                held.enter_context(self._keeping(out, jobs))
            journal = self._journals[-1] if self._journals else None
            if journal is not None:
                journal.follow([engine.store for engine in self._engines.values() if engine.store is not None])
            found, wanted = dict[Job, Measured](), Counter(jobs)
            for engine, group in groupby(jobs, lambda job: self.engine(job.subject)):
                following = list(group)
                if engine is not home:
                    self._announce(engine, [plans[job] for job in following if job in plans])
                for job in following:
                    if job not in self._known and job not in found:
                        found.update(self._together(plans[job], journal))
                        self._known |= {one: measured for one, measured in found.items() if one.shared}
                    yield self._known[job] if job in self._known else found[job]
                    wanted[job] -= 1
                    if not wanted[job]:
                        found.pop(job, None)  # its logits; those of all hypotheses of a suite may be many
                if engine is not home and engine.store is not None:
                    engine.store.drop()
            if out is not None and journal is not None:
                journal.close()

    def _plans(self, jobs: Sequence[Job]) -> dict[Job, _Plan]:
        """The plan that each job is run by. Tests that differ in their mode alone share as few as possible."""
        found: dict[Job, _Plan] = {}
        for same in _alike(jobs):
            first, engine = same[0], self.engine(same[0].subject)
            if not _is_test(first):
                found[first] = _Plan((first,), self._compiled(same)[0])
                continue
            modes, real = [job.mode for job in same], first.subject.real
            for one in compile_together(
                engine, first.tree, modes, data=first.data, real=real, positions=first.positions
            ):
                several = tuple(same[i] for i in one.of)
                found.update(dict.fromkeys(several, _Plan(several, one.compiled, one)))
        return found

    def _together(self, plan: _Plan, journal: Journal | None) -> dict[Job, Measured]:
        """Measure all jobs of a plan."""
        if plan.together is None:
            return {job: self.measured(job, plan.compiled, journal) for job in plan.jobs}
        first, found = plan.jobs[0], {job: Measured.empty(job) for job in plan.jobs}
        if journal is None or not all(journal.restore(job, one) for job, one in found.items()):
            found = {job: Measured.empty(job) for job in plan.jobs}
            with computing(first.subject.model, self.tf32):
                self._measure_together(plan, plan.together, found)
            if journal is not None:
                for job, one in found.items():
                    journal.keep(job, one, done=True)
        return {job: one.done(job.reference) for job, one in found.items()}

    def _measure_together(self, plan: _Plan, together: Together, found: Mapping[Job, Measured]) -> None:
        first, engine = plan.jobs[0], self.engine(plan.jobs[0].subject)
        rows, draws = first.reference.rows, first.draws
        with bar(f"scrubbing {first.title}", len(rows) * draws * len(found)) as progress:
            for batch in engine.run(plan.compiled, rows, draws, first.seed, padding_reads=False):
                for (job, one), alone in zip(found.items(), together.alone(batch), strict=True):
                    one.add(alone, job, job.title)
                progress.advance(len(batch.index) * batch.complete * len(found))
        for one in found.values():
            one.fitting = engine.fitting.most

    @contextmanager
    def _keeping(self, out: Path, jobs: Sequence[Job]) -> Generator[None]:
        """While the list of jobs is being measured, whatever is measured goes to its journal."""
        key = key_of(jobs, [self.store, *(memory for memory, _ in self._rooms.values()), self.tf32])
        journal = None if key is None else Journal.open(out, key)
        self._journals.append(journal)
        try:
            yield
        finally:
            self._journals.remove(journal)

    def measured(
        self, job: Job, compiled: Compiled, journal: Journal | None = None, *, verify: bool = True
    ) -> Measured:
        """Measure one job, or one on a part of its references, which its whole was compiled for; with `verify`, check
        first that the rewritten model is the model.
        """
        with computing(job.subject.model, self.tf32):
            return self._measured(job, compiled, journal, verify)

    def _measured(self, job: Job, compiled: Compiled, journal: Journal | None, verify: bool) -> Measured:
        engine, reference = self.engine(job.subject), job.reference
        if verify and job.reported and job.mode == SCRUB:
            engine.verify(compiled, reference.scored())
        found, done = self.empty(job), False
        found.exchanged = _exchanges(compiled)
        if journal is not None:
            done = journal.restore(job, found)
        if not done:
            counts = {compiled.contexts.of(region): count for region, count in found.counts.items()}
            batches = engine.run(
                compiled,
                reference.rows,
                job.draws,
                job.seed,
                counts,
                skip=found.batches,
                padding_reads=job.with_model and job.reported,
            )
            with bar(f"scrubbing {job.title}", len(reference.rows) * job.draws) as progress:
                for batch in batches:
                    found.add(batch, job, job.title)
                    found.counts = _by_region(counts)
                    if batch.last and journal is not None:
                        journal.keep(job, found, done=False)
                    progress.advance(len(batch.index) * batch.complete)
            found.fitting = engine.fitting.most
            if journal is not None:
                journal.keep(job, found, done=True)
        return found.done(reference)


def _is_test(job: Job) -> bool:
    return job.with_model and not job.reported and not job.shared


def _alike(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Tests that differ in their mode alone; what reports show is measured one by one."""
    alike: dict[Job, list[Job]] = {}
    for job in jobs:
        alike.setdefault(replace(job, mode=SCRUB) if _is_test(job) else job, []).append(job)
    yield from alike.values()


def _by_region(counts: dict[Context, DrawCounts]) -> dict[int, DrawCounts]:
    return {context.region: count for context, count in counts.items() if context.region is not None}


def _exchanges(compiled: Compiled) -> bool:
    """Whether any activation comes from another input than the reference."""
    held = (getattr(value, "context", None) for value in compiled.plan.values())
    return any(isinstance(context, Context) and context is not REFERENCE for context in held)
