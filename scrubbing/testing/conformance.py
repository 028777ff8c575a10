"""The conformance kit: what any model backend, ours or a user's, must pass."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.engine.demand import fixed
from scrubbing.engine.describe import describe
from scrubbing.engine.engine import Engine
from scrubbing.errors import NothingToDraw
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.models.check import self_check
from scrubbing.models.precision import SAME_NODES
from scrubbing.models.precision import tolerance as tolerance_of
from scrubbing.models.protocol import Model
from scrubbing.testing.nodes import NodeEvaluator, ProtocolNodes
from scrubbing.testing.oracle import Oracle, by_seed
from scrubbing.testing.random_hypotheses import random_hypothesis


def check_model(
    model: Model,
    data: Dataset,
    *,
    nodes: NodeEvaluator | None = None,
    cases: int = 20,
    references: int = 3,
    seed: int = 0,
    tolerance: float | None = None,
) -> None:
    """Check a model: its nodes add up to its output, and the engine agrees with the oracle on random hypotheses.

    Args:
        model: the model to check.
        data: a dozen small inputs for it.
        nodes: an independent implementation of the nodes; by default the model's own, which checks the engine but not
            the nodes.
        cases: number of random hypotheses.
        references: number of inputs to compare per hypothesis.
        seed: seed of the first hypothesis; the others have the following ones.
        tolerance: largest accepted difference, relative to the largest output; by default that of the dtype.

    Raises:
        AssertionError: with the hypothesis, if engine and oracle differ.
        ModelMismatch: SCR-CHECK, the nodes do not add up.
    """
    self_check(model, data)
    positions = tuple(range(model.graph(data).positions))
    # Padded inputs are drawn in two ways: any of them, or those that are real wherever a loss depends on them.
    engines = [Engine(model, data, fixed(positions))]
    if data.mask is not None:
        engines.append(Engine(model, data, fixed(positions), read=last_real))
    for case in range(seed, seed + cases):
        hypothesis = random_hypothesis(engines[0].graph, data, case)
        compare(engines[case % len(engines)], hypothesis, nodes or ProtocolNodes(model), references, case, tolerance)


def last_real(data: Dataset) -> NDArray[np.bool_]:
    """The last real output of every input, bool `[n, positions]`."""
    assert data.mask is not None
    return data.mask & ~np.pad(data.mask[:, 1:], ((0, 0), (0, 1)))


def check_hypothesis(
    hypothesis: Hypothesis,
    model: Model,
    data: Dataset,
    *,
    nodes: NodeEvaluator | None = None,
    references: int = 3,
    seed: int = 0,
    tolerance: float | None = None,
) -> str:
    """Check the engine against the slow oracle on one hypothesis, such as one with a part, sampler or route of your
    own.

    Args:
        hypothesis: the hypothesis, which is checked first.
        model: the model that it is about.
        data: a dozen small inputs; the oracle follows every path for every position.
        nodes: an independent implementation of the nodes; by default the model's own.
        references: number of inputs to compare, with two draws of each.
        seed: seed of the draws.
        tolerance: largest difference relative to the largest output; by default that of the dtype.

    Returns:
        The plan that was run, as text.

    Raises:
        IllegalHypothesis: lists every fault found.
        AssertionError: engine and oracle differ.
    """
    engine = Engine(model, data, fixed(tuple(range(model.graph(data).positions))))
    compare(engine, hypothesis, nodes or ProtocolNodes(model), references, seed, tolerance)
    return describe(engine.compile(hypothesis).plan)


def compare(
    engine: Engine,
    hypothesis: Hypothesis,
    nodes: NodeEvaluator,
    references: int,
    seed: int,
    tolerance: float | None = None,
) -> None:
    """Compare the engine with the oracle, per input and draw.

    Where the loss reads only some outputs (see `Engine`), only those are compared, since others may depend on padding.

    Raises:
        AssertionError: the two differ.
    """
    tolerance = tolerance_of(engine.model, SAME_NODES) if tolerance is None else tolerance
    compiled = engine.compile(hypothesis)
    rows = np.arange(min(references, len(compiled.data)))
    read = None if engine.real_draws is None else engine.real_draws.read(compiled.data)
    oracle = Oracle(nodes, engine.graph, compiled.data, engine.model, read)
    try:
        outputs = engine.outputs(compiled, rows, draws=2, seed=seed)
    except NothingToDraw:
        try:
            for row, draw in itertools.product(rows, range(2)):
                oracle.output(hypothesis, int(row), draw, by_seed(seed))
        except NothingToDraw:
            return
        raise
    for draw, scrubbed in enumerate(outputs):
        for i, row in enumerate(rows):
            wanted = oracle.output(hypothesis, int(row), draw, by_seed(seed)).to(scrubbed.device)
            real = oracle.visible_positions(int(row)) if read is None else np.flatnonzero(read[row])
            difference = (scrubbed[i] - wanted)[real].abs().max() / wanted[real].abs().max().clamp(min=1)
            assert bool(difference <= tolerance), (
                f"engine and oracle differ by {float(difference):.3g} (relative) on input {int(row)}, draw "
                f"{draw}:\n{hypothesis}"
            )
