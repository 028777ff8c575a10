"""Values of another kind than an argument takes: what the fuzzer found, one of each kind."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import (
    BadData,
    Classification,
    Dataset,
    Experiment,
    IllegalHypothesis,
    Settings,
    UsageError,
    Variable,
    head,
    mlp,
    node,
    reads,
)
from scrubbing.parts import neurons, pairs, project
from scrubbing.samplers import fixed


def experiment_on_words(w):
    return Experiment(w.models("native classifier"), w.data, Classification()).run("parens/signs")


REFUSED = {
    "a layer that is a list": (IllegalHypothesis, "SCR-NAME", lambda w: head([1], 0)),
    "a node that is a number": (IllegalHypothesis, "SCR-NAME", lambda w: node(3)),
    "endless positions": (UsageError, "SCR-POSITION", lambda w: head(1, 0).at(range(2**62))),
    "a slot that is none": (UsageError, "SCR-SLOT", lambda w: head(1, 0).into(None)),
    "a read slot that is none": (UsageError, "SCR-SLOT", lambda w: reads(None)),
    "nothing to avoid": (IllegalHypothesis, "SCR-NODE", lambda w: mlp(0).any_path(avoid=None)),
    "a target that is none": (UsageError, "SCR-CLAIM", lambda w: (head(1, 0).direct() | 3).carries(w.parity)),
    "a group that is no text": (UsageError, "SCR-GROUP", lambda w: head(1, 0).direct().carries(w.parity, group=1)),
    "a flag": (UsageError, "SCR-CLAIM", lambda w: mlp(1).direct().carries(w.parity, exclude_self=1)),
    "a value function": (UsageError, "SCR-VARIABLE", lambda w: Variable("v", None, (w.parity,), value=[1])),
    "a threshold that is not a number": (UsageError, "SCR-FLOAT", lambda w: w.never().at_most(float("nan"), 0.1)),
    "steps that are text": (UsageError, "SCR-FLOAT", lambda w: w.never().rounded("x")),
    "ragged neurons": (UsageError, "SCR-PART", lambda w: neurons([[1], [2, 3]])),
    "ragged pairs": (UsageError, "SCR-PART", lambda w: pairs([[True], [False, True]])),
    "complex vectors": (UsageError, "SCR-VECTORS", lambda w: project(np.ones(8, complex))),
    "an id that is an array": (
        IllegalHypothesis,
        "SCR-SAMPLER",
        lambda w: w.check(head(1, 0).direct().carries(w.parity, sampler=fixed(range(2)))),
    ),
    "rows that are none": (BadData, "SCR-DATA", lambda w: w.data.take([99])),
    "a dataset without a name": (BadData, "SCR-DATA", lambda w: Dataset({"x": [1]}, name=None)),
    "a single value as a column": (BadData, "SCR-DATA", lambda w: Dataset({"x": float("nan")})),
    "a position that is an array": (UsageError, "SCR-POSITION", lambda w: Classification(position=np.arange(3))),
    "positions that are no list": (UsageError, "SCR-POSITION", lambda w: Classification(positions=True)),
    "every setting": (
        UsageError,
        "SCR-ABLATION SCR-SETTING SCR-SETTING SCR-SETTING SCR-SETTING SCR-SETTING SCR-SETTING SCR-BASELINE",
        lambda w: Settings(
            ablation=np.arange(3), store=None, task=3, spill=3, baselines=None, measures=range(2**62),
            controls="shuffled", zero_baseline=np.arange(3),
        ),
    ),
    "no hypothesis": (UsageError, "SCR-CLAIM", experiment_on_words),
    "a loss that is no name": (UsageError, "SCR-BASELINE", lambda w: w.scrub(references=[0, 1]).loss([])),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_arguments(case, world, refused):
    kind, codes, call = REFUSED[case]
    refused(kind, codes, lambda: call(world))


@pytest.mark.parametrize("option", ["--seed -1", "--draws x", "--threads 5000", "--nonsense", "--shard"])
def test_options(option):
    from typer.testing import CliRunner

    from scrubbing.cli import app

    found = CliRunner().invoke(app, ["bench", "parens", *option.split()])
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.startswith("[SCR-SETTING] scrub")
    assert option.split()[0] in found.stderr
