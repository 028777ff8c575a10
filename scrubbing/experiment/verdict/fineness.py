"""Whether a claim's feature is finer than needed: which of its values can be exchanged for one another at no cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import groups
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, joint
from scrubbing.errors import IllegalHypothesis
from scrubbing.experiment.verdict.claims import Unit
from scrubbing.experiment.verdict.merging import Crossings, coarsest, excess_bits
from scrubbing.experiment.verdict.needed import ALPHA, MARGIN, crossings, idle
from scrubbing.experiment.verdict.runs import Rise, Runs, Sample, rise_of

Ints = NDArray[np.int64]

MOST_VALUES = 70
"""Values above which no partition is searched for: pairs are too many to be seen often enough."""
ROUNDS = 6
WITHIN = 0.25
"""One crossing inside a class may cost at most this share of one crossing anywhere."""
LEAST = 0.05
"""Share of a feature's bits from which it is called finer than needed."""


@dataclass(frozen=True)
class Finer:
    """A coarser feature that does as well."""

    feature: Feature
    classes: tuple[tuple[object, ...], ...]
    """Values that count as equal, those of two or more; empty where the feature is a known one."""
    excess: float
    """Bits that are not needed."""
    rise: Rise
    """What crossing inside its classes costs, everywhere at once."""


@dataclass(eq=False)
class Fineness:
    """Searches for the coarsest feature that does as well as the claimed one.

    Args:
        runs: of the hypothesis.
        gap: loss of the null minus that of the model.
        known: other features, which are tried where a feature has too many values for a search.
    """

    runs: Runs
    gap: float
    known: Sequence[Feature]
    alpha: float = ALPHA
    _tried: set[Feature] = field(default_factory=set[Feature])
    """Coarser features of the claim at hand."""

    def of(self, unit: Unit, search: bool = True) -> Finer | str | None:
        """A coarser feature that does as well, None if there is none, or why that was not tested; without `search`,
        nothing but features that are known is tried.
        """
        if unit.is_whole_input:
            return "it keeps the whole input"
        if unit.depth > 1:
            return "it lies in two claims that draw per position"
        if unit.values <= 2:
            return None  # without a difference between its only two values it would be idle
        if unit.values > MOST_VALUES:
            return self._among_known(unit)
        if not search:
            return None
        found = self._confirmed(unit, self._search(unit))
        for tried in self._tried - {None if found is None else found.feature}:
            self.runs.data.forget(tried)  # its values for every input take more memory than all else that is kept
        self._tried.clear()
        return found

    def _merged(self, unit: Unit, classes: Ints) -> Feature:
        found = unit.merged(classes)
        self._tried.add(found)
        return found

    def _search(self, unit: Unit) -> Ints:
        """Classes of values, `[values]`, between which crossings were seen to cost next to nothing."""
        mode, tree, n = self.runs.scrub.mode, self.runs.scrub.tree, unit.values
        limit = MARGIN * self.gap / (1 if unit.positions is None else max(len(unit.positions), 1))
        found, classes = Crossings.none(n), np.arange(n, dtype=np.int64)
        for seed in range(11, 11 + ROUNDS):
            open_ = _components(~found.costly(limit))
            how: dict[str, object] = {} if unit.positions is None else {"single": True}
            if open_.max() == n - 1 and seed > 11:
                return open_  # every pair of values is known to cost something
            if open_.max() > 0 and seed > 11:
                how["within"] = self._merged(unit, open_)
            sample = self.runs.sample(1 if seed == 11 else seed, unit.feature)
            _, held, drawn, cost = crossings(self.runs, sample, unit, unit.crossed(mode, tree, **how), self.gap)
            found = found.and_more(held, drawn, cost)
            before, classes = classes, coarsest(found, limit)
            if seed > 11 and (before == classes).all():
                break
        return classes

    def _confirmed(self, unit: Unit, classes: Ints) -> Finer | None:
        """The classes, or as many of them as do as well on other references."""
        if len(np.unique(classes)) == unit.values:
            return None
        size = np.bincount(unit.coded[0].ravel()[unit.coded[0].ravel() >= 0], minlength=unit.values)
        several = [c for c in np.unique(classes) if (classes == c).sum() > 1]
        found = self._does_as_well(unit, classes, self.alpha)
        if found is None and len(several) > 1:
            alone = [_only(classes, c) for c in several]
            passed = [one for one in alone if self._does_as_well(unit, one, self.alpha / len(several))]
            classes = _all_of(passed, unit.values)
            found = self._does_as_well(unit, classes, self.alpha) if passed else None
        if found is None:
            return None
        whole = excess_bits(size, np.zeros(unit.values, dtype=np.int64))
        excess = unit.bits * excess_bits(size, classes) / whole
        if excess < LEAST * unit.bits:
            return None
        words = [np.flatnonzero(classes == c) for c in np.unique(classes)]
        named = tuple(tuple(unit.value(int(v)) for v in one) for one in words if len(one) > 1)
        return Finer(self._merged(unit, classes), named, excess, found)

    def _does_as_well(self, unit: Unit, classes: Ints, alpha: float) -> Rise | None:
        """What crossing inside classes costs, if that is next to nothing in all and for each crossing."""
        return self._coarser(unit, self._merged(unit, classes), alpha, self.runs.sample(23, unit.feature))

    def _coarser(self, unit: Unit, within: Feature, alpha: float, sample: Sample) -> Rise | None:
        mode, tree = self.runs.scrub.mode, self.runs.scrub.tree
        crossed = [unit.crossed(mode, tree, within=within, **how) for how in unit.ways]
        rise = idle(self.runs, sample, crossed, self.gap, alpha)
        if rise is None:
            return None
        single: dict[str, object] = {} if unit.positions is None else {"single": True}
        inside, anywhere = (
            crossings(self.runs, sample, unit, unit.crossed(mode, tree, **single, **how), self.gap)[3]
            for how in ({"within": within}, {})
        )
        if not len(inside) or not len(anywhere):
            return None
        each = rise_of(inside, np.ones(len(inside)), self.gap)
        # Merging 2 of 50,000 words is cheap in all, whatever it costs where it happens.
        bound = each.mean if len(inside) < 2 else each.lower(1 - alpha)
        return rise if bound < WITHIN * float(anywhere.mean()) else None

    def _among_known(self, unit: Unit) -> Finer | str:
        """The coarsest of the known features that are functions of the claimed one and do as well."""
        candidates = [
            one for one in _coarser_than(unit, self.known) if _bits(one, unit) < (1 - LEAST) * _bits(unit.feature, unit)
        ]
        alpha = self.alpha / max(len(candidates), 1)
        wanted = max(self.runs.references, int(np.ceil(1.1 * -np.log(alpha) / MARGIN)))
        if candidates and self.runs.asked is not None and wanted > self.runs.more:
            return f"it has {unit.values:,} values, and to call a coarser feature as good takes {wanted:,} references"
        for one in sorted(candidates, key=lambda one: _bits(one, unit)):
            sample = self.runs.sample(24, one, wanted)
            found = self._coarser(unit, one, alpha, sample)
            if found is not None:
                share = _bits(one, unit) / _bits(unit.feature, unit)
                return Finer(one, (), unit.bits * (1 - share), found)
        return f"it has {unit.values:,} values, of which no coarser feature known does as well"


