"""Turning outputs into losses: per reference input, draw and slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.engine.engine import Batch
from scrubbing.errors import ModelMismatch, UsageError, fail
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.metrics.losses import divergence
from scrubbing.metrics.slices import MAIN, Slices
from scrubbing.progress import bar

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Baseline:
    """A further point on the scale of losses: a hypothesis to scrub, or a prediction made from the data alone."""

    meaning: str
    """In words, for reports."""
    hypothesis: Hypothesis | None = None
    losses: Callable[[Dataset], Floats] | None = None
    """`dataset -> [n, positions]`: loss of every prediction."""


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


@dataclass(eq=False)
class Measured:
    """What a run measures, each `[references, draws]`."""

    losses: dict[str, Floats]
    """By slice, per counted position."""
    model: dict[str, Floats]
    """The model's own, by slice, `[references]`; empty where it was not computed."""
    others: dict[str, Floats]
    """`correct`, `kl` and `changed`, per counted position of the main slice; likewise."""


def measure(batches: Iterator[Batch], reference: Reference, draws: int, title: str, with_model: bool) -> Measured:
    """Consume a run.

    Raises:
        UsageError: SCR-SLICE. ModelMismatch: SCR-NAN, a loss is not finite.
    """
    data, rows, slices = reference.data, reference.rows, reference.slices
    counted, weights = slices.of(data), reference.weights()
    shape = (len(rows), draws)
    measured = Measured({name: np.zeros(shape) for name in counted}, {}, {})
    if with_model:
        measured.model = {name: np.zeros(len(rows)) for name in counted}
        measured.others = {name: np.zeros(shape) for name in ("correct", "kl", "changed")}
    with bar(title, len(rows) * draws) as progress:
        for batch in batches:
            row, position = batch.tokens.rows.cpu().numpy(), batch.tokens.positions.cpu().numpy()
            token = _Tokens(data, rows[batch.index][row], position, row, len(batch.index))
            output = batch.outputs["scrubbed"]
            loss = slices.loss.per_token(output, data, token.of, position).cpu().numpy()
            if not np.isfinite(loss).all():
                at = data.ids[token.of[np.flatnonzero(~np.isfinite(loss))[0]]]
                problem = f"the scrubbed loss of input id {at} is NaN or infinite."
                fail(ModelMismatch, "SCR-NAN", problem, "Use a precision with a larger range.", title)
            for name, where in counted.items():
                measured.losses[name][batch.index, batch.draw] = token.sums(loss, where)
            if with_model:
                own = batch.outputs["model"]
                found = {
                    "correct": slices.loss.correct(output, data, token.of, position),
                    "kl": divergence(own, output),
                    "changed": own.argmax(-1) != output.argmax(-1),
                }
                for name, values in found.items():
                    sums = token.sums(values.double().cpu().numpy(), counted[MAIN])
                    measured.others[name][batch.index, batch.draw] = sums
                if batch.draw == 0:
                    loss = slices.loss.per_token(own, data, token.of, position).cpu().numpy()
                    for name, where in counted.items():
                        measured.model[name][batch.index] = token.sums(loss, where)
            progress.advance(len(batch.index))
    for found in (measured.losses, measured.model):
        for name in found:
            found[name] = _over(found[name], weights[name])
    # The share of right predictions is of counted positions, whatever the loss is divided by.
    number = counted[MAIN][rows].sum(axis=1).astype(np.float64)
    measured.others = {name: _over(values, number) for name, values in measured.others.items()}
    return measured


@dataclass(frozen=True, eq=False)
class _Tokens:
    """The tokens of one batch."""

    data: Dataset
    of: NDArray[np.int64]
    """Row of the dataset."""
    position: NDArray[np.int64]
    row: NDArray[np.int64]
    """Row of the batch."""
    n: int

    def sums(self, values: Floats, where: NDArray[np.bool_]) -> Floats:
        """Sum per row of the batch over the tokens that a slice counts."""
        return np.bincount(self.row, values * where[self.of, self.position], minlength=self.n).astype(np.float64)


def _over(sums: Floats, weights: Floats) -> Floats:
    """Sums per reference as means; 0 where nothing is counted, which then has weight 0."""
    divisor = np.where(weights > 0, weights, 1.0)
    return sums / (divisor[:, None] if sums.ndim == 2 else divisor)
