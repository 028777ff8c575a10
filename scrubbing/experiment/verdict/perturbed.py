"""What the data never vary: the same claims, with draws also from inputs that were declared beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from scrubbing.experiment.jobs import Job, perturbed_subject
from scrubbing.experiment.measured import Reference
from scrubbing.experiment.perturb import Perturb
from scrubbing.experiment.result import Result
from scrubbing.experiment.verdict.claims import units
from scrubbing.experiment.verdict.interchange import Interchange, interchange
from scrubbing.experiment.verdict.needed import ALPHA, judged
from scrubbing.experiment.verdict.runs import Rise, Runs
from scrubbing.experiment.verdict.sufficient import ALL_EXACT
from scrubbing.records.tested import Outcome


@dataclass(frozen=True)
class Perturbed:
    """What came of one perturbation."""

    name: str
    lost: Rise
    """What scrubbing costs where perturbed inputs are drawn too; the gap is that of the dataset."""
    outcome: Outcome
    """Whether that is surely more than a sufficient hypothesis may lose, or outputs move too far (`needed`); or surely
    not (`idle`)."""
    interchange: Interchange | None = None
    """The interpretation run beside the model, variables being set to values of perturbed inputs too; None where it
    cannot be run, or too much is lost anyway."""


def perturbed(result: Result, runs: Runs, gap: float, margin: float) -> Iterator[Perturbed]:
    """Each perturbation of a result's settings in turn.

    Args:
        result: of scrubbing the hypothesis on the dataset.
        runs: its tests.
        gap: loss of the null minus that of the model, on the dataset.
        margin: share of the gap that a sufficient hypothesis may lose.
    """
    for one in result.settings.perturbations:
        there = Runs(_there(one, result), runs.executor, runs.asked, runs.draws, len(result.data), runs.again)
        yield _one(one, there, gap, runs.spread, margin)
        runs.count += there.count


def _there(one: Perturb, result: Result) -> Job:
    """The scrub with the same references, rows of the dataset coming first in the larger one."""
    subject, tree = perturbed_subject(one, result.hypothesis, result.job.subject, result.settings.seed)
    assert tree.data is not None
    reference = Reference(tree.data, result.job.reference.rows, subject.slices)
    return replace(result.job, tree=tree, subject=subject, reference=reference)


def _one(one: Perturb, there: Runs, gap: float, spread: float, margin: float) -> Perturbed:
    found = None
    for seed, references in ((0, there.references), (2, there.more)):
        sample = there.sample(seed, references=references)
        (scrubbed, moved), (model, _) = there.measured([(sample, there.scrub.mode), (sample, ALL_EXACT)])
        lost = replace(sample.rise(scrubbed - model, gap), moved=sample.rise(moved, spread))
        found = Perturbed(one.name, lost, judged(lost, ALPHA / 2, margin))
        if found.outcome != "undecided":
            break
    assert found is not None
    if found.outcome == "needed":
        return found
    return replace(found, interchange=interchange(there, units(there.scrub)))
