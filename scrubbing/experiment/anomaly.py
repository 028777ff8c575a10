"""Anomalies: whether the explanation of trusted inputs also explains new ones, by exchanging the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset, choose
from scrubbing.data.features import Feature
from scrubbing.errors import BadData, Fault, NothingToDraw, UsageError, counted, fail
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.jobs import MOST_EXAMPLES, Job, Subject
from scrubbing.experiment.measured import MEASURE, Reference
from scrubbing.experiment.verdict.runs import MOVED
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.legality import legal
from scrubbing.metrics.losses import Loss
from scrubbing.records.anomalies import Anomalies, NewInput
from scrubbing.rng import stream_key, uniform
from scrubbing.samplers import Agree, Exact, Sampler, Unclaimed
from scrubbing.samplers.trusted import Given, Trusted
from scrubbing.sampling.contexts import SCRUB

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_HELD_OUT = 400
"""Trusted inputs held out for calibration, unless a number is given."""
IS_TRUSTED = "is trusted"
"""Column that is true of the inputs to draw from."""


def _is_trusted(data: Dataset) -> NDArray[np.bool_]:
    return data[IS_TRUSTED]


TRUSTED = Feature("trusted", compute=_is_trusted)


@dataclass(frozen=True, eq=False)
class _Unlabelled(Loss):
    """Where another loss reads outputs, and what they are; it needs no labels, and is 0."""

    loss: Loss

    def __post_init__(self) -> None:
        for name in ("name", "unit", "outputs", "padding_is_input"):
            object.__setattr__(self, name, getattr(self.loss, name))

    def counted(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """See `Loss.counted`."""
        return self.loss.counted(data, length)

    def per_token(self, output: Tensor, data: Dataset, rows: Ints, positions: Ints) -> Tensor:
        """Nothing."""
        return torch.zeros(len(output), dtype=torch.float64, device=output.device)

    def constant(self, data: Dataset, counted: NDArray[np.bool_]) -> Floats:
        """Nothing."""
        return np.zeros(counted.shape)


@dataclass(frozen=True, eq=False)
class Exchange:
    """Trusted inputs to draw from, trusted inputs held out, and new ones, in one dataset."""

    scrub: Job
    """Of the hypothesis on the trusted inputs in scope."""
    subject: Subject
    """The same model on all of them, without labels."""
    pool: Ints
    """Rows of the inputs to draw from."""
    judged: Ints
    """Rows of those held out, then of the new ones."""
    held_out: int
    """How many were."""
    seed: int

    def explaining(self, draws: int) -> Job:
        """Each judged input scrubbed, with draws from the pool alone."""
        return self._job(_drawn(self.scrub.hypothesis, None), self.judged, draws)

    def lending(self, draws: int) -> tuple[Job, Ints]:
        """Inputs of the pool scrubbed, where what is unclaimed comes from a judged one, about so many times from each;
        and which, `[references, draws]`.
        """
        count = len(self.judged)
        references = np.sort(self._shuffled("lent to", len(self.pool))[: count * draws])
        rounds = -(-count * draws // len(references))
        of = [self._shuffled(f"lent {i}", count) for i in range(-(-rounds * len(references) // count))]
        lent = np.concatenate(of)[: rounds * len(references)]
        rows = self.pool[references]
        rows, lent = rows[np.argsort(self.subject.data.ids[rows])], lent.reshape(rounds, len(references))
        ids = tuple(self.subject.data.ids[rows].tolist())
        given = Given(Trusted(TRUSTED), ids, tuple(self.judged[lent.ravel()].tolist()))
        return self._job(_drawn(self.scrub.hypothesis, given), rows, rounds), lent.T

    def _shuffled(self, name: str, n: int) -> Ints:
        return np.argsort(uniform(stream_key(self.seed, name), np.arange(n), 0), kind="stable")

    def _job(self, hypothesis: Hypothesis, rows: Ints, draws: int) -> Job:
        of = self.subject
        tree = legal(hypothesis, of.graph, of.data, of.read)
        reference = Reference(of.data, rows, of.slices)
        return Job(
            "anomalies", hypothesis, tree, of, reference, SCRUB, draws, self.seed, with_model=True, measures=(MOVED,)
        )


def exchange(scrub: Job, new: Dataset, held_out: int | None, seed: int) -> Exchange:
    """Put trusted and new inputs together.

    Args:
        scrub: of the hypothesis, on the trusted inputs in scope.
        new: inputs with at least those columns that the model and the claimed features read.
        held_out: trusted inputs held out; None is half of them, but at most 400.
        seed: of which.

    Raises:
        UsageError: SCR-REFERENCES, too few trusted inputs.
        BadData: SCR-DATA, trusted and new inputs do not fit together.
    """
    if not isinstance(new, Dataset):
        problem = f"the new inputs are of type {type(new).__name__}."
        fail(BadData, "SCR-DATA", problem, "Give a Dataset with what the model reads.", "anomalies")
    trusted = scrub.data
    count = min(len(trusted) // 2, MOST_HELD_OUT) if held_out is None else held_out
    if not 0 < count < len(trusted):
        problem = f"{counted(count, 'trusted input')} of {len(trusted)} in scope would be held out."
        fail(UsageError, "SCR-REFERENCES", problem, "Hold out at least one, and leave some to draw from.", "anomalies")
    apart = np.zeros(len(trusted), dtype=np.bool_)
    apart[choose(trusted, count, seed)] = True
    data = _together(trusted, new, np.concatenate([~apart, np.zeros(len(new), dtype=np.bool_)]))
    judged = np.concatenate([np.flatnonzero(apart), len(trusted) + np.arange(len(new))])
    subject = Subject.of(scrub.subject.model, data, _Unlabelled(scrub.subject.loss))
    return Exchange(scrub, subject, np.flatnonzero(~apart), judged, count, seed)


def anomalies(made: Exchange, new: Dataset, null: float, executor: Executor, draws: int, rate: float) -> Anomalies:
    """Score new inputs, and those held out beside them.

    Args:
        made: trusted and new inputs together.
        new: the new inputs, as they were given.
        null: how far the output of another input is from the model's own, on average.
        executor: measures.
        draws: of each input, in either direction.
        rate: share of inputs like the trusted ones that may be flagged.

    Raises:
        UsageError: SCR-REFERENCES, too few trusted inputs were held out to flag anything at this rate; SCR-DRAWS.
    """
    if not 0 < rate < 1 or 1 / (made.held_out + 1) > rate:
        problem = f"no p-value of {counted(made.held_out, 'input')} held out is as small as the rate {rate:g}."
        remedy = f"Hold out {int(np.ceil(1 / rate)) - 1:,} or more." if 0 < rate < 1 else "Give one between 0 and 1."
        fail(UsageError, "SCR-REFERENCES", problem, remedy, "anomalies")
    most = MOST_EXAMPLES // len(made.judged)
    if not isinstance(draws, (int, np.integer)) or not 1 <= draws <= most:
        problem = f"{draws!r} exchanges of {counted(len(made.judged), 'input')} were asked for."
        fail(UsageError, "SCR-DRAWS", problem, f"Ask for 1 to {most:,}.", "anomalies")
    scale = null if null > 0 else 1.0
    job = made.explaining(draws)
    own, why, exchanged = _explained(job, executor)
    lending, lent_by = made.lending(draws)
    (found,) = executor.measure([lending])
    moved = found.values[f"{MEASURE}{MOVED.name}"]
    lent = np.bincount(lent_by.ravel(), moved.ravel(), len(own)) / np.bincount(lent_by.ravel(), minlength=len(own))
    own, lent = own / scale, lent / scale
    score = (own + lent) / 2
    trusted, fresh = score[: made.held_out], score[made.held_out :]
    p = (1 + (trusted[None] >= fresh[:, None]).sum(1)) / (1 + len(trusted))
    inputs = [
        NewInput(
            id=int(new.ids[i]),
            text=new.show(i),
            score=_finite(fresh[i]),
            own=_finite(own[made.held_out + i]),
            lent=_finite(lent[made.held_out + i]),
            p=float(p[i]),
            unexplained=why.get(made.held_out + i, ""),
        )
        for i in range(len(new))
    ]
    # Above the k-th largest of m lie scores with p <= k / (m + 1).
    k = int(np.floor(rate * (len(trusted) + 1) + 1e-9))
    return Anomalies(
        hypothesis=made.scrub.hypothesis.name,
        rate=rate,
        threshold=_finite(np.sort(trusted)[-k]),
        trusted=[_finite(one) for one in trusted],
        drawn_from=len(made.pool),
        exchanged=exchanged or found.exchanged,
        inputs=inputs,
    )


def _explained(job: Job, executor: Executor) -> tuple[Floats, dict[int, str], bool]:
    """How far each reference's output moves, on average; infinite, and why, where nothing agrees with it.

    Where one of several references has nothing to draw, the run says so before it computes anything; halving finds
    them all, as the engine that runs the rest sees them.
    """
    rows = job.reference.rows
    moved, why, exchanged = np.full(len(rows), np.inf), dict[int, str](), False
    pending = [np.arange(len(rows))]
    while pending:
        here = pending.pop()
        part = replace(job, reference=Reference(job.data, rows[here], job.subject.slices))
        try:
            (found,) = executor.measure([part])
        except NothingToDraw as error:
            if len(here) == 1:
                why[int(here[0])] = _told(error.faults)
            else:
                pending += np.array_split(here, 2)
            continue
        moved[here] = found.values[f"{MEASURE}{MOVED.name}"].mean(axis=1)
        exchanged |= found.exchanged
    return moved, why, exchanged or bool(why)


def _told(faults: Sequence[Fault]) -> str:
    problem, where = faults[0].problem, faults[0].where
    return f"{where}: {problem.partition(', the value of')[0].rstrip('.')}"


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _together(trusted: Dataset, new: Dataset, drawn: NDArray[np.bool_]) -> Dataset:
    """Trusted inputs, then new ones, with the columns that both have.

    Raises:
        BadData: SCR-DATA, inputs of another length, type or padding.
    """
    names = [name for name in trusted if name in new and name != IS_TRUSTED]
    faults = [
        Fault(
            "SCR-DATA",
            new.name,
            f"column {name!r} is {_shape(new, name)}, and that of the trusted inputs {_shape(trusted, name)}.",
            "Give new inputs columns like those of the trusted ones.",
        )
        for name in names
        if trusted[name].shape[1:] != new[name].shape[1:]
        or (trusted[name].dtype.kind in "biuf") != (new[name].dtype.kind in "biuf")
    ]
    if ("mask" in trusted) != ("mask" in new):
        some, others = ("trusted", "new") if "mask" in trusted else ("new", "trusted")
        problem = f"the {some} inputs have a mask, and the {others} ones have none."
        faults.append(Fault("SCR-DATA", new.name, problem, "Give both one, or neither."))
    if not names:
        problem = f"the new inputs have no column of the trusted ones, which have {', '.join(trusted)}."
        faults.append(Fault("SCR-DATA", new.name, problem, "Give them at least what the model reads."))
    if faults:
        raise BadData(faults)
    columns = {name: np.concatenate([trusted[name], new[name]]) for name in names}
    # New inputs are numbered on: their own ids may be those of trusted ones.
    ids = np.concatenate([trusted.ids, trusted.ids.max() + 1 + np.arange(len(new))])
    rows = np.arange(len(trusted))

    def show(data: Dataset, row: int) -> str:
        at = np.flatnonzero(ids == data.ids[row])[0]
        return trusted.show(int(at)) if at < len(rows) else new.show(int(at - len(rows)))

    return Dataset({**columns, IS_TRUSTED: drawn}, ids=ids, name=new.name, show=show, pad=trusted.pad)


def _shape(data: Dataset, name: str) -> str:
    return f"{data[name].dtype} {list(data[name].shape[1:])} per input"


def _drawn(hypothesis: Hypothesis, lent: Given | None) -> Hypothesis:
    """The hypothesis with draws from trusted inputs alone; if one is given, it stands in for what is unclaimed."""

    def rule(written: Sampler | Unclaimed) -> Unclaimed:
        written = written if isinstance(written, Unclaimed) else Unclaimed(written)
        among = _among(written.sampler)
        if lent is not None and isinstance(among, Trusted) and isinstance(among.inner, Agree):
            among = replace(lent, otherwise=among)
        return replace(written, sampler=among)

    def claim(one: Claim) -> Claim:
        return replace(
            one,
            children=tuple(replace(claim(child), sampler=_among(child.sampler or Agree())) for child in one.children),
            unclaimed=None if one.unclaimed is None else rule(one.unclaimed),
        )

    return replace(
        hypothesis,
        scope=None,
        correspondence=claim(hypothesis.correspondence),
        unclaimed=rule(hypothesis.unclaimed),
    )


def _among(sampler: Sampler) -> Sampler:
    """The same, from trusted inputs; a sampler that keeps or makes inputs draws none."""
    drawn = sampler.from_data and not isinstance(sampler, Exact)
    return Trusted(TRUSTED, sampler) if drawn else sampler
