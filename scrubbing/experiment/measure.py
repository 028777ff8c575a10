"""Turning outputs into losses: per reference input, draw and slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.engine.engine import Batch
from scrubbing.errors import ModelMismatch, UsageError, fail
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.metrics.losses import divergence
from scrubbing.metrics.recalibration import FEWEST, NUMBERS_KEPT, Kept
from scrubbing.metrics.slices import MAIN, Slices
from scrubbing.progress import bar
from scrubbing.rng import stream_key, uniform

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Baseline:
    """A further point on the scale of losses: a hypothesis to scrub, or a prediction made from the data alone."""

    meaning: str
    """In words, for reports."""
    hypothesis: Hypothesis | None = None
    losses: Callable[[Dataset], Floats] | None = None
    """`dataset -> [n, positions]`: loss of every prediction."""

    def __post_init__(self) -> None:
        if (self.hypothesis is None) == (self.losses is None):
            told = "neither a hypothesis nor losses" if self.hypothesis is None else "both a hypothesis and losses"
            remedy = "Give hypothesis=, to be scrubbed, or losses=, a function of the dataset."
            fail(UsageError, "SCR-BASELINE", f"it has {told}.", remedy, f"baseline {self.meaning!r}")


@dataclass(frozen=True, eq=False)
class Reference:
    """The reference inputs of a run, and how much of each slice they hold."""

    data: Dataset
    rows: NDArray[np.int64]
    slices: Slices

    def averaged(self, per_token: Floats) -> dict[str, Floats]:
        """Losses of every prediction of the dataset, `[n, length]`, as one per reference for every slice."""
        counted = self.slices.of(self.data)
        return {
            name: _over((per_token[self.rows] * counted[name][self.rows]).sum(axis=1), weight)
            for name, weight in self.weights().items()
        }

    def weights(self) -> dict[str, Floats]:
        """By slice, `[references]`.

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

    def counted(self) -> Floats:
        """Positions that the loss counts, `[references]`."""
        return self.slices.of(self.data)[MAIN][self.rows].sum(axis=1).astype(np.float64)

    def rank(self) -> NDArray[np.int64]:
        """An order of the references that depends on their ids alone, `[references]`."""
        ids = self.data.ids[self.rows]
        return np.argsort(np.lexsort((ids, uniform(stream_key(0, "recalibration"), ids, 0))))

    def sampled(self, positions: int) -> NDArray[np.bool_]:
        """The first references in that order with at most so many counted positions together, `[references]`."""
        rank, counted = self.rank(), self.counted()
        return (np.cumsum(counted[np.argsort(rank)]) <= positions)[rank]


