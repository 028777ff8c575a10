"""Learned directions: the subspace of what a node writes that carries what the whole node was said to carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.agreement import groups
from scrubbing.errors import UsageError, fail
from scrubbing.experiment.experiment import Experiment
from scrubbing.experiment.trial import Trial
from scrubbing.graph.nodes import Node
from scrubbing.hypothesis.claims import Claim, Target
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.parts import project
from scrubbing.progress import bar
from scrubbing.records.measured import Number
from scrubbing.records.schema import RunRecord
from scrubbing.rng import stream_key, uniform
from scrubbing.routes import AnyPath, Direct
from scrubbing.search.choices import Choices
from scrubbing.search.gated import Batch, Gated, Run
from scrubbing.search.searched import parts_of
from scrubbing.search.steps import Steps

_linalg: Any = torch.linalg  # which has no types
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEPS, RATE = 200, 0.05
"""Steps of Adam for one start."""
STARTS = 3
"""Starts: the directions in which means of the feature's values differ most, and others drawn at random."""
PAIRS = 40
"""Batches of pairs of inputs on which interchanges are counted."""
READ = 1e-3
"""Share of the steepest direction's slope below which a direction counts as read by nobody."""
CLOSE = 0.05
"""Numbers agree within this share of their spread."""


@dataclass(frozen=True)
class Interchange:
    """How often exchanging a subspace does what exchanging the whole node does."""

    agrees: float
    """Share of pairs of inputs on which outputs are the same."""
    without: float
    """Share on which they are without any exchange."""
    pairs: int


@dataclass(frozen=True, eq=False)
class Directions:
    """Learned directions, and what they are worth on inputs that they were not learned on."""

    hypothesis: Hypothesis
    """The hypothesis with the subspace in place of the whole node."""
    vectors: Floats
    """Orthonormal, `[width, d]`."""
    recovered: Number
    """Of the null, by this hypothesis."""
    whole: Number
    """By that about the whole node."""
    read: Number | None
    """By the hypothesis with what is read of the subspace alone; None where all of it is read."""
    interchange: Interchange
    tried: int
    """Subspaces that were fitted, of which this is the best on the inputs that they were fitted to."""

    @property
    def warning(self) -> str:
        """Why the subspace is not one that the model uses, with the evidence; empty if nothing speaks against it."""
        told = "The subspace works by activity off the model's paths"
        if _surely_more(self.recovered, self.whole):
            return (
                f"{told}: {self.recovered.value:.1%} is recovered by it, and {self.whole.value:.1%} by the whole node."
            )
        if self.read is not None and _surely_more(self.recovered, self.read):
            return (
                f"{told}: {self.recovered.value:.1%} is recovered by it, and {self.read.value:.1%} by the part of it "
                "that anything reads."
            )
        return ""

    def __str__(self) -> str:
        one = self.interchange
        lines = [
            f"{self.recovered.value:.1%} recovered on held-out inputs, {self.whole.value:.1%} by the whole node.",
            f"Exchanging it does what exchanging the node does on {one.agrees:.1%} of {one.pairs} pairs of held-out "
            f"inputs, {one.without:.1%} without an exchange.",
            *([self.warning] if self.warning else []),
        ]
        return f"{self.hypothesis}\n\n" + "\n".join(lines)


