"""Scrubbing hypotheses on one model and dataset, with every baseline, sharing clean activations between them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from scrubbing.data.agreement import digest_of
from scrubbing.data.dataset import Dataset, choose
from scrubbing.data.features import Feature, anything, as_feature, everything
from scrubbing.engine.demand import fixed, within
from scrubbing.engine.engine import DEFAULT_MEMORY, Compiled, Engine, graph_of
from scrubbing.errors import UsageError, fail, located
from scrubbing.experiment import describe
from scrubbing.experiment.beyond import recalibrated, worth
from scrubbing.experiment.journal import Journal, key_of
from scrubbing.experiment.measure import Baseline, Measured, Reference, measure
from scrubbing.experiment.result import Result
from scrubbing.hypothesis.claims import OUTPUT, reads
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.metrics.equivalent import Series
from scrubbing.metrics.losses import Loss
from scrubbing.metrics.recalibration import BYTES_KEPT
from scrubbing.metrics.recovered import BASELINES
from scrubbing.metrics.slices import MAIN, Slices
from scrubbing.models.protocol import Model
from scrubbing.records.files import alone, folder
from scrubbing.records.schema import Choices, ClaimCost, Equivalent, Number
from scrubbing.sampling.contexts import REFERENCE, SCRUB, Context, Mode
from scrubbing.sampling.frames import DrawCounts
from scrubbing.stats.intervals import Bootstrap

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
        shard: `(k, n)`, only the k-th of n parts of the references, to spread a run over machines.
        draws: complete resamplings per reference.
        seed: of the choice of references and of all draws.
        strata: features by which losses are broken down.
        slices: further sets of positions (features per position) to report losses on, beside the loss's own.
        further: further baselines by name.
        zero: the baseline that 0 % recovered stands for in tables.
        clusters: feature by which references come in families (templates, documents); intervals then resample families.
        series: unscrubbed models of increasing training, to say how much of it the scrubbed model is worth.
        ablation: replace what is unclaimed by its `mean`, by `zero`, or by Gaussian `noise` of matching covariance,
            instead of resampling it. Recorded, and never mixed with resampled results.
        baselines: also compute the mean-ablation baselines, which need two more runs per hypothesis.
        store: keep clean activations; results do not depend on it.
        memory: bytes for activations, outputs and their losses; what does not fit goes to temporary files.
        spill: folder for these files; None is the system's.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        loss: Loss,
        *,
        references: int | Sequence[int] | None = None,
        shard: tuple[int, int] | None = None,
        draws: int = 4,
        seed: int = 0,
        strata: Mapping[str, Feature] | None = None,
        slices: Mapping[str, Feature] | None = None,
        further: Mapping[str, Baseline] | None = None,
        zero: str = "null",
        clusters: Feature | None = None,
        series: Series | None = None,
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
        self.references, self.shard, self.draws, self.seed = references, shard, draws, seed
        self.strata = {name: _per_input(stratum, f"stratum {name!r}") for name, stratum in (strata or {}).items()}
        self.mode = SCRUB if ablation is None else replace(SCRUB, unclaimed=ablation)
        self.ablation = ablation
        self.baselines = baselines
        self.further = dict(further or {})
        self.zero = zero
        self.clusters = None if clusters is None else _per_input(clusters, "clusters")
        self.series = series
        self._check_baselines()
        self.slices = Slices(loss, graph_of(model, data).positions, dict(slices or {}))
        length = self.slices.length
        where = self.slices.where(data)
        positions = within(fixed(tuple(range(length))), where, REFERENCE, length)
        memory -= min(BYTES_KEPT, memory // 3)
        self.engine = Engine(model, data, positions, store=store, memory=memory, spill=spill)
        self._known: dict[tuple[str, Dataset, bytes], dict[str, NDArray[np.float64]]] = {}
        self._points: dict[tuple[Dataset, bytes], list[Any]] = {}
        self._others: dict[str, Compiled] = {}
        self._journal: Journal | None = None
        self.task: str | None = None

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

    def run_all(self, hypotheses: Sequence[Hypothesis], out: str | Path | None = None) -> list[Result]:
        """Scrub several hypotheses; all are checked before anything runs, and one pass caches what all of them read.

        Args:
            hypotheses: to scrub.
            out: folder in which to keep what has been measured, so that the same run, stopped half-way, goes on where
                it was and gives the same results bit for bit.

        Raises:
            FileError: SCR-FILE, the folder cannot be written, or another run is writing to it.
        """
        with self.results(hypotheses, out) as results:
            return list(results)

    @contextmanager
    def results(self, hypotheses: Sequence[Hypothesis], out: str | Path | None = None) -> Iterator[Iterator[Result]]:
        """As `run_all`, one result at a time, so that each can be written before the next is measured. What was kept in
        `out` is removed when the block ends without an error.
        """
        scrubbed = [self.engine.compile(hypothesis, self.mode, with_model=True) for hypothesis in hypotheses]
        ablated: list[dict[str, Compiled]] = [{} for _ in scrubbed]
        if self.baselines:
            modes = {"mean rest": KEEP_CLAIMED, "mean claimed": ABLATE_CLAIMED}
            ablated = [
                {name: self.engine.compile(one, mode) for name, mode in modes.items() if one.correspondence.children}
                for one in hypotheses
            ]
        # All of them now: what the store keeps together must not depend on what a resumed run leaves out.
        others = {"null": NULL} | {name: b.hypothesis for name, b in self.further.items() if b.hypothesis is not None}
        self._others = {name: self.engine.compile(hypothesis) for name, hypothesis in others.items()}
        with ExitStack() as held:
            if out is not None:
                held.enter_context(alone(folder(out)))
                every = [*scrubbed, *self._others.values()]
                key = key_of(every, self._facts())
                self._journal = None if key is None else Journal.open(Path(out), key, self.engine.store)
            held.callback(setattr, self, "_journal", None)
            yield (self._result(i, one, ablated[i]) for i, one in enumerate(scrubbed))
            if self._journal is not None:
                self._journal.close()

    def _result(self, index: int, compiled: Compiled, ablated: Mapping[str, Compiled]) -> Result:
        started = time.perf_counter()
        data, name = compiled.data, compiled.hypothesis.name
        scope = "" if compiled.hypothesis.scope is None else f", on inputs where {compiled.hypothesis.scope}"
        with located(f"{name}{scope}"):
            rows = self._rows(data)
        reference = Reference(data, rows, self.slices)
        self.engine.verify(compiled, rows[reference.weights()[MAIN] > 0])
        counts: dict[Context, DrawCounts] = {}
        found = self._measure(compiled, reference, self.draws, f"{index}: {name}", counts, with_model=True)
        losses = {"model": found.losses("model"), "scrubbed": found.losses()}
        losses["null"] = self._other("null", reference)
        losses["constant"] = self._constant(reference)
        for mode, one in ablated.items():
            losses[mode] = self._measure(one, reference, 1, f"{index}: {name}, {mode}").losses()
        for further, baseline in self.further.items():
            if baseline.losses is not None:
                losses[further] = reference.averaged(baseline.losses(data))
            else:
                losses[further] = self._other(further, reference)
        clusters = None if self.clusters is None else self.clusters(data)[rows]
        sampled = describe.samples(compiled, int(rows[0]), self.seed)
        nodes = describe.nodes(compiled)
        return Result(
            hypothesis=compiled.hypothesis,
            data=data,
            rows=rows,
            losses={name: by_slice[MAIN] for name, by_slice in losses.items()},
            weights=reference.weights()[MAIN],
            counted=reference.counted(),
            measured=found.values,
            slices=self._slices(losses, reference),
            meanings=BASELINES | {name: baseline.meaning for name, baseline in self.further.items()},
            zero=self.zero,
            strata={name: stratum(data)[rows] for name, stratum in self.strata.items()},
            clusters=clusters,
            claims=tuple(describe.claim_counts(compiled, counts)),
            choices=self._choices(len(rows)),
            provenance=describe.provenance(self.model, data, time.perf_counter() - started, self.task),
            tree=describe.tree_text(compiled, sampled),
            variables=tuple(describe.variables(compiled)),
            branches=tuple(describe.branches(compiled, sampled)),
            nodes=tuple(nodes),
            size=describe.size(compiled, nodes),
            exchanged=describe.exchanges(compiled),
            recalibrated=recalibrated(found.sample(reference), reference.counted(), clusters, self.seed),
            equivalent=None if self.series is None else self._worth(self.series, reference, losses, clusters),
        )

    def claim_costs(self, result: Result) -> list[ClaimCost]:
        """What exchanging each claim alone costs, and what is unclaimed alone, on the references and draws of a result.

        One more run for each. They do not add up to the whole: exchanges together can cost more, or less.
        """
        hypothesis, reference = result.hypothesis, Reference(result.data, result.rows, self.slices)
        rest = replace(self.mode, claimed="exact")
        modes = [("", "what is unclaimed", rest)]
        for region in self.engine.compile(hypothesis, self.mode).tree.regions[1:]:
            what = " | ".join(map(str, region.claim.targets))
            only = replace(self.mode, unclaimed="exact", alone=region.index)
            modes.append((region.path, f"{what} carries {region.claim.variable}", only))
        found: list[ClaimCost] = []
        for path, what, mode in modes:
            compiled = self.engine.compile(hypothesis, mode)
            losses = self._measure(compiled, reference, self.draws, f"only {path}").losses()[MAIN]
            columns = {"cost": losses - result.losses["model"][:, None]}
            nats = Bootstrap(columns, self.seed, weights=result.weights, clusters=result.clusters).mean("cost")
            found.append(ClaimCost(path=path, what=what, nats=Number.of(nats)))
        return found

    def _rows(self, data: Dataset) -> NDArray[np.int64]:
        wanted = self.references
        rows = choose(data, min(DEFAULT_REFERENCES, len(data)) if wanted is None else wanted, self.seed)
        if self.shard is None:
            return rows
        part, of = self.shard
        if not 1 <= part <= of <= len(rows):
            problem = f"part {part} of {of} was asked for, of {len(rows)} references."
            fail(UsageError, "SCR-REFERENCES", problem, "Ask for parts 1 to n, each with a reference.")
        return rows[part - 1 :: of]

    def _measure(
        self,
        compiled: Compiled,
        reference: Reference,
        draws: int,
        stage: str,
        counts: dict[Context, DrawCounts] | None = None,
        with_model: bool = False,
    ) -> Measured:
        counts = {} if counts is None else counts
        found, done, journal = Measured.empty(reference, draws, with_model), False, self._journal
        if journal is not None:
            done = journal.restore(stage, found, describe.drawing_contexts(compiled), counts)
        if not done:
            batches = self.engine.run(compiled, reference.rows, draws, self.seed, counts, skip=found.batches)
            for so_far in measure(batches, reference, found, f"scrubbing {compiled.hypothesis.name}"):
                if journal is not None:
                    journal.keep(stage, so_far, counts, done=False)
            if journal is not None:
                journal.keep(stage, found, counts, done=True)
        return found.done(reference)

    def _other(self, name: str, reference: Reference) -> dict[str, NDArray[np.float64]]:
        """Losses under a hypothesis that serves as a baseline, computed once per scope."""
        key = (name, reference.data, reference.rows.tobytes())
        if key not in self._known:
            compiled = replace(self._others[name], data=reference.data)
            stage = f"{name} in {reference.data.fingerprint}"
            self._known[key] = self._measure(compiled, reference, max(4, self.draws), stage).losses()
        return self._known[key]

    def _worth(
        self, series: Series, reference: Reference, losses: Mapping[str, Any], clusters: NDArray[Any] | None
    ) -> Equivalent:
        key = (reference.data, reference.rows.tobytes())
        if key not in self._points:  # once for all hypotheses on these references
            self._points[key] = self._series(series, reference)
        scrubbed, weights = losses["scrubbed"][MAIN], reference.weights()[MAIN]
        return worth(series, self._points[key], scrubbed, weights, clusters, self.seed)

    def _series(self, series: Series, reference: Reference) -> list[Any]:
        """The losses of each point of a series: one number, or one per reference."""
        if not callable(series.losses):
            return list(series.losses)
        chosen = reference.data.take(reference.rows)
        counted, weights = self.slices.of(reference.data)[MAIN][reference.rows], reference.weights()[MAIN]
        totals = [(np.asarray(loss) * counted).sum(axis=1) for loss in series.losses(chosen)]
        return [total / np.where(weights > 0, weights, 1.0) for total in totals]

    def _facts(self) -> dict[str, Any]:
        """What a resumed run must have in common with the interrupted one, beside its hypotheses."""
        data = self.data
        return {
            "model": self.model.fingerprint,
            "data": data.fingerprint,
            "loss": repr(self.loss),
            "slices": [(name, digest_of(as_feature(feature), data)) for name, feature in self.slices.further.items()],
            "references": None if self.references is None else np.asarray(self.references).tolist(),
            "shard": self.shard,
            "choices": self._choices(0).model_dump(),
            "baselines": [self.baselines, sorted(self.further)],
            "memory": [self.engine.memory, self.engine.store is not None],
            "versions": describe.provenance(self.model, data, 0.0, None).versions,
            "threads": torch.get_num_threads(),
        }

    def _constant(self, reference: Reference) -> dict[str, NDArray[np.float64]]:
        """The best constant prediction of each slice."""
        key = ("constant", reference.data, reference.rows.tobytes())
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
            clusters=None if self.clusters is None else str(self.clusters),
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
