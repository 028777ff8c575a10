"""Jobs: what must be measured for a hypothesis, as values that any executor can be given."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset, choose
from scrubbing.data.features import Feature
from scrubbing.data.real import RealDraws
from scrubbing.engine.demand import Demand, fixed, within
from scrubbing.engine.engine import graph_of
from scrubbing.errors import ScrubbingError, UsageError, counted, fail, located
from scrubbing.experiment.measured import Reference
from scrubbing.experiment.perturb import Perturb
from scrubbing.experiment.settings import Settings
from scrubbing.experiment.trial import Control, Trial, inapplicable
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.positions import Where
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.legality import legal
from scrubbing.hypothesis.treeify import Tree
from scrubbing.metrics.losses import Loss
from scrubbing.metrics.measures import Measure
from scrubbing.metrics.slices import Slices
from scrubbing.models.protocol import Model
from scrubbing.sampling.contexts import REFERENCE, Contexts, Mode

SCRUBBED = "scrubbed"
"""Name of the job, and of the losses, of the hypothesis itself."""

OTHER, OTHER_VALUES = "other ", "other values "
"""Start of the names of the jobs of other hypotheses, of which a control counts those that do as well; of those of them
whose features are others, too."""

APART = ", apart"
"""End of the name of the same job with everything unclaimed apart."""

MOST_EXAMPLES = 2**28
"""References times draws of one run; each loss and measure keeps eight bytes of every one."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model on a dataset, judged by a loss: the subject of hypotheses."""

    model: Model
    data: Dataset
    slices: Slices
    graph: ModelGraph

    @classmethod
    def of(cls, model: Model, data: Dataset, loss: Loss, slices: Mapping[str, Feature] | None = None) -> Subject:
        """Make a subject from a model, a dataset and a loss, checking that they fit together.

        Raises:
            ModelMismatch: SCR-MODEL, not a scrubbable model. BadData: SCR-DATA, not a dataset; SCR-TOKENS.
        """
        graph = graph_of(model, data)
        return cls(model, data, Slices(loss, graph.positions, dict(slices or {})), graph)

    @property
    def loss(self) -> Loss:
        """The loss that the model is judged by."""
        return self.slices.loss

    @cached_property
    def read(self) -> Where:
        """The positions at which the loss reads the output."""
        return self.slices.where(self.data)

    @property
    def positions(self) -> Demand:
        """The positions at which the loss reads the output, as tokens to request from the engine."""
        return _requested(self.slices, self.data)

    @cached_property
    def real(self) -> RealDraws | None:
        """Rule for which inputs may be drawn, by where they are padding; None where any may."""
        if self.data.mask is None or self.loss.padding_is_input:
            return None
        return RealDraws(self.slices.anywhere, same_length=self.graph.looks_ahead)

    def legal(self, baseline: Hypothesis) -> Tree:
        """Check and treeify a hypothesis that is a baseline of others, once for all of them.

        Raises:
            IllegalHypothesis: lists every fault found.
        """
        return self.data.remember(("legal", baseline, self), lambda: legal(baseline, self.graph, self.data, self.read))


@dataclass(frozen=True)
class Job:
    """One thing to measure: a hypothesis, run in some way, on some references of a subject.

    Equal jobs have equal measurements. Names do not enter into equality.
    """

    name: str = field(compare=False)
    """`scrubbed`, the name of a baseline, or the path of the claim that is exchanged alone."""
    hypothesis: Hypothesis
    tree: Tree = field(compare=False, repr=False)
    """The treeified hypothesis, which is legal."""
    subject: Subject = field(repr=False)
    reference: Reference = field(repr=False)
    """The reference inputs, with the dataset of the inputs in scope, from which inputs are drawn."""
    mode: Mode
    draws: int
    """Complete resamplings per reference."""
    seed: int
    with_model: bool = False
    """Run the model itself beside the scrubbed one, and take the measures."""
    measures: tuple[Measure, ...] = field(default=(), hash=False)
    """Measures to take, which are defined for the subject's loss."""
    logits: bool = False
    """Keep some logits, to recalibrate them."""
    reported: bool = True
    """Where the model runs beside it, also count what only reports show: predictions, and inputs read at padding."""
    shared: bool = field(default=False, compare=False)
    """Whether the same job occurs with many hypotheses, so that its measurement is worth keeping."""
    control: str = field(default="", compare=False)
    """The control that the job belongs to, if any."""

    def __hash__(self) -> int:
        # Of the hypothesis, its name: walking all claims for each of thousands of tests takes longer than compiling.
        return hash((self.hypothesis.name, self.reference, self.mode, self.draws, self.seed, self.with_model))

    @property
    def data(self) -> Dataset:
        """The inputs in scope, from which inputs are drawn."""
        return self.reference.data

    @cached_property
    def positions(self) -> Demand:
        """The positions at which what is counted reads the output, as tokens to request from the engine."""
        return _requested(self.reference.slices, self.subject.data)

    @cached_property
    def contexts(self) -> Contexts:
        """The contexts, which say which input each claim holds."""
        return Contexts(self.tree, self.mode)

    @property
    def apart(self) -> Mode | None:
        """The same run with a draw of its own for every unclaimed node; None where that is no other run: fewer than two
        are drawn, or none is, as in an ablated run.
        """
        resampled = self.tree.draws_together and self.mode.unclaimed == "sample"
        return replace(self.mode, apart=True) if resampled else None

    @property
    def title(self) -> str:
        """Title of the job, shown while it is measured."""
        name = self.hypothesis.name if self.name == SCRUBBED else f"{self.hypothesis.name}, {self.name}"
        name = self.name if self.shared else name
        return f"{name} ({self.control})" if self.control else name


