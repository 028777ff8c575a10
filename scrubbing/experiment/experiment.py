"""Scrubbing hypotheses on one model and dataset: settings make jobs, an executor measures them, results follow."""

from __future__ import annotations

import copy
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Unpack

from scrubbing.data.dataset import Dataset, pool
from scrubbing.device import resolve
from scrubbing.engine.plan import ScrubPlan
from scrubbing.errors import ModelMismatch, UsageError, fail
from scrubbing.experiment import describe
from scrubbing.experiment.anomaly import anomalies, exchange
from scrubbing.experiment.conclude import conclude, costs, rivals
from scrubbing.experiment.executors import executor_of
from scrubbing.experiment.in_process import InProcess
from scrubbing.experiment.jobs import Job, Subject, exchanged_alone, jobs
from scrubbing.experiment.result import Result
from scrubbing.experiment.settings import Options, Settings, takes_settings
from scrubbing.experiment.sharded.executor import Sharded
from scrubbing.experiment.verdict.adversary import adversary
from scrubbing.experiment.verdict.attribution import attribution
from scrubbing.experiment.verdict.complete import complete
from scrubbing.experiment.verdict.recorded import adversarial, completeness, scoped, tested
from scrubbing.experiment.verdict.runs import Runs
from scrubbing.experiment.verdict.scope import scope
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.metrics.losses import Loss
from scrubbing.models.protocol import Model
from scrubbing.models.transformer.model import Transformer
from scrubbing.records import names
from scrubbing.records.anomalies import Anomalies
from scrubbing.records.attribution import Attribution
from scrubbing.records.beyond import AdversaryRecord, CompleteRecord, ScopeRecord
from scrubbing.records.schema import ClaimCost
from scrubbing.report.correspondence import correspondence
from scrubbing.report.page import claims_svg


