"""Why an input fails: in each of its draws, which claim broke it, and with which input.

A claim is restored by letting it hold the input of the claim above it. The one that repairs a failing draw broke it. Of
several that repair it equally it is a claim without claims below it, else what is unclaimed, else the deepest claim:
restoring a claim draws anew what lies below it, and that can help by luck. Where no single claim is enough, the best is
restored and the next one sought.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.verdict.attribution import Player, players, restored
from scrubbing.experiment.verdict.held import held, parent_held
from scrubbing.experiment.verdict.runs import Runs, Sample
from scrubbing.graph.nodes import MASK
from scrubbing.hypothesis.treeify import PlacedClaim
from scrubbing.metrics.slices import MAIN
from scrubbing.records.blame import Broken, HeldInput, WhyDraw, WhyInput
from scrubbing.samplers import Agree
from scrubbing.sampling.frames import Frame

Floats = NDArray[np.float64]
Place = tuple[int, int]
"""Reference and draw."""

REPAIRED = 0.9
"""Share of the rise that is enough."""
_MOST = 3
"""Claims that are restored together, at most."""
_SHOWN = 4
"""Inputs that are shown of a claim that draws per position."""


def why(scrub: Job, executor: Executor, threshold: float) -> list[WhyInput]:
    """Every reference of a job, with what broke its failing draws.

    Args:
        scrub: the references, draws and seed whose draws are explained.
        executor: what measures.
        threshold: rise of the loss over the model's from which a draw fails.
    """
    search = _Search(scrub, executor, threshold)
    broken = {place: list(search.broken(place)) for place in search.failing}
    data, rows = scrub.data, scrub.reference.rows
    return [
        WhyInput(
            hypothesis=scrub.hypothesis.name,
            id=int(data.ids[row]),
            text=data.show(int(row)),
            unit=scrub.subject.loss.unit,
            model=float(search.model[i]),
            threshold=threshold,
            draws=[
                WhyDraw(draw=k, loss=float(search.scrubbed[i, k]), broken=broken.get((i, k), []))
                for k in range(scrub.draws)
            ],
        )
        for i, row in enumerate(rows)
    ]


class _Search:
    """Restores players until every failing draw is repaired."""

    def __init__(self, scrub: Job, executor: Executor, threshold: float) -> None:
        self.scrub = scrub
        self.runs = Runs(scrub, executor)
        self.sample = Sample(scrub.reference, scrub.draws, scrub.seed, whole=False)
        self.who = players(scrub)
        self.scrubbed = self._losses([()])[0]
        everything = tuple(range(len(self.who)))
        self.model = self._losses([everything])[0].mean(axis=1)
        self.rise = self.scrubbed - self.model[:, None]
        counted = scrub.reference.weights()[MAIN] > 0
        self.failing: list[Place] = [
            (int(i), int(k)) for i, k in np.argwhere((self.rise > threshold) & counted[:, None])
        ]
        self.chosen: dict[Place, tuple[int, ...]] = dict.fromkeys(self.failing, ())
        self.repaired: dict[Place, list[float]] = {place: [] for place in self.failing}
        for _ in range(min(_MOST, len(self.who))):
            self._one_more()

    def _losses(self, sets: Sequence[tuple[int, ...]]) -> list[Floats]:
        modes = [restored(self.scrub.mode, [self.who[i] for i in some]) for some in sets]
        return self.runs.losses_of([(self.sample, mode) for mode in modes])

    def _one_more(self) -> None:
        """For each draw that still fails, the player that repairs most of it beside those chosen."""
        left = [place for place in self.failing if not self.repaired[place] or self.repaired[place][-1] < REPAIRED]
        for so_far in dict.fromkeys(self.chosen[place] for place in left):
            more = [i for i in range(len(self.who)) if i not in so_far]
            losses = dict(zip(more, self._losses([(*so_far, i) for i in more]), strict=True))
            for place in (place for place in left if self.chosen[place] == so_far):
                repaired = {i: 1 - (losses[i][place] - self.model[place[0]]) / self.rise[place] for i in more}
                best = self._best(repaired)
                self.chosen[place] = (*so_far, best)
                self.repaired[place].append(repaired[best])

    def _best(self, repaired: dict[int, float]) -> int:
        most = max(repaired.values())
        alike = [i for i, share in repaired.items() if share >= REPAIRED * most and share > 0] or list(repaired)
        return max(alike, key=lambda i: (*self._without_luck(self.who[i]), repaired[i]))

    def _without_luck(self, one: Player) -> tuple[int, int]:
        """The higher, the less a repair can be due to what is drawn anew; then how deep it lies."""
        draws_anew = any(self.scrub.tree.regions[region].children for region in one.regions)
        return (0 if draws_anew else 2 if one.regions else 1), one.depth

    def broken(self, place: Place) -> Iterator[Broken]:
        """What was restored for one draw."""
        for i, share in zip(self.chosen[place], self.repaired[place], strict=True):
            one = self.who[i]
            yield Broken(
                what=one.what,
                variable=one.variable,
                below=one.below,
                drawn=list(self._drawn(one, place)),
                repaired=float(share),
            )

    def _drawn(self, one: Player, place: Place) -> Iterator[HeldInput]:
        if not one.regions:
            yield from self._unclaimed(place)
            return
        region = self.scrub.tree.regions[one.regions[0]]
        (data, rows), (above, before) = held(self.scrub, region.index), parent_held(self.scrub, region.index)
        own, theirs = np.atleast_1d(rows[place]), np.atleast_1d(before[place])
        shown = 0
        for position, (row, was) in enumerate(zip(own.ravel().tolist(), theirs.ravel().tolist(), strict=True)):
            at = position % self.scrub.tree.graph.positions if rows.ndim > 2 else None
            if (data is above and row == was) or not self._claimed_at(region, at) or shown >= _SHOWN:
                continue
            shown += 1
            yield _shown(data, row, at, self._value(region, data, row, at))

    def _claimed_at(self, region: PlacedClaim, at: int | None) -> bool:
        """Whether one of its targets is at a position; those chosen by a function of the input count as all."""
        if at is None:
            return True
        length = self.scrub.tree.graph.positions
        padded, targets = MASK in self.scrub.tree.graph.slots, region.claim.targets
        chosen = [None if t.positions is None else t.positions.resolve(length, padded) for t in targets]
        return any(one is None or at in one for one in chosen)

    def _value(self, region: PlacedClaim, data: Dataset, row: int, at: int | None) -> str:
        feature = (region.claim.sampler or Agree()).compares(region.claim.variable.agrees_on())
        if feature.op in ("identity", "constant"):
            return ""
        at = self.scrub.tree.at_one_position(region.index) if at is None and feature.per == "position" else at
        return str(feature.value_at(data, row, at))

    def _unclaimed(self, place: Place) -> Iterator[HeldInput]:
        """What the output's own region left unclaimed; nothing where it is no single input."""
        rule, mode = self.scrub.tree.regions[0].unclaimed, self.scrub.mode
        if mode.unclaimed != "sample" or rule.separately or mode.apart:
            return
        i, k = place
        row = self.scrub.reference.rows[i : i + 1]
        frame = Frame.root(self.scrub.data, row, np.array([k]), self.scrub.seed, {}, self.scrub.subject.real)
        data, rows = frame.source(self.scrub.contexts.unclaimed(0))
        yield _shown(data, int(rows[0]), None, "")


def _shown(data: Dataset, row: int, position: int | None, value: str) -> HeldInput:
    return HeldInput(id=int(data.ids[row]), text=data.show(row), value=value, position=position)