def _requested(slices: Slices, data: Dataset) -> Demand:
    return within(fixed(tuple(range(slices.length))), slices.where(data), REFERENCE, slices.length)


def jobs(hypothesis: Hypothesis, subject: Subject, settings: Settings) -> list[Job]:
    """Everything to measure for one hypothesis: itself, its baselines, and each control with baselines of its own.

    Raises:
        IllegalHypothesis: lists every fault found, of the hypothesis or of one that a baseline or control runs.
        UsageError: SCR-REFERENCES, SCR-SLICE, these references cannot be explained; SCR-PERTURB.
    """
    found = _scrub_and_baselines(hypothesis, subject, settings)
    for one in settings.perturbations if settings.verdict else ():
        perturbed_subject(one, hypothesis, subject, settings.seed)  # before anything runs, rather than after the scrub
    for name, control in settings.all_controls().items():
        try:
            found += _controlled(control, found[0], settings)
        except UsageError as error:
            if any(one.code != "SCR-CONTROL" for one in error.faults) or name in settings.named_controls():
                raise
    return found


def perturbed_subject(one: Perturb, hypothesis: Hypothesis, of: Subject, seed: int) -> tuple[Subject, Tree]:
    """The subject with its dataset's perturbed inputs beside it, and the hypothesis treeified on it.

    Raises:
        IllegalHypothesis: lists every fault found. UsageError: SCR-PERTURB, SCR-CODE.
    """
    data = one.of(of.data, seed)
    with _about(f"perturbation {one.name!r}"):
        there = of.data.remember(("subject", of, data), lambda: Subject.of(of.model, data, of.loss))
        return there, legal(hypothesis, there.graph, data, there.read)


def exchanged_alone(scrub: Job) -> dict[str, Job]:
    """What to measure to see what exchanging one thing alone costs: each claim, by its path, and what is unclaimed,
    whose path is empty.
    """
    job = replace(scrub, with_model=False, measures=(), logits=False)
    found = {"": replace(job, name="what is unclaimed", mode=replace(job.mode, claimed="exact"))}
    for region in job.tree.regions[1:]:
        mode = replace(job.mode, unclaimed="exact", alone=region.index)
        found[region.path] = replace(job, name=f"{region.claim.what} carries {region.claim.variable}", mode=mode)
    return found


def _scrub_and_baselines(hypothesis: Hypothesis, subject: Subject, settings: Settings) -> list[Job]:
    tree = legal(hypothesis, subject.graph, subject.data, subject.read)
    data = hypothesis.in_scope(subject.data)
    scope = "" if hypothesis.scope is None else f", on inputs where {hypothesis.scope}"
    with located(f"{hypothesis.name}{scope}"):
        rows = _rows(data, settings)
    data.checked_show(int(rows[0]))  # before anything runs, rather than in the reports
    if len(rows) * settings.draws > MOST_EXAMPLES:
        problem = f"{settings.draws:,} draws of {counted(len(rows), 'reference')} were asked for."
        remedy = f"Ask for at most {MOST_EXAMPLES // len(rows):,} draws of so many."
        fail(UsageError, "SCR-DRAWS", problem, remedy, hypothesis.name)
    measures = tuple(one for one in settings.all_measures().values() if one.defined(subject.loss))
    scrub = Job(
        SCRUBBED,
        hypothesis,
        tree,
        subject,
        Reference(data, rows, subject.slices),
        settings.mode,
        settings.draws,
        settings.seed,
        with_model=True,
        measures=measures,
        logits=subject.loss.outputs == "classes",
    )
    scrub.reference.weights()  # raises where a slice holds none of them
    made = (baseline.job(name, scrub) for name, baseline in settings.all_baselines().items())
    return [scrub, *(job for job in made if job is not None)]


