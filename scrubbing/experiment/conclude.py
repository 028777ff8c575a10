"""From measurements to a result: losses by name and slice, controls, and what is fitted to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from scrubbing.experiment import describe
from scrubbing.experiment.baselines import Baseline
from scrubbing.experiment.beyond import recalibrated, worth
from scrubbing.experiment.jobs import APART, OTHER, SCRUBBED, Job
from scrubbing.experiment.kept import KeptLogits
from scrubbing.experiment.measured import Measured, Reference
from scrubbing.experiment.result import Result, bound_of, clusters_of, loss_table
from scrubbing.experiment.settings import Settings
from scrubbing.experiment.trial import Control
from scrubbing.experiment.verdict.specific import Others, outcome_of
from scrubbing.metrics.equivalent import Series
from scrubbing.metrics.slices import MAIN
from scrubbing.records.inputs import LOSS
from scrubbing.records.schema import ClaimCost, ControlValue, Equivalent, Number
from scrubbing.records.summary import estimates, means
from scrubbing.user_code import running

Floats = NDArray[np.float64]
BySlice = dict[str, dict[str, Floats]]
"""Losses by name, then by slice, `[n]` or `[n, draws]`."""


def rivals(jobs: Sequence[Job], measured: Sequence[Measured], settings: Settings) -> list[Job]:
    """What is yet to be measured for controls that count other hypotheses: those that do as well, apart.

    A hypothesis that recovers all only as long as what it leaves out has one draw together is insufficient, however
    well it does; and only of few is it asked.
    """
    found: list[Job] = []
    for pairs in _by_control(jobs, measured).values():
        by_name = {job.name: job for job, _ in pairs}
        if any(name.startswith(OTHER) for name in by_name):
            rivals = (by_name[name] for name in _others(pairs, settings).no_worse)
            found += [replace(one, name=f"{one.name}{APART}", mode=one.apart) for one in rivals if one.apart]
    return found


def conclude(jobs: Sequence[Job], measured: Sequence[Measured], settings: Settings, seconds: float) -> Result:
    """The result of one hypothesis from all its measurements, in the order of its jobs."""
    parts = _by_control(jobs, measured)
    ours = parts.pop("")
    scrub, found = ours[0]
    by_slice = _losses(ours, settings.all_baselines())
    reference, clusters = scrub.reference, clusters_of(settings, scrub.reference)
    return Result(
        job=scrub,
        settings=settings,
        by_slice=by_slice,
        measured=replace(found, kept=KeptLogits()),  # up to 64 MiB of logits, of no more use
        provenance=describe.provenance(scrub.subject.model, scrub.data, scrub.subject.data, seconds, settings.task),
        recalibrated=recalibrated(found.sample(reference), reference.counted(), clusters, bound_of(by_slice)),
        equivalent=_worth(reference, by_slice, settings),
        controls=tuple(
            _controlled(one, parts.get(name, []), settings) for name, one in settings.all_controls().items()
        ),
    )


def costs(result: Result, jobs: Mapping[str, Job], measured: Iterable[Measured]) -> list[ClaimCost]:
    """What exchanging one thing alone costs, from its measurement: the rise over the model's loss."""
    model, reference = result.by_slice["model"], result.job.reference
    found: list[ClaimCost] = []
    for path, one in zip(jobs, measured, strict=True):
        rise = {name: losses - model[name][:, None] for name, losses in one.losses().items()}
        table = replace(loss_table(reference, {"cost": rise}, result.clusters), bound=result.inputs().bound)
        cost = means(table, table.names(LOSS), "weight").mean("cost")
        found.append(ClaimCost(path=path, cost=Number.of(cost)))
    return found


def _by_control(jobs: Sequence[Job], measured: Sequence[Measured]) -> dict[str, list[tuple[Job, Measured]]]:
    """Jobs and their measurements by control, in their order; of the hypothesis itself by no name."""
    pairs = sorted(zip(jobs, measured, strict=True), key=lambda pair: pair[0].control)
    return {control: list(these) for control, these in groupby(pairs, lambda pair: pair[0].control)}


