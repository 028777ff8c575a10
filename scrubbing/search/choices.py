"""Every choice about a search, in one object, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

from scrubbing.data.features import Feature
from scrubbing.errors import Fault, UsageError
from scrubbing.experiment.random_claims import NUMBER
from scrubbing.experiment.trial import Control
from scrubbing.experiment.verdict.needed import ALPHA, MARGIN
from scrubbing.guards import is_finite, is_whole

By = Literal["tests", "attribution", "gradient"]
"""What says in which order things might be left out; whether they are is for tests to say."""
BY: tuple[By, ...] = get_args(By)
"""All that may be written there."""

FEWEST = 50
"""Inputs to search on, and held out, that are the fewest of which anything could be said."""


class Options(TypedDict, total=False):
    """The fields of `Choices` as keywords, each optional."""

    by: By
    adversarial: bool
    generated: bool
    scope: Feature | None
    through: Sequence[str]
    depth: int | None
    margin: float
    alpha: float
    budget: int | None
    held_out: float
    random: int
    controls: Sequence[Control] | None
    seed: int
    name: str


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The immutable choices of a search: everything beside the experiment and the features.

    Raises:
        UsageError: SCR-SEARCH, lists everything that cannot be used.
    """

    features: Sequence[Feature] = ()
    """That nodes may be said to carry; they come before those that are generated."""
    by: By = "tests"
    """What proposes what might be left out: tests of one thing after another, attributions (gradient times difference),
    or gates fitted by gradient."""
    adversarial: bool = False
    """Whether gates are fitted against the worst share of what they close that may still come through."""
    generated: bool = True
    """Whether features of the tokens, and the label, may be named too; `scrubbing.search.features` lists them."""
    scope: Feature | None = None
    """Boolean feature; only inputs on which it is true are searched on, and claimed about."""
    through: Sequence[str] = ()
    """Kinds of nodes, such as `mlp`, about which nothing is claimed: they are computed again on what is claimed of what
    they read."""
    depth: int | None = None
    """Claims on the longest path from the output down; None for as far as it goes."""
    margin: float = MARGIN
    """Share of the gap between null and model that may be lost in all."""
    alpha: float = ALPHA
    """Chance that something needed is given up, on inputs like those that are searched on."""
    budget: int | None = None
    """Scrubbed examples, about as many forward passes; None for as many as it takes."""
    held_out: float = 0.5
    """Share of inputs that are not searched on, and that the result is judged on."""
    random: int = NUMBER
    """Other hypotheses of the same size that the result is compared with; 0 for none."""
    controls: Sequence[Control] | None = None
    """Where the search should find nothing; None for re-initialised weights and shuffled labels."""
    seed: int = 0
    """Of the choice of inputs, and of all draws."""
    name: str = "found"
    """Of the hypothesis."""

    def __post_init__(self) -> None:
        if found := list(self._faults()):
            raise UsageError(found)

    def _faults(self) -> Iterator[Fault]:
        for name in ("alpha", "margin", "held_out"):
            value = getattr(self, name)
            if not is_finite(value) or not 0 < value < 1:
                yield Fault("SCR-SEARCH", "search", f"{name}={value!r} is no share.", "Give a number between 0 and 1.")
        for name in ("budget", "depth"):
            value = getattr(self, name)
            if value is not None and (not is_whole(value) or value < 1):
                yield Fault("SCR-SEARCH", "search", f"{name}={value!r} is no count.", "Give 1 or more, or None.")
        if self.by not in BY:
            problem, remedy = f"by={self.by!r} is no way to search.", f"Give {', '.join(BY[:-1])} or {BY[-1]}."
            yield Fault("SCR-SEARCH", "search", problem, remedy)
        if self.adversarial and self.by != "gradient":
            problem, remedy = "adversarial= is about gates, and none are fitted.", 'Give by="gradient", too.'
            yield Fault("SCR-SEARCH", "search", problem, remedy)
        if wrong := [one for one in self.through if one not in ("mlp", "head", "attn")]:
            problem, remedy = f"through= holds {wrong[0]!r}, which is no kind of node.", "Give mlp, head or attn."
            yield Fault("SCR-SEARCH", "search", problem, remedy)
        for name in ("random", "seed"):
            value = getattr(self, name)
            if not is_whole(value) or value < 0:
                yield Fault("SCR-SEARCH", "search", f"{name}={value!r} is no count.", "Give a whole number, 0 or more.")
        scope = () if self.scope is None else (self.scope,)
        for what, kind, given in (("features", Feature, self.features), ("scope", Feature, scope),
                                  ("controls", Control, self.controls or ())):  # fmt: skip
            if wrong := [one for one in given if not isinstance(one, kind)]:
                problem = f"{what}= holds something of type {type(wrong[0]).__name__}, not a {kind.__name__}."
                yield Fault("SCR-SEARCH", "search", problem, f"Give {kind.__name__} objects.")


def enough(fitted: int, held_out: int) -> None:
    """Refuse to search where nothing could be said.

    Raises:
        UsageError: SCR-SEARCH, too few inputs to search on, or held out.
    """
    if min(fitted, held_out) < FEWEST:
        problem = f"of these inputs {fitted} are to search on, and {held_out} are held out."
        remedy = f"Give data of which both are {FEWEST} or more, or change held_out=."
        raise UsageError(Fault("SCR-SEARCH", "search", problem, remedy))
