"""Contexts: which claims share an input, and which hold one of their own."""

from __future__ import annotations

import pytest

from scrubbing import EMBED, OUTPUT, Hypothesis, Variable, anything, everything, head, mlp, reads, transformer_graph
from scrubbing.hypothesis.meeting import Meeting
from scrubbing.hypothesis.treeify import treeify
from scrubbing.models.check import random_inputs
from scrubbing.samplers import exact, separate
from scrubbing.sampling.contexts import REFERENCE, SCRUB, Contexts, Mode
from scrubbing.testing.random_hypotheses import halves, token_parity

GRAPH = transformer_graph(2, 2, d_model=8, d_mlp=6, positions=4, causal=True, padded=False)
DATA = random_inputs(50, 4, padded=False, n=12)
OUT, HALF, ANY = Variable("output", everything), Variable("half", halves), Variable("any", anything)
PARITY = Variable("parity", token_parity)


def contexts(*claims, mode=SCRUB, **options):
    tree = treeify(Hypothesis("test", "A test.", OUTPUT.carries(OUT, *claims, **options)), GRAPH, DATA)
    assert not Meeting(tree).findings()
    return Contexts(tree, mode)


def test_every_claim_draws_an_input_of_its_own():
    made = contexts(head(1, 0).direct().carries(HALF), head(1, 1).direct().carries(HALF))
    first, second = made.of(1), made.of(2)
    assert first is not second
    assert first is made.of(1)
    assert first.parent is second.parent is REFERENCE
    assert first.path == "logits: output / a1.h0 directly: half"
    assert first.stream != second.stream
    assert first.feature == halves


def test_what_agrees_on_everything_holds_what_its_parent_holds():
    made = contexts(mlp(1).direct().carries(HALF, EMBED.direct().carries(OUT)), mlp(0).direct().carries(OUT))
    assert made.of(3) is REFERENCE
    assert made.of(2) is made.of(1) is not REFERENCE
    assert contexts(mlp(1).direct().carries(HALF, sampler=exact)).of(1) is REFERENCE


def test_agreement_is_with_the_parent():
    made = contexts(mlp(1).direct().carries(HALF, EMBED.direct().carries(HALF)))
    assert made.of(2).parent is made.of(1)


def test_a_group_shares_a_draw_where_it_holds_one_input():
    grouped = [head(1, h).direct().carries(HALF, group="g") for h in (0, 1)]
    made = contexts(*grouped, mlp(0).direct().carries(HALF, group="h"), mlp(1).direct().carries(ANY, group="g"))
    assert made.of(1) is made.of(2)
    assert len({made.of(i) for i in (1, 3, 4)}) == 3  # another group, and another feature
    apart = contexts(
        head(1, 0).direct().carries(HALF, group="g", exclude_self=True), head(1, 1).direct().carries(HALF, group="g")
    )
    assert apart.of(1) is not apart.of(2)


def test_a_group_under_different_parents():
    """Agreeing with different inputs cannot be one draw; drawing uniformly agrees with none, and can."""

    def below(variable):
        inner = EMBED.direct().carries(variable, group="g")
        made = contexts(mlp(1).direct().carries(HALF, inner), mlp(0).direct().carries(HALF, inner))
        return made.of(2) is made.of(4)

    assert not below(HALF)
    assert below(ANY)


def test_unclaimed_is_one_draw_per_claim_or_per_node():
    made = contexts(mlp(1).direct().carries(HALF, EMBED.direct().carries(HALF)))
    assert made.unclaimed(0) is made.unclaimed(0, mlp(0).node)
    assert made.unclaimed(0) is not made.unclaimed(1)
    assert made.unclaimed(0).region is None
    apart = contexts(mlp(1).direct().carries(HALF), unclaimed=separate())
    assert apart.unclaimed(0, mlp(0).node) is not apart.unclaimed(0, EMBED.node)
    assert contexts(mlp(1).direct().carries(HALF), unclaimed=exact).unclaimed(0) is REFERENCE


def test_draws_per_position_have_rows_of_their_own():
    inner = EMBED.direct().carries(PARITY)
    made = contexts(head(1, 0).direct().carries(HALF, reads(each=True).carries(PARITY, inner)))
    assert [made.of(i).space for i in range(4)] == [0, 0, 2, 2]
    assert made.unclaimed(2).space == 2
    assert made.of(2).position is None


def test_a_feature_per_position_read_at_one():
    made = contexts(mlp(0).direct().at(-2).carries(PARITY))
    assert (made.of(1).position, made.of(1).space) == (2, 0)


@pytest.mark.parametrize("kind", ["mean", "zero", "noise"])
def test_ablation_replaces_only_what_is_unclaimed(kind):
    made = contexts(mlp(1).direct().carries(HALF), mode=Mode(unclaimed=kind))
    assert made.of(1).ablation is None
    assert made.of(1).parent is REFERENCE
    assert made.unclaimed(0).ablation == kind
    assert repr(made.unclaimed(0)) == f"<{kind}>"


def test_the_baseline_that_keeps_claims():
    made = contexts(mlp(1).direct().carries(HALF), mode=Mode(claimed="exact", unclaimed="mean"))
    assert made.of(1) is REFERENCE
    assert made.unclaimed(0).ablation == "mean"


def test_the_baseline_that_removes_claims():
    """Only the claims directly under the root are replaced; each is then a leaf."""
    made = contexts(
        mlp(1).direct().carries(HALF, EMBED.direct().carries(HALF)), mode=Mode(claimed="mean", unclaimed="exact")
    )
    assert made.of(1).ablation == "mean"
    assert made.is_leaf(1)
    assert made.unclaimed(0) is REFERENCE
    assert not contexts(mlp(1).direct().carries(HALF, EMBED.direct().carries(HALF))).is_leaf(1)
