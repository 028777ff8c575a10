"""The abstract base classes of samplers, and the requests they answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.data.agreement import agreeing, disagree
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.data.real import RealDraws
from scrubbing.errors import IllegalHypothesis, NothingToDraw, fail, located
from scrubbing.storable import Complaint, Storable
from scrubbing.user_code import running

Rows = NDArray[np.int64]
Uniform = Callable[[int], NDArray[np.float64]]
"""`uniform(k)`: numbers in [0, 1), `[rows, k]`, that depend only on seed, claim, reference and draw."""


@dataclass(frozen=True, eq=False)
class Held:
    """One input that a claim holds, for which a sampler draws another."""

    data: Dataset
    """The inputs to draw from."""
    feature: Feature
    """The feature that `Sampler.compares` returned for the claim's variable."""
    source: Dataset
    """The dataset of the held input: `data`, or inputs that a generator constructed."""
    row: int
    """Row of the held input in `source`."""
    position: int | None = None
    """The position at which features with a value per position are compared; None for all positions."""

    def value(self, feature: Feature) -> Any:
        """The held input's value of a feature."""
        return self._at(feature, self.source)[self.row]

    def values(self, feature: Feature) -> NDArray[Any]:
        """A feature's value for every input to draw from, `[n]` or `[n, k]`."""
        return self._at(feature, self.data)

    def agreeing(self, feature: Feature) -> NDArray[np.bool_]:
        """Which inputs agree with the held one on a feature, `[n]`."""
        return agreeing(feature, self.data, self.source, self.row, self.position)

    def _at(self, feature: Feature, data: Dataset) -> NDArray[Any]:
        return feature(data)[:, self.position] if feature.per == "position" else feature(data)


@dataclass(frozen=True, eq=False)
class Asked:
    """A request for draws: one input for each of a batch of held inputs, row by row."""

    data: Dataset
    feature: Feature
    source: Dataset
    held: Rows
    """Rows of the held inputs in `source`."""
    position: Rows | None
    exclude_self: bool
    uniform: Uniform
    reference: Rows
    """Reference input id of each row."""
    number: Rows
    """Draw number of each row."""
    told: str
    """The claim that draws, as text for messages."""
    real: RealDraws | None = None
    """Rule for which inputs may be drawn, by where they are padding; None where any may."""
    needed: Rows | None = None
    """Number of real positions that the input drawn for each row must have, where there is `real`."""

    def fits(self, row: int) -> NDArray[np.bool_] | None:
        """Which inputs may be drawn for one of the rows, bool `[n]`; None where any may."""
        if self.real is None or self.needed is None or self.data.lengths is None:
            return None
        return self.real.fits(self.data.lengths, self.needed[row])

    def order(self) -> Rows:
        """The inputs in the order in which draws count them: by id; where padding decides, the longest first."""
        lengths = np.zeros(len(self.data)) if self.real is None else self.data.lengths
        assert lengths is not None
        return np.lexsort((self.data.ids, -lengths))

    def one(self, row: int) -> Held:
        """The held input of one row."""
        position = None if self.position is None else int(self.position[row])
        return Held(self.data, self.feature, self.source, int(self.held[row]), position)


@dataclass(frozen=True, eq=False)
class Drawn:
    """The inputs that a sampler drew, row by row."""

    rows: Rows
    made: Dataset | None = None
    """New inputs that the rows index; None where the rows index the dataset."""
    agreed: Rows | None = None
    """Number of inputs that each was drawn from, the held one included; None where there was no choice."""


class Sampler(Storable, ABC):
    """Base class of rules for drawing the input that replaces the one a claim holds."""

    excludable: ClassVar[bool] = False
    """Whether the sampler honours `exclude_self=True`."""
    from_data: ClassVar[bool] = True
    """Whether the sampler draws inputs of the dataset, rather than constructing new ones."""

    def compares(self, feature: Feature) -> Feature:
        """The feature on which drawn and held input are compared, given that of the claim's variable."""
        return feature

    def keeps(self, feature: Feature) -> bool:
        """Whether the sampler always returns the held input itself. `feature` is what `compares` returned."""
        return False

    def ignores_held(self, feature: Feature) -> bool:
        """Whether the drawn input does not depend on the held input. `feature` is what `compares` returned."""
        return False

    def faults(self, data: Dataset) -> Iterator[Complaint]:
        """Everything that rules the sampler out on a dataset: (problem, remedy) pairs, reported as SCR-SAMPLER."""
        yield from ()

    @abstractmethod
    def draw(self, asked: Asked) -> Drawn:
        """Draw an input for every row of a request."""

    def strata(self, held: Held) -> Sequence[NDArray[np.bool_]]:
        """Which inputs may stand in for the held one: sets that are equally likely, each bool `[n]`, and within a set
        each input too. What the oracle goes by.

        Raises:
            NotImplementedError: it makes inputs instead of drawing them.
        """
        raise NotImplementedError(f"the oracle draws from the dataset, and an input is {self}")


