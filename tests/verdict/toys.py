"""Small graphs of plain functions over columns, on which every number can be worked out by hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from rich.console import Console

from scrubbing import (
    OUTPUT,
    Claim,
    Dataset,
    Experiment,
    Feature,
    Hypothesis,
    Loss,
    SquaredError,
    ToyModel,
    Variable,
    anything,
    everything,
)
from scrubbing.experiment.result import Result
from scrubbing.records.tested import VerdictRecord

Nodes = Mapping[str, tuple[Callable[..., torch.Tensor], Mapping[str, Sequence[str]]]]
"""By name, what a node computes and from which nodes it reads each argument; the last one is the output."""

SQUARES = SquaredError("label")
OUT, ANY = Variable("output", everything), Variable("anything", anything)


def bits(seed: int, n: int, names: str) -> dict[str, Any]:
    """Columns of independent fair bits, as numbers that a model reads."""
    return dict(zip(names, np.random.default_rng(seed).integers(0, 2, (n, len(names))).T.astype(float), strict=True))


@cache
def column(name: str) -> Feature:
    """The feature that is this column, of whole numbers."""
    return Feature(name, compute=lambda data: data[name].astype(np.int64))


@cache
def variable(name: str) -> Variable:
    """The variable of this column; two of one name would be two variables."""
    return Variable(name, column(name))


def same(**read: torch.Tensor) -> torch.Tensor:
    """What the node reads, as it is."""
    (value,) = read.values()
    return value


def copy(name: str) -> tuple[Callable[..., torch.Tensor], Mapping[str, Sequence[str]]]:
    """A node that copies a column."""
    return same, {name: [name]}


def claimed(*claims: Claim, root: Variable = OUT, **how: Any) -> Hypothesis:
    """The hypothesis that says this of what the output reads."""
    return Hypothesis("toy", "As claimed.", OUTPUT.carries(root, *claims), **how)


def experiment(
    nodes: Nodes, columns: Mapping[str, Any], label: Any, loss: Loss = SQUARES, **settings: Any
) -> Experiment:
    """A graph that reads all columns, judged by the squared distance of its output from the label."""
    data = Dataset({**columns, "label": label}, name="toy")
    model = ToyModel({name: name for name in columns}, nodes)
    return Experiment(model, data, loss, **{"references": min(1000, len(data)), **settings})


def verdict_of(result: Result) -> VerdictRecord:
    assert result.tested is not None
    return result.tested


def word(result: Result) -> str:
    return verdict_of(result).word


def reasons(result: Result) -> list[str]:
    return verdict_of(result).reasons


def recovered(result: Result, baseline: str = "null") -> float:
    """Loss recovered: what the plain score says."""
    model, scrubbed, zero = (result.losses[name].mean() for name in ("model", "scrubbed", baseline))
    return float(1 - (scrubbed - model) / (zero - model))


def shown(view: Any) -> str:
    """A view as text, with single spaces."""
    console = Console(file=io.StringIO(), width=140)
    console.print(view)
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