@dataclass(eq=False)
class Measured:
    """What a run measures: sums over counted positions while it goes on, means when it is done.

    Keys are `loss.SLICE`, `[references, draws]`; where the model runs beside the scrubbed one also `model.SLICE` and
    `model right`, `[references]`, and `right`, `kl`, `changed` and `prediction`, `[references, draws]`.
    """

    values: dict[str, Floats]
    kept: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    """For recalibration, of some references: `logits` `[tokens, d_out]`, `targets` and `reference` `[tokens]`."""
    batches: int = 0
    """Batches counted so far."""

    @classmethod
    def empty(cls, reference: Reference, draws: int, with_model: bool) -> Measured:
        """Before the first batch."""
        n = len(reference.rows)
        values = {f"loss.{name}": np.zeros((n, draws)) for name in reference.weights()}
        if with_model:
            values |= {f"model.{name}": np.zeros(n) for name in reference.weights()}
            values |= {name: np.zeros((n, draws)) for name in ("right", "kl", "changed", "prediction")}
            values |= {name: np.zeros(n) for name in ("model right", "model prediction")}
        return cls(values)

    def losses(self, of: str = "loss") -> dict[str, Floats]:
        """By slice: of the scrubbed model, or the `model`."""
        return {name.removeprefix(f"{of}."): v for name, v in self.values.items() if name.startswith(f"{of}.")}

    def add(self, batch: Batch, reference: Reference, title: str) -> None:
        """Count one piece of a batch.

        Raises:
            ModelMismatch: SCR-NAN, a loss is not finite.
        """
        loss, data = reference.slices.loss, reference.data
        row, position = batch.tokens.rows.cpu().numpy(), batch.tokens.positions.cpu().numpy()
        of = reference.rows[batch.index][row]
        counted = {name: where[of, position] for name, where in reference.slices.of(data).items()}

        def sums(values: Tensor, where: NDArray[np.bool_]) -> Floats:
            every = values.double().cpu().numpy() * where
            return np.bincount(row, every, minlength=len(batch.index)).astype(np.float64)

        def losses(output: Tensor) -> Tensor:
            found = loss.per_token(output, data, of, position)
            if not bool(found.isfinite().all()):
                at = data.ids[of[int((~found.isfinite()).nonzero()[0])]]
                problem = f"the scrubbed loss of input id {at} is NaN or infinite."
                fail(ModelMismatch, "SCR-NAN", problem, "Use a precision with a larger range.", title)
            return found

        output, at = batch.outputs["scrubbed"], (batch.index, batch.draw)
        found = losses(output)
        for name, where in counted.items():
            self.values[f"loss.{name}"][at] += sums(found, where)
        if "right" in self.values:
            own, main = batch.outputs["model"], counted[MAIN]
            self.values["right"][at] += sums(loss.correct(output, data, of, position), main)
            self.values["kl"][at] += sums(divergence(own, output), main)
            self.values["changed"][at] += sums(own.argmax(-1) != output.argmax(-1), main)
            self.values["prediction"][at] += sums(output.argmax(-1), main)
            if batch.draw == 0:
                found = losses(own)
                for name, where in counted.items():
                    self.values[f"model.{name}"][batch.index] += sums(found, where)
                self.values["model right"][batch.index] += sums(loss.correct(own, data, of, position), main)
                self.values["model prediction"][batch.index] += sums(own.argmax(-1), main)
            self._keep(output, loss.targets(data, of, position, output), batch.index[row], main, reference)
        self.batches += batch.last

    def _keep(
        self, output: Tensor, targets: Tensor | None, at: NDArray[np.int64], main: NDArray[np.bool_], of: Reference
    ) -> None:
        if targets is None:
            return
        draws = self.values["right"].shape[1]
        sampled = of.sampled(NUMBERS_KEPT // (output.shape[1] * draws))
        chosen = np.flatnonzero(sampled[at] & main)
        if not len(chosen) or sampled.sum() < 2 * FEWEST:
            return
        here = torch.from_numpy(chosen).to(output.device)
        found = {"logits": output[here].float(), "targets": targets[here]}
        for name, values in {**found, "reference": torch.from_numpy(at[chosen])}.items():
            self.kept.setdefault(name, []).append(values.cpu().numpy())

    def done(self, reference: Reference) -> Measured:
        """Means per counted position in place of the sums."""
        weights = reference.weights()
        # The share of right predictions is of counted positions, whatever the loss is divided by.
        number = reference.counted()

        def divisor(name: str) -> Floats:
            kind, _, of = name.partition(".")
            return weights[of] if kind in ("loss", "model") and "." in name else number

        return Measured({name: _over(v, divisor(name)) for name, v in self.values.items()}, self.kept, self.batches)

    def sample(self, reference: Reference) -> tuple[Kept, Floats, NDArray[np.bool_]] | None:
        """Logits kept for recalibration, base rates, and which tokens are held out; None where there are too few."""
        if not self.kept:
            return None
        joined = {name: np.concatenate(self.kept.pop(name)) for name in list(self.kept)}  # not twice in memory
        kept = Kept(joined["logits"], joined["targets"], joined["reference"])
        held_out = reference.rank()[kept.reference] % 2 == 1
        if min(len(np.unique(kept.reference[half])) for half in (held_out, ~held_out)) < FEWEST:
            return None
        data, width = reference.data, kept.logits.shape[1]
        rows, positions = np.nonzero(reference.slices.of(data)[MAIN])
        targets = reference.slices.loss.targets(data, rows, positions, torch.empty(0, width))
        assert targets is not None
        rate = np.bincount(targets.numpy(), minlength=width) + 0.5
        return kept, rate / rate.sum(), held_out


def measure(batches: Iterator[Batch], reference: Reference, found: Measured, title: str) -> Iterator[Measured]:
    """Consume a run, batch by batch; what was `found` so far is counted on, in place.

    Raises:
        ModelMismatch: SCR-NAN, a loss is not finite.
    """
    total = found.values[f"loss.{MAIN}"].size
    with bar(title, total) as progress:
        for batch in batches:
            found.add(batch, reference, title)
            if batch.last:
                progress.advance(len(batch.index))
                yield found


def _over(sums: Floats, weights: Floats) -> Floats:
    """Sums per reference as means; 0 where nothing is counted, which then has weight 0."""
    divisor = np.where(weights > 0, weights, 1.0)
    return sums / (divisor[:, None] if sums.ndim == 2 else divisor)
