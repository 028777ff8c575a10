"""The conformance kit: what any model backend, ours or a user's, must pass."""

from __future__ import annotations

import numpy as np

from scrubbing.data.dataset import Dataset
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
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
    """Check a backend: nodes add up to the model, and the engine agrees with the oracle on random hypotheses.

    Args:
        model: the backend.
        data: a dozen small inputs it can take.
        nodes: an independent way to evaluate nodes; by default the model's own, which checks the engine but not the
            nodes.
        cases: random hypotheses to try.
        references: inputs to compare per hypothesis.
        seed: of the first hypothesis.
        tolerance: largest difference relative to the largest output; by default that of the dtype.

    Raises:
        AssertionError: with the hypothesis, if engine and oracle differ.
        ModelMismatch: SCR-CHECK, the nodes do not add up.
    """
    self_check(model, data)
    positions = tuple(range(model.graph(data).positions))
    engine = Engine(model, data, fixed(positions))
    for case in range(seed, seed + cases):
        hypothesis = random_hypothesis(engine.graph, data, case)
        compare(engine, hypothesis, nodes or ProtocolNodes(model), references, case, tolerance)


def compare(
    engine: Engine,
    hypothesis: Hypothesis,
    nodes: NodeEvaluator,
    references: int,
    seed: int,
    tolerance: float | None = None,
) -> None:
    """Compare the engine with the oracle, per input and draw.

    Raises:
        AssertionError: they differ.
    """
    tolerance = tolerance_of(engine.model, SAME_NODES) if tolerance is None else tolerance
    compiled = engine.compile(hypothesis)
    rows = np.arange(min(references, len(compiled.data)))
    oracle = Oracle(nodes, engine.graph, compiled.data, engine.model)
    for draw, scrubbed in enumerate(engine.outputs(compiled, rows, draws=2, seed=seed)):
        for i, row in enumerate(rows):
            wanted = oracle.output(hypothesis, int(row), draw, by_seed(seed))
            real = oracle.visible_positions(int(row))
            difference = (scrubbed[i] - wanted)[real].abs().max() / wanted[real].abs().max().clamp(min=1)
            assert bool(difference <= tolerance), (
                f"engine and oracle differ by {float(difference):.3g} (relative) on input {int(row)}, draw "
                f"{draw}:\n{hypothesis}"
            )