def _losses(pairs: Sequence[tuple[Job, Measured]], chosen: Mapping[str, Baseline]) -> BySlice:
    """Losses of model, scrubbed model and baselines, for a hypothesis or one of its controls."""
    (scrub, found), *_ = pairs
    by_name = {job.name: one.losses() for job, one in pairs}
    by_slice = {"model": found.losses("model"), SCRUBBED: found.losses()}
    for name, baseline in chosen.items():
        if name in by_name:
            by_slice[name] = by_name[name]
        elif not baseline.is_measured:
            by_slice[name] = baseline.predicted(scrub.reference)
    return by_slice


def _controlled(control: Control, pairs: Sequence[tuple[Job, Measured]], settings: Settings) -> ControlValue:
    """What came out of a control; of one that could not be run, what it needs."""
    told = ControlValue(name=control.name, meaning=control.meaning, expected=control.expected)
    if not pairs:
        return told.model_copy(update={"not_run": f"needs {control.needs}"})
    chosen, reference = settings.control_baselines(), pairs[0][0].reference
    ours = [one for one in pairs if not one[0].name.startswith(OTHER)]
    shown, others = _losses(ours, chosen), _others(pairs, settings) if len(pairs) > len(ours) else None
    if others is not None:
        shown |= {SCRUBBED: _mean([one.losses() for one in others.others.values()])}
    clusters = clusters_of(settings, reference)
    meanings = {name: one.meaning for name, one in chosen.items() if one.scale}
    losses, recovered = estimates(loss_table(reference, shown, clusters), meanings)
    found = told.model_copy(update={"losses": losses, "recovered": recovered, "references": len(reference.rows)})
    if others is None:
        return found.model_copy(update={"outcome": outcome_of(found)})
    return found.model_copy(update={"several": others.counted(control.wanted)})


def _others(pairs: Sequence[tuple[Job, Measured]], settings: Settings) -> Others:
    """The hypothesis among those that a control counts."""
    ours = [one for one in pairs if not one[0].name.startswith(OTHER)]
    others = {job.name: found for job, found in pairs if job.name.startswith(OTHER)}
    (scrub, found), *_ = ours
    return Others(
        own=_losses(ours, settings.control_baselines()),
        scrub=found,
        others={name: one for name, one in others.items() if not name.endswith(APART)},
        apart={name.removesuffix(APART): one for name, one in others.items() if name.endswith(APART)},
        reference=scrub.reference,
    )


def _mean(found: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    return {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}


def _worth(reference: Reference, by_slice: BySlice, settings: Settings) -> Equivalent | None:
    given = settings.series
    if given is None:
        return None

    def evaluated() -> tuple[object, Series, list[float | Floats]]:
        with running("series="):
            series = given() if callable(given) else given
            if not isinstance(series, Series):
                raise TypeError(f"a Series was expected, not {type(series).__name__}")
        return given, series, _points(series, reference)  # what was given is kept, so that its id stays its own

    _, series, points = reference.data.remember(("series", id(given), reference), evaluated)
    weights, clusters = reference.weights()[MAIN], clusters_of(settings, reference)
    return worth(series, points, by_slice[SCRUBBED][MAIN], weights, clusters, bound_of(by_slice))


def _points(series: Series, reference: Reference) -> list[float | Floats]:
    """The losses of each point of a series: one number, or one per reference."""
    if not callable(series.losses):
        return list(series.losses)
    chosen, weights = reference.data.take(reference.rows), reference.weights()[MAIN]
    counted = reference.slices.of(reference.data)[MAIN][reference.rows]
    totals = [(np.asarray(loss) * counted).sum(axis=1) for loss in series.losses(chosen)]
    return [total / np.where(weights > 0, weights, 1.0) for total in totals]
