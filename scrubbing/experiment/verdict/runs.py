"""Losses of one hypothesis run in several ways, on the same references and draws, and how they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.classes import numbered
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.experiment.baselines import NOTHING
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.measured import MEASURE, Reference
from scrubbing.experiment.result import Result
from scrubbing.metrics.losses import Loss, divergence
from scrubbing.metrics.measures import Predictions
from scrubbing.metrics.slices import MAIN
from scrubbing.rng import stream_key, uniform
from scrubbing.sampling.contexts import Mode
from scrubbing.stats.critical import fixed_size

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


NULL = Mode(output="another")
ALL_EXACT = Mode(claimed="exact", unclaimed="exact")
"""The model itself."""

_REFERENCES, _MORE, _DRAWS = 400, 4, 4
ENOUGH = 369
"""References below which nothing is idle for sure: what all of them miss is up to -ln(0.025) / 369 of the gap, 1 %."""
_AT_A_TIME = 1024


class Moved:
    """How far an output is from the model's own: KL of the two predictions, or their squared distance."""

    name, meaning, unit = "moved", "how far the output is from the model's own", ""

    def defined(self, loss: Loss) -> bool:
        """Everywhere."""
        return True

    def per_token(self, predictions: Predictions) -> Tensor:
        """In nats, or in squares of the output's unit."""
        if predictions.loss.outputs == "classes":
            return divergence(predictions.model, predictions.scrubbed)
        return ((predictions.scrubbed - predictions.model).double() ** 2).sum(1)


