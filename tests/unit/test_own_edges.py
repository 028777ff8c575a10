"""Edges along which a hypothesis leaves inputs their own values, counted by hand on two layers of two heads."""

from __future__ import annotations

import pytest

from benchmarks.search.own import own_edges
from scrubbing import EMBED, OUTPUT, Hypothesis, Variable, anything, everything, head, reads, transformer_graph
from scrubbing.samplers import exact

WHOLE, NOTHING = Variable("whole", everything), Variable("nothing", anything)
GRAPH = transformer_graph(2, 2, d_model=8, d_mlp=None, positions=4, causal=True, padded=False, learned_positions=False)
LAYER_0, LAYER_1, OUT = 2 * 3, 2 * 3 * 3, 5
"""Edges into the heads of each layer, three slots each, and into the output."""
LATE, EARLY = head(1, 0).direct(), head(0, 1).direct()


@pytest.mark.parametrize(
    ("claims", "rest", "edges"),
    [
        ([], None, LAYER_0 + LAYER_1 + OUT),
        ([LATE.carries(WHOLE)], None, 1 + 9 + LAYER_0),
        ([LATE.carries(WHOLE, EARLY.into("k").carries(WHOLE))], None, 1 + 1 + 3),
        ([LATE.carries(WHOLE, reads("q").carries(WHOLE))], None, 1 + 3 + LAYER_0),
        ([LATE.carries(WHOLE, reads().carries(NOTHING))], exact, LAYER_0 + LAYER_1 - 9 + OUT),
        ([LATE.carries(WHOLE, EMBED.into("v").carries(WHOLE))], exact, LAYER_0 + LAYER_1 - 9 + OUT + 1),
    ],
    ids=["everything", "one head", "one edge of it", "its query", "the rest exact", "the rest exact, and an edge"],
)
def test_edges_that_keep_their_values(claims, rest, edges):
    made = Hypothesis("t/made", "Made.", OUTPUT.carries(Variable("out", everything), *claims, unclaimed=rest))
    assert len(own_edges(made, GRAPH)) == edges
