"""Scrubbing hypotheses on one model and dataset, with every baseline, sharing clean activations between them."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import groups
from scrubbing.data.dataset import Dataset, choose
from scrubbing.data.features import Feature, anything, as_feature, everything
from scrubbing.engine.demand import fixed, within
from scrubbing.engine.engine import DEFAULT_MEMORY, Compiled, Engine, graph_of
from scrubbing.errors import UsageError, fail, located
from scrubbing.experiment.measure import Baseline, Measured, Reference, measure
from scrubbing.experiment.result import Result
from scrubbing.hypothesis.claims import OUTPUT, reads
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.printing import sample_text
from scrubbing.hypothesis.variables import Variable
from scrubbing.metrics.losses import Loss
from scrubbing.metrics.recovered import BASELINES
from scrubbing.metrics.slices import MAIN, Slices
from scrubbing.models.protocol import Model
from scrubbing.records.schema import Choices, ClaimCounts, Provenance
from scrubbing.sampling.contexts import REFERENCE, SCRUB, Context, Mode
from scrubbing.sampling.frames import DrawCounts, sample_tree

Ablation = Literal["mean", "zero", "noise"]

NULL = Hypothesis(
    "null",
    "Nothing matters: the whole output comes from another input.",
    OUTPUT.carries(Variable("output", everything), reads().carries(Variable("anything", anything))),
)
KEEP_CLAIMED = Mode(claimed="exact", unclaimed="mean")
ABLATE_CLAIMED = Mode(claimed="mean", unclaimed="exact")

DEFAULT_REFERENCES = 4096


class Experiment:
    """One model, dataset and loss; hypotheses run on it share clean activations and the model's own numbers.

    Args:
        model: from one of the loaders, which check it.
        data: inputs to draw from; the references are among them.
        loss: what the model is judged by.
        references: how many inputs to explain (chosen by hashed id), or their ids; None is all, at most 4096.
        draws: complete resamplings per reference.
        seed: of the choice of references and of all draws.
        strata: features by which losses are broken down.
        slices: further sets of positions (features per position) to report losses on, beside the loss's own.
        further: further baselines by name.
        zero: the baseline that 0 % recovered stands for in tables.
        ablation: replace what is unclaimed by its `mean`, by `zero`, or by Gaussian `noise` of matching covariance,
            instead of resampling it. Recorded, and never mixed with resampled results.
        baselines: also compute the mean-ablation baselines, which need two more runs per hypothesis.
        store: keep clean activations; results do not depend on it.
        memory: bytes for activations; what does not fit goes to temporary files.
        spill: folder for these files; None is the system's.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        loss: Loss,
        *,
        references: int | Sequence[int] | None = None,
        draws: int = 4,
        seed: int = 0,
        strata: Mapping[str, Feature] | None = None,
        slices: Mapping[str, Feature] | None = None,
        further: Mapping[str, Baseline] | None = None,
        zero: str = "null",
        ablation: Ablation | None = None,
        baselines: bool = True,
        store: bool = True,
        memory: int = DEFAULT_MEMORY,
        spill: str | None = None,
    ) -> None:
        if not isinstance(draws, (int, np.integer)) or draws < 1:
            fail(UsageError, "SCR-DRAWS", f"draws={draws!r} was asked for.", "Ask for a whole number of at least 1.")
        if ablation not in (None, *get_args(Ablation)):
            problem = f"ablation={ablation!r} was asked for."
            remedy = "Write mean, zero or noise, or leave it out to resample what is unclaimed."
            fail(UsageError, "SCR-ABLATION", problem, remedy)
        self.model, self.data, self.loss = model, data, loss
        self.references, self.draws, self.seed = references, draws, seed
        self.strata = {name: _per_input(stratum, f"stratum {name!r}") for name, stratum in (strata or {}).items()}
        self.mode = SCRUB if ablation is None else replace(SCRUB, unclaimed=ablation)
        self.ablation = ablation
        self.baselines = baselines
        self.further = dict(further or {})
        self.zero = zero
        self._check_baselines()
        self.slices = Slices(loss, graph_of(model, data).positions, dict(slices or {}))
        length = self.slices.length
        where = self.slices.where(data)
        positions = within(fixed(tuple(range(length))), where, REFERENCE, length)
        self.engine = Engine(model, data, positions, store=store, memory=memory, spill=spill)
        self._known: dict[tuple[str, Dataset], dict[str, NDArray[np.float64]]] = {}

    def _check_baselines(self) -> None:
        known = [*BASELINES, *self.further]
        if taken := [name for name in self.further if name in (*BASELINES, "model", "scrubbed")]:
            problem = f"a further baseline is called {taken[0]!r}."
            fail(UsageError, "SCR-BASELINE", problem, "That name is taken: choose another.")
        if self.zero not in known:
            problem = f"zero={self.zero!r} is no baseline."
            fail(UsageError, "SCR-BASELINE", problem, f"There are: {', '.join(known)}.")

    def run(self, hypothesis: Hypothesis) -> Result:
        """Scrub one hypothesis.

        Raises:
            IllegalHypothesis: with every fault found, or SCR-SUM if a rewrite does not add up.
            NothingToDraw: SCR-DRAW, a feature value has no agreeing input.
        """
        return self.run_all([hypothesis])[0]

    def run_all(self, hypotheses: Sequence[Hypothesis]) -> list[Result]:
        """Scrub several hypotheses; all are checked before anything runs, and one pass caches what all of them read."""
        compiled = [self.engine.compile(hypothesis, self.mode, with_model=True) for hypothesis in hypotheses]
        if self.baselines:
            self._kept = [self.engine.compile(hypothesis, KEEP_CLAIMED) for hypothesis in hypotheses]
            self._ablated = [self.engine.compile(hypothesis, ABLATE_CLAIMED) for hypothesis in hypotheses]
        return [self._result(i, one) for i, one in enumerate(compiled)]

    def _result(self, index: int, compiled: Compiled) -> Result:
        started = time.perf_counter()
        data = compiled.data
        scope = "" if compiled.hypothesis.scope is None else f", on inputs where {compiled.hypothesis.scope}"
        with located(f"{compiled.hypothesis.name}{scope}"):
            rows = self._rows(data)
        reference = Reference(data, rows, self.slices)
        self.engine.verify(compiled, rows[reference.weights()[MAIN] > 0])
        counts: dict[Context, DrawCounts] = {}
        found = self._measure(compiled, reference, self.draws, counts, with_model=True)
        losses = {"model": found.model, "scrubbed": found.losses, "null": self._other(NULL, "null", reference)}
        losses["constant"] = self._constant(reference)
        if self.baselines and compiled.hypothesis.correspondence.children:
            losses["mean rest"] = self._measure(self._kept[index], reference, 1).losses
            losses["mean claimed"] = self._measure(self._ablated[index], reference, 1).losses
        for name, baseline in self.further.items():
            if baseline.hypothesis is not None:
                losses[name] = self._other(baseline.hypothesis, name, reference)
            elif baseline.losses is not None:
                losses[name] = reference.averaged(baseline.losses(data))
        return Result(
            hypothesis=compiled.hypothesis,
            ids=data.ids[rows],
            losses={name: by_slice[MAIN] for name, by_slice in losses.items()},
            weights=reference.weights()[MAIN],
            counted=self.slices.of(data)[MAIN][rows].sum(axis=1).astype(np.float64),
            correct=found.others["correct"],
            kl=found.others["kl"],
            changed=found.others["changed"],
            slices=self._slices(losses, reference),
            meanings=BASELINES | {name: baseline.meaning for name, baseline in self.further.items()},
            zero=self.zero,
            strata={name: stratum(data)[rows] for name, stratum in self.strata.items()},
            claims=tuple(_claim_counts(compiled, counts)),
            choices=self._choices(len(rows)),
            provenance=self._provenance(data, time.perf_counter() - started),
            tree=_sample(compiled, int(rows[0]), self.seed),
            exchanged=any(_contexts(value) - {REFERENCE} for value in compiled.plan.values()),
        )

    def _rows(self, data: Dataset) -> NDArray[np.int64]:
        wanted = self.references
        return choose(data, min(DEFAULT_REFERENCES, len(data)) if wanted is None else wanted, self.seed)

    def _measure(
        self,
        compiled: Compiled,
        reference: Reference,
        draws: int,
        counts: dict[Context, DrawCounts] | None = None,
        with_model: bool = False,
    ) -> Measured:
        batches = self.engine.run(compiled, reference.rows, draws, self.seed, {} if counts is None else counts)
        return measure(batches, reference, draws, f"scrubbing {compiled.hypothesis.name}", with_model)

    def _other(self, hypothesis: Hypothesis, name: str, reference: Reference) -> dict[str, NDArray[np.float64]]:
        """Losses under a hypothesis that serves as a baseline, computed once per scope."""
        key = (name, reference.data)
        if key not in self._known:
            compiled = replace(self.engine.compile(hypothesis), data=reference.data)
            self._known[key] = self._measure(compiled, reference, max(4, self.draws)).losses
        return self._known[key]

    def _constant(self, reference: Reference) -> dict[str, NDArray[np.float64]]:
        """The best constant prediction of each slice."""
        key = ("constant", reference.data)
        if key not in self._known:
            data, counted = reference.data, self.slices.of(reference.data)
            per_token = {name: self.loss.constant(data, where) for name, where in counted.items()}
            self._known[key] = {name: reference.averaged(values)[name] for name, values in per_token.items()}
        return self._known[key]

    def _slices(
        self, losses: dict[str, dict[str, NDArray[np.float64]]], reference: Reference
    ) -> dict[str, tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]]:
        """Weights and losses of the further slices."""
        weights = reference.weights()
        return {
            name: (weights[name], {loss: by_slice[name] for loss, by_slice in losses.items()})
            for name in weights
            if name != MAIN
        }

    def _choices(self, references: int) -> Choices:
        return Choices(
            references=references,
            draws=self.draws,
            seed=self.seed,
            ablation=self.ablation,
            loss=self.loss.name,
            dtype=str(self.model.dtype).removeprefix("torch."),
            device=self.model.device.type,
        )

    def _provenance(self, data: Dataset, seconds: float) -> Provenance:
        packages = ("scrubbing", "torch", "numpy", "transformer_lens")
        versions = {name: importlib.metadata.version(name) for name in packages if _installed(name)}
        return Provenance(
            model=self.model.name,
            model_fingerprint=self.model.fingerprint,
            data=data.name,
            data_fingerprint=data.fingerprint,
            inputs_in_scope=len(data),
            versions={"python": platform.python_version(), **versions},
            seconds=round(seconds, 3),
            when=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )


