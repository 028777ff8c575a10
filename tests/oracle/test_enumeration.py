"""On tiny datasets every draw can be enumerated: the sampled estimate must fall in its interval around the exact
value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scrubbing.data.features import anything, everything
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.hypothesis.claims import EMBED, MASK, OUTPUT, head, mlp, part, reads
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.parts import project
from scrubbing.samplers import exact, separate
from scrubbing.testing import Oracle, ProtocolNodes, expected_output
from scrubbing.testing.random_hypotheses import halves, thirds, token_parity

DRAWS = 4000
OUT = Variable("output", everything)
HALF, THIRD, ANY = Variable("half", halves), Variable("third", thirds), Variable("any", anything)
PARITY = Variable("parity", token_parity)

CASES = {
    "two heads": OUTPUT.carries(OUT, head(1, 0).direct().carries(HALF), head(1, 1).direct().carries(THIRD)),
    "nested": OUTPUT.carries(OUT, head(1, 0).direct().carries(HALF, reads("v").carries(THIRD)), unclaimed=exact),
    "group": OUTPUT.carries(
        OUT, head(1, 0).direct().carries(ANY, group="g"), head(1, 1).direct().carries(ANY, group="g"), unclaimed=exact
    ),
    "separate": OUTPUT.carries(OUT, *(t.direct().carries(OUT) for t in (EMBED, mlp(0), mlp(1))), unclaimed=separate()),
    "each": OUTPUT.carries(
        OUT, head(1, 0).direct().carries(OUT, reads("k", each=True).carries(PARITY)), unclaimed=exact
    ),
    "mask": OUTPUT.carries(OUT, head(1, 0).direct().carries(HALF, MASK.direct().carries(THIRD)), unclaimed=exact),
    "part": OUTPUT.carries(
        OUT, head(0, 0).any_path(avoid=mlp(1)).carries(HALF, part(project(np.ones(8))).carries(THIRD)), unclaimed=exact
    ),
    "never itself": OUTPUT.carries(OUT, mlp(1).direct().carries(HALF, exclude_self=True), unclaimed=exact),
}


SLOW = ("separate",)
"""Of which every combination of six inputs in five places is enumerated."""


@pytest.mark.parametrize("case", [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in CASES])
def test_sampled_estimate_is_the_enumerated_one(case: str, tiny_model: Any) -> None:
    model = tiny_model("native classifier")
    data = random_inputs(VOCABULARY, 3, padded=True, n=6, seed=4)
    hypothesis = Hypothesis(case, "a test", CASES[case])
    engine = Engine(model, data, fixed((0, 1, 2)))
    compiled = engine.compile(hypothesis)
    oracle = Oracle(ProtocolNodes(model), engine.graph, data, model)
    row = np.array([1])
    sampled = engine.outputs(compiled, row, draws=DRAWS, seed=0)[:, 0, 0, 0].double().numpy()
    wanted = expected_output(oracle, hypothesis, 1, lambda output: float(output[0, 0]))
    error = sampled.std(ddof=1) / np.sqrt(DRAWS)
    assert error > 0
    assert abs(sampled.mean() - wanted) < 4 * error + 1e-6


def test_enumeration_sees_every_combination(tiny_model: Any) -> None:
    """Two independent uniform draws among six inputs, and one of them shared, are 36 and 6 combinations."""
    model = tiny_model("native classifier")
    data = random_inputs(VOCABULARY, 3, padded=True, n=6, seed=4)
    engine = Engine(model, data, fixed((0, 1, 2)))
    oracle = Oracle(ProtocolNodes(model), engine.graph, data, model)
    seen: list[float] = []

    def count(output: Any) -> float:
        seen.append(float(output[0, 0]))
        return 1.0

    separate_draws = OUTPUT.carries(
        OUT, head(1, 0).direct().carries(ANY), head(1, 1).direct().carries(ANY), unclaimed=exact
    )
    assert expected_output(oracle, Hypothesis("a", "", separate_draws), 0, count) == pytest.approx(1.0)
    assert len(seen) == 36
    seen.clear()
    assert expected_output(oracle, Hypothesis("b", "", CASES["group"]), 0, count) == pytest.approx(1.0)
    assert len(seen) == 6