def directions(
    experiment: Experiment,
    hypothesis: Hypothesis,
    carries: str,
    width: int = 1,
    *,
    held_out: float = 0.5,
    seed: int = 0,
) -> Directions:
    """Learn the subspace of a claim's node that carries what the claim says, in place of the whole node.

    An orthonormal basis V is fitted by gradient so that as little as possible is lost when what the node writes is
    put together from an input that agrees on the feature, within the span of V, and any other input outside of it,
    everything unclaimed being of another input. What is learned on one part of the inputs is scored on the other, by
    the engine.

    Source: ours; orthogonal maps learned by gradient are from Geiger, Wu, Potts, Icard and Goodman 2024 (distributed
    alignment search), whose objective needs the outputs that an interpretation expects. That such a subspace can work
    by a direction which is active but not read, together with one which is read but not active, is from Makelov, Lange
    and Nanda 2023.

    Args:
        experiment: model, inputs, loss, and what measures.
        hypothesis: with a claim on a whole node.
        carries: name of the variable that the claim says the node carries; its feature has one value per input, or the
            claim is at one position.
        width: of the subspace.
        held_out: share of inputs that are not fitted to.
        seed: of the choice of inputs, and of all draws.

    Raises:
        IllegalHypothesis: lists every fault found.
        UsageError: SCR-SEARCH, there is no such claim, or no such width; too few inputs. SCR-GRADIENT, the model or
            the loss cannot be differentiated.
    """
    claim = _claim(hypothesis, carries)
    trial = Trial(hypothesis, experiment.model, experiment.data, experiment.loss)
    fitted, rest = parts_of(trial, experiment, Choices(held_out=held_out, seed=seed, scope=hypothesis.scope))
    hypothesis.check(fitted.subject.graph, fitted.data)
    here = _Exchanges.of(fitted, hypothesis, claim, seed)
    _check(width, here)
    found = [_fit(here, width, start) for start in range(STARTS)]
    basis = min(found, key=lambda one: one[1])[0]
    inside = slice(None) if hypothesis.scope is None else np.flatnonzero(hypothesis.scope(rest.data))
    apart = Experiment(rest.model, rest.data.take(np.arange(len(rest.data))[inside]), rest.loss, rest.settings)
    there = _Exchanges.of(apart, hypothesis, claim, seed + 1)
    read = there.read(basis)
    asked = [_with(hypothesis, claim, basis), hypothesis, *([] if read is None else [_with(hypothesis, claim, read)])]
    scores = [_recovered(one.record()) for one in rest.run_all(asked)]
    return Directions(
        hypothesis=asked[0],
        vectors=basis.T.numpy(),
        recovered=scores[0],
        whole=scores[1],
        read=None if read is None else scores[2],
        interchange=there.interchanges(basis),
        tried=STARTS,
    )


def _claim(hypothesis: Hypothesis, carries: str) -> Claim:
    """The claim that some whole node carries the variable of this name.

    Raises:
        UsageError: SCR-SEARCH, there is none, or several.
    """
    claims = [one for one in hypothesis.correspondence.walk() if one.targets[0].node is not None]
    whole = [one for one in claims[1:] if len(one.targets) == 1 and one.targets[0].only is None
             and not one.targets[0].read_slots and not one.each and one.group is None]  # fmt: skip
    found = [one for one in whole if one.variable.name == carries]
    if len(found) != 1:
        known = ", ".join(dict.fromkeys(repr(one.variable.name) for one in whole)) or "none"
        problem = f"{len(found)} claims of {hypothesis.name} say that one whole node carries {carries!r}."
        fail(UsageError, "SCR-SEARCH", problem, f"Name the variable of exactly one; there are: {known}.", "directions")
    return found[0]


def _check(width: int, here: _Exchanges) -> None:
    if not 0 < width < here.width:
        problem = f"width={width!r} is no width of a subspace of {here.width} dimensions."
        fail(UsageError, "SCR-SEARCH", problem, f"Give 1 to {here.width - 1}.", "directions")


def _with(hypothesis: Hypothesis, claim: Claim, basis: Tensor) -> Hypothesis:
    """The hypothesis with a subspace in place of the whole node."""
    target = replace(claim.targets[0], only=project(basis.T.numpy()))

    def changed(one: Claim) -> Claim:
        if one is claim:
            return replace(one, targets=(target,))
        return replace(one, children=tuple(map(changed, one.children)))

    name = f"{hypothesis.name}, {basis.shape[1]} of {claim.targets[0].node}"
    return replace(hypothesis, name=name, correspondence=changed(hypothesis.correspondence))


def _surely_more(one: Number, other: Number) -> bool:
    return one.low is not None and other.high is not None and one.low > other.high


def _recovered(record: RunRecord) -> Number:
    """Of the null.

    Raises:
        UsageError: SCR-SEARCH, there is nothing to recover.
    """
    found = record.recovered_of("null")
    if found is None or found.fraction is None:
        problem = "on held-out inputs the model is no better than the null, so nothing could be recovered."
        fail(UsageError, "SCR-SEARCH", problem, "Give more inputs, or a model that has learned the task.", "directions")
    return found.fraction


