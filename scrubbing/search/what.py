"""What: of many features, the coarsest that a kept node may be said to carry, by tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import digest_of, groups
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, joint
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.verdict.found import CANCELLED, TAU
from scrubbing.experiment.verdict.held import held
from scrubbing.experiment.verdict.needed import MARGIN, MOVED
from scrubbing.experiment.verdict.runs import Runs
from scrubbing.graph.nodes import EMBED, MASK, POS
from scrubbing.samplers.crossing import Cross
from scrubbing.search.draft import Kept
from scrubbing.search.steps import Steps
from scrubbing.stats.critical import fixed_size

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXCHANGES, LIKELY = 3200, 0.3
"""Exchanges of one input for another by which features are sorted out before any is tested, and the chance that one is
that would pass: a test takes as many exchanges as all sorting out."""
FEWER = 8
"""Part of them that are made first: often they leave no feature."""
MOST_TESTED = 12
"""Features that are tested for one node, of those that are left then."""
MORE_TESTED = 6
"""Joins that are tested beside, with a feature that seemed to do alone."""


@dataclass(frozen=True, eq=False)
class Exchanges:
    """What single exchanges of whole inputs at one node cost, all else being kept."""

    at: Ints
    """Position of each, 0 where a node draws one input for all its positions."""
    held: Ints
    drawn: Ints
    """Rows of the two inputs."""
    costs: tuple[tuple[Floats, float], ...]
    """What they cost, `[exchanges]`, and how much a margin of 1 allows: rise of the loss, and its fall where it falls,
    as shares of the gap, and further distance of outputs as a share of that in the null."""

    @classmethod
    def of(cls, steps: Steps, job: Job, region: int, positions: tuple[int, ...] | None, number: int) -> Exchanges:
        """Of the claim in a region, which keeps whole inputs.

        Args:
            steps: what measures.
            job: of the hypothesis.
            region: of the claim.
            positions: at which it draws inputs of their own, of which one is exchanged at a time; None if it does not.
            number: how many.
        """
        steps.check()
        runs = Runs(job, steps.executor)
        sample = runs.sample(1, None, number // runs.draws)
        crossed = Cross(positions=positions, single=positions is not None)
        mode = replace(job.mode, samplers=((region, crossed),))
        (base, away), (after, further) = runs.measured([(sample, job.mode), (sample, mode)])
        steps.examples += runs.count
        (_, own), (_, theirs) = (held(runs.job(sample, one), region) for one in (job.mode, mode))
        differ = np.atleast_3d(own != theirs)  # [references, draws, positions]
        one = differ.sum(axis=-1) == 1
        at = differ.argmax(axis=-1)[one]
        before, then = (np.atleast_3d(some)[one][np.arange(len(at)), at] for some in (own, theirs))
        rise, moved = (after - base)[one] / steps.gap, (further - away)[one] / max(steps.spread, 1e-300)
        costs = ((rise, 1.0), ((-rise).clip(min=0), CANCELLED / TAU), (moved, MOVED / MARGIN))
        return cls(at, before, then, costs)

    def cost_of(self, agree: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """What exchanges of inputs cost that agree on a feature, or on two.

        Args:
            agree: whether inputs agree on each feature, `[features, exchanges]`.

        Returns:
            The mean, as a share of what a margin of 1 allows, and what it is likely no less than, each `[features,
            features]`: of joins of two, and on the diagonal of single features. Where hardly any inputs agree, a
            feature costs nothing as far as is known.
        """
        agrees = agree.astype(np.float64)
        number = agrees @ agrees.T
        t = np.array([fixed_size(n, LIKELY) if n > 1 else np.inf for n in range(int(number.max()) + 1)])
        away, mean, least = t[number.astype(np.int64)], np.zeros(number.shape), np.full(number.shape, -np.inf)
        for cost, allows in self.costs:
            average = (agrees * cost) @ agrees.T / np.maximum(number, 1) / allows
            square = (agrees * cost**2) @ agrees.T / np.maximum(number, 1) / allows**2
            error = np.sqrt(np.maximum(square - average**2, 0) / np.maximum(number - 1, 1))
            with np.errstate(invalid="ignore"):  # infinity times nothing, where too few agree
                low = average - away * error
            mean, least = np.maximum(mean, average), np.maximum(least, np.nan_to_num(low, nan=-np.inf))
        return mean, least


@dataclass(frozen=True, eq=False)
class Candidate:
    """A feature, and what it says at the positions of one node."""

    feature: Feature
    codes: Ints
    """Numbers of its values, `[n, positions]`; one column where it has a value per input."""

    @property
    def bits(self) -> float:
        """Entropy over all of these positions."""
        return round(float(sum(map(_entropy, self.codes.T))), 9)  # sums of the same in another order are the same

    @classmethod
    def of(cls, feature: Feature, data: Dataset, positions: tuple[int, ...]) -> Candidate | None:
        """None where the feature has but one value everywhere."""
        group = groups(feature, data).group
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
    steps: Steps, kept: Kept, features: Sequence[Feature], job_of: Callable[[Kept], Job], region: int
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
    """
    several = len(kept.positions) > 1 and kept.node != MASK
    kinds = [("position",), ("input",)] if several else [("position", "input")]
    if kept.node == MASK:
        kinds = [("input",)]
    elif kept.node in (EMBED, POS):  # what they write is a matter of the position
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
    if not some:
        return []
    margin = steps.allowed / (len(kept.positions) if kept.each else 1)
    for number in (EXCHANGES // FEWER, EXCHANGES):
        found = Exchanges.of(steps, job, region, kept.positions if kept.each else None, number)
        mean, least = found.cost_of(np.stack([one.agree(found, kept.positions) for one in some]))
        may = least <= margin
        if not may.any():
            return []
    finest = np.inf if kept.each else np.log2(len(data))
    likely = [one for i, one in enumerate(some) if may[i, i]]
    pairs = [(mean[i, j], i, j) for i, j in np.argwhere(np.triu(may, 1)).tolist()]
    likely += [some[i].and_(some[j]) for _, i, j in pairs if not (may[i, i] or may[j, j])]
    likely = sorted((one for one in likely if one.bits < finest), key=lambda one: one.bits)[:MOST_TESTED]
    # Joins with a feature that may do alone, for the case that it does not: those that seem to cost least.
    wider = [some[i].and_(some[j]) for _, i, j in sorted(pairs) if may[i, i] or may[j, j]][: 4 * MORE_TESTED]
    wider = sorted((one for one in wider if one.bits < finest), key=lambda one: one.bits)[:MORE_TESTED]
    return [one.feature for one in (*likely, *wider)]


def _entropy(codes: Ints) -> float:
    share = np.unique(codes, return_counts=True)[1] / len(codes)
    return float(-(share * np.log2(share)).sum())