def scrub(hypothesis: Hypothesis, model: Model, data: Dataset, loss: Loss, **options: Any) -> Result:
    """Scrub one hypothesis: resample every activation it does not claim to matter, and measure what is left.

    Args:
        hypothesis: what is claimed.
        model: from one of the loaders.
        data: inputs to draw from.
        loss: what the model is judged by.
        options: of `Experiment`.

    Returns:
        Losses, baselines, intervals, and sentences about what the score does and does not mean.

    Raises:
        IllegalHypothesis: with every fault found.
        NothingToDraw: SCR-DRAW.
    """
    return Experiment(model, data, loss, **options).run(hypothesis)


def _per_input(stratum: Feature, where: str) -> Feature:
    with located(where):
        if as_feature(stratum).per == "position":
            problem = f"feature {stratum} has a value per position, and a loss is of a whole input."
            fail(UsageError, "SCR-FEATURE", problem, "Break losses down by a feature with one value per input.")
    return stratum


def _claim_counts(compiled: Compiled, counts: Mapping[Context, DrawCounts]) -> list[ClaimCounts]:
    found: list[ClaimCounts] = []
    for context, count in sorted(counts.items(), key=lambda item: item[0].region or 0):
        assert context.region is not None and context.feature is not None
        region = compiled.tree.regions[context.region]
        agreed = np.concatenate(count.agreed) if count.agreed else np.zeros(0)
        found.append(
            ClaimCounts(
                path=region.path,
                what=" | ".join(map(str, region.claim.targets)),
                variable=region.claim.variable.name,
                feature=context.feature.name,
                bits=groups(context.feature, compiled.data).entropy,
                draws=count.total,
                agreed_min=int(agreed.min()) if len(agreed) else None,
                agreed_median=float(np.median(agreed)) if len(agreed) else None,
                self_share=count.returned_self / count.total if count.total else 0.0,
                near_ties=context.feature.near_ties(compiled.data),
            )
        )
    return found


def _sample(compiled: Compiled, row: int, seed: int) -> str:
    contexts: dict[str, Context] = {}
    for region in compiled.tree.regions:
        contexts[region.path] = compiled.contexts.of(region.index)
        if region.children and not region.claim.unclaimed.separately:
            contexts[f"{region.path} / ~unclaimed"] = compiled.contexts.unclaimed(region.index)
    return sample_text(compiled.hypothesis, compiled.data, sample_tree(contexts, compiled.data, row, seed))


def _contexts(value: Any) -> set[Context]:
    held = getattr(value, "context", None)
    return {held} if isinstance(held, Context) else set()


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
