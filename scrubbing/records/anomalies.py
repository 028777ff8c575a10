"""New inputs held against trusted ones: how far each is from being explained as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scrubbing.records.measured import Strict


class NewInput(Strict):
    """One new input."""

    id: int
    text: str
    score: float | None
    """How far exchanging it with trusted inputs moves outputs, as a share of what another input's output is away: the
    mean of `own` and `lent`. None, which counts as infinite, where no trusted input agrees on a claimed feature.
    """
    own: float | None
    """How far its own output moves when it is scrubbed with trusted inputs."""
    lent: float | None
    """How far outputs of trusted inputs move when what is unclaimed comes from this one."""
    p: float
    """Chance that a trusted input scores as high, at least: `(1 + trusted that do) / (1 + trusted)`."""
    unexplained: str = ""
    """The claimed feature on which no trusted input agrees with it, in words."""


class Anomalies(Strict):
    """Which new inputs the explanation of trusted inputs does not explain."""

    hypothesis: str
    rate: float
    """Share of inputs like the trusted ones that may be flagged."""
    threshold: float | None
    """What is above is flagged; None where as many trusted inputs score infinite."""
    trusted: list[float | None]
    """Scores of the trusted inputs that were held out."""
    drawn_from: int
    """Trusted inputs that draws came from."""
    exchanged: bool
    """Whether the hypothesis lets anything be exchanged; otherwise nothing can be an anomaly."""
    inputs: list[NewInput] = Field(default=[])
    """In the order in which they were given."""

    @property
    def scores(self) -> NDArray[np.float64]:
        """Of the new inputs, infinite where nothing trusted agrees, `[n]`."""
        return np.array([np.inf if one.score is None else one.score for one in self.inputs])

    @property
    def p_values(self) -> NDArray[np.float64]:
        """Of the new inputs, `[n]`."""
        return np.array([one.p for one in self.inputs])

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which new inputs are anomalies at this rate, `[n]`."""
        return self.p_values <= self.rate

    @property
    def trusted_score(self) -> float | None:
        """Mean score of the trusted inputs: near 0 if the hypothesis explains them; None where one is infinite."""
        found = [one for one in self.trusted if one is not None]
        return float(np.mean(found)) if len(found) == len(self.trusted) else None
