"""Whether each claim, member and position is needed: what crossing or freeing it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from scrubbing.experiment.verdict.claims import Unit, members
from scrubbing.experiment.verdict.held import codes, held
from scrubbing.experiment.verdict.runs import Rise, Runs, Sample
from scrubbing.records.tested import Outcome
from scrubbing.sampling.contexts import Member, Mode

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ALPHA = 0.05
MARGIN = 0.01
"""Share of the gap between null and model below which a loss counts as none."""
MOVED = 0.05
"""Share of what outputs differ in the null by which they may differ where losses do not."""


@dataclass(frozen=True)
class Removal:
    """One thing that was given up, and what that cost."""

    words: str
    rise: Rise
    outcome: Outcome


def judged(rise: Rise, alpha: float, margin: float = MARGIN) -> Outcome:
    """Whether a rise is more or less than the margin, with errors of probability `alpha` each way.

    What moves outputs is needed too, though losses stay as they were, or rise as much as they fall.
    """
    limit = margin * rise.gap
    if rise.lower(alpha) > limit or (rise.moved is not None and moves(rise.moved, alpha)):
        return "needed"
    return "idle" if rise.upper(alpha) < limit else "undecided"


def moves(moved: Rise, alpha: float) -> bool:
    """Whether outputs surely differ from the model's own by more than is allowed."""
    return moved.lower(alpha) > MOVED * moved.gap


@dataclass(eq=False)
class _Asked:
    """One thing to give up, in each of several ways until one of them shows that it is needed."""

    words: str
    modes: Sequence[Mode]
    unit: Unit | None = None
    """Claim over whose values references are spread; None for any references."""
    found: dict[int, Removal] = field(default_factory=dict[int, Removal])
    """By way."""

    def is_open(self, way: int) -> bool:
        """Whether it is worth giving up (again) in this way."""
        if way >= len(self.modes) or any(one.outcome == "needed" for one in self.found.values()):
            return False
        return way not in self.found or self.found[way].outcome == "undecided"

    def too_few(self, alpha: float) -> bool:
        """Whether it was given up on so few references that nothing could have been idle."""
        return any(one.rise.n < one.rise.units_for(MARGIN, alpha) for one in self.found.values())


def idle(runs: Runs, sample: Sample, modes: Sequence[Mode], gap: float, alpha: float) -> Rise | None:
    """What the first of several ways of giving something up costs, if all of them cost next to nothing; each is tried
    only if those before do, and no further than a quarter of the references if these show that it costs too much.
    """
    first: Rise | None = None
    for mode in modes:
        part = runs.begun(sample, mode, gap)
        if part is not None and judged(part, alpha / 10) == "needed":
            return None
        (rise,) = runs.differences([(sample, mode)], gap)
        if judged(rise, alpha) != "idle":
            return None
        first = rise if first is None else first
    return first


