"""Baselines: losses to compare the scrubbed loss with, measured like a hypothesis or computed from the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import everything
from scrubbing.errors import UsageError, fail
from scrubbing.hypothesis.claims import OUTPUT
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.registry import Registry
from scrubbing.sampling.contexts import SCRUB, Mode
from scrubbing.user_code import running

if TYPE_CHECKING:
    from scrubbing.experiment.jobs import Job
    from scrubbing.experiment.measured import Reference
    from scrubbing.metrics.losses import Loss

Floats = NDArray[np.float64]

FEWEST_DRAWS = 4
"""Draws of a baseline that serves all hypotheses: it is measured once, and its sampling error is in every fraction."""


@dataclass(frozen=True)
class Baseline:
    """A loss to compare the scrubbed loss with.

    Args:
        meaning: meaning in words, for reports.
        hypothesis: a hypothesis to scrub instead of the present one, on the same references.
        losses: function `dataset -> [n, positions]` giving the loss of every prediction of something other than the
            model.
        mode: another way of running the present hypothesis.
        fitted: function `(loss, dataset, counted) -> [n, positions]` like `losses`, for predictions that are fitted to
            the positions that count, bool `[n, positions]`.

    Raises:
        UsageError: SCR-BASELINE, not exactly one of the last four arguments is given.
    """

    meaning: str
    hypothesis: Hypothesis | Callable[[], Hypothesis] | None = None
    losses: Callable[[Dataset], Floats] | None = None
    mode: Mode | None = None
    fitted: Callable[[Loss, Dataset, NDArray[np.bool_]], Floats] | None = None
    scale: bool = True
    """Whether fractions are taken of it; else its loss is only shown."""

    def __post_init__(self) -> None:
        words = {"hypothesis": "a hypothesis", "losses": "losses", "mode": "a mode", "fitted": "a fitted prediction"}
        given = [told for name, told in words.items() if getattr(self, name) is not None]
        if len(given) != 1:
            told = " and ".join(given) or "neither a hypothesis nor losses"
            remedy = "Give hypothesis=, to be scrubbed, or losses=, a function of the dataset."
            fail(UsageError, "SCR-BASELINE", f"it has {told}.", remedy, f"baseline {self.meaning!r}")

    @classmethod
    def of_model(cls, model: Any, meaning: str) -> Baseline:
        """The loss of another model on the same predictions: a smaller one, one of less training, an n-gram.

        Loss recovered of it is the share of the difference between the two models that scrubbing leaves: 0 % is as good
        as the other model, 100 % as good as the model itself.

        Args:
            model: any model that can be scrubbed; an object with `losses(dataset) -> [n, positions]`, such as `Bigram`;
                a function `dataset -> [n, positions, outputs]` of logits or numbers, as an array or tensor; or a
                function without arguments that loads one of these when it is first needed.
            meaning: meaning in words, for reports.

        Raises:
            UsageError: SCR-BASELINE, it is none of these.
        """
        from scrubbing.experiment.of_model import other_model

        return cls(meaning, fitted=other_model(model, meaning))

    @property
    def is_measured(self) -> bool:
        """Whether the baseline is measured by running the model, rather than computed from the data."""
        return self.hypothesis is not None or self.mode is not None

    @property
    def needs_own_run(self) -> bool:
        """Whether the baseline has to be run again for each hypothesis."""
        return self.mode is not None and self.mode.output == "reference"

    def job(self, name: str, scrub: Job) -> Job | None:
        """The job that measures this baseline; None if it needs no run, or if the hypothesis has no claims to exchange.

        Args:
            name: name of the baseline.
            scrub: the job of the present hypothesis.
        """
        if self.mode is not None and self.mode.apart and scrub.apart is None:
            return None
        job = replace(scrub, name=name, with_model=False, measures=(), logits=False)
        shared = {"draws": max(FEWEST_DRAWS, scrub.draws), "shared": True}
        if self.mode is not None:
            if not self.needs_own_run:  # nothing of the hypothesis is read, so that all of them share one
                return replace(job, hypothesis=NOTHING, mode=self.mode, **shared)
            draws = scrub.draws if self.mode.draws_anything else 1
            return replace(job, mode=self.mode, draws=draws) if scrub.hypothesis.correspondence.children else None
        if self.hypothesis is not None:
            other = self.hypothesis() if callable(self.hypothesis) else self.hypothesis
            return replace(job, hypothesis=other, tree=scrub.subject.legal(other), mode=SCRUB, **shared)
        return None

    def predicted(self, reference: Reference) -> dict[str, Floats]:
        """The losses of a baseline that needs no run: one per reference, for every slice.

        Raises:
            UsageError: SCR-BASELINE, the function returned an array of another shape.
        """
        loss, data = reference.slices.loss, reference.data
        counted = reference.slices.of(data)
        if self.losses is not None:
            with running(f"baseline {self.meaning!r}"):
                found = dict.fromkeys(counted, np.asarray(self.losses(data)))
        else:
            assert self.fitted is not None
            found = {name: np.asarray(self.fitted(loss, data, where)) for name, where in counted.items()}
        for values, where in zip(found.values(), counted.values(), strict=True):
            if values.shape != where.shape:
                problem = f"it returned losses of shape {list(values.shape)}."
                remedy = f"Return one for each input and position, {list(where.shape)}."
                fail(UsageError, "SCR-BASELINE", problem, remedy, f"baseline {self.meaning!r}")
        return reference.averaged(found)


NOTHING = Hypothesis("null", "Nothing matters.", OUTPUT.carries(Variable("output", everything)))
"""The hypothesis that claims nothing; its scrub gives the losses of the null for every other hypothesis."""


def _constant(loss: Loss, data: Dataset, counted: NDArray[np.bool_]) -> Floats:
    from scrubbing.metrics.losses import checked_array  # loads torch, which naming a baseline must not

    return checked_array(loss, "constant", loss.constant(data, counted), "numbers", "fiub", counted.shape)


_OURS = {
    "apart": Baseline(
        "scrubbed, every unclaimed node with a draw of its own instead of one draw for all",
        mode=Mode(apart=True),
        scale=False,
    ),
    "null": Baseline(
        "the whole output resampled: labels as they are, output of another input", mode=Mode(output="another")
    ),
    "constant": Baseline("the best prediction that ignores the input", fitted=_constant),
    "mean rest": Baseline(
        "claims kept, everything unclaimed replaced by its mean over the dataset",
        mode=Mode(claimed="exact", unclaimed="mean"),
    ),
    "mean claimed": Baseline(
        "everything claimed replaced by its mean over the dataset, the rest kept",
        mode=Mode(claimed="mean", unclaimed="exact"),
    ),
}
BUILT_IN = tuple(_OURS)
OF_THE_DATA = tuple(name for name, one in _OURS.items() if not one.needs_own_run)
"""Those that are measured once for all hypotheses, or not at all."""

baselines: Registry[Baseline] = Registry("baseline", "scrubbing.baselines", "SCR-BASELINE")
"""Registry of baselines by name: those of this package, and those registered elsewhere."""

for _name, _one in _OURS.items():
    baselines.add(_name, _one)
