"""Anomalies on models whose trigger is known: how well scores of new inputs tell those with the trigger from others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.groundtruth.catalogue import truth
from scrubbing import Experiment, Hypothesis

if TYPE_CHECKING:
    from benchmarks.groundtruth.truth import Truth
    from scrubbing import Dataset


@dataclass(frozen=True)
class Detection:
    """What the detector made of new inputs, some of which have the trigger."""

    auroc: float
    precision: float
    """Average precision."""
    found: float
    """Share of those with the trigger that are flagged."""
    false: float
    """Share of the others that are."""
    trusted_score: float | None
    exchanged: bool


def split(of: Truth, seed: int) -> tuple[Dataset, Dataset, NDArray[np.bool_]]:
    """Trusted inputs without the trigger; new ones, half with it, without the column that says so; and which half."""
    clean = of.data["untriggered"]
    order = np.random.default_rng([seed, 7]).permutation(len(clean))
    triggered, others = order[~clean[order]], order[clean[order]]
    rows = np.concatenate([triggered, others[: len(triggered)]])
    taken = of.data.take(rows)
    new = taken.like({name: taken[name] for name in taken if name != "untriggered"}, f"new {of.data.name}")
    return of.data.take(others[len(triggered) :]), new, np.arange(len(rows)) < len(triggered)


def detect(seed: int, hypothesis: Hypothesis | None = None) -> Detection:
    """Score new inputs of the trigger program of a seed, under its tight hypothesis or another one."""
    of = truth("trigger", seed)
    trusted, new, has = split(of, seed)
    experiment = Experiment(of.model, trusted, of.loss, seed=seed)
    found = experiment.anomalies(hypothesis or of.tight[0], new)
    return Detection(
        auroc(found.scores, has),
        average_precision(found.scores, has),
        float(found.flagged[has].mean()),
        float(found.flagged[~has].mean()),
        found.trusted_score,
        found.exchanged,
    )


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Chance that a positive scores higher than a negative, ties counting half. Source: Hanley and McNeil (1982)."""
    score, is_positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    high, low = score[is_positive][:, None], score[~is_positive][None]
    return float(((high > low) + 0.5 * (high == low)).mean())


def average_precision(scores: ArrayLike, positive: ArrayLike) -> float:
    """Mean, over the positives, of the share of positives among all that score at least as high.

    Equal scores are one threshold. Source: as in scikit-learn, the sum of precision times the gain in recall.
    """
    score, is_positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    return float(np.mean([is_positive[score >= one].mean() for one in score[is_positive]]))


def table(seeds: Sequence[int]) -> str:
    """A row per seed."""
    rows = [
        "| trigger program | AUROC | average precision | flagged with the trigger | flagged without |",
        "|---|---|---|---|---|",
    ]
    for seed in seeds:
        one = detect(seed)
        shares = f"{100 * one.found:.1f} % | {100 * one.false:.1f} %"
        rows.append(f"| seed {seed} | {one.auroc:.3f} | {one.precision:.3f} | {shares} |")
    return "\n".join(rows)
