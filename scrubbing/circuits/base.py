"""What a format of circuits is, and what comes of reading one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scrubbing.circuits.files import Source
from scrubbing.circuits.problems import Problems
from scrubbing.errors import UsageError, fail
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.shown import Shown

if TYPE_CHECKING:
    from scrubbing.graph.model_graph import ModelGraph
    from scrubbing.parts import Dictionary


@dataclass(frozen=True)
class Options:
    """What is said beside a file. By default, its circuit is what the file says is in it."""

    top: int | None = None
    """Keep so many edges (or nodes), those with the largest scores by absolute value."""
    threshold: float | None = None
    """All with at least this score, by absolute value."""
    dictionaries: tuple[Dictionary, ...] = ()
    """Of whose features a file speaks."""

    def __post_init__(self) -> None:
        if self.top is not None and self.threshold is not None:
            problem = "both top= and threshold= were given."
            fail(UsageError, "SCR-CIRCUIT", problem, "Give one of them.")
        if self.top is not None and self.top < 1:
            fail(UsageError, "SCR-CIRCUIT", f"top={self.top} keeps nothing.", "Give 1 or more.")

    @property
    def by_score(self) -> bool:
        """Whether the scores decide."""
        return self.top is not None or self.threshold is not None

    def chosen(self, scores: Sequence[float]) -> list[int]:
        """Which of these are kept, as indices, ascending; of equal scores the earlier."""
        sizes = [abs(score) for score in scores]
        if self.threshold is not None:
            return [i for i, size in enumerate(sizes) if size >= self.threshold]
        best = sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))
        return sorted(best if self.top is None else best[: self.top])


@dataclass(frozen=True)
class Imported(Shown):
    """A hypothesis that was read from another tool's file, and what that file could not say."""

    hypothesis: Hypothesis
    unsaid: tuple[str, ...]
    """What the format does not say, with what is assumed instead; also part of the hypothesis's sentence."""

    def __str__(self) -> str:
        return "\n".join([str(self.hypothesis), "", "not said by the format:", *(f"- {one}" for one in self.unsaid)])


@dataclass(frozen=True)
class Reading:
    """What was found in a file."""

    sentence: str
    """What it claims."""
    claims: tuple[Claim, ...]
    """The claims under the output."""
    unsaid: tuple[str, ...]


class Format(ABC):
    """A way in which a tool writes circuits. Instances are registered in `scrubbing.circuits.formats`."""

    @abstractmethod
    def read(self, source: Source, graph: ModelGraph, options: Options, problems: Problems) -> Reading | None:
        """What a file claims of a model; every fault is noted, and with faults the result does not matter."""

    def write(self, hypothesis: Hypothesis, graph: ModelGraph) -> str:
        """A hypothesis as text of this format.

        Raises:
            UsageError: SCR-CIRCUIT, the format is only read, or cannot say what the hypothesis claims.
        """
        problem = f"the format of {type(self).__name__} is only read."
        fail(UsageError, "SCR-CIRCUIT", problem, "Write edges or eap.", hypothesis.name)
