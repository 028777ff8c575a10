"""Greedy search with tests: from everything matters to as little as loses nothing, from the output down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path as FilePath

from scrubbing.data.features import Feature, anything, everything
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.jobs import Job, Subject
from scrubbing.hypothesis.claims import OUTPUT
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.progress import Bar, bar
from scrubbing.search.choices import Choices
from scrubbing.search.draft import Kept, Path, offered, root, trimmed
from scrubbing.search.path import Path as Nested
from scrubbing.search.relaxed import Proposal, proposal
from scrubbing.search.steps import Look, Spent, Steps
from scrubbing.search.what import coarsest
from scrubbing.search.where import Kind, positions, prune, slots, without, writers

CUTS = 12
"""Sets that are proposed to be left out of what one node reads."""
FEW_CLAIMS = 16
"""Above so many no more is named in smaller hypotheses: every part of what may still be lost would be too small. Nor
are their positions looked at alone, or a verdict asked what else can be left out: both take looks or tests for each."""
PATIENCE = 3
"""Times in a row that the cheapest of what is left cannot be left out, after which no more is tried, with proposals:
they have left out most of what can be, and of many nodes each would take several tests."""
SENTENCE = "Found by a search, from the output down: what is left matters, and carries no more than this."


@dataclass(eq=False)
class Greedy:
    """The search on one subject.

    Args:
        subject: model, inputs to search on, and loss.
        executor: what measures.
        features: that nodes may be said to carry, the user's first.
        chosen: how to search.
        kept: file for the state of what is fitted by gradient.
    """

    subject: Subject
    executor: Executor
    features: Sequence[Feature]
    chosen: Choices
    kept: FilePath | None = None
    proposal: Proposal | None = field(default=None, init=False)
    """What might be left out first; None where tests alone say."""
    complete: bool = field(default=False, init=False)
    """Whether all was looked at before the budget was used up."""

    def __post_init__(self) -> None:
        how = self.chosen
        self.steps = Steps(self.subject, self.executor, how.seed, how.margin, how.alpha, how.budget, how.by != "tests")
        self.outcome = _outcome(self.subject, self.features)
        graph = self.subject.graph
        start = root(graph, self.subject.read.fixed)
        self.draft = replace(start, below=offered(start, graph, how.through))

    def hypothesis(self, draft: Kept | None = None) -> Hypothesis:
        """The hypothesis that the search has come to, or that a draft stands for."""
        below = (self.draft if draft is None else draft).below
        correspondence = OUTPUT.carries(self.outcome, *(one.claim() for one in below))
        return Hypothesis(self.chosen.name, SENTENCE, correspondence, self.chosen.scope)

    def run(self) -> Hypothesis:
        """Search, until nothing is left to look at or the budget is used up."""
        title = f"searching {self.chosen.name}"
        with bar(title, 1) as progress:
            try:
                self.steps.prepare(self.hypothesis())
                self.proposal = proposal(self.steps, self.chosen, self.kept)
                self._run(progress, title)
                self.complete = True
            except Spent:
                pass
        return self.hypothesis()

    def smaller(self, margin: float) -> Hypothesis | None:
        """What is left if as much as a larger margin may be lost; None if nothing more can be left out."""
        before, self.steps.margin = self.draft, margin
        try:
            if self.proposal is not None:
                self._cut_all(self.proposal)
            self._fewer((), margin)
        except Spent:
            self.complete = False
        return None if self.draft == before else self.hypothesis()

    def _run(self, progress: Bar, title: str) -> None:
        waiting: list[Path] = [()]
        for path in waiting:  # which grows
            if not self.steps.room:
                break
            kept = self.draft.at(path)
            progress.begin(f"{title}, what {kept.node} reads")
            self._where(path)
            below = self.draft.at(path).below
            for i, one in enumerate(below):
                progress.begin(f"{title}, what {one.node} carries")
                self._what((*path, i))
            self._together(path)
            found = ((i, self.draft.at((*path, i))) for i in range(len(below)))
            if self.chosen.depth is None or len(path) + 1 < self.chosen.depth:
                waiting += [(*path, i) for i, one in found if self._may_look_below(one)]
            progress.total = len(waiting)
            progress.advance()

    def _where(self, path: Path) -> None:
        """Look at what a node reads, and keep what matters."""
        kept = self.draft.at(path)
        self.draft = self.draft.with_(path, replace(kept, below=offered(kept, self.subject.graph, self.chosen.through)))
        if self.proposal is not None:
            self._cut(path, self.proposal)
        self._prune(path, (writers, slots, positions))

    def _fewer(self, path: Path, margin: float) -> None:
        """Leave out more of what a node reads, and of what that reads, and name what had no name.

        What a name may cost is an equal part of what may still be lost: the first to be named would take it all.
        """
        few = len([*self.draft.walk()]) <= FEW_CLAIMS
        self._prune(path, (writers, slots, positions) if few else (writers, slots))
        for i, one in enumerate(self.draft.at(path).below):
            if few and one.feature == everything:
                nameless = sum(other.feature == everything for _, other in self.draft.walk()) - 1  # but the output
                left = max(margin - self.steps.lost, 0.0) / max(nameless, 1)
                self.steps.margin = min(margin, max(self.steps.lost, 0.0) + left)
                self._what((*path, i))
                self.steps.margin = margin
            self._fewer((*path, i), margin)

    def _cut_all(self, proposal: Proposal) -> None:
        """Leave out as much of the whole graph as is proposed and passes a test, by bisection."""
        path = Nested(self.subject.graph, self.chosen.through, self.chosen.depth, proposal.worth)
        levels, whole, passed = path.levels, self.draft, -1
        failed = len(levels)
        while failed - passed > 1:
            middle = (passed + failed) // 2
            changed = path.cut(whole, levels[middle])
            if changed is not None and self._accepted(changed):
                passed = middle
            else:
                failed = middle

    def _cut(self, path: Path, proposal: Proposal) -> None:
        """Leave out as much of what a node reads as is proposed and passes a test."""
        kept = self.draft.at(path)
        parts = [part for kind in (writers, slots, positions) for part in kind(kept)]
        for some in proposal.cuts(kept.node, parts, CUTS):
            changed = without(kept, some)
            if changed.below and self._accepted(self.draft.with_(path, changed)):
                return

    def _prune(self, path: Path, kinds: Sequence[Kind]) -> None:
        if not self.steps.room:
            return

        def accepted(changed: Kept) -> bool:
            return self._accepted(self.draft.with_(path, changed))

        def look(changed: Kept) -> Look:
            return self.steps.look(self.hypothesis(self._trimmed(self.draft.with_(path, changed))))

        prune(self.draft.at(path), kinds, look, accepted, None if self.proposal is None else PATIENCE)

    def _what(self, path: Path) -> None:
        """Find the coarsest feature that a node, all of whose own input is kept, may be said to carry."""
        if not self.features or not self.steps.room:
            return
        kept = self.draft.at(path)
        region = [one for one, _ in self.draft.walk()].index(path)

        def job_of(changed: Kept) -> Job:
            return self.steps.job(self.hypothesis(self.draft.with_(path, changed)))

        for one in coarsest(self.steps, kept, self.features, job_of, region):
            if self._accepted(self.draft.with_(path, one)):
                return

    def _together(self, path: Path) -> None:
        """Find out of which two only matters that they come from one input, such as two that cancel."""
        kept = self.draft.at(path)
        if len(kept.below) > FEW_CLAIMS:
            return  # of 42 nodes there are 861 pairs
        for i, j in combinations(range(len(kept.below)), 2):
            two = [self.draft.at((*path, k)) for k in (i, j)]
            if any(one.group or one.each or not self.subject.graph.slots[one.node] for one in two):
                continue
            group, draft = f"{two[0].node} and {two[1].node}", self.draft
            for k, one in zip((i, j), two, strict=True):
                draft = draft.with_((*path, k), replace(one, feature=anything, group=group))
            self._accepted(draft)

    def _may_look_below(self, kept: Kept) -> bool:
        return bool(self.subject.graph.slots[kept.node]) and not kept.each and kept.group is None

    def _trimmed(self, draft: Kept) -> Kept:
        return trimmed(draft, self.subject.graph, self.chosen.through)

    def _accepted(self, draft: Kept) -> bool:
        draft = self._trimmed(draft)
        if not self.steps.loses_nothing(self.hypothesis(draft)):
            return False
        self.draft = draft
        return True


def _outcome(subject: Subject, features: Sequence[Feature]) -> Variable:
    """What the output is said to carry: the label, if a feature of that name is known, or everything."""
    label = getattr(subject.loss, "label", None)
    named = {one.name: one for one in features}
    found = named.get(f"{label}", named.get(f"column_{label}", everything))
    return Variable("output", found)