def _controlled(control: Control, scrub: Job, settings: Settings) -> list[Job]:
    """The jobs of a control: its own scrub, and of the baselines those that say how far it fell."""
    of = scrub.subject
    made = control.change(Trial(scrub.hypothesis, of.model, of.data, of.loss))
    others: Sequence[Trial] = () if isinstance(made, Trial) else made
    if not isinstance(made, Trial) and not others:
        inapplicable(control.name, "it gives no hypothesis to try.")
    trial = made if isinstance(made, Trial) else replace(made[0], hypothesis=scrub.hypothesis)
    subject = _subject(trial, of)
    kept = settings.control_baselines()
    with _about(f"control {control.name}"):
        settings = settings.but(
            references=_how_many(control, trial, of, settings),
            draws=settings.draws if control.draws is None else min(control.draws, settings.draws),
            baselines=[name for name in settings.baseline_names if name in kept],
            extra_baselines={name: one for name, one in settings.extra_baselines.items() if name in kept},
            strata={},
            slices={},
            measures=(),
            controls=(),
        )
        found = _scrub_and_baselines(trial.hypothesis, subject, settings)
        if others:
            from scrubbing.experiment.verdict.runs import MOVED  # which imports this module

            found[0] = replace(found[0], measures=(MOVED,))
        found += [_other(one, number, found[0]) for number, one in enumerate(others, 1)]
    return [replace(job, control=control.name, logits=False) for job in found]


@contextmanager
def _about(here: str) -> Generator[None]:
    """Errors in here do not know that they are about something else than the hypothesis on its dataset."""
    try:
        yield
    except ScrubbingError as error:
        faults = [replace(one, where=f"{here}, {one.where}" if one.where else here) for one in error.faults]
        raise type(error)(faults) from error


def _subject(trial: Trial, of: Subject) -> Subject:
    """The subject of a control, one for all hypotheses that are tried on the same model and loss."""
    if trial.data is not of.data or trial.loss is not of.loss:
        return Subject.of(trial.model, trial.data, trial.loss)
    if trial.model is of.model:
        return of
    key = ("subject", id(trial.model), id(trial.loss))  # both held by the subject, so that their ids stay theirs
    return of.data.remember(key, lambda: Subject.of(trial.model, trial.data, trial.loss))


def _how_many(control: Control, trial: Trial, of: Subject, settings: Settings) -> int | Sequence[int] | None:
    """References of a control: those of the run, as far as its inputs are the same, and no more than it takes."""
    available = len(trial.hypothesis.in_scope(trial.data))
    wanted = min(settings.how_many(available), available)
    if control.references is None:
        return settings.references if trial.data is of.data else wanted
    most = min(control.references, wanted)
    if trial.data is of.data and isinstance(settings.references, Sequence):
        return settings.references[:most]
    return most


def _other(trial: Trial, number: int, scrub: Job) -> Job:
    """One of several hypotheses that a control counts, on the same references."""
    subject = scrub.subject
    tree = legal(trial.hypothesis, subject.graph, subject.data, subject.read)
    name = f"{OTHER_VALUES if trial.other_values else OTHER}{number}"
    return replace(scrub, name=name, hypothesis=trial.hypothesis, tree=tree)


def _rows(data: Dataset, settings: Settings) -> NDArray[np.int64]:
    """Rows of the references."""
    wanted = settings.references
    rows = choose(data, settings.how_many(len(data)) if wanted is None else wanted, settings.seed)
    if settings.shard is None:
        return rows
    part, of = settings.shard
    if of > len(rows):
        problem = f"part {part} of {of} was asked for, of {len(rows)} references."
        fail(UsageError, "SCR-REFERENCES", problem, "Ask for no more parts than there are references.")
    return rows[part - 1 :: of]
