"""Why an input fails: the claim that was broken on purpose is named, and the input that broke it is the one held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.groundtruth.catalogue import PROGRAMS, truth
from scrubbing import Claim, Experiment, Feature, Hypothesis, Variable, anything
from scrubbing.data.agreement import groups
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.verdict.held import held
from scrubbing.experiment.verdict.why import why

WRONG = "wrong"


def coarser(feature: Feature, experiment: Experiment) -> Iterator[Feature]:
    """Nothing, and where a feature has more than two values, whether it is among the lower half of them."""
    yield anything
    if feature.op in ("identity", "constant") or feature.per == "position":
        return
    codes = groups(feature, experiment.data)
    values = sorted({feature.value_at(experiment.data, row) for row in range(len(experiment.data))})
    if len(codes.values[0]) > 2:
        yield feature.merged([values[: len(values) // 2], values[len(values) // 2 :]])


def planted(hypothesis: Hypothesis, experiment: Experiment) -> Iterator[Hypothesis]:
    """The hypothesis with one claim that is wrong, each in turn."""

    def broken(claim: Claim) -> Iterator[Claim]:
        for i, child in enumerate(claim.children):
            for feature in coarser(child.variable.agrees_on(), experiment):
                yield _with(claim, i, replace(child, variable=Variable(WRONG, feature)))
            yield from (_with(claim, i, below) for below in broken(child))

    yield from (replace(hypothesis, correspondence=claim) for claim in broken(hypothesis.correspondence))


def _with(claim: Claim, i: int, child: Claim) -> Claim:
    return replace(claim, children=(*claim.children[:i], child, *claim.children[i + 1 :]))


def scrub_of(hypothesis: Hypothesis, experiment: Experiment) -> tuple[Job, float]:
    """The job of a hypothesis, and a tenth of the gap."""
    result = experiment.run(hypothesis)
    return result.job, 0.1 * float(result.losses["null"].mean() - result.losses["model"].mean())


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_claim_that_was_broken_is_named(program):
    """In at least 95 % of the draws that fail, each way of breaking each claim for itself."""
    of = truth(program, 0)
    experiment = Experiment(of.model, of.data, of.loss, references=60)
    failing = named = 0
    for hypothesis in planted(of.tight[0], experiment):
        job, threshold = scrub_of(hypothesis, experiment)
        found = [draw for one in why(job, experiment.executor, threshold) for draw in one.draws if draw.broken]
        hits = sum(draw.broken[0].variable == WRONG for draw in found)
        failing, named = failing + len(found), named + hits
        assert hits >= 0.95 * len(found)
    assert failing > 20


def test_draws_are_those_of_the_run_and_inputs_those_that_were_held():
    of = truth("two-hops", 0)
    experiment = Experiment(of.model, of.data, of.loss, references=60)
    hypothesis = next(iter(planted(of.tight[0], experiment)))
    result = experiment.run(hypothesis)
    job, threshold = scrub_of(hypothesis, experiment)
    found = why(job, experiment.executor, threshold)
    assert [one.id for one in found] == result.ids.tolist()
    assert np.allclose([[draw.loss for draw in one.draws] for one in found], result.losses["scrubbed"], atol=1e-6)
    assert np.allclose([one.model for one in found], result.losses["model"], atol=1e-6)
    rise = result.losses["scrubbed"] - result.losses["model"][:, None]
    assert [[bool(draw.broken) for draw in one.draws] for one in found] == (rise > threshold).tolist()
    region = next(one for one in job.tree.regions if one.claim.variable.name == WRONG)
    data, rows = held(job, region.index)
    for i, k in np.argwhere(rise > threshold):
        broken = found[i].draws[k].broken[0]
        assert (broken.what, broken.repaired) == (region.claim.what, pytest.approx(1, abs=0.01))
        assert [one.id for one in broken.drawn] == [data.ids[rows[i, k]]]


def test_a_missing_claim_is_what_is_unclaimed():
    """A claim is left out of each hypothesis that has two below one, in turn."""
    failing = blamed = 0
    for program in ("two-hops", "compare", "brackets"):
        of = truth(program, 0)
        experiment = Experiment(of.model, of.data, of.loss, references=60)
        for hypothesis in without_one(of.tight[0]):
            job, threshold = scrub_of(hypothesis, experiment)
            found = [draw for one in why(job, experiment.executor, threshold) for draw in one.draws if draw.broken]
            failing, blamed = failing + len(found), blamed + sum(draw.broken[0].what == "" for draw in found)
    assert failing > 100
    assert blamed >= 0.95 * failing


def without_one(hypothesis: Hypothesis) -> Iterator[Hypothesis]:
    """The hypothesis without one claim that has others beside it."""

    def less(claim: Claim) -> Iterator[Claim]:
        for i, child in enumerate(claim.children):
            if len(claim.children) > 1:
                yield replace(claim, children=(*claim.children[:i], *claim.children[i + 1 :]))
            yield from (_with(claim, i, below) for below in less(child))

    yield from (replace(hypothesis, correspondence=claim) for claim in less(hypothesis.correspondence))
