"""How long a run would take on a machine, and how much memory: from plans alone, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scrubbing.engine.cost import cost
from scrubbing.engine.engine import Engine
from scrubbing.engine.machine import Machine, draws_of, filled, work
from scrubbing.engine.plan import ScrubPlan
from scrubbing.errors import UsageError, fail
from scrubbing.experiment.in_process import InProcess
from scrubbing.experiment.jobs import Job


@dataclass(frozen=True)
class Prediction:
    """What a run takes on a machine."""

    machine: Machine
    seconds: tuple[tuple[str, float], ...]
    """Of each job, and of what is kept of clean runs, on one device each of which has its share of the references."""
    passes: float
    """Operations, in plain forward passes."""
    weights: int
    """Bytes of the model."""
    kept: int
    """Bytes of clean activations of the inputs that are read."""
    batch: int
    """Bytes of a batch and its outputs, at most."""

    @property
    def total(self) -> float:
        """Seconds."""
        return sum(seconds for _, seconds in self.seconds)

    def __str__(self) -> str:
        longest = max(len(title) for title, _ in self.seconds)
        lines = [f"  {title.ljust(longest)}  {_time(seconds)}" for title, seconds in self.seconds]
        devices = self.machine.devices
        on = self.machine.name if devices == 1 else f"{devices} times {self.machine.name}, each its share of references"
        need = self.weights + self.kept + self.batch
        fits = "" if need <= self.machine.memory else f", of which {_bytes(self.machine.memory)} are there"
        parts = ((self.weights, "weights"), (self.kept, "clean activations"), (self.batch, "batches"))
        told = ", ".join(f"{_bytes(size)} {what}" for size, what in parts)
        return "\n".join(
            [f"on {on}: {_time(self.total)}", *lines, f"memory of each device: {_bytes(need)}{fits} ({told})"]
        )


def predict(jobs: Sequence[Job], machine: Machine, here: InProcess) -> Prediction:
    """What jobs would take, those of one model.

    Raises:
        UsageError: SCR-SETTING, there is no job.
    """
    if not jobs:
        fail(UsageError, "SCR-SETTING", "there is nothing to plan.", "Name a hypothesis.")
    todo = list(dict.fromkeys(jobs))
    compiled = here.compile_all(todo)
    engine = here.engine(todo[0].subject)
    share = [len(job.reference.rows) * job.draws / machine.devices for job in todo]
    found = [
        (job.name, work(one.plan, examples, engine.memory, padding=_counts_padding(job)).seconds(machine))
        for job, one, examples in zip(todo, compiled, share, strict=True)
    ]
    reads = sum(examples * draws_of(one.plan) for one, examples in zip(compiled, share, strict=True))
    known = max(len(job.reference.rows) for job in todo) / machine.devices
    fills = _fills(engine, reads + known)
    found.append(
        ("clean activations", sum(work(plan, n, engine.memory, measured=False).seconds(machine) for plan, n in fills))
    )
    passes = sum(
        cost(one.plan).total(round(n)) / cost(one.plan).plain_flops for one, n in zip(compiled, share, strict=True)
    )
    kept = 0 if engine.store is None else engine.store.nbytes()
    size = len(engine.store.inputs) if engine.store is not None else 1
    most = max((n for _, n in fills), default=0.0) / max(size, 1)
    return Prediction(
        machine, tuple(found), passes * machine.devices, _weights(todo[0]), round(kept * most), 2 * engine.memory
    )


def _fills(engine: Engine, reads: float) -> list[tuple[ScrubPlan, float]]:
    """Plans that fill the store, and how many inputs each is run on."""
    if engine.store is None:
        return []
    some = filled(len(engine.store.inputs), reads)
    return [(plan, some) for plan in (*engine.store.plans(), *engine.store.plans_of_padding())]


def _counts_padding(job: Job) -> bool:
    mask = job.data.mask
    return job.with_model and job.reported and mask is not None and not bool(mask.all())


def _weights(job: Job) -> int:
    weights = getattr(job.subject.model, "weights", None)
    learned = getattr(weights, "learned", None)
    if learned is None:
        return 0
    return sum(tensor.numel() * tensor.element_size() for _, tensor in learned())


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _bytes(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"
