"""A program compiled by torchwright: nodes are where the map says, and what is true of it is tight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.groundtruth import __main__ as calibration
from benchmarks.groundtruth.catalogue import truth
from benchmarks.groundtruth.variations import cases
from scrubbing import Experiment
from scrubbing.models.reading import read

pytest.importorskip("torchwright", reason="torchwright is not installed: pip install --group torchwright")
SEED = 50


def test_nodes_are_where_the_map_says() -> None:
    """The head that reads the number before writes it, in one coordinate of the last position, and nothing else."""
    of = truth("larger", SEED)
    decided = of.tight[0].correspondence.children[0]
    fetched = decided.children[0].children[0].children[0].targets[0].node
    written = read(of.model, str(fetched), of.data)[:, -1].double().numpy()
    (column,) = np.flatnonzero(np.abs(written).max(axis=0) > 1e-3)
    assert np.abs(written[:, column] - of.data["previous"]).max() < 1e-3


def test_what_is_true_is_tight_and_what_is_not_is_not() -> None:
    of = truth("larger", SEED)
    found = [calibration.judged(of, case) for case in cases(of, np.random.default_rng(2))]
    assert (found[0]["truth"], found[0]["word"], found[0]["reasons"]) == ("tight", "tight", [])
    assert [one for one in found if not calibration.is_right(one)] == []
    assert {one["truth"] for one in found} >= {"tight", "overclaim", "false"}


def test_what_clears_cannot_be_left_out() -> None:
    """The output is written where what was read is cleared: of one input both cancel, of two they do not."""
    of = truth("larger", SEED)
    root = of.tight[0].correspondence
    without = replace(of.tight[0], correspondence=replace(root, children=root.children[:1]))
    tested = Experiment(of.model, of.data, of.loss, baselines=False).verdict(without).tested
    assert tested is not None
    assert (tested.word, tested.reasons[0]) == ("insufficient", "apart")