class Experiment:
    """An immutable set of model, dataset, loss and settings, on which hypotheses are run. They share clean activations.

    Args:
        model: a model from one of the loaders, which check it.
        data: inputs to draw from; the references are among them.
        loss: the loss that the model is judged by.
        settings: every other choice; None is the default of each.
        changed: settings that differ from `settings`, as keywords.

    Raises:
        UsageError: lists every setting that cannot be used.
        ModelMismatch: SCR-MODEL, the model is not scrubbable.
        BadData: SCR-DATA, the data are not a dataset; SCR-TOKENS, the model cannot take them.
    """

    @takes_settings
    def __init__(
        self, model: Model, data: Dataset, loss: Loss, settings: Settings | None = None, **changed: Unpack[Options]
    ) -> None:
        self.settings = (settings or Settings()).but(**changed)
        self._whole = data
        self.subject = self._subject(_placed(model, self.settings), loss)
        self.executor = executor_of(self.settings)

    @takes_settings
    def but(self, **changed: Unpack[Options]) -> Experiment:
        """The same experiment with some settings changed. It shares clean activations and finished measurements."""
        made = copy.copy(self)
        made.settings = self.settings.but(**changed)
        model = _placed(self.model, made.settings)
        if changed.keys() & {"slices", "pool"} or model is not self.model:
            made.subject = made._subject(model, self.loss)
        if changed.keys() & {"executor", "store", "memory", "spill", "tf32"}:
            made.executor = executor_of(made.settings)
        return made

    def _subject(self, model: Model, loss: Loss) -> Subject:
        """The model on the inputs to draw from."""
        data = pool(self._whole, self.settings.pool) if isinstance(self._whole, Dataset) else self._whole
        return Subject.of(model, data, loss, self.settings.slices)

    def drawing(self, hypothesis: Hypothesis) -> str:
        """The claims of a hypothesis on the model's graph, with its variables beside it, as the text of an SVG file.

        Nothing is run.

        Raises:
            IllegalHypothesis: it cannot be tested as written.
        """
        job = self.jobs(hypothesis)[0]
        drawn = correspondence(describe.nodes(job), describe.branches(job, {}), describe.variables(job))
        assert drawn is not None
        return claims_svg(hypothesis.name, drawn)

    @property
    def model(self) -> Model:
        """The model to explain."""
        return self.subject.model

    @property
    def data(self) -> Dataset:
        """The inputs to draw from."""
        return self.subject.data

    @property
    def loss(self) -> Loss:
        """The loss that the model is judged by."""
        return self.subject.loss

    def _repr_html_(self) -> str:
        """For notebooks."""
        from scrubbing.report.notebook import settings_of
        from scrubbing.report.page import laid_out
        from scrubbing.report.view.blocks import Fact, Facts, Section

        about = [Fact("model", self.model.name, type(self.model).__name__), Fact("loss", self.loss.name)]
        about.insert(1, Fact("data", self.data.name, f"{len(self.data):,} inputs"))
        subject = Section("subject", "Subject", [Facts(about)])
        return laid_out("experiment", f"{self.model.name} on {self.data.name}", [subject, settings_of(self.settings)])

    def jobs(self, hypothesis: Hypothesis) -> list[Job]:
        """Check a hypothesis, and return the jobs to measure for it: the scrub itself, baselines and controls.

        Raises:
            IllegalHypothesis: lists every fault found.
        """
        return jobs(hypothesis, self.subject, self.settings)

    def plan(self, hypothesis: Hypothesis) -> list[tuple[Job, ScrubPlan]]:
        """Compile each job of a hypothesis to a plan, which can be printed, without running it.

        Raises:
            IllegalHypothesis: lists every fault found.
        """
        chosen = self.settings
        here = InProcess(store=chosen.store, memory=chosen.memory, spill=chosen.spill, tf32=chosen.tf32)
        return [(job, here.compile(job).plan) for job in self.jobs(hypothesis)]

    def run(self, hypothesis: Hypothesis) -> Result:
        """Scrub one hypothesis.

        Raises:
            IllegalHypothesis: lists every fault found, or SCR-SUM, a rewrite does not add up.
            NothingToDraw: SCR-DRAW, a feature value has no agreeing input.
        """
        return self.run_all([hypothesis])[0]

    def verdict(self, hypothesis: Hypothesis, out: str | Path | None = None) -> Result:
        """Scrub one hypothesis, and test whether what it claims is needed and no finer than needed.

        Args:
            hypothesis: the hypothesis to test.
            out: folder for finished measurements, so that the same verdict continues after an interruption and is the
                same bit for bit.

        Raises:
            As `run`; FileError: SCR-FILE, the folder cannot be written, or another run is writing to it.
        """
        return self.but(verdict=True).run_all([hypothesis], out)[0]

    def run_all(self, hypotheses: Sequence[Hypothesis], out: str | Path | None = None) -> list[Result]:
        """Scrub several hypotheses; all are checked before anything runs, and one pass caches what all of them read.

        Args:
            hypotheses: hypotheses to scrub, with different names.
            out: folder for finished measurements, so that the same run continues after an interruption and gives the
                same results bit for bit.

        Raises:
            FileError: SCR-FILE, the folder cannot be written, or another run is writing to it.
            UsageError: SCR-NAME, two hypotheses have one name, or one is too long for a file.
        """
        with self.results(hypotheses, out) as results:
            return list(results)

    def measure_share(self, hypotheses: Sequence[Hypothesis], out: str | Path, part: int, of: int) -> None:
        """Measure one of several shares of a run, whose executor is `Workers`, such as on one machine of a cluster.
        `run_all` with `Workers(collect=True)` and the same folder then puts them together.

        Args:
            hypotheses: hypotheses to scrub, with different names.
            out: folder that all shares, and whoever collects them, can read and write.
            part: which share, from 1.
            of: how many there are.

        Raises:
            UsageError: SCR-SETTING, another executor; SCR-SHARD, a hypothesis cannot be stored; SCR-NAME.
            As `run`.
        """
        names.check(hypothesis.name for hypothesis in hypotheses)
        if not isinstance(self.executor, Sharded):
            problem = f"executor={self.settings.executor!r} does not measure in shares."
            fail(UsageError, "SCR-SETTING", problem, "Set executor=Workers(1).")
        every = [job for hypothesis in hypotheses for job in self.jobs(hypothesis)]
        self.executor.measure_share(every, Path(out), part, of)

    @contextmanager
    def results(self, hypotheses: Sequence[Hypothesis], out: str | Path | None = None) -> Generator[Iterator[Result]]:
        """Like `run_all`, but yield one result at a time, so that each can be written before the next is measured. The
        measurements in `out` are removed once the results are exhausted.
        """
        lists = [self.jobs(hypothesis) for hypothesis in hypotheses]
        if out is not None:
            names.check(hypothesis.name for hypothesis in hypotheses)
        every = [job for one in lists for job in one]
        measured = iter(self.executor.measure(every, None if out is None else Path(out)))

        def one_by_one() -> Iterator[Result]:
            for one in lists:
                started = time.perf_counter()
                found = list(islice(measured, len(one)))
                if more := rivals(one, found, self.settings):
                    one, found = one + more, found + list(self.executor.measure(more))
                result = conclude(one, found, self.settings, time.perf_counter() - started)
                everything = self.settings.verdict != "word"
                yield tested(result, self.executor, everything=everything) if self.settings.verdict else result
            next(measured, None)  # every result has been taken: the executor may forget how to go on

        try:
            yield one_by_one()
        finally:
            getattr(measured, "close", bool)()  # a generator lets go of the folder, wherever it stopped

    def attribute(self, result: Result) -> Attribution:
        """Where what is lost is lost: shares of each claim and of what is unclaimed, which sum to it.

        Up to 40 runs of 400 references, or as few as the run has, and 4 draws.

        Args:
            result: of scrubbing a hypothesis in this experiment, with the null.

        Raises:
            NoFraction: SCR-FRACTION, the model is not better than the null.
        """
        return attribution(result, self.executor)

    def complete(self, result: Result) -> CompleteRecord | None:
        """What the model can do without the mechanism: all that is claimed removed, and what is unclaimed kept; and for
        each claim, and some sets of them, removed from model and hypothesis, how far the two differ.

        Two runs of 400 references, or as few as the run has, and 4 draws for each claim, and twenty more.

        Args:
            result: of scrubbing a hypothesis in this experiment, with the null.

        Returns:
            Shares of the gap between null and model; None where nothing is claimed to carry anything.

        Raises:
            NoFraction: SCR-FRACTION, the model is not better than the null.
        """
        found = complete(result, self.executor)
        return None if found is None else completeness(found)

    def adversary(self, result: Result) -> AdversaryRecord:
        """The worst that a hypothesis permits: of 32 assignments, each of which says for all references at once which
        input stands in for those with a value of a claim's feature, the one that loses most.

        A run of 400 references, or as few as the run has, and 32 draws, and three of 4 draws.

        Args:
            result: of scrubbing a hypothesis in this experiment, with the null.

        Returns:
            What is recovered of the null under the worst, on average, and with inputs drawn for each reference.

        Raises:
            NoFraction: SCR-FRACTION, the model is not better than the null.
        """
        return adversarial(adversary(result, self.executor))

    def scope(self, result: Result) -> ScopeRecord:
        """How far a hypothesis reaches: what the same claims recover outside its scope, and inputs, inside and outside,
        on which scrubbed model and model disagree most.

        A run of 1,600 references and 4 draws, and, if there is an outside, one there, with three of 400.

        Args:
            result: of scrubbing a hypothesis in this experiment, with the null.

        Raises:
            NoFraction: SCR-FRACTION, the model is not better than the null.
        """
        return scoped(scope(result, self.executor))

    def anomalies(
        self, hypothesis: Hypothesis, new: Dataset, *, rate: float = 0.05, held_out: int | None = None, draws: int = 8
    ) -> Anomalies:
        """Whether the explanation of this experiment's inputs, which are trusted, also explains new ones.

        Each new input is exchanged with trusted ones in both directions: scrubbed with draws from trusted inputs, and
        put in the place of what is unclaimed when trusted inputs are scrubbed. Its score is how far outputs are from
        the model's own then, so it needs no label. Trusted inputs that are held out, and that nothing is drawn from,
        are scored beside it; so an input like them is flagged at most at this rate (conformal p-values). Source of
        the question: Christiano, "Mechanistic anomaly detection and ELK" (2022); of the score: ours; of the
        p-values: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005).

        Args:
            hypothesis: explains the trusted inputs; its scope is asked of them alone.
            new: inputs with those columns that the model and the claimed features read.
            rate: share of inputs like the trusted ones that may be flagged.
            held_out: trusted inputs to calibrate with; None is half of those in scope, but at most 400.
            draws: of each input, in either direction.

        Raises:
            IllegalHypothesis: lists every fault found; SCR-COLUMN, new inputs lack a column that a feature reads.
            UsageError: SCR-REFERENCES, too few trusted inputs for this rate; SCR-DRAWS.
            BadData: SCR-DATA, new and trusted inputs do not fit together.
        """
        scrub = self.jobs(hypothesis)[0]
        made = exchange(scrub, new, held_out, self.settings.seed)
        null = Runs(scrub, self.executor).spread
        return anomalies(made, new, null, executor_of(self.settings), draws, rate)

    def claim_costs(self, result: Result) -> list[ClaimCost]:
        """The increase in loss from exchanging each claim alone, and the unclaimed inputs alone.

        References and draws are those of a result; each cost takes one more run. The costs do not add up to that of the
        whole hypothesis, since exchanges together can cost more, or less.
        """
        alone = exchanged_alone(result.job)
        return costs(result, alone, self.executor.measure(list(alone.values())))


