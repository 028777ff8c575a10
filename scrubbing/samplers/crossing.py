"""Drawing an input that disagrees: first another value of what is claimed, then an input that has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import Groups, groups, locate
from scrubbing.data.classes import numbered as numbered_classes
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.errors import IllegalHypothesis, fail
from scrubbing.rng import stream_key, uniform
from scrubbing.samplers.base import Asked, Drawn, Held, Sampler
from scrubbing.samplers.ours import Agree
from scrubbing.storable import named

Ints = NDArray[np.int64]
_AGREE = Agree()


@named("cross")
@dataclass(frozen=True)
class Cross(Sampler):
    """An input with another value of the claim's feature than the held one has.

    First the value, each other one being equally likely, then an input among those with that value: drawn among all
    inputs that differ, rare values would hardly ever come. Where there is no other value, the input agrees. What
    crossing costs says whether what is claimed is needed. Source: ours.
    """

    within: Feature | None = None
    """Only values on which this feature agrees, which must be a function of the claim's own; None for all values."""
    positions: tuple[int, ...] | None = None
    """Of a claim that draws per position, those at which it crosses; elsewhere inputs agree. None for all."""
    single: bool = False
    """Whether to cross at just one of these, drawn for each reference and draw."""
    share: float = 1.0
    """Of positions at which it crosses, each on its own. Crossed at all of them, an input may become its own mirror
    image, on which much is as it was."""
    otherwise: Sampler = _AGREE
    """How inputs are drawn where they are not crossed."""

    def compares(self, feature: Feature) -> Feature:
        """See `Sampler.compares`."""
        return self.otherwise.compares(feature)

    def strata(self, held: Held) -> Sequence[NDArray[np.bool_]]:
        """See `Sampler.strata`: the inputs with each other value."""
        table = groups(held.feature, held.data)
        group = table.group if held.position is None else table.group[:, held.position]
        agree = held.agreeing(held.feature)
        may = ~agree if self.within is None else ~agree & held.agreeing(self.within)
        return [group == one for one in np.unique(group[may])] or [agree]

    def draw(self, asked: Asked) -> Drawn:
        """See `Sampler.draw`. The input comes from the first random number of a row, its value from the second."""
        kept = self.otherwise.draw(asked)
        feature, ours = asked.feature, asked.source is asked.data
        position = asked.position if feature.per == "position" else None
        table = groups(feature, asked.data)
        if not ours:
            group = locate(feature, asked.source, asked.held, asked.data, position).astype(np.int64)
        else:
            group = table.group[asked.held] if position is None else table.group[asked.held, position]
        u = asked.uniform(2)
        rows = np.full(len(asked.held), -1, dtype=np.int64)
        chosen = self._chosen(asked, group)
        for needed in [None] if asked.real is None or asked.needed is None else np.unique(asked.needed[chosen]):
            here = chosen if needed is None else chosen[asked.needed[chosen] == needed]  # type: ignore[index]
            rows[here] = self._crossed(asked, table, group[here], u[here], needed)
        at = rows >= 0
        if kept.made is not None:  # two datasets cannot be mixed: crossed wholly, or not at all
            return Drawn(rows) if at.all() else Drawn(kept.rows, kept.made)
        return Drawn(np.where(at, rows, kept.rows))

    def _chosen(self, asked: Asked, group: NDArray[np.int32] | Ints) -> Ints:
        """The rows that cross, if there is another value."""
        may = group >= 0
        if asked.position is not None:
            places = np.unique(asked.position) if self.positions is None else np.array(self.positions, dtype=np.int64)
            if self.single and len(places):
                u = uniform(stream_key(0, "crossed position"), asked.reference, asked.number)
                may &= asked.position == places[(u * len(places)).astype(np.int64)]
            else:
                may &= np.isin(asked.position, places)
                if self.share < 1:
                    key = stream_key(0, "crossed share")
                    may &= uniform(key, asked.reference, asked.number, asked.position) < self.share
        return np.flatnonzero(may)

    def _crossed(
        self, asked: Asked, table: Groups, group: NDArray[np.int32] | Ints, u: NDArray[np.float64], needed: int | None
    ) -> Ints:
        """An input of another group for each of these, -1 where there is none."""
        start, size, members = table.start, table.size, table.members
        if needed is not None:
            assert asked.real is not None
            every, same = np.arange(len(size)), np.full(len(size), needed, dtype=np.int64)
            sorted_table, start, size = asked.real.among(asked.feature, asked.data, every, same)
            members = sorted_table.members
        partition = _partition(asked.feature, self.within, asked.data)
        open_groups = np.flatnonzero(size > 0)
        order = open_groups[np.argsort(partition[open_groups], kind="stable")]
        ordered = partition[order]
        first = np.searchsorted(ordered, partition[group], side="left")
        stop = np.searchsorted(ordered, partition[group], side="right")
        place = np.full(len(size), -1, dtype=np.int64)
        place[order] = np.arange(len(order))
        own = place[group]
        others = stop - first - (own >= 0)
        pick = first + (u[:, 1] * others).astype(np.int64)
        pick += (own >= 0) & (pick >= own)
        drawn = order[np.minimum(pick, max(len(order) - 1, 0))] if len(order) else np.zeros(len(group), dtype=np.int64)
        found = members[start[drawn] + (u[:, 0] * size[drawn]).astype(np.int64)].astype(np.int64)
        return np.where(others > 0, found, -1)

    def __str__(self) -> str:
        words = ["cross"]
        if self.within is not None:
            words.append(f"within {self.within}")
        if self.positions is not None:
            words.append(f"at {list(self.positions)}")
        if self.single:
            words.append("one at a time")
        if self.share < 1:
            words.append(f"{self.share:.0%} of positions")
        return " ".join(words)


def cross(within: Feature | None = None) -> Cross:
    """An input with another value of the claim's feature: what an exchange that is *not* permitted does.

    Args:
        within: exchange only values on which this feature agrees.
    """
    return Cross(within)


def _partition(feature: Feature, within: Feature | None, data: Dataset) -> Ints:
    """A number for each agreement group of a feature, `[groups]`: equal where one may be crossed for the other.

    Raises:
        IllegalHypothesis: SCR-SAMPLER, `within` is not a function of the feature.
    """

    def numbered() -> Ints:
        table = groups(feature, data)
        columns = len(table.values)
        column = np.repeat(np.arange(columns), [len(values) for values in table.values])
        if within is None:
            return column.astype(np.int64)
        coarse = numbered_classes(within, data)[0]
        if coarse.ndim == 1:
            coarse = np.repeat(coarse[:, None], columns, axis=1)
        if within.op == "merged" and within.of == (feature,):  # a function of it
            number = coarse[table.members[table.start], np.minimum(column, coarse.shape[1] - 1)].astype(np.int64)
            return column * (int(coarse.max(initial=0)) + 1) + number
        of = np.repeat(np.arange(len(table.size)), table.size)
        here = coarse[table.members, np.minimum(column[of], coarse.shape[1] - 1)].astype(np.int64)
        number = here[table.start]
        if (here != number[of]).any():
            problem = f"{within} differs between inputs that agree on {feature}."
            fail(IllegalHypothesis, "SCR-SAMPLER", problem, "Cross within a function of the feature.", "cross")
        return column * (int(coarse.max(initial=0)) + 1) + number

    return data.remember(("crossing", feature, within), numbered)