class Among(Sampler):
    """Base class of samplers that draw uniformly from a subset of the dataset."""

    excludable = True

    @abstractmethod
    def allowed(self, held: Held) -> NDArray[np.bool_]:
        """Which inputs may stand in for the held one, bool `[n]`."""

    def strata(self, held: Held) -> Sequence[NDArray[np.bool_]]:
        """All in one set."""
        return [self.allowed(held)]

    def draw(self, asked: Asked) -> Drawn:
        """The k-th of the allowed inputs in order of id, k from one uniform number per row."""
        order = asked.order()
        known: dict[tuple[int, int | None, int], tuple[Rows, int]] = {}
        u = asked.uniform(1)[:, 0]
        rows, agreed = np.empty(len(asked.held), np.int64), np.empty(len(asked.held), np.int64)
        for i in range(len(rows)):
            held = asked.one(i)
            key = (held.row, held.position, 0 if asked.needed is None else int(asked.needed[i]))
            if key not in known:
                allowed, fits = self._checked(held), asked.fits(i)
                allowed = order[(allowed if fits is None else allowed & fits)[order]]
                size = len(allowed)
                if asked.exclude_self and asked.source is asked.data:
                    allowed = allowed[allowed != held.row]
                known[key] = allowed, size
            allowed, agreed[i] = known[key]
            if not len(allowed):
                self.nothing(asked, i)
            rows[i] = allowed[int(u[i] * len(allowed))]
        return Drawn(rows, agreed=agreed)

    def _checked(self, held: Held) -> NDArray[np.bool_]:
        with running(str(self)):
            allowed = np.asarray(self.allowed(held))
        if allowed.shape != (len(held.data),) or allowed.dtype.kind != "b":
            problem = f"allowed(held) gave {allowed.dtype} of shape {list(allowed.shape)}."
            remedy = f"Return one boolean per input to draw from: [{len(held.data)}]."
            fail(IllegalHypothesis, "SCR-SAMPLER", problem, remedy, str(self))
        return allowed

    def wanted(self, held: Held) -> str:
        """Words between "no input" and the held input in the message for a draw with no allowed input."""
        return f"may be drawn by {self} for"

    def nothing(self, asked: Asked, row: int) -> NoReturn:
        """Raise for a draw with no allowed input.

        Raises:
            NothingToDraw: SCR-DRAW, always.
        """
        held, never, remedy = asked.one(row), "", "Use a coarser feature, more data, or a generated sampler."
        if asked.exclude_self:
            never, remedy = " other than itself", "Drop exclude_self, or use a coarser feature or more data."
        shown, length = asked.source.show(held.row), ""
        if asked.real is not None and asked.needed is not None:
            length = f"; {asked.real.told(int(asked.needed[row]))}"
        problem = (
            f"no input{never} {self.wanted(held)} {shown!r} (reference input id {int(asked.reference[row])}, "
            f"draw {int(asked.number[row])}){length}."
        )
        fail(NothingToDraw, "SCR-DRAW", problem, remedy, asked.told)


class Generator(Sampler):
    """Base class of samplers that construct inputs that agree with the held ones, instead of finding them."""

    from_data = False

    @abstractmethod
    def columns(self, held: Dataset, uniform: Uniform) -> Mapping[str, ArrayLike]:
        """One new input per held input, in order and of the same length; see `generated`."""

    def draw(self, asked: Asked) -> Drawn:
        """Construct new inputs for a request, and check that they agree with the held ones.

        Raises:
            IllegalHypothesis: SCR-GENERATED, they do not agree, or lack a column that the model reads.
        """
        held, source = asked.held, asked.source
        if len(np.unique(held)) == len(held):
            given = source.take(held)
        else:
            given = source.like({name: source[name][held] for name in source})
        name = f"inputs generated for {asked.told}"
        with located(name):
            with running(name):
                columns = self.columns(given, asked.uniform)
            made = asked.data.like(columns, name)
            _check_shapes(made, given)
            differ = disagree(asked.feature, given, made)
        if differ.any():
            row = int(np.argmax(differ))
            problem = (
                f"{int(differ.sum())} of {len(made)} generated inputs do not agree with the held one on "
                f"{asked.feature}: {made.show(row)!r} for {given.show(row)!r}."
            )
            fail(IllegalHypothesis, "SCR-GENERATED", problem, "Make inputs that agree on the feature.", asked.told)
        return Drawn(np.arange(len(held)), made)


def _check_shapes(made: Dataset, asked: Dataset) -> None:
    """An input that lacks its mask, or is shorter, would be read as something else than it is."""
    for name in asked:
        if name in ("tokens", "mask") and name not in made:
            problem = f"they have no column {name!r}, and the held inputs have."
            fail(IllegalHypothesis, "SCR-GENERATED", problem, "Return every column that the model reads.")
        if name in made and made[name].shape != asked[name].shape:
            shapes = f"{list(made[name].shape)}, and that of the held inputs {list(asked[name].shape)}"
            problem = f"their column {name!r} has shape {shapes}."
            fail(IllegalHypothesis, "SCR-GENERATED", problem, "Return one input per held input, of the same length.")
