"""Greedy search with tests: from everything matters to as little as loses nothing, from the output down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from scrubbing.data.features import Feature, everything
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.jobs import Job, Subject
from scrubbing.experiment.verdict.needed import ALPHA, MARGIN
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.progress import Bar, bar
from scrubbing.search.draft import Kept, Path, hypothesis_of, offered, root
from scrubbing.search.steps import Look, Spent, Steps
from scrubbing.search.what import coarsest
from scrubbing.search.where import prune

SENTENCE = "Found by a search, from the output down: what is left matters, and carries no more than this."


@dataclass(eq=False)
class Greedy:
    """The search on one subject.

    Args:
        subject: model, inputs to search on, and loss.
        executor: what measures.
        features: that nodes may be said to carry, the user's first.
        name: of the hypothesis.
        outcome: what the output is said to carry; it says so in words only, since the output keeps the reference.
    """

    subject: Subject
    executor: Executor
    features: Sequence[Feature]
    name: str
    outcome: Variable
    seed: int = 0
    margin: float = MARGIN
    alpha: float = ALPHA
    budget: int | None = None
    complete: bool = field(default=False, init=False)
    """Whether all was looked at before the budget was used up."""

    def __post_init__(self) -> None:
        self.steps = Steps(self.subject, self.executor, self.seed, self.margin, self.alpha, self.budget)
        graph = self.subject.graph
        start = root(graph, self.subject.read.fixed)
        self.draft = replace(start, below=offered(start, graph))

    def hypothesis(self, draft: Kept | None = None) -> Hypothesis:
        """The hypothesis that the search has come to, or that a draft stands for."""
        return hypothesis_of(self.draft if draft is None else draft, self.name, SENTENCE, self.outcome)

    def run(self) -> Hypothesis:
        """Search, until nothing is left to look at or the budget is used up."""
        title = f"searching {self.name}"
        with bar(title, 1) as progress:
            try:
                self.steps.prepare(self.hypothesis())
                self._run(progress, title)
                self.complete = True
            except Spent:
                pass
        return self.hypothesis()

    def _run(self, progress: Bar, title: str) -> None:
        waiting: list[Path] = [()]
        for path in waiting:  # which grows
            kept = self.draft.at(path)
            progress.begin(f"{title}, what {kept.node} reads")
            self._where(path)
            below = self.draft.at(path).below
            for i, one in enumerate(below):
                progress.begin(f"{title}, what {one.node} carries")
                self._what((*path, i))
            found = ((i, self.draft.at((*path, i))) for i in range(len(below)))
            waiting += [(*path, i) for i, one in found if self.subject.graph.slots[one.node] and not one.each]
            progress.total = len(waiting)
            progress.advance()

    def _where(self, path: Path) -> None:
        """Look at what a node reads, and keep what matters."""
        whole = self.draft.at(path)
        whole = replace(whole, below=offered(whole, self.subject.graph))
        self.draft = self.draft.with_(path, whole)

        def accepted(changed: Kept) -> bool:
            return self._accepted(self.draft.with_(path, changed))

        def look(changed: Kept) -> Look:
            return self.steps.look(self.hypothesis(self.draft.with_(path, changed)))

        prune(whole, look, accepted)

    def _what(self, path: Path) -> None:
        """Find the coarsest feature that a node, all of whose own input is kept, may be said to carry."""
        kept = self.draft.at(path)
        region = [one for one, _ in self.draft.walk()].index(path)

        def job_of(changed: Kept) -> Job:
            return self.steps.job(self.hypothesis(self.draft.with_(path, changed)))

        source = not self.subject.graph.slots[kept.node]
        for one in coarsest(self.steps, kept, self.features, job_of, region, source):
            if self._accepted(self.draft.with_(path, one)):
                return

    def _accepted(self, draft: Kept) -> bool:
        if not self.steps.loses_nothing(self.hypothesis(draft)):
            return False
        self.draft = draft
        return True


def outcome_of(subject: Subject, features: Sequence[Feature]) -> Variable:
    """What the output is said to carry: the label, if a feature of that name is known, or everything."""
    label = getattr(subject.loss, "label", None)
    named = {one.name: one for one in features}
    found = named.get(f"{label}", named.get(f"column_{label}", everything))
    return Variable("output", found)