def _placed(model: Model, settings: Settings) -> Model:
    """The model where, and in which precision, the settings say; what is no model is refused where everything is."""
    if not isinstance(model, Model):
        return model
    if settings.device is not None and (there := resolve(settings.device)) != model.device:
        model = model.to(there)
    if settings.dtype is None or str(model.dtype) == f"torch.{settings.dtype}":
        return model
    if not isinstance(model, Transformer):
        problem = f"it computes in {model.dtype}, and {settings.dtype} was asked for."
        remedy = "Only transformers are converted: make the model in that precision, or leave dtype out."
        fail(ModelMismatch, "SCR-DTYPE", problem, remedy, model.name)
    import torch

    return model.to(dtype=getattr(torch, settings.dtype))


@takes_settings
def scrub(
    hypothesis: Hypothesis,
    model: Model,
    data: Dataset,
    loss: Loss,
    settings: Settings | None = None,
    **changed: Unpack[Options],
) -> Result:
    """Scrub one hypothesis: resample every activation it does not claim to matter, and measure what is left.

    Args:
        hypothesis: the hypothesis to test.
        model: a model from one of the loaders.
        data: inputs to draw from.
        loss: the loss that the model is judged by.
        settings: every other choice; None is the default of each.
        changed: settings that differ from `settings`, as keywords: `references`, `draws`, `seed` and the other fields
            of `Settings`.

    Returns:
        Losses, baselines and intervals, with notes about what the score does and does not mean.

    Raises:
        IllegalHypothesis: lists every fault found.
        NothingToDraw: SCR-DRAW, no input agrees with a held one.
        UsageError: lists every setting that cannot be used.
    """
    return Experiment(model, data, loss, settings, **changed).run(hypothesis)
