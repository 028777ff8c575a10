"""Drawing from some inputs only, whatever input is held: what explains new inputs are inputs that are trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import groups, locate
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, anything
from scrubbing.samplers.base import Asked, Drawn, Held, Rows, Sampler
from scrubbing.samplers.ours import Agree
from scrubbing.storable import named


@named("trusted")
@dataclass(frozen=True)
class Trusted(Sampler):
    """Draws as another sampler does from a dataset that holds nothing but the trusted inputs.

    A held input that is not one of them is compared with them, and never drawn. Source: ours.
    """

    where: Feature
    """True of the inputs that are trusted."""
    inner: Sampler = Agree()  # noqa: RUF009  # a frozen value
    """How one of them is drawn; it draws from the dataset."""
    excludable = True

    def compares(self, feature: Feature) -> Feature:
        """See `Sampler.compares`."""
        return self.inner.compares(feature)

    def keeps(self, feature: Feature) -> bool:
        """See `Sampler.keeps`."""
        return self.inner.keeps(feature)

    def ignores_held(self, feature: Feature) -> bool:
        """See `Sampler.ignores_held`."""
        return self.inner.ignores_held(feature)

    def strata(self, held: Held) -> Sequence[NDArray[np.bool_]]:
        """See `Sampler.strata`: those of the other sampler among the trusted inputs."""
        home, rows = self._home(held.data)
        among: list[NDArray[np.bool_]] = []
        for one in self.inner.strata(replace(held, data=home)):
            among.append(np.zeros(len(held.data), dtype=np.bool_))
            among[-1][rows] = one
        return among

    def draw(self, asked: Asked) -> Drawn:
        """See `Sampler.draw`."""
        home, rows = self._home(asked.data)
        own = np.full(len(asked.data), -1)
        own[rows] = np.arange(len(rows))
        is_own = (own[asked.held] >= 0) & (asked.source is asked.data)
        drawn, agreed = np.empty(len(asked.held), np.int64), np.zeros(len(asked.held), np.int64)
        for here, ours in ((np.flatnonzero(is_own), True), (np.flatnonzero(~is_own), False)):
            if not len(here):
                continue
            part = _part(replace(asked, data=home), here)
            found = self.inner.draw(replace(part, source=home, held=own[part.held]) if ours else part)
            drawn[here] = rows[found.rows]
            agreed[here] = 0 if found.agreed is None else found.agreed
        return Drawn(drawn, agreed=agreed)

    def _home(self, data: Dataset) -> tuple[Dataset, Rows]:
        """The trusted inputs as a dataset, and their rows."""

        def made() -> tuple[Dataset, Rows]:
            rows = np.flatnonzero(self.where(data))
            return data.take(rows), rows

        return data.remember(("trusted", self.where), made)

    def __str__(self) -> str:
        return f"{self.inner} where {self.where}"


@named("given")
@dataclass(frozen=True)
class Given(Sampler):
    """An input that is laid down for each reference and draw, wherever it agrees with the held one; another elsewhere.

    Source: ours.
    """

    otherwise: Trusted
    """How an input is drawn where the one laid down does not agree."""
    references: tuple[int, ...]
    """Ids of the references, in order."""
    given: tuple[int, ...]
    """Rows of the inputs that stand in: one for each reference in draw 0, then in draw 1, and so on."""

    def compares(self, feature: Feature) -> Feature:
        """See `Sampler.compares`."""
        return self.otherwise.compares(feature)

    def draw(self, asked: Asked) -> Drawn:
        """See `Sampler.draw`."""
        place = np.searchsorted(np.array(self.references), asked.reference)
        rows = np.array(self.given)[asked.number * len(self.references) + place]
        may = np.full(len(rows), True)
        if asked.feature != anything:
            may = _agree(asked, rows)
        if asked.real is not None and asked.needed is not None and asked.data.lengths is not None:
            may &= asked.real.fits(asked.data.lengths[rows], asked.needed)
        left = np.flatnonzero(~may)
        if len(left):
            rows[left] = self.otherwise.draw(_part(asked, left)).rows
        return Drawn(rows)

    def __str__(self) -> str:
        return f"given, else {self.otherwise}"


def _agree(asked: Asked, rows: Rows) -> NDArray[np.bool_]:
    """Whether these inputs agree with the held ones, row by row."""
    position = asked.position if asked.feature.per == "position" else None
    group = groups(asked.feature, asked.data).group
    of = group[rows] if position is None else group[rows, position]
    return of == locate(asked.feature, asked.source, asked.held, asked.data, position)


def _part(asked: Asked, here: Rows) -> Asked:
    """Some rows of a request."""

    def some(k: int) -> NDArray[np.float64]:
        return asked.uniform(k)[here]

    return replace(
        asked,
        held=asked.held[here],
        position=None if asked.position is None else asked.position[here],
        uniform=some,
        reference=asked.reference[here],
        number=asked.number[here],
        needed=None if asked.needed is None else asked.needed[here],
    )
