"""Gates that are fitted by gradient, and attributions: in which order what a node reads might be left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.features import everything
from scrubbing.errors import UsageError, fail
from scrubbing.experiment.experiment import Experiment
from scrubbing.graph.nodes import Node
from scrubbing.hypothesis.claims import OUTPUT
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.progress import bar
from scrubbing.records.files import write
from scrubbing.rng import stream_key
from scrubbing.search.choices import By, Choices
from scrubbing.search.elimination import reordered
from scrubbing.search.gated import Batch, Gated
from scrubbing.search.gates import Gate
from scrubbing.search.steps import Spent, Steps
from scrubbing.search.where import Part

Floats = NDArray[np.float64]

STEPS, WARM = 300, 80
"""Steps of gradient, and those of them before the price of a claim begins to rise."""
PRICES = (1e-4, 1.0)
"""Of one claim, first and last, as a share of the gap."""
AGAIN = 3
"""Forward passes that measure the order of what is given up, for each of those of the fit."""
SNAPSHOTS = 30
"""Sizes on the path of one run."""
RATE, START = 0.1, 2.5
"""Step length, and where gates begin: open, most of the time."""
BETA, LOW, HIGH = 2 / 3, -0.1, 1.1
"""Temperature and stretch of hard concrete gates, those of Louizos et al. 2018."""
ALPHAS = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Of all gates at once, between which attributions are averaged."""
ATTRIBUTED = 20
"""Batches of an attribution for each of these."""
ASCENTS = 2
"""Steps of the adversary for each of ours."""


@dataclass(frozen=True)
class Proposal:
    """For how long what a node reads seems to be worth keeping: what is worth least might be left out first."""

    worth: Mapping[tuple[Node, Part], float]
    """Of a writer, or of one of its slots or positions, for a reader."""
    examples: int = 0
    """Forward passes that it took; a gradient counts as two more."""

    @classmethod
    def of(cls, gates: Sequence[Gate], worth: Floats) -> Proposal:
        """From what each gate is worth: a writer is worth as much as its best slot, and its best position."""
        found: dict[tuple[Node, Part], float] = {}
        best: dict[tuple[Node, Node, bool], float] = {}
        for gate, one in zip(gates, worth.tolist(), strict=True):
            found[gate.reader, (gate.writer, gate.what)] = one
            kind = gate.reader, gate.writer, isinstance(gate.what, str)
            best[kind] = max(best.get(kind, 0.0), one)
        for (reader, writer, _), one in best.items():
            whole = reader, (writer, None)
            found[whole] = min(found.get(whole, math.inf), one)
        return cls(found)

    def cuts(self, reader: Node, parts: Sequence[Part], most: int) -> list[frozenset[Part]]:
        """Sets of parts that might be left out together, the largest first, at most so many: what is worth the same to
        one digit goes together.
        """
        worth = {part: float(f"{self.worth[reader, part]:.0e}") for part in parts if (reader, part) in self.worth}
        levels: list[float] = sorted(set(worth.values()))[:-1]
        if len(levels) > most:
            levels = np.unique(np.quantile(levels, np.linspace(0, 1, most), method="nearest")).tolist()
        return [frozenset(part for part, one in worth.items() if one <= level) for level in reversed(levels)]


@dataclass(eq=False)
class Fit:
    """The state of a run that fits gates; what comes next depends on nothing else."""

    theta: Tensor
    first: Tensor
    second: Tensor
    """Moments of Adam (Kingma and Ba 2015)."""
    step: int = 0
    path: list[Floats] = field(default_factory=list[Floats])
    """As the price of a claim rises, how likely each gate is open."""

    def save(self, file: Path) -> None:
        """Write the state."""
        content = BytesIO()
        path = np.array(self.path).reshape(len(self.path), len(self.theta))
        moments = np.stack([one.numpy() for one in (self.theta, self.first, self.second)])
        np.savez(content, moments=moments, step=self.step, path=path)
        write(file, content.getvalue(), "the gates")

    @classmethod
    def load(cls, file: Path) -> Fit:
        """The inverse of `save`."""
        with np.load(file, allow_pickle=False) as stored:
            theta, first, second = (torch.as_tensor(one) for one in stored["moments"])
            return cls(theta, first, second, int(stored["step"]), list(stored["path"]))


