"""Searches on trained models without being told anything, beside what people wrote about the same models."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.own import own_edges
from benchmarks.search.rows import kept, markdown
from scrubbing import Dataset, Experiment, Hypothesis, NextToken, Task
from scrubbing.search import search

STRINGS, SEQUENCES, LENGTH = 6_000, 800, 32
"""Inputs of parens and of induction, and tokens of a story."""
RANDOM = 120
"""Other hypotheses of the same size, for parens."""
HEADS_ONLY: dict[str, Any] = {"through": ("mlp",), "depth": 1, "random": RANDOM}
"""What heads write for the output, MLPs being computed again on it."""


@dataclass(frozen=True)
class Point:
    """A hypothesis on held-out inputs."""

    name: str
    found: bool
    word: str
    """The verdict, on the first that was found; else empty."""
    bits: float
    edges: int
    """Along which inputs keep their own values (`own_edges`)."""
    recovered: tuple[float, float | None, float | None]
    """Of the null, with its interval."""


@dataclass(frozen=True)
class Searched:
    """A search on one model."""

    model: str
    points: list[Point]
    controls: list[tuple[str, str]]
    """With the verdict there."""
    fitted: int
    held_out: int
    tried: int
    seconds: float
    """Of one processor, controls and what people wrote included."""


def parens() -> tuple[Experiment, Sequence[Hypothesis], dict[str, Any]]:
    """The shipped paren balancer; what people wrote that nobody else's beats."""
    from benchmarks.parens.task import our_data, task
    from hypotheses.parens.shipped import ladder

    wrote = ("two-tests", "four-heads", "signs", "tight-signs")
    beside = [one for one in ladder() if one.name.rpartition("/")[2] in wrote]
    return Experiment(task.model(), our_data(STRINGS), task.loss(), baselines=False), beside, HEADS_ONLY


def original_parens() -> tuple[Experiment, Sequence[Hypothesis], dict[str, Any]]:
    """The original study's paren balancer and strings, with the study's hypotheses."""
    from benchmarks.parens.task import task

    found = task.variant("redwood", Path(os.environ["SCRUBBING_ORIGINAL"]))
    data = found.data()
    some = np.sort(np.random.default_rng(0).permutation(len(data))[:STRINGS])
    return Experiment(found.model(), data.take(some), found.loss(), baselines=False), list(found.ladder()), HEADS_ONLY


def induction(
    task: Callable[[], Task], asked: dict[str, Any]
) -> tuple[Experiment, Sequence[Hypothesis], dict[str, Any]]:
    """A two-layer model at tokens after which copying helps, with the original study's ladder but for a program in
    the place of heads.
    """
    made = task()
    beside = [one for one in made.ladder() if one.name != "induction/strict"]
    data = made.data().take(np.arange(SEQUENCES))
    return Experiment(made.model(), data, made.loss(), baselines=False), beside, asked


def stories() -> tuple[Experiment, Sequence[Hypothesis], dict[str, Any]]:
    """A pretrained Llama of one megabyte, at every token of what it wrote itself."""
    from scrubbing import load_model

    folder = Path(os.environ["SCRUBBING_STORIES"])
    tokens = np.load(folder / "samples.npz")["tokens"][:, :LENGTH].astype(np.int64)
    data = Dataset({"tokens": tokens}, name="stories")
    return (
        Experiment(load_model(folder), data, NextToken(), baselines=False),
        [],
        {**HEADS_ONLY, "by": "attribution", "generated": False, "random": 0},
    )


def _language() -> Task:
    from benchmarks.induction.task import task

    return task


def _python() -> Task:
    from benchmarks.induction.task import python_task

    return python_task


