"""Losses: what the model is judged by, where its output is read, and the best constant prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.device import upload
from scrubbing.errors import BadData, UsageError, fail
from scrubbing.errors import counted as told_count
from scrubbing.guards import is_array
from scrubbing.metrics.logits import cross_entropy, most_likely
from scrubbing.metrics.logits import divergence as divergence

Costs = Callable[[NDArray[np.int64], int], NDArray[np.float64]]
Place = int | Literal["last"]
"""A position of every input: an index, which may count from the end of the array, or each input's last real one."""


class Loss(ABC):
    """Base class of losses, by which a model is judged. To write your own, see the how-to "Your own loss".

    A subclass defines which outputs count (`counted`), the loss of each (`per_token`), and the loss of the best
    prediction that ignores the input (`constant`). Everything else has a default. An output is the row of numbers that
    the model gives at one position of one input. Losses receive outputs as a flat `[tokens, d_out]`, with the dataset
    row and the position of each.
    """

    name: str
    """Name shown in records; by default, the name of the class."""
    unit: str = "nats"
    """Unit of `per_token`, as shown after a number."""
    outputs: ClassVar[Literal["classes", "numbers"]] = "numbers"
    """What the outputs are: logits of `classes`, of which `targets` gives the right one, or `numbers`. Accuracy,
    changed predictions and KL are defined for classes only."""
    padding_is_input: bool = False
    """Whether padding is part of a fixed-length input, so that any input may be drawn. Otherwise an input is drawn only
    if it is real wherever the outputs that count depend on it."""

    def __init_subclass__(cls) -> None:
        if not hasattr(cls, "name"):
            cls.name = cls.__name__

    @abstractmethod
    def counted(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """Which outputs count, bool `[n, length]`, for inputs of `length` positions. Padding must not count."""

    @abstractmethod
    def per_token(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """The loss of each output.

        Args:
            output: `[tokens, d_out]`, on the model's device and in its dtype; compute in float64.
            data: the inputs, with their labels.
            rows: dataset row of each output, int `[tokens]`.
            positions: position of each output, int `[tokens]`.

        Returns:
            Losses, float64 `[tokens]`.
        """

    @abstractmethod
    def constant(self, data: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Loss of the best prediction that ignores the input, at each output that counts, `[n, length]`."""

    def possible(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """Which outputs have a loss at all, bool `[n, length]`; further slices select from these. By default, those
        that count.
        """
        return self.counted(data, length)

    def weights(self, counted: NDArray[np.bool_], data: Dataset) -> NDArray[np.float64]:
        """Weight of each input in means over inputs, which also divides its summed loss, `[n]`. By default, the number
        of its outputs that count.
        """
        return counted.sum(axis=1).astype(np.float64)

    def targets(
        self, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64], output: Tensor
    ) -> Tensor | None:
        """The right class of each output, int64 `[tokens]`; None, the default, where outputs are no logits of
        classes.
        """
        return None

    def correct(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """Whether each output is right, bool `[tokens]`: by default, whether its largest logit is that of the right
        class; never where there are no classes.
        """
        targets = self.targets(data, rows, positions, output)
        if targets is None:
            return torch.zeros(len(output), dtype=torch.bool, device=output.device)
        return most_likely(output) == targets


def checked(loss: Loss, found: Tensor, tokens: int) -> Tensor:
    """What `per_token` returned for so many outputs.

    Raises:
        UsageError: SCR-LOSS, it is not one number for each.
    """
    if isinstance(found, Tensor) and found.shape == (tokens,) and found.is_floating_point():
        return found
    told = f"{found.dtype} of shape {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
    problem = f"{type(loss).__name__}.per_token returned {told} for {told_count(tokens, 'output')}."
    fail(UsageError, "SCR-LOSS", problem, "Return a float64 tensor with one loss per output.", loss.name)


def checked_array(loss: Loss, method: str, given: Any, what: str, kinds: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """What a method of a loss returned.

    Raises:
        UsageError: SCR-LOSS, it is no array of this shape, or not of one of these kinds of dtype.
    """
    if is_array(given) and given.dtype.kind in kinds and given.shape == shape:
        return given
    told = f"{given.dtype} of shape {list(given.shape)}" if is_array(given) else type(given).__name__
    problem = f"{type(loss).__name__}.{method} returned {told}."
    fail(UsageError, "SCR-LOSS", problem, f"Return {what}, an array of shape {list(shape)}.", loss.name)


def places(written: Sequence[Place], data: Dataset, length: int, where: str) -> NDArray[np.int64]:
    """Positions of every input, `[n, places]`: the same ones, counted from the end where negative, or its last real.

    Args:
        written: as a loss was given them.
        data: the inputs.
        length: positions of every input.
        where: for messages.

    Raises:
        UsageError: SCR-POSITION, one is outside of the inputs, or two are the same position of one input.
    """
    outside = [place for place in written if place != "last" and not -length <= place < length]
    if outside:
        problem = f"the loss reads the output at position {outside[0]}, outside inputs of {length} positions."
        fail(UsageError, "SCR-POSITION", problem, f"Use 0 to {length - 1}, count from -1, or write 'last'.", where)
    last = np.full(len(data), length - 1) if data.lengths is None else data.lengths - 1
    found = np.stack([last if place == "last" else np.full(len(data), place % length) for place in written], axis=1)
    ordered = np.sort(found, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        problem = f"positions {list(written)} are not all different for input id {data.ids[twice.argmax()]}."
        fail(UsageError, "SCR-POSITION", problem, "Label every output once.", where)
    return found


_MOST = 2**20
"""Positions of one loss; an iterable may be endless."""


@dataclass(frozen=True)
class _AtPositions(Loss):
    """What losses of labelled positions share."""

    label: str = "label"
    """Column with the label of each input, `[n]`; with `positions`, `[n, positions]`, in their order."""
    position: Place = 0
    """Where the output is read: an index, from the end where negative, or `"last"` for each input's last real
    position."""
    positions: Sequence[Place] | None = None
    """Several of them, instead of `position`; an input then weighs as many outputs."""
    padding_is_input: bool | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """See `Loss.padding_is_input`; None for whether all inputs are read at the same positions."""

    def __post_init__(self) -> None:
        several = self.positions is not None
        listed = isinstance(self.positions, Iterable) and getattr(self.positions, "ndim", 1)
        given: Any = self.positions if listed else (self.positions if several else self.position,)
        written: tuple[Any, ...] = tuple(islice(given, _MOST))
        problem = "the loss was given no position to read the output at."
        if wrong := [one for one in written if not (isinstance(one, str) and one == "last") and not _is_index(one)]:
            problem = f"{wrong[0]!r} is no position to read the output at."
        elif several and self.position != 0:
            problem = "the loss was given both position= and positions=."
        if wrong or not written or (several and self.position != 0):
            remedy = 'Give position=, an index or "last", or positions=, a list of them.'
            fail(UsageError, "SCR-POSITION", problem, remedy, self.name)
        object.__setattr__(self, "positions", written if several else None)
        if self.padding_is_input is None:
            object.__setattr__(self, "padding_is_input", "last" not in written)

    def places(self, data: Dataset, length: int) -> NDArray[np.int64]:
        """The positions at which the output is read, `[n, labels]`."""
        written = (self.position,) if self.positions is None else tuple(self.positions)
        return data.remember(("places", written, length), lambda: places(written, data, length, self.name))

    def counted(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """See `Loss.counted`.

        Raises:
            UsageError: SCR-POSITION, a position is outside the inputs, or two are the same.
        """
        self._length(data, length)
        counted = np.zeros((len(data), length), dtype=bool)
        np.put_along_axis(counted, self.places(data, length), True, axis=1)
        return counted

    def _length(self, data: Dataset, asked: int) -> int:
        """Number of positions of every input; where no column gives it, the number first requested."""
        if "tokens" in data and data["tokens"].ndim > 1:
            return data["tokens"].shape[1]
        return data.remember(("positions of every input", self), lambda: asked)

    def _labels(self, data: Dataset, numbers: str) -> NDArray[Any]:
        """The labels, `[n, positions, ...]`.

        Raises:
            BadData: SCR-LABEL, not of these types of numbers, or not one label per position.
        """
        labels, number = data[self.label], 1 if self.positions is None else len(self.positions)
        wanted = [len(data)] if self.positions is None else [len(data), number]
        if labels.dtype.kind not in numbers or list(labels.shape[: len(wanted)]) != wanted:
            problem = f"column {self.label!r} is {labels.dtype} of shape {list(labels.shape)}, "
            problem += f"and the loss reads {told_count(number, 'position')} of every input."
            remedy = f"Give {'integers' if 'f' not in numbers else 'numbers'} of shape {wanted}."
            fail(BadData, "SCR-LABEL", problem, remedy, data.name)
        return labels[:, None] if self.positions is None else labels

    def _which(self, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which label belongs to each output."""
        if self.positions is None:
            return np.zeros(len(rows), dtype=np.int64)
        length = self._length(data, 1 + int(positions.max(initial=0)))
        return (self.places(data, length)[rows] == positions[:, None]).argmax(axis=1)

    def _constant(self, data: Dataset, counted: NDArray[np.bool_], costs: Costs) -> NDArray[np.float64]:
        """Costs of the labels that count, position by position, where the outputs are."""
        found, at = np.zeros(counted.shape), self.places(data, counted.shape[1])
        for number in range(at.shape[1]):
            rows = np.flatnonzero(counted[np.arange(len(data)), at[:, number]])
            if len(rows):
                found[rows, at[rows, number]] = costs(rows, number)
        return found


@dataclass(frozen=True)
class Classification(_AtPositions):
    """Cross-entropy of class labels, in nats. With two classes it depends on the difference of their logits alone.

    Each input has one label for the output at one position, or several labels for the outputs at several. `constant`
    predicts the base rates of the labels, position by position, so that its mean is their entropy.

    Example:
        >>> Classification("answers", positions=[3, "last"]).positions
        (3, 'last')

    Raises:
        UsageError: SCR-POSITION, no position is given, or both `position` and `positions` are.
    """

    name: str = "cross-entropy (nats)"
    outputs = "classes"

    def per_token(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """See `Loss.per_token`."""
        return cross_entropy(output, self.targets(data, rows, positions, output))

    def constant(self, data: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Minus the log frequency of each label among those that count at its position."""
        labels = self._labels(data, "biu").astype(np.int64)

        def costs(rows: NDArray[np.int64], number: int) -> NDArray[np.float64]:
            here = labels[rows, number]
            return -np.log(np.bincount(here)[here] / len(here))

        return self._constant(data, counted, costs)

    def targets(self, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64], output: Tensor) -> Tensor:
        """See `Loss.targets`.

        Raises:
            BadData: SCR-LABEL, a label is not the number of a class of the model.
        """
        labels = self._labels(data, "biu")
        low, high = data.remember(("labels from, to", self.label), lambda: (int(labels.min()), int(labels.max())))
        if labels.ndim != 2 or not 0 <= low <= high < output.shape[1]:
            told = f"has values from {low} to {high}" if labels.ndim == 2 else f"is of shape {list(labels.shape)}"
            problem = f"column {self.label!r} {told}; the model has {output.shape[1]} classes."
            fail(BadData, "SCR-LABEL", problem, "Give one class number per input and position, from 0.", data.name)
        chosen = labels[rows, self._which(data, rows, positions)]
        return upload(chosen.astype(np.int64), output.device)


@dataclass(frozen=True)
class SquaredError(_AtPositions):
    """Squared difference between outputs and target columns, summed over the width of the output.

    Targets are `[n]` or `[n, width]`; with `positions`, `[n, positions]` or `[n, positions, width]`. `constant` is the
    variance of the target: always predicting its mean, position by position.

    Raises:
        UsageError: SCR-POSITION, no position is given, or both `position` and `positions` are.
    """

    name: str = "squared error"
    unit: str = "squared error"

    def per_token(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """See `Loss.per_token`.

        Raises:
            BadData: SCR-LABEL, the targets are not numbers, or do not have the width of the output.
        """
        labels = self._labels(data, "biuf")
        if int(np.prod(labels.shape[2:])) != output.shape[1]:
            told = f"is {labels.dtype} of shape {list(data[self.label].shape)}"
            problem = f"column {self.label!r} {told}; the model's output has {told_count(output.shape[1], 'number')}."
            fail(BadData, "SCR-LABEL", problem, "Give each input as many numbers.", data.name)
        chosen = labels[rows, self._which(data, rows, positions)].reshape(len(output), -1).astype(np.float64)
        return (output.double() - upload(chosen, output.device)).square().sum(1)

    def correct(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """Whether each output rounds to its target, bool `[tokens]`."""
        return self.per_token(output, data, rows, positions) < 0.25

    def constant(self, data: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Squared distance from the mean of the targets that count at its position."""
        labels = self._labels(data, "biuf").astype(np.float64)

        def costs(rows: NDArray[np.int64], number: int) -> NDArray[np.float64]:
            here = labels[rows, number].reshape(len(rows), -1)
            return np.square(here - here.mean(axis=0)).sum(axis=1)

        return self._constant(data, counted, costs)


def _is_index(place: object) -> bool:
    return isinstance(place, (int, np.integer)) and not isinstance(place, bool)