def propose(
    experiment: Experiment,
    by: By = "gradient",
    *,
    through: Sequence[str] = (),
    depth: int | None = None,
    adversarial: bool = False,
    budget: int | None = None,
    seed: int = 0,
) -> Proposal:
    """What a search would try to leave out first: for how long each thing that a node reads seems to be worth keeping.

    Args:
        experiment: model, inputs, loss, and what measures.
        by: `gradient` or `attribution`.
        through: see `Choices`, as the others.
        depth: of claims.
        adversarial: whether gates are fitted against an adversary.
        budget: forward passes that may be made.
        seed: of all draws.

    Raises:
        UsageError: SCR-SEARCH, an argument cannot be used, or the budget is not enough; SCR-GRADIENT, the model or the
            loss cannot be differentiated.
    """
    how = Choices(by=by, through=through, depth=depth, adversarial=adversarial, budget=budget, seed=seed)
    steps = Steps(experiment.subject, experiment.executor, seed, budget=budget)
    steps.prepare(Hypothesis("nothing", "Nothing.", OUTPUT.carries(Variable("output", everything))))
    made = None
    with suppress(Spent):
        made = proposal(steps, how, None)
    if made is None:
        problem = f"nothing is proposed by {by!r}" + ("." if budget is None else f" with budget={budget}.")
        fail(UsageError, "SCR-SEARCH", problem, "Give by= gradient or attribution, and enough budget=.", "search")
    return made


def proposal(steps: Steps, chosen: Choices, kept: Path | None) -> Proposal | None:
    """What gradients propose to leave out; None where that is left to tests.

    Args:
        steps: whose scales are known, and whose budget this is a part of.
        chosen: how to search.
        kept: file for the state, from which a run that was stopped goes on.

    Raises:
        UsageError: SCR-GRADIENT, the model or the loss cannot be differentiated.
        Spent: the budget is used up.
    """
    if chosen.by == "tests":
        return None
    gated = Gated(steps.subject, chosen.through, chosen.depth, chosen.seed, steps.gap, steps.spread)
    left = None if steps.budget is None else steps.budget - steps.examples
    try:
        made = attributed(gated) if chosen.by == "attribution" else fitted(gated, left, chosen.adversarial, kept)
    finally:
        steps.examples += gated.examples
    return replace(made, examples=gated.examples)


