"""The samplers of this package, and the rule for what a claim leaves unclaimed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.data.agreement import groups, locate
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, anything, as_feature
from scrubbing.errors import UsageError, counted, fail
from scrubbing.samplers.base import Among, Asked, Drawn, Generator, Held, Sampler, Uniform
from scrubbing.storable import Complaint, named


@named("agree")
@dataclass(frozen=True)
class Agree(Among):
    """Draws uniformly from the inputs that agree with the held one; see `agree`."""

    feature: Feature | None = None
    """The feature to agree on; None for the feature of the claim's variable."""

    def compares(self, feature: Feature) -> Feature:
        """See `Sampler.compares`."""
        return self.feature or feature

    def keeps(self, feature: Feature) -> bool:
        """True where an input agrees only with itself."""
        return feature.op == "identity"

    def ignores_held(self, feature: Feature) -> bool:
        """True where all inputs agree."""
        return feature.op == "constant"

    def allowed(self, held: Held) -> NDArray[np.bool_]:
        """See `Among.allowed`."""
        return held.agreeing(held.feature)

    def wanted(self, held: Held) -> str:
        """See `Among.wanted`."""
        place = held.position if held.feature.per == "position" else None
        value = held.feature.value_at(held.source, held.row, place)
        return f"has {held.feature} = {value!r}{'' if place is None else f' at position {place}'}, the value of"

    def draw(self, asked: Asked) -> Drawn:
        """Draw like `Among.draw`, but from inputs that were sorted by value once."""
        feature, held, ours = asked.feature, asked.held, asked.source is asked.data
        table = groups(feature, asked.data)
        position = asked.position if feature.per == "position" else None
        if not ours:
            group = locate(feature, asked.source, held, asked.data, position)
        else:
            group = table.group[held] if position is None else table.group[held, position]
        start, size = table.start[group], np.where(group < 0, 0, table.size[group])
        if asked.real is not None and asked.needed is not None:
            table, start, size = asked.real.among(feature, asked.data, group, asked.needed)
        left = size - 1 if asked.exclude_self and ours else size
        if not (left > 0).all():
            self.nothing(asked, int(np.argmin(left > 0)))
        pick = (asked.uniform(1)[:, 0] * left).astype(np.int64)
        if asked.exclude_self and ours:
            rank = table.rank[held] if position is None else table.rank[held, position]
            pick += pick >= rank - (start - table.start[group])
        return Drawn(table.members[start + pick].astype(np.int64), agreed=size)

    def __str__(self) -> str:
        if self.feature is None:
            return "agree"
        return "uniform" if self.feature.op == "constant" else f"agree on {self.feature}"


@named("paired")
@dataclass(frozen=True)
class Paired(Agree):
    """Draws uniformly from the other inputs that agree with the held one on a feature; see `paired`."""

    def keeps(self, feature: Feature) -> bool:
        """False: it never returns the held input."""
        return False

    def ignores_held(self, feature: Feature) -> bool:
        """False: which input is left out depends on it."""
        return False

    def allowed(self, held: Held) -> NDArray[np.bool_]:
        """See `Among.allowed`."""
        found = held.agreeing(held.feature)
        return found & (np.arange(len(found)) != held.row) if held.source is held.data else found

    def draw(self, asked: Asked) -> Drawn:
        """See `Agree.draw`."""
        return super().draw(replace(asked, exclude_self=True))

    def __str__(self) -> str:
        return f"another with the same {self.feature}"


@named("fixed")
@dataclass(frozen=True)
class Fixed(Among):
    """Always draws the same input; see `fixed`."""

    input_id: int
    excludable = False

    def compares(self, feature: Feature) -> Feature:
        """The constant feature: nothing is compared."""
        return anything

    def ignores_held(self, feature: Feature) -> bool:
        """See `Sampler.ignores_held`."""
        return True

    def faults(self, data: Dataset) -> Iterator[Complaint]:
        """See `Sampler.faults`: the dataset has no input with this id."""
        if self.input_id not in data.ids:
            problem = f"the fixed input {self.input_id!r} is not among the {counted(len(data), 'input')} in scope."
            yield problem, "Name the id of one of them."

    def allowed(self, held: Held) -> NDArray[np.bool_]:
        """See `Among.allowed`."""
        return held.data.ids == self.input_id

    def draw(self, asked: Asked) -> Drawn:
        """See `Sampler.draw`."""
        return Drawn(np.full(len(asked.held), int(np.flatnonzero(asked.data.ids == self.input_id)[0])))

    def __str__(self) -> str:
        return f"input {self.input_id}"


