"""A search on one model, dataset and loss: searched on some inputs, judged on others."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.errors import ScrubbingError, UsageError
from scrubbing.experiment.describe import identity
from scrubbing.experiment.experiment import Experiment
from scrubbing.experiment.random_claims import random_hypotheses
from scrubbing.experiment.result import Result
from scrubbing.experiment.trial import Trial
from scrubbing.experiment.vacuous import vacuous
from scrubbing.experiment.verdict.judge import VACUOUS, judge
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.metrics.recovered import unbeaten
from scrubbing.records.files import file
from scrubbing.records.search import Effort
from scrubbing.rng import stream_key, uniform
from scrubbing.search import relaxed
from scrubbing.search.choices import Choices, enough
from scrubbing.search.features import features_of
from scrubbing.search.greedy import FEW_CLAIMS, Greedy
from scrubbing.search.naming import named

ROUNDS = 2
"""Times that the verdict on the inputs searched on may say what else can be left out."""
SMALLER = (0.03, 0.1, 0.3)
"""Shares of the gap that smaller hypotheses may lose."""


@dataclass(frozen=True, eq=False)
class Searched:
    """What a search came to, before it is judged."""

    chosen: Choices
    hypotheses: tuple[Hypothesis, ...]
    """Of what loses next to nothing first, then smaller ones that lose more."""
    explains: bool
    """Whether there was anything to explain on the inputs that were searched on."""
    fitted: Experiment
    rest: Experiment
    """On the inputs that are held out."""
    effort: Effort
    features: int
    """That nodes might have been said to carry."""
    unusable: Sequence[Feature]
    """Those that have no exact values on these inputs."""

    @classmethod
    def on(cls, trial: Trial, of: Experiment, chosen: Choices, out: Path | None) -> Searched:
        """Search.

        Args:
            trial: model, data and loss.
            of: settings and executor.
            chosen: how to search.
            out: folder for finished measurements.
        """
        started = time.perf_counter()
        fitted, rest = parts_of(trial, of, chosen)
        features, unusable = _features(trial, fitted.data, chosen)
        greedy = Greedy(fitted.subject, fitted.executor, features, chosen, _state(chosen, fitted, out))
        start = greedy.hypothesis()
        with _kept(fitted, start, out):
            explains = unbeaten(fitted.run(start).means, "null") is None
            found = [named(one, features, trial.data) for one in _all(greedy, fitted)] if explains else [start]
        if greedy.kept is not None:
            greedy.kept.unlink(missing_ok=True)
        effort = Effort(
            tried=greedy.steps.tried,
            decided=greedy.steps.decided,
            examples=greedy.steps.examples,
            complete=greedy.complete or not explains,
            seconds=round(time.perf_counter() - started, 3),
        )
        return cls(chosen, tuple(found), explains, fitted, rest, effort, len(features), unusable)

    def results(self, beside: Sequence[Hypothesis], out: Path | None) -> list[Result]:
        """What was found, and other hypotheses, on the inputs that are held out: the first with its verdict."""
        first, *others = [*self.hypotheses, *beside]
        random = (
            [random_hypotheses(self.chosen.random, self.chosen.seed)] if self.chosen.random and self.explains else []
        )
        try:
            judged = self.rest.but(controls=random).verdict(first, out)
        except UsageError as error:
            if not random or any(one.code != "SCR-CONTROL" for one in error.faults):
                raise
            judged = self.rest.verdict(first, out)  # its claims have no other place
        return [judged, *self.rest.run_all(others, out)]


def _state(chosen: Choices, fitted: Experiment, out: Path | None) -> Path | None:
    """The file for what is fitted by gradient, which nothing but the same search takes up again."""
    if out is None or chosen.by != "gradient":
        return None
    subject = fitted.subject
    said = [
        subject.model.fingerprint,
        subject.data.fingerprint,
        identity(subject.loss, subject.data),
        chosen.through,
        chosen.depth,
        (relaxed.STEPS, relaxed.WARM, relaxed.PRICES, relaxed.SNAPSHOTS),  # another version's path ends elsewhere
    ]
    digest = blake2b(repr([*said, chosen.seed, chosen.adversarial]).encode(), digest_size=8).hexdigest()
    return file(out / f".{digest}.path.npz", "the gates")


def _all(greedy: Greedy, fitted: Experiment) -> list[Hypothesis]:
    """What loses next to nothing, and smaller ones: those that look less far down, and those that lose more."""
    found = [_tightened(greedy.run(), fitted, greedy)]
    found += [one for one in _shallower(found[0]) if not _cannot_fail(fitted.run(one))]
    for margin in (one for one in SMALLER if one > greedy.chosen.margin):
        made = greedy.smaller(margin)
        if made is not None:
            name = f"{made.name}, {margin:.0%} given up"
            found.append(_tightened(replace(made, name=name), fitted, greedy))
    return found


def _tightened(hypothesis: Hypothesis, fitted: Experiment, greedy: Greedy) -> Hypothesis:
    """What the verdict leaves of a hypothesis, on the inputs that were searched on: coarser features, fewer claims."""
    for _ in range(ROUNDS if len([*hypothesis.correspondence.walk()]) <= FEW_CLAIMS else 0):
        found = judge(fitted.run(hypothesis), fitted.executor)
        greedy.steps.examples += found.examples
        if found.tight is None:
            break
        greedy.steps.tried += 1
        hypothesis = replace(found.tight, name=hypothesis.name)
    return hypothesis


def _shallower(hypothesis: Hypothesis) -> Iterator[Hypothesis]:
    """The hypothesis without what is said of deeper nodes, the deepest first."""
    root = hypothesis.correspondence
    for depth in range(_depth(root) - 1, 0, -1):
        yield replace(hypothesis, name=f"{hypothesis.name}, {depth} deep", correspondence=_cut(root, depth))


def _depth(claim: Claim) -> int:
    return max((1 + _depth(one) for one in claim.children), default=0)


def _cut(claim: Claim, depth: int) -> Claim:
    return replace(claim, children=tuple(_cut(one, depth - 1) for one in claim.children) if depth else ())


def _cannot_fail(result: Result) -> bool:
    found = {note.code for note in vacuous(result.job, result.inputs().get("model_prediction"))}
    return bool(found & set(VACUOUS))


def _features(trial: Trial, data: Dataset, chosen: Choices) -> tuple[list[Feature], list[Feature]]:
    """Those that nodes may be said to carry, the user's first, and those that have no exact values on these inputs."""
    label = getattr(trial.loss, "label", None)
    generated = features_of(data, label if isinstance(label, str) else None) if chosen.generated else []
    every = list(dict.fromkeys([*chosen.features, *generated]))
    unusable = [one for one in every if not _is_usable(one, data)]
    return [one for one in every if one not in unusable], unusable


def _is_usable(feature: Feature, data: Dataset) -> bool:
    try:
        return not feature.is_float(data)
    except ScrubbingError:
        return False


def parts_of(trial: Trial, of: Experiment, chosen: Choices) -> tuple[Experiment, Experiment]:
    """An experiment on the inputs to search on, which are in scope, and one on those that are held out."""
    data = trial.data
    aside = uniform(stream_key(chosen.seed, "held out"), data.ids, 0) < chosen.held_out
    inside = np.ones(len(data), dtype=bool) if chosen.scope is None else chosen.scope(data)
    parts = np.flatnonzero(~aside & inside), np.flatnonzero(aside)
    enough(*map(len, parts))
    settings = of.settings.but(
        references=None, baselines=False, zero_baseline="null", controls=(), verdict=False, seed=chosen.seed
    )
    fitted, rest = (Experiment(trial.model, data.take(rows), trial.loss, settings) for rows in parts)
    return fitted, rest


@contextmanager
def _kept(experiment: Experiment, start: Hypothesis, out: Path | None) -> Generator[None]:
    """While a search goes on, whatever is measured is kept in a folder, and taken from there if it was before."""
    if out is None:
        yield
        return
    with experiment.results([start], out) as results:
        next(results)
        yield
        next(results, None)