def _components(linked: NDArray[np.bool_]) -> Ints:
    """A number for each value, equal where a chain of links leads from one to the other, from 0."""
    n = len(linked)
    number = np.arange(n, dtype=np.int64)
    for i in range(n):
        for j in np.flatnonzero(linked[i]):
            if number[i] != number[j]:
                number[number == number[j]] = number[i]
    return np.unique(number, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _only(classes: Ints, kept: int) -> Ints:
    """One class as it is, all other values apart."""
    found = np.arange(len(classes), dtype=np.int64)
    found[classes == kept] = np.flatnonzero(classes == kept)[0]
    return found


def _all_of(parts: Sequence[Ints], values: int) -> Ints:
    found = np.arange(values, dtype=np.int64)
    for one in parts:
        found = np.minimum(found, one)
    return found


def _coarser_than(unit: Unit, known: Sequence[Feature]) -> Iterator[Feature]:
    """Known features that are functions of the unit's, parts of a joint one and joints of all but one first."""
    parts = unit.feature.of if unit.feature.op == "joint" else ()
    without = [joint(*(p for p in parts if p is not one)) for one in parts] if len(parts) > 2 else []
    for one in dict.fromkeys([*parts, *without, *known]):
        if one != unit.feature and one.op not in ("constant", "identity") and _is_function(one, unit):
            yield one


def _is_function(coarse: Feature, unit: Unit) -> bool:
    if coarse.per == "position" and unit.feature.per == "input":
        return False
    try:
        if coarse.is_float(unit.data):
            return False
        fine, other = groups(unit.feature, unit.data).group, groups(coarse, unit.data).group
    except IllegalHypothesis:
        return False
    if other.ndim < fine.ndim:
        other = np.repeat(other[:, None], fine.shape[1], axis=1)
    if other.shape != fine.shape:
        return False
    first = np.full(int(fine.max()) + 1, -1, dtype=np.int64)
    first[fine.ravel()] = other.ravel()
    return bool((first[fine] == other).all())


def _bits(feature: Feature, unit: Unit) -> float:
    return groups(feature, unit.data).entropy


def known_features(data: Dataset, others: Sequence[Feature]) -> list[Feature]:
    """Features that nobody has to think of: those of other claims, and columns of the data."""
    found = dict.fromkeys(others)
    for name in data:
        if name != "mask" and data[name].dtype.kind in "biuUS" and data[name].ndim in (1, 2):
            per = "position" if data[name].ndim == 2 and name == "tokens" else "input"
            found[_column(name, per)] = None
    return list(found)


def _column(name: str, per: str) -> Feature:
    return Feature(f"column {name}", compute=lambda data: data[name], per=per)  # type: ignore[arg-type]
