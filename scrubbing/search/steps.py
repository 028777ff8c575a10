"""The tests of a search: does a changed hypothesis still lose next to nothing? All of them share one level."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from scrubbing.experiment.executors import Executor
from scrubbing.experiment.jobs import Job, Subject, jobs
from scrubbing.experiment.settings import Settings
from scrubbing.experiment.verdict.found import CANCELLED, TAU
from scrubbing.experiment.verdict.needed import ALPHA, MARGIN, MOVED, judged
from scrubbing.experiment.verdict.runs import ALL_EXACT, NULL, Rise, Runs
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.records.tested import Outcome
from scrubbing.sampling.contexts import SCRUB

FIRST, FEW = 64, 2
"""References of a first look, which can only refuse, and draws for each."""
DRAWS = 4
"""Draws for each reference of a test."""
EARLY = 10
"""Tests over which the level is about evenly spent; those that come later get less and less of it."""
SPARE = 1.3
"""References beyond those without which nothing could be called idle at the level of a test."""


class Spent(Exception):
    """The budget is used up; what was found so far stands."""


@dataclass(frozen=True)
class Lost:
    """What a hypothesis loses of the model's performance, in one way of drawing what is unclaimed."""

    rise: Rise
    fallen: Rise
    """By how much losses of single draws fall below the model's own, which would hide as much of what is lost."""

    def outcome(self, alpha: float, margin: float) -> Outcome:
        """`idle` if surely neither is more than it may be, `needed` if one of them surely is."""
        # How far outputs may move is said for the margin of a verdict; who gives up more of the loss moves them more.
        rise = self.rise if margin <= MARGIN else replace(self.rise, moved=None)
        return gravest(judged(rise, alpha, margin), judged(self.fallen, alpha, margin * CANCELLED / TAU))

    def terms(self, margin: float) -> tuple[tuple[Rise, float], tuple[Rise, float]]:
        """Rise and fall, each with the share of its gap below which it has to be."""
        return (self.rise, margin), (self.fallen, margin * CANCELLED / TAU)

    @property
    def cost(self) -> float:
        """On average, as a share of the gap; how far outputs move counts on the same scale."""
        moved = self.rise.moved
        further = 0.0 if moved is None or not moved.gap else moved.mean / moved.gap * MARGIN / MOVED
        return max(self.rise.mean / self.rise.gap, self.fallen.mean / self.fallen.gap * TAU / CANCELLED, further)


def gravest(*found: Outcome) -> Outcome:
    """`needed` if any is, `idle` if all are."""
    return "needed" if "needed" in found else "undecided" if "undecided" in found else "idle"


@dataclass(frozen=True)
class Look:
    """What a hypothesis loses, with unclaimed nodes drawn apart, and together."""

    ways: tuple[Lost, ...]
    margin: float

    def outcome(self, alpha: float = ALPHA) -> Outcome:
        """`idle` if surely no more than the margin is lost in either way, `needed` if surely more is in one."""
        found: list[Outcome] = [one.outcome(alpha, self.margin) for one in self.ways]
        return gravest(*found)

    def foresaw(self, found: Look) -> bool:
        """Whether the loss rose in a test about as much as here."""
        here, there = (one.ways[0].rise for one in (self, found))
        return abs(here.mean - there.mean) <= 2 * here.se

    @property
    def cost(self) -> float:
        """Of the way in which more is lost."""
        return max(one.cost for one in self.ways)


