"""What a control changes, and what a control is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

from scrubbing.data.dataset import Dataset
from scrubbing.errors import UsageError, fail
from scrubbing.hypothesis.hypothesis import Hypothesis

if TYPE_CHECKING:
    from scrubbing.metrics.losses import Loss
    from scrubbing.models.protocol import Model


@dataclass(frozen=True, eq=False)
class Trial:
    """A hypothesis with the model, data and loss it is tested on. Controls return changed copies of it."""

    hypothesis: Hypothesis
    model: Model
    data: Dataset
    """The whole dataset, whatever the scope of the hypothesis."""
    loss: Loss
    other_values: bool = False
    """Of one of several hypotheses that a control counts: whether its features are others, and not only its nodes."""


@dataclass(frozen=True)
class Control:
    """An experiment that puts a score in perspective: the hypothesis on another model, other data or other features."""

    name: str
    meaning: str
    """What the control changes, in words."""
    expected: Literal["fails", "holds"]
    """Whether a true hypothesis about the model as it is should lose its loss recovered here, or keep it."""
    change: Callable[[Trial], Trial | Sequence[Trial]]
    """The changed trial. Several trials with other hypotheses on the same model, data and loss are counted: how many of
    them recover as much as the hypothesis itself."""
    references: int | None = None
    """References it takes at most; None for all of the run."""
    draws: int | None = None
    """Draws for each reference it takes at most; None for as many as the run."""
    needs: str = ""
    """In words: what it cannot be run without, such as `a layer of two heads or more`."""
    wanted: int | None = None
    """Hypotheses that are to be counted, of a control with several; there may be fewer places than that."""


def inapplicable(name: str, problem: str) -> NoReturn:
    """Raise the error of a control that cannot be run on this hypothesis or model.

    Raises:
        UsageError: SCR-CONTROL.
    """
    remedy = 'Leave it out, or ask for controls=["all"], which runs those that can be run and names the others.'
    fail(UsageError, "SCR-CONTROL", problem, remedy, f"control {name}")