@named("exact")
@dataclass(frozen=True)
class Exact(Sampler):
    """Keeps the input that the parent claim holds; see `exact`."""

    def keeps(self, feature: Feature) -> bool:
        """See `Sampler.keeps`."""
        return True

    def compares(self, feature: Feature) -> Feature:
        """The constant feature: nothing needs to be compared."""
        return anything

    def draw(self, asked: Asked) -> Drawn:
        """See `Sampler.draw`."""
        return Drawn(asked.held, None if asked.source is asked.data else asked.source)

    def __str__(self) -> str:
        return "exact"


@named("generated")
@dataclass(frozen=True)
class Generated(Generator):
    """Constructs inputs with a function; see `generated`."""

    generate: Callable[[Dataset, Any], Mapping[str, ArrayLike]]

    def columns(self, held: Dataset, uniform: Uniform) -> Mapping[str, ArrayLike]:
        """See `Generator.columns`."""
        return self.generate(held, uniform)

    def __str__(self) -> str:
        return f"generated by {getattr(self.generate, '__name__', 'a function')}"


@named("unclaimed")
@dataclass(frozen=True)
class Unclaimed:
    """Rule for drawing the inputs behind the paths into a claimed node that no claim accounts for."""

    sampler: Sampler = Agree(anything)
    separately: bool = False
    """One draw per producing node instead of one draw for all of them."""

    def __post_init__(self) -> None:
        if not isinstance(self.sampler, Sampler):
            problem = f"the sampler of what is unclaimed is of type {type(self.sampler).__name__}."
            remedy = "Use uniform, exact, agree(feature), fixed(id), or separate(...) of one of them."
            fail(UsageError, "SCR-SAMPLER", problem, remedy)

    @classmethod
    def of(cls, written: Sampler | Unclaimed | None) -> Unclaimed | None:
        """Convert an argument to a rule. A sampler becomes one draw for all producing nodes; None stays None."""
        return written if written is None or isinstance(written, Unclaimed) else cls(written)

    @property
    def feature(self) -> Feature:
        """The feature on which the drawn input agrees with the one that the claim holds."""
        return self.sampler.compares(anything)

    def __str__(self) -> str:
        return f"{self.sampler}, {'one draw per node' if self.separately else 'one draw for all'}"


uniform = Agree(anything)
"""Sampler that draws any input of the dataset, each with equal probability."""
exact = Exact()
"""Sampler that keeps the input that the parent claim holds, so that nothing is exchanged."""


def fixed(input_id: int) -> Fixed:
    """Sampler that always draws the input with this id."""
    return Fixed(input_id)


def agree(first: Feature, *more: Feature) -> Agree:
    """Sampler that draws uniformly from the inputs that agree with the held one on all of these features.

    Raises:
        UsageError: SCR-FEATURE, one of them is not a feature.
    """
    return Agree(as_feature((first, *more) if more else first))


def paired(feature: Feature) -> Paired:
    """Sampler that draws another input with the same value of a feature: the counterfactual that an input is paired
    with, where the feature is the number of its pair. For `unclaimed=`, as edge patching with clean and corrupted
    prompts.

    Raises:
        UsageError: SCR-FEATURE, it is not a feature.
    """
    return Paired(as_feature(feature))


def generated(generate: Callable[[Dataset, Any], Mapping[str, ArrayLike]]) -> Generated:
    """Sampler that constructs agreeing inputs instead of finding them, so that fine features can still be tested.

    Args:
        generate: `(held inputs, uniform) -> columns`, one new input per held input, in order and of the same length,
            with all columns that the model and the variable's feature read. `uniform(k)` gives float `[n, k]` in [0, 1)
            that depend only on seed, claim, reference and draw; use no other randomness. The new inputs must agree with
            the held ones on the variable's feature, which is checked.
    """
    return Generated(generate)


def separate(sampler: Sampler = uniform) -> Unclaimed:
    """Draw separately for every unclaimed producing node, each time with this sampler."""
    return Unclaimed(sampler, separately=True)
