"""What: of many features, the coarsest that a kept node may be said to carry, by tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import digest_of, groups
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, everything, joint
from scrubbing.errors import IllegalHypothesis
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.verdict.claims import units
from scrubbing.experiment.verdict.needed import ALPHA, crossings
from scrubbing.experiment.verdict.runs import Runs
from scrubbing.graph.nodes import MASK
from scrubbing.search.draft import Kept
from scrubbing.search.steps import Steps
from scrubbing.stats.critical import fixed_size

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXCHANGES = 800
"""Exchanges of one input for another by which features are sorted out before any is tested."""
MOST_TESTED = 12
"""Features that are tested for one node, of those that are left then."""


@dataclass(frozen=True, eq=False)
class Exchanges:
    """What single exchanges of inputs at one node cost, all else being kept."""

    at: Ints
    """Position of each, 0 where a node draws one input for all its positions."""
    held: Ints
    drawn: Ints
    """Rows of the two inputs."""
    cost: Floats
    """Of the loss, each `[exchanges]`; how far outputs moved counts on the same scale."""

    @classmethod
    def of(cls, runs: Runs, region: int, gap: float) -> Exchanges | None:
        """Of the claim in a region, which keeps whole inputs."""
        unit = next((one for one in units(runs.scrub) if region in one.regions), None)
        if unit is None:
            return None
        sample = runs.sample(1, None, max(EXCHANGES // runs.draws, 1))
        single: dict[str, object] = {} if unit.positions is None else {"single": True}
        mode = unit.crossed(runs.scrub.mode, runs.scrub.tree, **single)
        at, held, drawn, cost = crossings(runs, sample, unit, mode, gap)
        row_of = np.argsort(runs.data.ids, kind="stable")  # whole inputs are numbered in the order of their ids
        return cls(at, row_of[held], row_of[drawn], cost)

    def allow(self, agree: NDArray[np.bool_], limit: float) -> NDArray[np.bool_]:
        """Which features may do: where inputs that agree were exchanged, that did not surely cost more than a limit.

        Args:
            agree: whether inputs agree on each feature, `[features, exchanges]`.
            limit: of the mean cost of an exchange.

        Returns:
            `[features, features]`: of joins of two, and on the diagonal of single features. Where no inputs agree, a
            feature may do.
        """
        with_one = agree.astype(np.float64)
        number = with_one @ with_one.T
        mean = (with_one * self.cost) @ with_one.T / np.maximum(number, 1)
        square = (with_one * self.cost**2) @ with_one.T / np.maximum(number, 1)
        error = np.sqrt(np.maximum(square - mean**2, 0) / np.maximum(number - 1, 1))
        enough = number > 1
        t = np.array([fixed_size(n, ALPHA) if n > 1 else np.inf for n in range(int(number.max()) + 1)])
        return ~enough | (mean - np.where(enough, t[number.astype(np.int64)] * error, 0) <= limit)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A feature, and what it says at the positions of one node."""

    feature: Feature
    codes: Ints
    """Numbers of its values, `[n, positions]`; one column where it has a value per input."""

    @property
    def bits(self) -> float:
        """Entropy over all of these positions."""
        return float(sum(map(_entropy, self.codes.T)))

    @classmethod
    def of(cls, feature: Feature, data: Dataset, positions: tuple[int, ...]) -> Candidate | None:
        """None where the feature has no values on these inputs, floats, or but one value everywhere."""
        try:
            if feature.is_float(data):
                return None
            group = groups(feature, data).group
        except IllegalHypothesis:
            return None
        codes = group[:, list(positions)] if feature.per == "position" else group.reshape(len(data), -1)[:, :1]
        return cls(feature, codes.astype(np.int64)) if (codes != codes[:1]).any() else None

    def agree(self, found: Exchanges, positions: tuple[int, ...]) -> NDArray[np.bool_]:
        """Whether the inputs of each exchange agree, `[exchanges]`."""
        column = np.searchsorted(positions, found.at) if self.codes.shape[1] > 1 else 0
        return self.codes[found.held, column] == self.codes[found.drawn, column]

    def and_(self, other: Candidate) -> Candidate:
        """The join of both."""
        codes = self.codes * (int(other.codes.max()) + 1) + other.codes
        return Candidate(joint(self.feature, other.feature), codes)


def coarsest(
    steps: Steps, kept: Kept, features: Sequence[Feature], job_of: Callable[[Kept], Job], region: int, source: bool
) -> Iterator[Kept]:
    """A kept node with each feature that is worth a test, those that say least first.

    Where a node is read at several positions, features with a value per position come first: that each position draws
    an input of its own says more than that all of them come from one, which is the claim above once more.

    Args:
        steps: tests.
        kept: the node, which keeps whole inputs.
        features: of the dataset.
        job_of: what is measured with this in its place.
        region: of its claim.
        source: whether the node is where the computation starts, so that what it writes is a matter of its position.
    """
    several = len(kept.positions) > 1 and kept.node != MASK
    kinds = [("position",), ("input",)] if several else [("position", "input")]
    if kept.node == MASK:
        kinds = [("input",)]
    elif source:
        kinds = [("position",)]
    for per in kinds:
        each = several and per == ("position",)
        start = replace(kept, each=each)
        places = kept.positions if several or "position" in per else ()
        chosen = _sorted_out(steps, start, [one for one in features if one.per in per], places, job_of(start), region)
        for feature in chosen:
            yield replace(kept, feature=feature, each=each)


def _sorted_out(
    steps: Steps, kept: Kept, features: Sequence[Feature], places: tuple[int, ...], job: Job, region: int
) -> list[Feature]:
    """Features and joins of two that exchanges allow, those with fewest bits first."""
    data = steps.subject.data
    made = [one for feature in features if (one := Candidate.of(feature, data, places)) is not None]
    distinct = {digest_of(one.feature, data): one for one in reversed(made)}
    some = [one for one in made if distinct[digest_of(one.feature, data)] is one]
    runs = Runs(job, steps.executor)
    runs.spread = steps.spread
    found = Exchanges.of(runs, region, steps.gap) if some else None
    if found is None:
        return []
    steps.examples += runs.count
    limit = steps.margin * steps.gap / (len(kept.positions) if kept.each else 1)
    may = found.allow(np.stack([one.agree(found, kept.positions) for one in some]), limit)
    alone = [one for i, one in enumerate(some) if may[i, i]]
    joins = [some[i].and_(some[j]) for i, j in np.argwhere(np.triu(may, 1)).tolist() if not (may[i, i] or may[j, j])]
    finest = Candidate.of(everything, data, places)
    most = np.inf if finest is None or kept.each else finest.bits
    both = sorted([*alone, *joins], key=lambda one: one.bits)  # a stable sort: those given first, and not joined, win
    return [one.feature for one in both if one.bits < most][:MOST_TESTED]


def _entropy(codes: Ints) -> float:
    share = np.unique(codes, return_counts=True)[1] / len(codes)
    return float(-(share * np.log2(share)).sum())