MODELS: dict[str, Callable[[], tuple[Experiment, Sequence[Hypothesis], dict[str, Any]]]] = {
    "parens": parens,
    "parens-original": original_parens,
    "induction-heads": lambda: induction(_language, {"depth": 1, "random": 0}),
    "induction-python-heads": lambda: induction(_python, {"depth": 1, "random": 0}),
    "induction": lambda: induction(_language, {"by": "attribution", "random": 0}),
    "induction-python": lambda: induction(_python, {"by": "attribution", "random": 0}),
    "stories260k": stories,
}
BY_EDGES = ("induction-heads", "induction-python-heads", "induction", "induction-python", "stories260k")
"""Models of which size is counted in edges: people's hypotheses keep most of the model as it is without a claim, which
bits do not count.
"""
NEEDS = {"parens-original": "SCRUBBING_ORIGINAL", "stories260k": "SCRUBBING_STORIES"}
"""Variables of the environment with the folder of files that are not shipped."""


def searched(model: str, out: Path | None = None) -> Searched:
    """The search on one model, and everything on inputs that were held out.

    Args:
        model: one of `MODELS`.
        out: folder for finished measurements, from which a search that was stopped goes on.
    """
    experiment, beside, asked = MODELS[model]()
    started, graph = time.process_time(), experiment.subject.graph
    chosen: dict[str, Any] = {**asked, "name": f"{model}/found"}
    found = search(experiment, beside=beside, out=out, **chosen)
    record = found.record
    points: list[Point] = []
    for one, said in zip([*record.found, *record.beside], [*found.hypotheses, *beside], strict=True):
        recovered, first = one.recovered_of("null"), one is record.found[0]
        assert recovered is not None
        assert recovered.fraction is not None
        assert one.size is not None
        assert one.size.claimed is not None
        word, share = record.word if first else "", recovered.fraction
        interval = share.value, share.low, share.high
        edges = len(own_edges(said, graph))
        points.append(Point(one.hypothesis, said in found.hypotheses, word, one.size.claimed, edges, interval))
    controls = [(one.name, one.word) for one in record.controls]
    took = time.process_time() - started
    return Searched(model, points, controls, record.fitted, record.held_out, record.effort.tried, took)


def best(one: Searched, points: Sequence[Point]) -> list[Point]:
    """Of some hypotheses those that no other one beats, but for those that claim nothing."""
    some = [point for point in points if point.bits]
    at = [(point.edges if one.model in BY_EDGES else point.bits, -point.recovered[0]) for point in some]
    return [
        point
        for point, (size, lost) in zip(some, at, strict=True)
        if not any(other[0] <= size and other[1] <= lost and other != (size, lost) for other in at)
    ]


def table(models: Sequence[str], folder: Path | None) -> str:
    """A row for each hypothesis that was found, and each of people's that none of theirs beats; below, what it took."""
    there = [one for one in models if one not in NEEDS or NEEDS[one] in os.environ]
    heads = ["model", "hypothesis", "from", "size", "recovered on held-out inputs", "on the front"]
    rows: list[list[str]] = []
    told: list[str] = []
    for model in there:
        out = None if folder is None else folder / model
        one = kept(folder, f"trained {model}", Searched, lambda model=model, out=out: searched(model, out))
        first, wrote = best(one, one.points), best(one, [point for point in one.points if not point.found])
        for point in one.points:
            if not point.found and point not in wrote:
                continue
            source = f"found, *{point.word}*" if point.word else "found" if point.found else "given"
            value, low, high = ("?" if share is None else f"{100 * share:.1f}" for share in point.recovered)
            size = f"{point.edges} edges" if model in BY_EDGES else f"{point.bits:.1f} bits"
            cells = [model, point.name.rpartition("/")[2], source, size, f"{value} % [{low}, {high}]"]
            rows.append([*cells, "yes" if point in first else "no"])
        words = ", ".join(f"{name}: {word}" for name, word in one.controls)
        told.append(f"{model}: {one.fitted:,} inputs searched on, {one.held_out:,} held out, {one.tried} hypotheses, ")
        told[-1] += f"{one.seconds / 60:.1f} minutes of one processor ({words})."
    told += [f"{one}: not measured, for want of its files." for one in models if one not in there]
    return markdown(heads, rows) + "\n\n" + "\n".join(f"- {one}" for one in told)
