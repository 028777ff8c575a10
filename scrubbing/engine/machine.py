"""What a machine can do, in a few measured numbers, and how long it takes to run a plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from scrubbing.data.dataset import Dataset
from scrubbing.engine import values as v
from scrubbing.engine.batches import pattern_sizes, rows_at_once
from scrubbing.engine.build import Builder, Compiler
from scrubbing.engine.cost import cost
from scrubbing.engine.demand import fixed
from scrubbing.engine.plan import ScrubPlan, Space, make_plan
from scrubbing.errors import FileError, brief, fail
from scrubbing.guards import is_finite, is_whole
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.legality import legal
from scrubbing.models.protocol import Model
from scrubbing.printable import can_be_written
from scrubbing.sampling.contexts import REFERENCE, SCRUB, Context, Contexts
from scrubbing.user_code import content_of

EXPONENTIALS = (1, 3)
"""Of each number of an output: its loss, and where the model runs beside it, both losses and how far they are apart."""


@dataclass(frozen=True)
class Machine:
    """Rates of one device and of the processor that feeds it, and how many such devices there are."""

    name: str
    products: tuple[tuple[int, float], ...]
    """Operations per second of matrix products `[tokens, d] @ [d, d]`, by d, ascending."""
    moved: float
    """Bytes per second that element-wise operations read and write."""
    gathered: float
    """Bytes per second of rows read from random places."""
    exponentials: float
    """Per second, with the sums over them."""
    draws: float
    """Inputs drawn per second."""
    step: float
    """Seconds that one value of a plan takes at least, however few numbers it has."""
    memory: int
    """Bytes of one device."""
    devices: int = 1

    def product(self, width: int) -> float:
        """Operations per second at a width, between those that were measured."""
        known = np.log(np.array(self.products, dtype=np.float64))
        at = np.log(np.array([max(width, 1)], dtype=np.float64))
        return float(np.exp(np.interp(at, known[:, 0], known[:, 1]).item()))

    def save(self, path: Path) -> None:
        """Write the numbers, as JSON.

        Raises:
            FileError: SCR-FILE, it cannot be written.
        """
        try:
            path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        except (OSError, ValueError) as error:
            problem = f"the machine cannot be written ({brief(error)})."
            fail(FileError, "SCR-FILE", problem, "Choose a folder you can write.", str(path))

    @classmethod
    def load(cls, path: Path) -> Machine:
        """The machine of a file.

        Raises:
            FileError: SCR-FILE, it cannot be read, or has other numbers.
        """
        remedy = "Write it with scrub plan --measure-machine FILE on the machine that is asked about."
        try:
            given: dict[str, Any] = json.loads(content_of(path))
            given["products"] = tuple((int(d), float(rate)) for d, rate in given["products"])
            made = cls(**given)
        except (OSError, ValueError, TypeError, KeyError) as error:
            fail(FileError, "SCR-FILE", f"it describes no machine ({brief(error)}).", remedy, str(path))
        if not made.is_one():
            problem = "it describes no machine (rates are finite and above 0, and widths ascending)."
            fail(FileError, "SCR-FILE", problem, remedy, str(path))
        return made

    def is_one(self) -> bool:
        """Whether these are numbers that a machine could have."""
        widths, rates = [d for d, _ in self.products], [rate for _, rate in self.products]
        rates += [self.moved, self.gathered, self.exponentials, self.draws, self.memory]
        rising = bool(widths) and widths[0] > 0 and all(a < b for a, b in pairwise(widths))
        counts = is_whole(self.memory) and is_whole(self.devices) and self.devices > 0
        above = all(is_finite(rate) and rate > 0 for rate in rates) and is_finite(self.step) and self.step >= 0
        return can_be_written(self.name) and rising and bool(counts and above)


@dataclass(frozen=True)
class Work:
    """What running a plan on some examples takes, in the terms of a machine."""

    width: int
    """Of the residual stream."""
    flops: float = 0.0
    """Operations of matrix products."""
    moved: float = 0.0
    """Bytes that the steps read and write, those from the store apart."""
    gathered: float = 0.0
    """Bytes from the store."""
    exponentials: float = 0.0
    draws: float = 0.0
    steps: float = 0.0
    """Values computed, batches together."""

    def __add__(self, other: Work) -> Work:
        sums = {one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        return Work(**{**sums, "width": max(self.width, other.width)})

    def seconds(self, machine: Machine) -> float:
        """On one device."""
        return (
            self.flops / machine.product(self.width)
            + self.moved / machine.moved
            + self.gathered / machine.gathered
            + self.exponentials / machine.exponentials
            + self.draws / machine.draws
            + self.steps * machine.step
        )


def work(plan: ScrubPlan, examples: float, budget: int, *, measured: bool = True, padding: bool = False) -> Work:
    """The work of a plan.

    Args:
        plan: compiled.
        examples: references times draws, or inputs whose clean activations are computed.
        budget: bytes for a batch.
        measured: whether losses are taken of its outputs; if not, it computes what is kept.
        padding: whether inputs that are read at padding are counted, for which those of single positions are drawn
            once more.
    """
    counted, outputs = cost(plan), 0.0
    batches = float(np.ceil(examples / rows_at_once(plan, budget, kept=not measured)))
    for value, demand in list(plan.roots.values())[:1] if measured else ():
        tokens = demand.expected(plan.graph.positions, plan.real) * EXPONENTIALS[len(plan.roots) - 1]
        outputs += tokens * plan.model.raw_width(value.node, None) if isinstance(value, v.Evaluated) else 0.0
    drawn, again = draws_of(plan), sum(_below(plan, plan.space, 1.0)) if padding else 0.0
    found = Work(
        plan.graph.d_model,
        counted.flops * examples,
        (counted.moved - counted.gathered) * examples,
        counted.gathered * examples,
        (pattern_sizes(plan) + outputs) * examples,
        (drawn + again) * examples,
        batches * sum(1 for _ in plan.values()),
    )
    for made in plan.statistics.values():
        found += work(made.plan, made.inputs, budget, measured=False)
    return found


def draws_of(plan: ScrubPlan) -> float:
    """Inputs drawn per example."""
    return _draws(plan.space, 1.0) + sum(_below(plan, plan.space, 1.0))


def _below(plan: ScrubPlan, space: Space, rows: float) -> Iterator[float]:
    """Inputs drawn in the spaces below one of so many rows."""
    for region, demand in space.entered.items():
        inner = rows * demand.expected(plan.graph.positions, plan.real)
        yield _draws(space.below[region], inner)
        yield from _below(plan, space.below[region], inner)


def _draws(space: Space, rows: float) -> float:
    """Inputs drawn for so many rows of a space: one for each of its contexts, wherever it is read."""
    held = {getattr(value, "context", None) for one in space.walk() for value in one.order}
    contexts = [one for one in held if isinstance(one, Context) and one.ablation is None]
    return rows * sum(one.space == space.region and one.sampler is not None for one in contexts)


def compiled_without_weights(hypothesis: Hypothesis, model: Model, data: Dataset) -> tuple[ScrubPlan, ScrubPlan]:
    """The plan of a scrub beside the model, and that of the clean runs it reads, for a model whose tensors need hold no
    numbers (device `meta`); every output is read.

    Raises:
        IllegalHypothesis: lists every fault found.
    """
    graph = model.graph(data)
    tree = legal(hypothesis, graph, data)
    builder = Builder(graph, model, stored=True)
    compiler = Compiler(builder, tree, Contexts(tree, SCRUB))
    read = fixed(tuple(range(graph.positions)))
    roots = {"scrubbed": (compiler.output(), read), "model": (compiler.clean_output(), read)}
    plan = make_plan(graph, model, roots, float(graph.positions))
    clean = Builder(graph, model, stored=False)
    kept = {str(i): (clean.clean(item, REFERENCE), demand) for i, (item, demand) in enumerate(plan.items().items())}
    return plan, make_plan(graph, model, kept, float(graph.positions))


def filled(inputs: int, reads: float) -> float:
    """Of so many distinct inputs, those that so many reads at random meet: the others are never computed."""
    return inputs * -float(np.expm1(-reads / max(inputs, 1)))