@dataclass(eq=False)
class Steps:
    """Tests one hypothesis after another against the model itself.

    The k-th test that may give something up has level 10 alpha / ((k + 9) (k + 10)), which add up to alpha. So with
    probability 1 - alpha nothing is given up with which more than the margin is lost in all, whatever was tried in
    between, on inputs like those that are searched on.
    """

    subject: Subject
    executor: Executor
    seed: int = 0
    margin: float = MARGIN
    alpha: float = ALPHA
    budget: int | None = None
    """Scrubbed examples that may be run."""
    sparing: bool = False
    """Whether tests that are not likely to pass are not made: what is left out by proposals is left out at once, and
    leaves little to tests."""
    tried: int = 0
    """Hypotheses that were run."""
    decided: int = 0
    """Tests that had a share of the level."""
    lost: float = 0.0
    """Share of the gap that what was last accepted seemed to lose."""
    examples: int = 0
    _tested: tuple[Look, Look] | None = field(default=None, repr=False)
    """What was last tested, in its first look and in its test, unless it failed for what the look did not see."""
    _passed: Look | None = field(default=None, repr=False)
    """What was last accepted, in its first look."""
    _looks: dict[Hypothesis, tuple[Lost, ...]] = field(default_factory=dict[Hypothesis, tuple[Lost, ...]], repr=False)

    @cached_property
    def settings(self) -> Settings:
        """Of the jobs, whose references and draws are those of each look."""
        return Settings(baselines=("null",), measures=(), seed=self.seed)

    def job(self, hypothesis: Hypothesis) -> Job:
        """What is measured of a hypothesis.

        Raises:
            IllegalHypothesis: lists every fault found.
        """
        return jobs(hypothesis, self.subject, self.settings)[0]

    def prepare(self, start: Hypothesis) -> None:
        """Measure the scales: the gap, and how far outputs are from the model's own in the null."""
        runs = Runs(self.job(start), self.executor)
        sample = runs.sample(self.seed, None, runs.references)
        own, null = runs.losses_of([(sample, ALL_EXACT), (sample, NULL)])
        self.gap = sample.rise(null - own, 1.0).mean
        self.spread = runs.spread
        self.examples += runs.count

    def check(self) -> None:
        """Raise if no more may be run.

        Raises:
            Spent: the budget is used up.
        """
        if self.budget is not None and self.examples >= self.budget:
            raise Spent

    def look(self, hypothesis: Hypothesis) -> Look:
        """What a hypothesis seems to lose, on few references: unclaimed nodes are drawn apart, which rarely loses less
        than together.

        Raises:
            Spent: the budget is used up.
        """
        if hypothesis not in self._looks:
            self.tried += 1
            self._looks[hypothesis] = self._measured(hypothesis, FIRST, FEW, seed=1, modes=1)
        return Look(self._looks[hypothesis], self.margin)

    def _measured(self, hypothesis: Hypothesis, units: int, draws: int, seed: int, modes: int) -> tuple[Lost, ...]:
        self.check()
        runs = Runs(replace(self.job(hypothesis), mode=ALL_EXACT), self.executor, draws=draws)
        runs.spread = self.spread
        here, apart = len(runs.data), replace(runs.scrub, mode=SCRUB).apart
        # Where all inputs are references, draws are the independent units.
        sample = runs.sample(seed, None, units if here > units else max(here, int(np.ceil(units / draws))))
        asked = [mode for mode in (apart, SCRUB) if mode is not None][:modes]
        rises = runs.differences([(sample, mode) for mode in asked], self.gap)
        own, *losses = runs.losses_of([(sample, mode) for mode in (ALL_EXACT, *asked)])
        self.examples += runs.count
        fallen = [sample.rise((own - one).clip(min=0), self.gap) for one in losses]
        return tuple(map(Lost, rises, fallen))

    def loses_nothing(self, hypothesis: Hypothesis) -> bool:
        """Whether surely less than the margin is lost in all, at this test's share of the level."""
        look = self.look(hypothesis)
        if look.outcome() == "needed" or not self._may_pass(look):
            return False
        alpha, units = self._next()
        self.decided += 1
        found = Look(self._measured(hypothesis, units, DRAWS, seed=1 + self.decided, modes=2), self.margin)
        passed = found.outcome(alpha) == "idle"
        if passed or look.foresaw(found):
            self._tested = look, found
        if not passed:
            return False
        self._passed = look
        self.lost = max(one.rise.mean / one.rise.gap for one in found.ways)
        return True

    @property
    def allowed(self) -> float:
        """Share of the gap that a feature may seem to cost before it is tested: the margin, or what is left of it."""
        return max(self.margin - self.lost, 0.0) if self.sparing else self.margin

    @property
    def room(self) -> bool:
        """Whether what was last accepted would be likely to pass once more; if not, nothing more can be given up."""
        return self._passed is None or self._may_pass(self._passed)

    def _next(self) -> tuple[float, int]:
        """Level and independent units of the next test."""
        k = self.decided + 1
        alpha = self.alpha * EARLY / ((k + EARLY - 1) * (k + EARLY))
        return alpha, int(np.ceil(SPARE * -np.log(alpha) / self.margin))

    def _may_pass(self, look: Look) -> bool:
        """Whether a test is likely to pass: where nearly as much is lost as may be, most are not.

        What was tested last lost as much as its test says, passed or not. What is lost beside is seen in two looks, on
        the same references with the same draws.
        """
        if self._tested is None or not self.sparing:
            return True
        alpha, units = self._next()
        terms = zip(*(one.ways[0].terms(self.margin) for one in (look, *self._tested)), strict=True)
        for (now, limit), (before, _), (known, _) in terms:
            likely = replace(known, mean=known.mean + now.mean - before.mean, n=max(known.n, units))
            if likely.upper(alpha) > limit * known.gap:
                return False
        return True