def fitted(gated: Gated, budget: int | None, adversarial: bool, kept: Path | None) -> Proposal:
    """Fit gates while the price of a claim rises, from everything open to everything closed.

    Gates are hard concrete (Louizos et al. 2018), sampled anew for every input and step, and so is what stands in for
    what they close. Each gate is worth the price up to which it was open, on a path of sizes from one run; where it was
    likely open in part, a part of the way counts, so that hardly two gates are worth the same. Which of those that are
    worth little goes first is then measured (`elimination`), with three times as many passes, unless there is an
    adversary.

    Args:
        gated: the model.
        budget: forward passes that may be made; None for as many as it takes.
        adversarial: whether what is closed may still come through in part, by shares that an adversary chooses for
            a whole batch so that most is lost.
        kept: file for the state, from which a run that was stopped goes on.

    Raises:
        UsageError: SCR-GRADIENT, the model or the loss cannot be differentiated.
        Spent: the budget is used up.
    """
    n, share = len(gated.gates.gates), torch.as_tensor(gated.gates.share)
    zero = torch.zeros(n, dtype=torch.float64)
    fit = Fit(zero + START, zero, zero) if kept is None or not kept.exists() else Fit.load(kept)
    gated.examples += fit.step * _passes(gated, adversarial)
    with bar(f"fitting {n} gates", STEPS) as progress:
        progress.advance(fit.step)
        while fit.step < STEPS:
            if budget is not None and gated.examples >= budget:
                raise Spent
            price = _price(fit.step)
            gradient = _gradient(gated, fit, adversarial) + price * share * _likely_slope(fit.theta)
            _adam(fit, gradient)
            fit.step += 1
            if fit.step >= WARM and (fit.step - WARM) % ((STEPS - WARM) // SNAPSHOTS) == 0:
                fit.path.append(_likely(fit.theta).numpy())
                if kept is not None:
                    fit.save(kept)
            progress.advance()
    low, high = PRICES
    worth = low * (high / low) ** np.mean(fit.path, axis=0)
    if not adversarial:  # which is about what may still come through, and here nothing may
        passes = AGAIN * STEPS * _passes(gated, adversarial)
        left = passes if budget is None else min(passes, budget - gated.examples)
        worth = reordered(gated, worth * gated.gates.share, left) / gated.gates.share
    return Proposal.of(gated.gates.gates, worth)


def attributed(gated: Gated) -> Proposal:
    """What each gate is worth by its gradient: that of the cost, times the difference between open and closed, in mean
    over all gates being open to some share at once, and over inputs without their sign.

    Source: ours; gradient times difference is from Nanda 2023 and Syed et al. 2023 (edge attribution patching), its
    integral from Sundararajan et al. 2017 and Hanna et al. 2024.

    Raises:
        UsageError: SCR-GRADIENT, the model or the loss cannot be differentiated.
    """
    n, worth = len(gated.gates.gates), 0.0
    with bar(f"attributing to {n} gates", len(ALPHAS) * ATTRIBUTED) as progress:
        for step in range(ATTRIBUTED):
            batch = gated.batch(step)
            for alpha in ALPHAS:
                gates = torch.full((len(batch.rows), n), alpha, device=gated.model.device, requires_grad=True)
                found = gated.gradient(gated.cost(batch, gates), gates)
                worth = worth + found.abs().sum(0).double().cpu().numpy()
                progress.advance()
    return Proposal.of(gated.gates.gates, np.asarray(worth) / (len(ALPHAS) * ATTRIBUTED))


def _price(step: int) -> float:
    low, high = PRICES
    return low * (high / low) ** max(0.0, (step - WARM) / (STEPS - WARM))


def _gradient(gated: Gated, fit: Fit, adversarial: bool) -> Tensor:
    """Of the cost by the parameters, at gates that are sampled for each input."""
    batch = gated.batch(fit.step)
    generator = torch.Generator().manual_seed(stream_key(gated.seed, f"gates, noise {fit.step}") >> 1)
    noise = torch.rand(len(batch.rows), len(fit.theta), generator=generator, dtype=torch.float64)
    theta = fit.theta.clone().requires_grad_()
    gates = _sampled(theta, noise.clamp(1e-6, 1 - 1e-6)).to(gated.model.device)
    if adversarial:
        gates = _attacked(gated, batch, gates, generator)
    return gated.gradient(gated.cost(batch, gates), theta)


def _attacked(gated: Gated, batch: Batch, gates: Tensor, generator: torch.Generator) -> Tensor:
    """Gates that let through a share of what they close, the worst there is, the same for the whole batch."""
    share = torch.rand(gates.shape[1], generator=generator, dtype=gates.dtype).to(gates.device)
    for _ in range(ASCENTS):
        tried = share.clone().requires_grad_()
        slope = gated.gradient(gated.cost(batch, gates.detach() + (1 - gates.detach()) * tried), tried)
        share = (share + slope.sign() / ASCENTS).clamp(0, 1)
    return gates + (1 - gates) * share


def _passes(gated: Gated, adversarial: bool) -> int:
    """Forward passes of one step."""
    return 3 * min(gated.size, len(gated.rows)) * (1 + ASCENTS * adversarial)


def _sampled(theta: Tensor, noise: Tensor) -> Tensor:
    soft = torch.sigmoid(((noise / (1 - noise)).log() + theta) / BETA)
    return (soft * (HIGH - LOW) + LOW).clamp(0, 1)


def _likely(theta: Tensor) -> Tensor:
    """The chance that a gate is open at all."""
    return torch.sigmoid(theta - BETA * math.log(-LOW / HIGH))


def _likely_slope(theta: Tensor) -> Tensor:
    likely = _likely(theta)
    return likely * (1 - likely)


def _adam(fit: Fit, gradient: Tensor) -> None:
    k = fit.step + 1
    fit.first = 0.9 * fit.first + 0.1 * gradient
    fit.second = 0.99 * fit.second + 0.01 * gradient**2
    mean, square = fit.first / (1 - 0.9**k), fit.second / (1 - 0.99**k)
    fit.theta = (fit.theta - RATE * mean / (square.sqrt() + 1e-12)).clamp(-6, 6)