MOVED = Moved()


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
    """By how much more outputs differ from the model's own, of what they do in the null, which is its `gap`."""

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

    @cached_property
    def at(self) -> Ints:
        """Places of the first quarter of the references, in an order that depends on their ids alone."""
        return np.sort(np.argsort(self.reference.rank())[: len(self.reference.rows) // 4])

    @cached_property
    def begin(self) -> Sample:
        """These references."""
        return self._of(self.at)

    @cached_property
    def rest(self) -> Sample:
        """All others."""
        return self._of(np.setdiff1d(np.arange(len(self.reference.rows)), self.at))

    def joined(self, begin: tuple[Floats, Floats], rest: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """Arrays `[references, draws]` of both as those of the whole."""
        order = np.argsort(np.concatenate([self.at, np.setdiff1d(np.arange(len(self.reference.rows)), self.at)]))
        first, second = (np.concatenate(both)[order] for both in zip(begin, rest, strict=True))
        return first, second

    def _of(self, places: Ints) -> Sample:
        of = self.reference
        return Sample(Reference(of.data, of.rows[places], of.slices), self.draws, self.seed, whole=False)

    def rise(self, difference: Floats, gap: float) -> Rise:
        """The mean of differences, `[references, draws]`."""
        weights = self.reference.weights()[MAIN]
        weights = weights / weights.mean()
        if self.whole:
            return rise_of(difference.ravel(), np.repeat(weights, difference.shape[1]), gap)
        return rise_of(difference.mean(axis=1), weights, gap)


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
    asked: int | None = None
    """References of the run that is tested; None leaves it to the tests."""
    draws: int = _DRAWS
    first: int | None = None
    """Inputs in scope, the first so many, that may be references; None for all."""
    again: int = 0
    """Draws at least, where more references than usual are asked for."""
    _known: dict[tuple[Sample, Mode], tuple[Floats, Floats]] = field(
        default_factory=dict[tuple[Sample, Mode], tuple[Floats, Floats]]
    )
    """By sample, not by its id: that of one which is gone may be another's."""
    _begun: dict[tuple[Sample, Mode], tuple[Floats, Floats]] = field(
        default_factory=dict[tuple[Sample, Mode], tuple[Floats, Floats]]
    )
    """What is known of the first quarter of a sample alone."""
    _samples: dict[object, Sample] = field(default_factory=dict[object, Sample])
    count: int = 0
    """Scrubbed examples measured."""

    @classmethod
    def of(cls, result: Result, executor: Executor) -> Runs:
        """For tests of a result. References that were named one by one are no measure of how many the tests may use."""
        asked = result.settings.references
        named = asked is not None and not isinstance(asked, (int, np.integer))
        number = None if named else result.settings.how_many(len(result.job.data))
        return cls(result.job, executor, number, min(_DRAWS, result.job.draws), again=_DRAWS)

    @property
    def references(self) -> int:
        """Of each test: 400, or as few as the run has, but not somewhat too few for anything to be idle: all would be
        tried again on four times as many.
        """
        asked = min(_REFERENCES, self.asked or _REFERENCES)
        return max(asked, ENOUGH) if 2 * asked >= ENOUGH else asked

    @property
    def more(self) -> int:
        """Of each test that these leave undecided: four times as many, or as many as the run has."""
        return max(_MORE * self.references, self.asked or 0)

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
        known = (seed, feature, wanted)
        if known not in self._samples:
            self._samples[known] = self._chosen(*known)
        return self._samples[known]

    def _chosen(self, seed: int, feature: Feature | None, wanted: int) -> Sample:
        reference = self.scrub.reference
        counted = np.flatnonzero(reference.slices.weights(self.data)[MAIN][: self.first] > 0)
        whole = len(counted) <= wanted
        rows = counted if whole else _spread(self.data, counted, feature, wanted, seed)
        draws = max(self.draws, self.again if wanted > self.references else 0)
        draws = max(draws, int(np.ceil(wanted * draws / len(rows)))) if whole else draws
        key = (seed, draws, rows.tobytes())
        if key not in self._samples:  # what was measured of it is known by this object
            self._samples[key] = Sample(Reference(self.data, rows, reference.slices.alone), draws, seed, whole)
        return self._samples[key]

    @cached_property
    def spread(self) -> float:
        """How far outputs are from the model's own in the null, on average: the scale of how far they move."""
        sample = self.sample(0)
        ((_, moved),) = self.measured([(sample, NULL)])
        return sample.rise(moved, 1.0).mean

    def losses_of(self, asked: Sequence[tuple[Sample, Mode]]) -> list[Floats]:
        """Loss of every reference and draw, `[references, draws]`, of each sample run in each mode."""
        return [losses for losses, _ in self.measured(asked)]

    def measured(self, asked: Sequence[tuple[Sample, Mode]]) -> list[tuple[Floats, Floats]]:
        """Loss of every reference and draw, and how far the output is from the model's own.

        The model runs beside the hypothesis, so it is not run again on a sample on which anything else is.
        """
        wanted = [one for one in dict.fromkeys(asked) if one not in self._known]
        beside = {sample for sample, mode in (*self._known, *wanted) if mode != ALL_EXACT}
        wanted = [(sample, mode) for sample, mode in wanted if mode != ALL_EXACT or sample not in beside]
        asked_for = [(sample.rest if one in self._begun else sample, mode) for one in wanted for sample, mode in (one,)]
        jobs = [self.job(sample, mode) for sample, mode in asked_for]
        for (sample, mode), measured in zip(wanted, self.executor.measure(jobs), strict=True):
            moved, own = measured.values[f"{MEASURE}{MOVED.name}"], measured.losses("model")[MAIN]
            self.count += moved.size
            found = measured.losses()[MAIN], moved
            if (sample, mode) in self._begun:
                found = sample.joined(self._begun.pop((sample, mode)), found)
            else:
                exact = np.broadcast_to(own[:, None], moved.shape), np.zeros_like(moved)
                self._known.setdefault((sample, ALL_EXACT), exact)
            self._known[sample, mode] = found
        return [self._known[one] for one in asked]

    def begun(self, sample: Sample, mode: Mode, gap: float) -> Rise | None:
        """As `differences`, on the first quarter of the references, which need not be run again for the whole; None
        where the whole is known, or not divided.
        """
        if (sample, mode) in self._known or sample.whole:
            return None
        ((before, away),) = self.measured([(sample, self.scrub.mode)])
        ((after, further),) = self.measured([(sample.begin, mode)])
        self._begun[sample, mode] = after, further
        at = sample.at
        moved = sample.begin.rise(further - away[at], self.spread)
        return replace(sample.begin.rise(after - before[at], gap), moved=moved)

    def differences(self, asked: Sequence[tuple[Sample, Mode]], gap: float) -> list[Rise]:
        """How much more is lost than by the hypothesis as it is, on each sample in each mode."""
        found = self.measured([one for sample, mode in asked for one in ((sample, self.scrub.mode), (sample, mode))])
        rises: list[Rise] = []
        for (sample, _), (before, away), (after, further) in zip(asked, found[::2], found[1::2], strict=True):
            moved = sample.rise(further - away, self.spread)
            rises.append(replace(sample.rise(after - before, gap), moved=moved))
        return rises

    def job(self, sample: Sample, mode: Mode, **changed: object) -> Job:
        """What is measured. Of the null, nothing depends on the hypothesis, so that all of a suite share one."""
        scrub = replace(self.scrub, hypothesis=NOTHING, shared=True) if mode == NULL else self.scrub
        return replace(
            scrub,
            name="verdict",
            reference=sample.reference,
            mode=mode,
            draws=sample.draws,
            seed=sample.seed,
            **{"with_model": True, "measures": (MOVED,), "logits": False, "reported": False, **changed},
        )


def _spread(data: Dataset, rows: Ints, feature: Feature | None, wanted: int, seed: int) -> Ints:
    """So many rows, chosen by hashed id; with a feature, as many with each of its values as there are."""
    order = rows[np.argsort(uniform(stream_key(seed, "references of a test"), data.ids[rows], 0), kind="stable")]
    if feature is None:
        return np.sort(order[:wanted])
    codes, first = numbered(feature, data)
    narrow = codes.astype(np.min_scalar_type(len(first)), copy=False)  # which numpy sorts by its digits
    by_position = narrow.reshape(len(data), -1)[order].T.ravel()
    shuffled = np.argsort(by_position, kind="stable")
    by_value = np.split(shuffled, np.cumsum(np.bincount(by_position))[:-1])
    # Round and round the values, each time the first input with that value that was not taken before.
    queues = [_inputs_of(one, len(order)) for one in by_value if len(one)]
    taken: dict[int, None] = {}
    while len(taken) < wanted:
        for queue in queues:
            found = next((at for at in queue if at not in taken), None)
            if found is not None and len(taken) < wanted:
                taken[found] = None
    return np.sort(order[list(taken)])


def _inputs_of(places: Ints, inputs: int) -> Iterator[int]:
    """The input at each place of an array `[positions, inputs]`, some at a time, as few are asked for."""
    for start in range(0, len(places), _AT_A_TIME):
        yield from (places[start : start + _AT_A_TIME] % inputs).tolist()
