"""Hypotheses as trees: one line per claim, what is not the default in brackets, sampled inputs beneath."""

from __future__ import annotations

from scrubbing import EMBED, OUTPUT, Dataset, Hypothesis, Variable, everything, feature, head, mlp, reads
from scrubbing.hypothesis.printing import describe, sample_text
from scrubbing.samplers import agree, exact, separate, uniform


@feature
def parity(data):
    return data.ids % 2


@feature(per="position")
def token(data):
    return data["tokens"]


OUT, PARITY, SHORT = Variable("output", everything), Variable("parity", parity), Variable("even", parity)
DATA = Dataset({"tokens": [[1, 2], [3, 4]]})


def test_tree():
    made = Hypothesis(
        "toy/two",
        "Two things matter.",
        OUTPUT.carries(
            OUT,
            mlp(1).direct().carries(PARITY, EMBED.direct().carries(SHORT), head(0, 0).direct().carries(SHORT)),
            head(1, 0).direct().carries(PARITY, reads("q").carries(PARITY)),
        ),
        scope=parity,
    )
    assert str(made).splitlines() == [
        "toy/two: Two things matter.",
        "  on inputs where parity",
        "logits carries output = everything",
        "├─ m1 directly carries parity",
        "│  ├─ embed directly carries even = parity",
        "│  └─ a0.h0 directly carries even = parity",
        "└─ a1.h0 directly carries parity",
        "   └─ its q carries parity",
    ]


def test_choices_are_shown_where_they_are_not_the_default():
    leaf = EMBED.direct().carries(PARITY)
    assert describe(mlp(0).direct().carries(PARITY)) == "m0 directly carries parity"
    assert describe(mlp(0).direct().carries(PARITY, unclaimed=exact)) == "m0 directly carries parity"
    made = mlp(0).direct().carries(PARITY, leaf, unclaimed=exact, group="g", exclude_self=True, freeze_norm=True)
    assert describe(made) == (
        "m0 directly carries parity [unclaimed: exact, one draw for all; group g; never itself; norm frozen]"
    )
    assert describe(mlp(0).direct().carries(PARITY, sampler=agree(parity, token))) == (
        "m0 directly carries parity [agree on (parity, token)]"
    )


def test_what_holds_for_all_claims_is_said_once():
    leaf = EMBED.direct().carries(PARITY)
    claims = mlp(1).direct().carries(PARITY, leaf), mlp(0).direct().carries(PARITY, leaf, unclaimed=uniform)
    made = Hypothesis("h", "c", OUTPUT.carries(OUT, *claims), unclaimed=separate())
    assert str(made).splitlines() == [
        "h: c",
        "  unclaimed: uniform, one draw per node",
        "logits carries output = everything",
        "├─ m1 directly carries parity",
        "│  └─ embed directly carries parity",
        "└─ m0 directly carries parity [unclaimed: uniform, one draw for all]",
        "   └─ embed directly carries parity",
    ]
    assert (
        describe(claims[0], made.rule(claims[0]))
        == "m1 directly carries parity [unclaimed: uniform, one draw per node]"
    )


def test_an_illegal_variable_still_prints():
    assert describe(mlp(0).direct().carries(Variable("nothing"))) == "m0 directly carries nothing (no feature)"


def test_sampled_inputs_beneath_their_claims():
    per_position = Variable("token", token)
    claim = mlp(1).direct().carries(PARITY, EMBED.direct().each().carries(per_position))
    made = Hypothesis("h", "c", OUTPUT.carries(OUT, claim))
    root = "logits: output"
    rows = {root: 0, f"{root} / ~unclaimed": 1, f"{root} / m1 directly: parity": 1}
    assert sample_text(made, DATA, rows).splitlines() == [
        "h: c",
        "logits carries output = everything",
        "│  · 1 2   output = 0",
        "│  · unclaimed: 3 4",
        "└─ m1 directly carries parity",
        "   │  · 3 4   parity = 1",
        "   └─ embed at each position directly carries token",
    ]
