"""One plan for several modes of a hypothesis: what is the same in all of them is drawn, read and computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from scrubbing.data.dataset import Dataset
from scrubbing.data.real import RealDraws
from scrubbing.engine import values as v
from scrubbing.engine.assemble import Assembler
from scrubbing.engine.batches import rows_at_once
from scrubbing.engine.build import Builder, Compiler
from scrubbing.engine.demand import Demand
from scrubbing.engine.engine import Batch, Compiled, Engine
from scrubbing.engine.plan import ScrubPlan, make_plan
from scrubbing.engine.statistics import MOST_INPUTS
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.treeify import Tree
from scrubbing.sampling.contexts import Contexts, Mode

_FEWER_ROWS = 4
"""By how much a batch may be smaller for being of several modes, before it is divided among fewer."""


@dataclass(frozen=True, eq=False)
class Together:
    """Several modes of one hypothesis, compiled to a plan with an output for each."""

    of: tuple[int, ...]
    """Which of the modes that were asked for."""
    compiled: Compiled

    def alone(self, batch: Batch) -> list[Batch]:
        """A batch of these modes as one for each, in the order of `of`."""
        beside = {name: output for name, output in batch.outputs.items() if name == "model"}
        return [replace(batch, outputs={"scrubbed": batch.outputs[_name(i)], **beside}) for i in self.of]


def compile_together(
    engine: Engine,
    tree: Tree,
    modes: Sequence[Mode],
    *,
    data: Dataset,
    real: RealDraws | None,
    positions: Demand,
) -> list[Together]:
    """Compile a hypothesis in several modes, with the model beside them, to as few plans as possible.

    Modes whose claims draw at different tokens have plans of their own, since what draws at more tokens than are read
    may find nothing to draw; so have some of many whose activations would leave room for too few rows.

    Args:
        engine: of the model and its data.
        tree: of a hypothesis that was checked.
        modes: in which it is run.
        data: inputs to draw from.
        real: rule for which of them may be drawn.
        positions: tokens at which outputs are read.
    """
    built = _built.get(engine)
    if built is None or built.first.tree is not tree:
        built = _built[engine] = _Built(engine, tree)
    hypothesis, outputs = tree.hypothesis, [built.output(mode) for mode in modes]
    assert isinstance(hypothesis, Hypothesis)

    def planned(of: Sequence[int]) -> ScrubPlan:
        roots: dict[str, tuple[v.Value, Demand]] = {_name(i): (outputs[i], positions) for i in of}
        roots["model"] = built.first.clean_output(), positions
        return make_plan(engine.graph, engine.model, roots, engine.real, inputs=min(len(data), MOST_INPUTS))

    alone = [planned([i]) for i in range(len(modes))]
    found: list[Together] = []
    for of in _drawing_alike(alone):
        fewest = rows_at_once(alone[of[0]], engine.memory) // _FEWER_ROWS
        for some, plan in _fitting(of, planned, engine.memory, fewest):
            held = Contexts(tree, modes[some[0]], built.first.contexts)
            found.append(Together(some, Compiled(hypothesis, held.mode, data, tree, held, plan, real)))
    return found


class _Built:
    """The values of a hypothesis in all modes that were asked for: tests come back to the same ones."""

    def __init__(self, engine: Engine, tree: Tree) -> None:
        self.builder = Builder(engine.graph, engine.model, stored=engine.store is not None)
        self.first = Compiler(self.builder, tree, Contexts(tree))
        self._outputs: dict[Mode, v.Value] = {}

    def output(self, mode: Mode) -> v.Value:
        """The scrubbed output in a mode."""
        if mode not in self._outputs:
            # Mixtures of other modes are so many that looking for one to start from takes longer.
            self.builder.assembler = Assembler(self.builder)
            contexts = Contexts(self.first.tree, mode, self.first.contexts)
            self._outputs[mode] = Compiler(self.builder, self.first.tree, contexts, self.first).output()
        return self._outputs[mode]


_built: WeakKeyDictionary[Engine, _Built] = WeakKeyDictionary()
"""Of the hypothesis that each engine compiled last."""


def _name(i: int) -> str:
    return f"scrubbed {i}"


def _drawing_alike(plans: Sequence[ScrubPlan]) -> list[list[int]]:
    """Places of plans that may be one, since every claim that draws per position draws at the same tokens in all."""
    found: list[tuple[list[int], dict[int, Demand]]] = []
    for i, plan in enumerate(plans):
        drawn = {region: demand for space in plan.space.walk() for region, demand in space.entered.items()}
        for of, known in found:
            if all(known.get(region, demand) == demand for region, demand in drawn.items()):
                of.append(i)
                known.update(drawn)
                break
        else:
            found.append(([i], drawn))
    return [of for of, _ in found]


def _fitting(
    of: Sequence[int], planned: Callable[[Sequence[int]], ScrubPlan], memory: int, fewest: int
) -> Iterator[tuple[tuple[int, ...], ScrubPlan]]:
    """One plan for all of these, or for fewer where that leaves room for fewer rows than this."""
    plan = planned(of)
    if len(of) == 1 or rows_at_once(plan, memory) >= fewest:
        yield tuple(of), plan
        return
    for half in (of[: len(of) // 2], of[len(of) // 2 :]):
        yield from _fitting(half, planned, memory, fewest)
