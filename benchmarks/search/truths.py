"""Searches on models of which everything is known: what they find of what was planted, and what that takes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.groundtruth.__main__ import share
from benchmarks.groundtruth.catalogue import TRAINED, truth
from benchmarks.groundtruth.columns import column
from benchmarks.groundtruth.truth import Truth
from benchmarks.search.planted import RELATIONS, Comparison, compared
from benchmarks.search.rows import counted, kept, markdown
from scrubbing import Experiment, Feature
from scrubbing.search import search

FIRST_SEED = 310
"""Seeds below were looked at while the search was written, or are those of the calibration."""
WAYS: dict[str, dict[str, Any]] = {
    "tests": {"by": "tests"},
    "attribution": {"by": "attribution"},
    "gradient": {"by": "gradient"},
    "gradient, adversarial": {"by": "gradient", "adversarial": True},
}
"""What proposes what might be left out."""
PLANTED = 2
"""Depth down to which circuits were planted by training; below, nothing is known."""
COUNTED = ("node", "edge", "position")


@dataclass(frozen=True)
class One:
    """One search, and what it came to."""

    program: str
    beside: Comparison
    word: str
    tried: int
    decided: int
    examples: int
    seconds: float


def experiment(made: Truth) -> Experiment:
    """On a model of which everything is known."""
    return Experiment(made.model, made.data, made.loss, baselines=False)


def named(made: Truth) -> list[Feature]:
    """The variables of the program, and others that it does not use."""
    return [column(name) for name in made.data if name != "tokens"]


def searched(program: str, seed: int, way: str) -> One:
    """A search on one model, judged on inputs that it was not searched on."""
    made, started = truth(program, seed), time.perf_counter()
    depth = PLANTED if program in TRAINED else None
    asked: dict[str, Any] = {"scope": made.tight[0].scope, "depth": depth, "random": 0, "controls": (), "seed": seed}
    chosen: dict[str, Any] = {**asked, **WAYS[way]}
    found = search(experiment(made), named(made), **chosen)
    effort, took = found.record.effort, time.perf_counter() - started
    beside = compared(made, found.hypothesis)
    return One(program, beside, found.record.word, effort.tried, effort.decided, effort.examples, took)


def searches(programs: Sequence[str], seeds: Sequence[int], way: str, folder: Path | None) -> list[One]:
    """On all of these models."""
    asked = [(program, seed) for program in programs for seed in seeds]
    return [kept(folder, f"{p} {seed} {way}", One, lambda p=p, seed=seed: searched(p, seed, way)) for p, seed in asked]


def table(ones: Sequence[One]) -> str:
    """A row for each program, and one for all."""
    heads = ["program", "searches", *_heads(), "features exact", "finer", "coarser", "other", "words"]
    programs = list(dict.fromkeys(one.program for one in ones))
    rows: list[list[str]] = []
    for title, some in [*((p, [one for one in ones if one.program == p]) for p in programs), ("**all**", ones)]:
        counts = _features(some)
        cells = [title, str(len(some)), *_counts(some), _of(counts["exact"], sum(counts.values()))]
        cells += [*(str(counts[name]) for name in RELATIONS[1:]), counted([one.word for one in some])]
        rows.append(cells)
    seconds, counts = [one.seconds for one in ones], _features(ones)
    exact = [kind == "exact" for kind, n in counts.items() for _ in range(n)]
    told = f"Features are named exactly in {share(exact)} of claims. {len(seconds)} searches, "
    told += f"{sum(seconds) / len(seconds):.1f} s each, at most {max(seconds):.1f} s, verdict included."
    return f"{markdown(heads, rows)}\n\n{told}"


def ways(ones: Mapping[str, Sequence[One]]) -> str:
    """A row for each way of searching: what is found, and what it takes."""
    heads = ["proposals by", "searches", *_heads(), "features exact", "tight", "hypotheses tried", "tests",
             "forward passes"]  # fmt: skip
    rows: list[list[str]] = []
    for way, some in ones.items():
        counts = _features(some)
        cells = [way, str(len(some)), *_counts(some), _of(counts["exact"], sum(counts.values()))]
        cells.append(_of(sum(one.word == "tight" for one in some), len(some)))
        cells += [f"{np.mean([getattr(one, name) for one in some]):,.0f}" for name in ("tried", "decided", "examples")]
        rows.append(cells)
    return markdown(heads, rows)


def _heads() -> list[str]:
    return [f"{kind} {what}" for kind in COUNTED for what in ("precision", "recall")]


def _features(some: Sequence[One]) -> dict[str, int]:
    return {name: sum(one.beside.features[name] for one in some) for name in RELATIONS}


def _counts(some: Sequence[One]) -> list[str]:
    cells: list[str] = []
    for kind in COUNTED:
        counts = [getattr(one.beside, f"{kind}s") for one in some]
        both, there, found = (sum(getattr(one, what) for one in counts) for what in ("both", "there", "found"))
        cells += [_of(both, found), _of(both, there)]
    return cells


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}"