def _fit(here: _Exchanges, width: int, start: int) -> tuple[Tensor, float]:
    """An orthonormal basis `[d, width]`, and what it costs on average over the last steps."""
    free = here.start(width, start).requires_grad_()
    adam: Any = torch.optim.Adam([free], RATE)
    costs: list[float] = []
    with bar(f"fitting {width} of {here.node}, start {start + 1} of {STARTS}", STEPS) as progress:
        for step in range(STEPS):
            cost = here.cost(_linalg.qr(free)[0], step)
            free.grad = here.of_model.gradient(cost, free)
            adam.step()
            costs.append(float(cost.detach()))
            progress.advance()
    return _linalg.qr(free.detach())[0], float(np.mean(costs[-STEPS // 5 :]))


@dataclass(eq=False)
class _Exchanges:
    """Exchanges of a subspace of what one node writes, on one set of inputs."""

    of_model: Gated
    node: Node
    agree: Ints
    """Number of the value of the feature, on each input of the pool."""
    places: tuple[int, ...]
    open: Tensor
    """Gates that are open: those of claims, `[gates]`."""
    whole: frozenset[Node]
    """Nodes that are claimed wholly on their own input."""

    @classmethod
    def of(cls, experiment: Experiment, hypothesis: Hypothesis, claim: Claim, seed: int) -> _Exchanges:
        """On the inputs of an experiment."""
        subject, (target, *_) = experiment.subject, claim.targets
        node = target.node
        assert node is not None
        steps = Steps(subject, experiment.executor, seed)
        steps.prepare(replace(hypothesis, correspondence=replace(hypothesis.correspondence, children=()), scope=None))
        gated = Gated(subject, (), None, seed, steps.gap, steps.spread)
        places = _places(target, gated)
        group = groups(claim.variable.agrees_on(), gated.pool).group
        if group.ndim > 1:
            if len(places) > 1:
                problem = f"{claim.variable.agrees_on().name} has a value per position, and the claim is at several."
                fail(UsageError, "SCR-SEARCH", problem, "Claim it at one, or name a feature per input.", "directions")
            group = group[:, max(places)]
        open_, whole = torch.zeros(len(gated.gates.gates), dtype=gated.model.dtype), set[Node]()
        for reader, one in _below(hypothesis.correspondence, gated.graph.output):
            _open(one, reader, gated, open_)
            whole |= {target.node for target in one.targets if target.node is not None and not one.children}
        return cls(gated, node, group.astype(np.int64), places, open_.to(gated.model.device), frozenset(whole))

    @property
    def width(self) -> int:
        """Of what the node writes."""
        return self.of_model.clean[self.node].shape[-1]

    def start(self, width: int, start: int) -> Tensor:
        """Where a fit begins, `[d, width]`: between the means of the feature's values, or anywhere."""
        values = self.of_model.clean[self.node][:, list(self.places)].mean(1)
        generator = torch.Generator().manual_seed(stream_key(self.of_model.seed, f"directions, start {start}") >> 1)
        noise = torch.randn(self.width, width, generator=generator, dtype=torch.float64).to(values)
        if start:
            return noise
        means = torch.stack([values[self.agree == one].mean(0) for one in np.unique(self.agree)])
        between = _linalg.svd(means - means.mean(0), full_matrices=False)[2].T[:, :width]
        return torch.cat([between, noise[:, between.shape[1] :]], 1) + 1e-3 * noise

    def cost(self, basis: Tensor, step: int) -> Tensor:
        """Of holding an input that agrees within a subspace, and any other outside of it."""
        batch = self.of_model.batch(step)
        run = self._run(batch)
        clean = self.of_model.clean[self.node]
        same, other = clean[self._agreeing(batch, step)], clean[torch.as_tensor(batch.others[self.node])]
        self._put(run, other, (same - other) @ basis @ basis.T)
        return self.of_model.cost_of(run, differentiable=basis.requires_grad)

    def _run(self, batch: Batch) -> Run:
        run = Run(self.of_model, batch, self.open.expand(len(batch.rows), -1), -1)
        run.fixed = {one: self.of_model.clean[one][run.at] for one in self.whole}
        return run

    def _put(self, run: Run, base: Tensor, change: Tensor) -> None:
        """Have the node write something else at the positions of the claim."""
        here = torch.zeros(run.length, 1, dtype=base.dtype, device=base.device)
        here[list(self.places)] = 1
        run.fixed[self.node] = base + change * here

    def _agreeing(self, batch: Batch, step: int) -> Tensor:
        """For each input one that agrees with it on the feature."""
        key = stream_key(self.of_model.seed, f"directions, step {step}")
        chance = uniform(key, batch.rows, 0)
        order = np.argsort(self.agree, kind="stable")
        values, start, size = np.unique(self.agree[order], return_index=True, return_counts=True)
        which = np.searchsorted(values, self.agree[batch.rows])
        return torch.as_tensor(order[start[which] + (chance * size[which]).astype(np.int64)])

    def interchanges(self, basis: Tensor) -> Interchange:
        """How often exchanging the subspace alone, all else being the model's own, does what the whole node does."""
        clean, outputs = self.of_model.clean[self.node], list[Tensor]()
        for step in range(PAIRS):
            batch = self.of_model.batch(step)
            rows, other = torch.as_tensor(batch.rows), torch.as_tensor(batch.others[self.node])
            full = clean[other] - clean[rows]
            some = full @ basis @ basis.T, full, 0 * full
            outputs.append(torch.stack([self._exact(batch, clean[rows], one) for one in some]))
        part, whole, without = torch.cat(outputs, 1)
        if self.of_model.subject.loss.outputs == "classes":
            same = [(one.argmax(1) == whole.argmax(1)).double() for one in (part, without)]
        else:
            spread = float(without.double().std()) * CLOSE
            same = [((one - whole).abs().amax(1) <= spread).double() for one in (part, without)]
        return Interchange(float(same[0].mean()), float(same[1].mean()), len(whole))

    @torch.no_grad()
    def _exact(self, batch: Batch, base: Tensor, change: Tensor) -> Tensor:
        run = Run(self.of_model, batch, self.open.new_ones(len(batch.rows), len(self.open)), -1)
        self._put(run, base, change)
        return run.output()

    def read(self, basis: Tensor) -> Tensor | None:
        """What is read of a subspace: its image in the directions along which the output has a slope anywhere, under
        exchanges of whole nodes. None if that is all of it.
        """
        slopes: list[Tensor] = []
        clean = self.of_model.clean[self.node]
        for step in range(10):
            batch = self.of_model.batch(step)
            run = self._run(batch)
            value = clean[torch.as_tensor(batch.others[self.node])].clone().requires_grad_()
            self._put(run, value, torch.zeros_like(value))
            output = run.output()
            generator = torch.Generator().manual_seed(stream_key(step, "directions, output") >> 1)
            along = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output)
            slopes.append(self.of_model.gradient((output * along).sum(), value)[:, list(self.places)].flatten(0, 1))
        _, size, right = _linalg.svd(torch.cat(slopes).double(), full_matrices=False)
        seen = right[size > READ * size[0]].T.to(basis)
        image = seen @ (seen.T @ basis)
        if torch.allclose(image, basis, atol=1e-3):
            return None
        left, size, _ = _linalg.svd(image, full_matrices=False)
        return left[:, size > READ] if bool((size > READ).any()) else None


def _below(claim: Claim, reader: Node) -> Iterator[tuple[Node, Claim]]:
    """Every claim with the node that reads what it is about."""
    for one in claim.children:
        yield reader, one
        for target in one.targets:
            yield from _below(one, reader if target.node is None else target.node)


def _places(target: Target, gated: Gated) -> tuple[int, ...]:
    """Positions of a target; all of them where they depend on the input."""
    found = None if target.positions is None else target.positions.resolve(gated.graph.positions, False)
    return tuple(range(gated.graph.positions)) if found is None else found


def _open(claim: Claim, reader: Node, gated: Gated, open_: Tensor) -> None:
    """Open the gates of a claim: those on its paths from its node to a reader."""
    graph = gated.graph
    for target in claim.targets:
        if target.node is None:
            continue
        on_the_way = {reader}
        if not isinstance(target.route, Direct):
            avoid = target.route.avoid if isinstance(target.route, AnyPath) else frozenset[Node]()
            after = graph.readers(target.node, avoid)
            on_the_way |= {one for one in after if reader in graph.readers(one, avoid)}
        places = {*_places(target, gated)}
        for i, gate in enumerate(gated.gates.gates):
            if gate.reader not in on_the_way or gate.writer not in {target.node, *on_the_way}:
                continue
            if isinstance(gate.what, int):
                open_[i] = max(float(open_[i]), float(gate.writer != target.node or gate.what in places))
            elif gate.reader != reader or not target.into_slots or gate.what in target.into_slots:
                open_[i] = 1
