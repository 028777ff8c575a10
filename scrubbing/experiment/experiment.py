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
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.agreement import groups
from scrubbing.data.dataset import Dataset, choose
from scrubbing.data.features import Feature, anything, as_feature, everything
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import DEFAULT_MEMORY, Compiled, Engine
from scrubbing.errors import UsageError, fail, located
from scrubbing.experiment.result import Result
from scrubbing.hypothesis.claims import OUTPUT, reads
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.printing import sample_text
from scrubbing.hypothesis.variables import Variable
from scrubbing.metrics.losses import Loss, divergence, per_reference
from scrubbing.models.protocol import Model
from scrubbing.progress import bar
from scrubbing.records.schema import Choices, ClaimCounts, Provenance
from scrubbing.sampling.contexts import REFERENCE, SCRUB, Context, Mode
from scrubbing.sampling.frames import DrawCounts, sample_tree

Ablation = Literal["mean", "zero", "noise"]

THE_MODEL = Hypothesis("model", "The model itself.", OUTPUT.carries(Variable("output", everything)))
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
        ablation: replace what is unclaimed by its `mean`, by `zero`, or by Gaussian `noise` of matching covariance,
            instead
            of resampling it. Recorded, and never mixed with resampled results.
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
        self.positions = loss.positions(data)
        self.engine = Engine(model, data, fixed(self.positions), store=store, memory=memory, spill=spill)
        length = self.engine.graph.positions
        for position in self.positions:
            if not 0 <= position < length:
                problem = f"the loss reads the output at position {position}, outside inputs of {length} positions."
                fail(UsageError, "SCR-POSITION", problem, f"Use 0 to {length - 1}.", loss.name)
        self._own: dict[Dataset, tuple[Tensor, NDArray[np.float64]]] = {}
        self._null: dict[Dataset, NDArray[np.float64]] = {}

    def run(self, hypothesis: Hypothesis) -> Result:
        """Scrub one hypothesis.

        Raises:
            IllegalHypothesis: with every fault found, or SCR-SUM if a rewrite does not add up.
            NothingToDraw: SCR-DRAW, a feature value has no agreeing input.
        """
        return self.run_all([hypothesis])[0]

    def run_all(self, hypotheses: Sequence[Hypothesis]) -> list[Result]:
        """Scrub several hypotheses; all are checked before anything runs, and one pass caches what all of them read."""
        compiled = [self.engine.compile(hypothesis, self.mode) for hypothesis in hypotheses]
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
        self.engine.verify(compiled, rows)
        model_output, model_loss = self._model(data, rows)
        counts: dict[Context, DrawCounts] = {}
        scrubbed, extra = self._losses(compiled, rows, self.draws, counts, model_output)
        losses = {"model": model_loss, "scrubbed": scrubbed, "null": self._null_loss(data, rows)}
        losses["constant"] = self.loss.constant(data)[rows]
        if self.baselines and compiled.hypothesis.correspondence.children:
            losses["mean rest"], _ = self._losses(self._kept[index], rows, 1, {}, None)
            losses["mean claimed"], _ = self._losses(self._ablated[index], rows, 1, {}, None)
        return Result(
            hypothesis=compiled.hypothesis,
            ids=data.ids[rows],
            losses=losses,
            correct=extra["correct"].astype(bool),
            kl=extra["kl"],
            changed=extra["changed"].astype(bool),
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

    def _model(self, data: Dataset, rows: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.float64]]:
        """The model's own output `[n, positions, d_out]` and loss `[n]`."""
        if data not in self._own:
            compiled = replace(self.engine.compile(THE_MODEL), data=data)
            output = self.engine.outputs(compiled, rows, 1, self.seed)[0]
            self._own[data] = output, self._per_reference(output, data, rows, self.loss.per_token)
        return self._own[data]

    def _null_loss(self, data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        if data not in self._null:
            compiled = replace(self.engine.compile(NULL), data=data)
            self._null[data] = self._losses(compiled, rows, max(4, self.draws), {}, None)[0]
        return self._null[data]

    def _losses(
        self,
        compiled: Compiled,
        rows: NDArray[np.int64],
        draws: int,
        counts: dict[Context, DrawCounts],
        model_output: Tensor | None,
    ) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
        """Scrubbed loss `[n, draws]`, and how the predictions compare with label and model."""
        names = ("loss",) if model_output is None else ("loss", "correct", "kl", "changed")
        found = {name: np.empty((len(rows), draws)) for name in names}
        with bar(f"scrubbing {compiled.hypothesis.name}", len(rows) * draws) as progress:
            for batch in self.engine.run(compiled, rows, draws, self.seed, counts):
                output = batch.outputs["scrubbed"].reshape(len(batch.index), len(self.positions), -1)
                here, n = rows[batch.index], len(batch.index)
                found["loss"][batch.index, batch.draw] = self._per_reference(
                    output, compiled.data, here, self.loss.per_token
                )
                if model_output is not None:
                    own = model_output[batch.index]
                    correct = self._per_reference(output, compiled.data, here, self.loss.correct)
                    changed = (own.argmax(-1) != output.argmax(-1)).flatten()
                    found["correct"][batch.index, batch.draw] = correct
                    found["kl"][batch.index, batch.draw] = self._mean(
                        divergence(own.flatten(0, 1), output.flatten(0, 1)), n
                    )
                    found["changed"][batch.index, batch.draw] = self._mean(changed, n)
                progress.advance(n)
        return found.pop("loss"), found

    def _per_reference(
        self, output: Tensor, data: Dataset, rows: NDArray[np.int64], measure: Any
    ) -> NDArray[np.float64]:
        """A measure of outputs `[n, positions, d_out]`, averaged over positions: `[n]`."""
        n, width = len(rows), len(self.positions)
        values = measure(output.flatten(0, 1), data, np.repeat(rows, width), np.tile(np.array(self.positions), n))
        return self._mean(values, n)

    def _mean(self, values: Tensor, n: int) -> NDArray[np.float64]:
        row = torch.arange(n, device=values.device).repeat_interleave(len(self.positions))
        return per_reference(values.double(), row, n).cpu().numpy()

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
