"""What a job's measurement is: losses and measures per reference input, draw and slice, counted batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.device import forget_freed, read_back, upload, with_double
from scrubbing.engine.engine import Batch
from scrubbing.engine.memory import MemoryBudget
from scrubbing.errors import ModelMismatch, UsageError, counted, fail
from scrubbing.experiment.kept import KeptLogits
from scrubbing.metrics.logits import most_likely
from scrubbing.metrics.losses import checked
from scrubbing.metrics.measures import Predictions
from scrubbing.metrics.recalibration import FEWEST, NUMBERS_KEPT, Sample
from scrubbing.metrics.slices import MAIN, Slices
from scrubbing.rng import stream_key, uniform
from scrubbing.sampling.frames import DrawCounts
from scrubbing.user_code import running

if TYPE_CHECKING:
    from scrubbing.experiment.jobs import Job

Floats = NDArray[np.float64]

AT_PADDING = "read at padding"
"""Name of the values that count how many inputs were read where they are padding."""
MEASURE = "measure."
"""Prefix of the values of measures."""


@dataclass(frozen=True, eq=False)
class Reference:
    """The reference inputs of a run, and how much of each slice they hold."""

    data: Dataset
    """The inputs in scope."""
    rows: NDArray[np.int64]
    """Rows of the references, `[n]`."""
    slices: Slices

    @cached_property
    def _key(self) -> tuple[int, bytes, Slices]:
        return id(self.data), self.rows.tobytes(), self.slices

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def averaged(self, per_token: Mapping[str, Floats]) -> dict[str, Floats]:
        """Losses of every prediction of the dataset, `[n, length]` for every slice, as one per reference."""
        counted = self.slices.of(self.data)
        return {
            name: _over((per_token[name][self.rows] * counted[name][self.rows]).sum(axis=1), weight)
            for name, weight in self.weights().items()
        }

    def weights(self) -> dict[str, Floats]:
        """Weights by slice, `[references]`.

        Raises:
            UsageError: SCR-SLICE, the references hold no position of a slice.
        """
        found = {name: weights[self.rows] for name, weights in self.slices.weights(self.data).items()}
        for name, weights in found.items():
            if not weights.any():
                problem = f"none of the {len(self.rows)} references holds a counted position."
                where = f"slice {name!r}" if name else self.slices.loss.name
                fail(UsageError, "SCR-SLICE", problem, "Take more references, or a wider slice.", where)
        return found

    def scored(self) -> NDArray[np.int64]:
        """Rows of those that hold a counted position, `[n]`."""
        return self.rows[self.weights()[MAIN] > 0]

    def counted(self) -> Floats:
        """Positions that the loss counts, `[references]`."""
        return self.slices.of(self.data)[MAIN][self.rows].sum(axis=1).astype(np.float64)

    def rank(self) -> NDArray[np.int64]:
        """An order of the references that depends on their ids alone, `[references]`."""
        ids = self.data.ids[self.rows]
        return np.argsort(np.lexsort((ids, uniform(stream_key(0, "recalibration"), ids, 0))))

    def sampled(self, positions: int) -> NDArray[np.bool_]:
        """The first references in that order with at most so many counted positions together, `[references]`; none
        where these are too few to recalibrate with.
        """
        rank, counted = self.rank(), self.counted()
        found = (np.cumsum(counted[np.argsort(rank)]) <= positions)[rank]
        return found if found.sum() >= 2 * FEWEST else np.zeros_like(found)

    def part(self, number: int, of: int) -> Reference:
        """One of several parts of the references, every so many-th; it knows what it is a part of."""
        at = np.arange(len(self.rows))[number::of]
        return _Part(self.data, self.rows[at], self.slices, self, at)


@dataclass(frozen=True, eq=False)
class _Part(Reference):
    """Some of the references; what is asked of all of them together is answered for the whole."""

    whole: Reference
    at: NDArray[np.int64]
    """Their places among the whole, `[n]`."""

    def weights(self) -> dict[str, Floats]:
        return {name: weights[self.at] for name, weights in self.whole.weights().items()}

    def scored(self) -> NDArray[np.int64]:
        return self.whole.scored()

    def rank(self) -> NDArray[np.int64]:
        return self.whole.rank()[self.at]

    def sampled(self, positions: int) -> NDArray[np.bool_]:
        return self.whole.sampled(positions)[self.at]


@dataclass(eq=False)
class Measured:
    """What a job measures: sums over counted positions while it goes on, means when it is done.

    Keys of `values` are `loss.SLICE`, `[references, draws]`; where the model runs beside the scrubbed one also
    `model.SLICE`, `[references]`, and `measure.NAME`, `[references, draws]`; for classes `prediction`, `[references,
    draws]`, and `model right` and `model prediction`, `[references]`; with padding, `read at padding`, how many inputs
    were, `[references, draws]`.
    """

    values: dict[str, Floats]
    kept: KeptLogits = field(default_factory=KeptLogits)
    """For recalibration, of some references."""
    counts: dict[int, DrawCounts] = field(default_factory=dict[int, DrawCounts])
    """What was drawn, by the region of the claim that drew it."""
    exchanged: bool = True
    """Whether any activation comes from another input than the reference."""
    batches: int = 0
    """Batches counted so far."""
    fitting: int | None = None
    """Rows at a time that fitted the device, where it ran out of memory."""

    @classmethod
    def empty(cls, job: Job, room: MemoryBudget | None = None) -> Measured:
        """Before the first batch. Logits are kept in the room given; by default, all in memory."""
        n, names = len(job.reference.rows), job.reference.weights()
        values = {f"loss.{name}": np.zeros((n, job.draws)) for name in names}
        if job.with_model:
            values |= {f"model.{name}": np.zeros(n) for name in names}
            values |= {f"{MEASURE}{one.name}": np.zeros((n, job.draws)) for one in job.measures}
            if job.reported and job.subject.loss.outputs == "classes":
                values |= {"model right": np.zeros(n), "model prediction": np.zeros(n)}
                values["prediction"] = np.zeros((n, job.draws))
        if job.with_model and job.reported and job.data.mask is not None:
            values[AT_PADDING] = np.zeros((n, job.draws))
        return cls(values, KeptLogits() if room is None else KeptLogits(room))

    def losses(self, of: str = "loss") -> dict[str, Floats]:
        """Losses by slice: those of the scrubbed model, or with `of="model"` those of the model."""
        return {name.removeprefix(f"{of}."): v for name, v in self.values.items() if name.startswith(f"{of}.")}

    def add(self, batch: Batch, job: Job, title: str) -> None:
        """Count one piece of a batch.

        Raises:
            ModelMismatch: SCR-NAN, a loss or measure is not finite.
        """
        try:
            self._add(batch, job, title)
        except torch.OutOfMemoryError:
            half = len(batch.tokens) // 2
            if not half:
                raise
        else:
            self.batches += batch.last
            return
        forget_freed(batch.tokens.device)
        for part in (slice(half), slice(half, None)):
            self.add(batch.part(part), job, title)
        self.batches += batch.last

    def _add(self, batch: Batch, job: Job, title: str) -> None:
        """Count a piece, or leave everything as it was: until all its numbers are there, nothing is added."""
        counting, outputs = _Counting(self, batch, job, title), batch.outputs
        scrubbed = with_double(outputs["scrubbed"])
        counting.losses("loss", scrubbed)
        if job.with_model:
            own = with_double(outputs["model"])
            if counting.first.any():
                counting.losses("model", own)
            counting.measures(own, scrubbed)
            if batch.padding is not None:
                self.values[AT_PADDING][batch.index, batch.draw] = batch.padding
        counting.done()

    def done(self, reference: Reference) -> Measured:
        """Means per counted position in place of the sums."""
        weights = reference.weights()
        # The share of right predictions is of counted positions, whatever the loss is divided by.
        number = reference.counted()

        def divisor(name: str) -> Floats:
            kind, _, of = name.partition(".")
            return weights[of] if kind in ("loss", "model") and "." in name else number

        means = {name: v if name == AT_PADDING else _over(v, divisor(name)) for name, v in self.values.items()}
        return Measured(means, self.kept, self.counts, self.exchanged, self.batches, self.fitting)

    def sample(self, reference: Reference) -> Sample | None:
        """Logits kept for recalibration, base rates, and which tokens are held out; None where there are too few."""
        of = self.kept.reference
        held_out = reference.rank()[of] % 2 == 1
        if min(len(np.unique(of[half])) for half in (held_out, ~held_out)) < FEWEST:
            return None
        data, width = reference.data, self.kept.width
        rows, positions = np.nonzero(reference.slices.of(data)[MAIN])
        targets = reference.slices.loss.targets(data, rows, positions, torch.empty(0, width))
        assert targets is not None
        rate = np.bincount(targets.numpy(), minlength=width) + 0.5
        return Sample(self.kept, rate / rate.sum(), held_out)


@dataclass(frozen=True, eq=False)
class _Taken:
    """A number of every token, on the device that it was computed on."""

    values: Tensor
    """`[tokens]`."""
    into: Mapping[str, NDArray[np.bool_]]
    """The sums it is added to, each with the tokens that count, `[tokens]`."""
    what: str = ""
    """In words, where it may not be finite."""


class _Counting:
    """One piece of a batch, added to the sums of a measurement; its numbers are read back from the device together."""

    def __init__(self, into: Measured, batch: Batch, job: Job, title: str) -> None:
        self.into, self.batch, self.job, self.title = into, batch, job, title
        self.data, self.loss = job.reference.data, job.subject.loss
        self.row, self.position = batch.tokens.row, batch.tokens.position
        self.of = job.reference.rows[batch.index][self.row]
        self.counted = {
            name: where[self.of, self.position] for name, where in job.reference.slices.of(self.data).items()
        }
        self.taken: list[_Taken] = []
        self.kept: tuple[Tensor, NDArray[np.int64], NDArray[np.int64]] | None = None
        self.first = batch.draw == 0
        """Rows of the first draw, `[rows]`: what the model itself does is the same in every draw."""

    def losses(self, kind: str, output: Tensor) -> None:
        with running(f"the loss {self.loss.name!r}"):
            given = self.loss.per_token(output, self.data, self.of, self.position)
        found = checked(self.loss, given, len(self.of))
        into = {f"{kind}.{name}": where for name, where in self.counted.items()}
        self.taken.append(_Taken(found, into, "the scrubbed loss"))

    def measures(self, own: Tensor, scrubbed: Tensor) -> None:
        given = Predictions(own, scrubbed, self.loss, self.data, self.of, self.position)
        if self.job.reported and self.loss.outputs == "classes":
            self._predictions(given)
        for one in self.job.measures:
            with running(f"measure {one.name!r}"):
                found = one.per_token(given)
            if not isinstance(found, Tensor) or found.shape != self.row.shape:
                told = f"shape {list(found.shape)}" if isinstance(found, Tensor) else f"type {type(found).__name__}"
                problem = f"it returned {told} for {counted(len(self.row), 'prediction')}."
                fail(UsageError, "SCR-MEASURE", problem, "Return a tensor [tokens].", f"measure {one.name!r}")
            self._take(f"{MEASURE}{one.name}", found, f"measure {one.name!r}")

    def done(self) -> None:
        """Add everything that was taken.

        Raises:
            ModelMismatch: SCR-NAN, a loss or measure is not finite.
        """
        for one, values in zip(self.taken, read_back([one.values for one in self.taken]), strict=True):
            if one.what and not np.isfinite(values).all():
                at = self.data.ids[self.of[np.isfinite(values).argmin()]]
                problem = f"{one.what} of input id {at} is NaN or infinite."
                fail(ModelMismatch, "SCR-NAN", problem, "Use a precision with a larger range.", self.title)
            for name, where in one.into.items():
                sums = np.bincount(self.row, values * where, minlength=len(self.batch.index))
                self._add(name, sums.astype(np.float64))
        if self.kept is not None:
            self.into.kept.add(*self.kept)

    def _add(self, name: str, found: Floats) -> None:
        """Add to a sum per reference and draw, or to one per reference, which only the first draw counts for."""
        sums, index, draw = self.into.values[name], self.batch.index, self.batch.draw
        if sums.ndim == 2:
            sums[index, draw] += found
        else:
            sums[index[self.first]] += found[self.first]

    def _predictions(self, given: Predictions) -> None:
        self._take("prediction", most_likely(given.scrubbed))
        if self.first.any():
            self._take("model prediction", most_likely(given.model))
            self._take("model right", given.right(given.model))
        if self.job.logits:
            self._keep(given.scrubbed)

    def _take(self, name: str, values: Tensor, what: str = "") -> None:
        self.taken.append(_Taken(values, {name: self.counted[MAIN]}, what))

    def _keep(self, output: Tensor) -> None:
        at, wanted = self.batch.index[self.row], NUMBERS_KEPT // (output.shape[1] * self.job.draws)
        chosen = np.flatnonzero(self.job.reference.sampled(wanted)[at] & self.counted[MAIN])
        if not len(chosen):
            return
        here = output.index_select(0, upload(chosen, output.device)).float().cpu()
        targets = self.loss.targets(self.data, self.of[chosen], self.position[chosen], here)
        if targets is None:
            return
        self.kept = here, targets.cpu().numpy(), at[chosen]


def _over(sums: Floats, weights: Floats) -> Floats:
    """Sums per reference as means; 0 where nothing is counted, which then has weight 0."""
    divisor = np.where(weights > 0, weights, 1.0)
    return sums / (divisor[:, None] if sums.ndim == 2 else divisor)
