"""Hypotheses as Python source: the module that is written defines an equal one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypotheses.parens.shipped import ladder
from scrubbing import EMBED, OUTPUT, Hypothesis, UsageError, Variable, everything, feature, head, mlp, transformer_graph
from scrubbing.models.check import random_inputs
from scrubbing.search.features import generated
from scrubbing.testing.random_hypotheses import halves, random_hypothesis, thirds

SIZES = {"d_model": 8, "d_mlp": 6, "positions": 5, "causal": True}
GRAPHS = [transformer_graph(2, 2, **SIZES, padded=False), transformer_graph(3, 1, **SIZES, padded=True)]
DATA = [random_inputs(50, 5, padded="mask" in map(str, graph.slots), n=13) for graph in GRAPHS]


def defined(hypothesis):
    """What the written module defines."""
    names: dict[str, object] = {}
    exec(compile(hypothesis.to_source(), "written.py", "exec"), names)
    (found,) = (one for one in names.values() if isinstance(one, Hypothesis))
    return found


@given(which=st.integers(0, 1), seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_any_hypothesis_is_what_its_source_defines(which, seed):
    made = random_hypothesis(GRAPHS[which], DATA[which], seed)
    assert defined(made) == made


@pytest.mark.parametrize("made", ladder(), ids=lambda one: one.name)
def test_shipped_hypotheses_are_what_their_source_defines(made):
    assert defined(made) == made


def test_it_reads_as_somebody_would_have_written_it():
    bit, count = Variable("bit of m0", halves), Variable("count", generated("count_3"))
    here = EMBED.direct().into("v").at([0, 2]).each().carries(Variable("token", generated("token")))
    claims = OUTPUT.carries(bit, mlp(0).direct().carries(bit, head(0, 1).direct().carries(count, here)))
    written = Hypothesis("toy/two-bits", "Two bits.", claims, scope=thirds.merged([[0, 1]]) & ~halves).to_source()
    assert (
        written
        == '''\
"""A hypothesis."""

from scrubbing import EMBED, OUTPUT, Hypothesis, Variable, head, mlp
from scrubbing.search.features import count_3, token
from scrubbing.testing.random_hypotheses import halves, thirds

bit_of_m0 = Variable("bit of m0", halves)
count = Variable("count", count_3)
token_2 = Variable("token", token)

two_bits = Hypothesis(
    "toy/two-bits",
    "Two bits.",
    OUTPUT.carries(
        bit_of_m0,
        mlp(0).direct().carries(
            bit_of_m0,
            head(0, 1).direct().carries(
                count,
                EMBED.direct().into("v").at([0, 2]).each().carries(token_2),
            ),
        ),
    ),
    scope=(thirds.merged([[0, 1]]) & (~halves)),
)
'''
    )


def test_what_cannot_be_imported_has_no_source():
    @feature
    def local(data):
        return data.ids

    made = Hypothesis("local", "Nothing.", OUTPUT.carries(Variable("output", everything), head(0, 0).direct().carries(
        Variable("local", local))))  # fmt: skip
    with pytest.raises(UsageError, match="SCR-JSON"):
        made.to_source()