@dataclass(eq=False)
class Needs:
    """Tests of what can be given up.

    What is undecided on the usual number of references is tried once more on other and more ones, each time at half the
    level, so that the chance of a wrong answer is the level. Of a hypothesis that loses too much as it is, on which
    nothing depends then, only what was given up on too few references to be idle is tried again.
    """

    runs: Runs
    gap: float
    alpha: float = ALPHA
    sufficient: bool = True
    """Whether the hypothesis loses no more than it may."""

    def claims(self, units: Sequence[Unit]) -> dict[Unit, Removal]:
        """Each claim crossed, alone, on references spread over its values."""
        mode, tree = self.runs.scrub.mode, self.runs.scrub.tree
        asked = [_Asked(one.words, [one.crossed(mode, tree, **how) for how in one.ways[::-1]], one) for one in units]
        return dict(zip(units, self._tested(asked), strict=True))

    def members(self) -> list[tuple[int, Member, Removal]]:
        """Each member of a claim freed, alone. Members of what any input may stand in for are not asked about."""
        mode, tree = self.runs.scrub.mode, self.runs.scrub.tree
        found = [one for one in members(tree) if tree.regions[one[0]].claim.variable.agrees_on().op != "constant"]
        asked = [_Asked(words, [replace(mode, freed=mode.freed | freed)]) for _, words, freed in found]
        tested = self._tested(asked)
        return [(index, next(iter(freed)), one) for (index, _, freed), one in zip(found, tested, strict=True)]

    def together(self, modes: Sequence[Mode], words: str) -> Removal:
        """Everything given up at once, in each of several ways."""
        return self._tested([_Asked(words, modes[::-1])])[0]  # at all positions first

    def _tested(self, asked: Sequence[_Asked]) -> list[Removal]:
        alpha, still = self.alpha / 2, asked
        for seed, references in ((1, self.runs.references), (2, self.runs.more)):
            for way in range(max((len(one.modes) for one in still), default=0)):
                open_ = [one for one in still if one.is_open(way)]
                samples = [self._sample(one.unit, seed, references) for one in open_]
                given_up = [(sample, one.modes[way]) for sample, one in zip(samples, open_, strict=True)]
                for one, rise in zip(open_, self.runs.differences(given_up, self.gap), strict=True):
                    one.found[way] = Removal(one.words, rise, judged(rise, alpha))
            still = [one for one in asked if self.sufficient or one.too_few(alpha)]
        return [_gravest(list(one.found.values())) for one in asked]

    def _sample(self, unit: Unit | None, seed: int, references: int | None = None) -> Sample:
        feature = None if unit is None or unit.is_whole_input else unit.feature
        return self.runs.sample(seed, feature, references)

    def positions(self, unit: Unit) -> tuple[tuple[int, ...], Rise | None]:
        """Positions of a claim that can be given up together, and what that costs.

        One crossing at a time says what each position costs; those below their share of the margin are confirmed
        together on other references, and while that costs more than the margin, the costliest is needed after all.
        """
        assert unit.positions is not None
        mode, tree = self.runs.scrub.mode, self.runs.scrub.tree
        sample = self._sample(unit, 1)
        single = unit.crossed(mode, tree, single=True)
        at, _, _, cost = crossings(self.runs, sample, unit, single, self.gap)
        number = np.bincount(at, minlength=tree.graph.positions)
        mean = np.bincount(at, cost, minlength=tree.graph.positions) / np.maximum(number, 1)
        limit = MARGIN * self.gap / len(unit.positions)
        free = [p for p in sorted(unit.positions, key=lambda p: mean[p]) if number[p] and mean[p] < limit]
        for seed in range(3, 9):
            if not free:
                break
            places, sample = tuple(sorted(free)), self._sample(unit, seed)
            crossed = [unit.crossed(mode, tree, positions=places, **how) for how in unit.ways]
            rise = idle(self.runs, sample, crossed, self.gap, self.alpha)
            if rise is not None:
                return places, rise
            free = free[:-1]
        return (), None


def _gravest(found: Sequence[Removal]) -> Removal:
    """Of one thing, given up in several ways."""
    order: list[Outcome] = ["idle", "undecided", "needed"]
    return max(found, key=lambda one: (order.index(one.outcome), one.rise.mean))


def crossings(runs: Runs, sample: Sample, unit: Unit, mode: Mode, gap: float) -> tuple[Ints, Ints, Ints, Floats]:
    """What single crossings cost, of all rows in which there was just one.

    Returns:
        Position of each (0 where a claim draws one input), numbers of the held and of the drawn value, and what that
        cost, in the loss's unit, each `[crossings]`.
    """
    (base, away), (after, further) = runs.measured([(sample, runs.scrub.mode), (sample, mode)])
    # What moves the output counts too, such that its limit and that of losses are one.
    cost = after - base + (further - away) * (MARGIN * gap) / (MOVED * max(runs.spread, 1e-300))
    region = unit.regions[0]
    ours, own = held(runs.job(sample, runs.scrub.mode), region)
    theirs, drawn = held(runs.job(sample, mode), region)
    before, then = (_at_positions(unit, data, rows) for data, rows in ((ours, own), (theirs, drawn)))
    differ = (before != then) & (before >= 0) & (then >= 0)
    one = differ.sum(axis=-1) == 1
    at = differ.argmax(axis=-1)[one]
    picked = np.arange(len(at)), at
    return at, before[one][picked], then[one][picked], cost[one]


def _at_positions(unit: Unit, data: object, rows: Ints) -> Ints:
    """Numbers of the values of some inputs, `[references, draws, positions]`; one position without positions."""
    number = codes(unit.feature, data, unit.data)[0]  # type: ignore[arg-type]
    if number.ndim == 1:
        found = number[rows]
        return found if found.ndim == 3 else found[..., None]
    if rows.ndim == 3:
        return number[rows, np.arange(rows.shape[-1])]
    return number[rows, unit.at][..., None] if unit.at is not None else number[rows]
