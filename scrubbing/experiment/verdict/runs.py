"""Losses of one hypothesis run in several ways, on the same references and draws, and how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import distinct
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.measured import Reference
from scrubbing.metrics.slices import MAIN
from scrubbing.rng import stream_key, uniform
from scrubbing.sampling.contexts import Mode
from scrubbing.stats.critical import fixed_size

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rise:
    """By how much a loss rises, on average."""

    mean: float
    se: float
    n: int
    """Independent units: references, or single draws where every input in scope is a reference."""
    gap: float
    """Loss of the null minus that of the model."""
    moved: Rise | None = None
    """By how much losses of single draws move, up or down: what rises here and falls there is not free."""

    def lower(self, alpha: float) -> float:
        """One-sided lower bound, by Student's t; minus infinity below two units."""
        return self.mean - fixed_size(self.n, alpha) * self.se if self.n > 1 else -np.inf

    def upper(self, alpha: float) -> float:
        """One-sided upper bound, by Student's t, and no lower than what so many units may have missed.

        Differences that are all zero have no spread. But a difference of the whole gap on a share p of inputs is missed
        by n units with probability (1 - p)^n, so what is left unseen is up to -ln(alpha) / n of the gap. Source: the
        rule of three (Hanley and Lippman-Hand 1983), for any alpha.
        """
        if self.n < 2:
            return np.inf
        return max(self.mean + fixed_size(self.n, alpha) * self.se, -np.log(alpha) / self.n * self.gap)

    def units_for(self, share: float, alpha: float) -> int:
        """Units from which an upper bound can be below this share of the gap at all."""
        return int(np.ceil(-np.log(alpha) / share))


@dataclass(frozen=True, eq=False)
class Sample:
    """Some references, how often each is scrubbed, and with which seed."""

    reference: Reference
    draws: int
    seed: int
    whole: bool
    """Whether these are all inputs in scope, so that only draws are chosen at random."""

    def rise(self, difference: Floats, gap: float) -> Rise:
        """The mean of differences, `[references, draws]`."""
        weights = self.reference.weights()[MAIN]
        weights = weights / weights.mean()
        moved = np.abs(difference)
        if self.whole:
            values, moved, weights = difference.ravel(), moved.ravel(), np.repeat(weights, difference.shape[1])
        else:
            values, moved = difference.mean(axis=1), moved.mean(axis=1)
        return replace(rise_of(values, weights, gap), moved=rise_of(moved, weights, gap))


def rise_of(values: Floats, weights: Floats, gap: float) -> Rise:
    """A weighted mean with its standard error, to first order.

    Args:
        values: one per unit, `[n]`.
        weights: of the units, `[n]`.
        gap: loss of the null minus that of the model.
    """
    n, mean = len(values), float(np.average(values, weights=weights))
    residuals = weights / weights.mean() * (values - mean)
    se = float(np.sqrt((residuals**2).sum() / (n - 1) / n)) if n > 1 else np.inf
    return Rise(mean, se, n, gap)


@dataclass(eq=False)
class Runs:
    """Measures a hypothesis in several ways, and remembers what it has measured of which sample."""

    scrub: Job
    executor: Executor
    references: int = 400
    draws: int = 4
    _known: dict[tuple[int, Mode], Floats] = field(default_factory=dict)
    _samples: dict[object, Sample] = field(default_factory=dict)
    count: int = 0
    """Scrubbed examples measured."""

    @property
    def data(self) -> Dataset:
        """The inputs in scope."""
        return self.scrub.data

    def sample(self, seed: int, feature: Feature | None = None, references: int | None = None) -> Sample:
        """References for one test: all inputs in scope if they are few, else some.

        Args:
            seed: of their choice and of the draws.
            feature: by whose values they are spread evenly, so that rare values are held as often as others.
            references: how many; None is the usual number.
        """
        wanted = self.references if references is None else references
        reference = self.scrub.reference
        counted = np.flatnonzero(reference.slices.weights(self.data)[MAIN] > 0)
        whole = len(counted) <= wanted
        rows = counted if whole else _spread(self.data, counted, feature, wanted, seed)
        draws = max(self.draws, int(np.ceil(wanted * self.draws / len(rows)))) if whole else self.draws
        key = (seed, draws, rows.tobytes())
        if key not in self._samples:  # its id names what was measured of it
            self._samples[key] = Sample(Reference(self.data, rows, reference.slices), draws, seed, whole)
        return self._samples[key]

    def losses_of(self, asked: Sequence[tuple[Sample, Mode]]) -> list[Floats]:
        """Loss of every reference and draw, `[references, draws]`, of each sample run in each mode."""
        keys = [(id(sample), mode) for sample, mode in asked]
        wanted = {key: one for key, one in zip(keys, asked, strict=True) if key not in self._known}
        jobs = [self.job(sample, mode) for sample, mode in wanted.values()]
        for key, measured in zip(wanted, self.executor.measure(jobs), strict=True):
            self._known[key] = measured.losses()[MAIN]
            self.count += self._known[key].size
        return [self._known[key] for key in keys]

    def differences(self, asked: Sequence[tuple[Sample, Mode]], gap: float) -> list[Rise]:
        """How much more is lost than by the hypothesis as it is, on each sample in each mode."""
        found = self.losses_of([one for sample, mode in asked for one in ((sample, self.scrub.mode), (sample, mode))])
        pairs = zip(found[::2], found[1::2], strict=True)
        return [sample.rise(after - before, gap) for (sample, _), (before, after) in zip(asked, pairs, strict=True)]

    def job(self, sample: Sample, mode: Mode, **changed: object) -> Job:
        """What is measured."""
        return replace(
            self.scrub,
            name="verdict",
            reference=sample.reference,
            mode=mode,
            draws=sample.draws,
            seed=sample.seed,
            **{"with_model": False, "measures": (), "logits": False, **changed},
        )


def _spread(data: Dataset, rows: Ints, feature: Feature | None, wanted: int, seed: int) -> Ints:
    """So many rows, chosen by hashed id; with a feature, as many with each of its values as there are."""
    order = rows[np.argsort(uniform(stream_key(seed, "references of a test"), data.ids[rows], 0), kind="stable")]
    if feature is None:
        return np.sort(order[:wanted])
    values = feature(data)
    codes = distinct(values.reshape(-1) if feature.per == "position" else values)[1]
    codes = codes.reshape(len(data), -1)[order]
    # Round and round the values, each time the first input with that value that was not taken before.
    shuffled = np.argsort(codes.T.ravel(), kind="stable")
    by_value = np.split(shuffled % len(order), np.cumsum(np.bincount(codes.T.ravel()))[:-1])
    queues = [iter(dict.fromkeys(one.tolist())) for one in by_value if len(one)]
    taken: dict[int, None] = {}
    while len(taken) < wanted:
        for queue in queues:
            found = next((at for at in queue if at not in taken), None)
            if found is not None and len(taken) < wanted:
                taken[found] = None
    return np.sort(order[list(taken)])
