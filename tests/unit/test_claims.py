"""Claims as values: what each method changes, and how a target reads."""

from __future__ import annotations

import pytest

from scrubbing import (
    EMBED,
    MASK,
    OUTPUT,
    POS,
    Node,
    Target,
    Variable,
    anything,
    everything,
    head,
    mlp,
    node,
    part,
    reads,
)
from scrubbing.graph.positions import Positions
from scrubbing.parts import neurons
from scrubbing.routes import Direct, Via
from scrubbing.samplers import Unclaimed, exact, separate, uniform

OUT, ANY = Variable("output", everything), Variable("any", anything)

PRINTED = {
    "a1.h0": head(1, 0),
    "a1.h0 directly": head(1, 0).direct(),
    "m2 by any path avoiding a1.h0, m1": mlp(2).any_path(avoid=[mlp(1), "a1.h0"]),
    "m0 via m2, m1": mlp(0).via(mlp(2), Node.parse("m1")),
    "embed directly into k/v": EMBED.direct().into("k", "v"),
    "a1.h0 q/k at 1": head(1, 0).reads("q", "k", at=1),
    "a1.h0 input at last": head(1, 0).reads().at("last"),
    "its input at each position": reads(each=True),
    "its mask": reads("mask"),
    "its output part neurons(1,3)": part(neurons([3, 1, 3])),
    "m1 part neurons(0,1,2,3,4,5,6,7,...) directly": mlp(1).part(neurons(range(9))).direct(),
    "pos at each position directly": POS.each().direct(),
    "logits": OUTPUT,
}


@pytest.mark.parametrize("text", PRINTED)
def test_targets_in_words(text):
    assert str(PRINTED[text]) == text


def test_methods_change_a_copy():
    target = head(1, 0)
    for changed in (target.direct(), target.at(1), target.each(), target.reads("q"), target.into("q")):
        assert changed != target
    assert target == Target(Node("head", 1, 0))
    assert target.direct().at(2).each() == target.each().at(2).direct()


def test_routes():
    assert head(1, 0).direct().route == Direct()
    assert head(1, 0).any_path(avoid=mlp(1)).route == head(1, 0).any_path(avoid=["m1", mlp(1)]).route
    assert mlp(0).via("m2", "m1").route == Via((Node.parse("m2"), Node.parse("m1")))
    assert head(0, 0).at(slice(1, 3)).positions == Positions((1, 3, None), is_slice=True)


@pytest.mark.parametrize(
    ("target", "claimed"),
    [
        (reads(), {"q", "k", "v"}),
        (reads("k"), {"k"}),
        (reads("q", "mask"), {"q", "mask"}),
        (head(0, 0), set()),
    ],
)
def test_slots_claimed(target, claimed):
    """Whatever a node reads does not include its padding mask, unless it is named."""
    assert {slot for slot in ("q", "k", "v", "mask") if target.claims_slot(slot)} == claimed


def test_bundles():
    two = head(1, 0).direct() | head(1, 1).direct()
    assert two.targets == (head(1, 0).direct(), head(1, 1).direct())
    assert (two | MASK.direct()).targets == (*two.targets, MASK.direct())
    assert (MASK.direct() | two).targets == (MASK.direct(), *two.targets)
    claim = two.carries(ANY)
    assert claim.label == "a1.h0 directly | a1.h1 directly: any"
    assert not claim.each
    assert (head(1, 0).direct().each() | head(1, 1).direct()).carries(ANY).each


def test_defaults_and_choices():
    plain = head(1, 0).direct().carries(ANY)
    assert (plain.sampler, plain.group, plain.exclude_self, plain.freeze_norm) == (None, None, False, False)
    assert plain.unclaimed is None  # as the hypothesis says
    assert Unclaimed() == Unclaimed(uniform, separately=False)
    chosen = head(1, 0).direct().carries(ANY, sampler=exact, unclaimed=separate(), group="g", exclude_self=True)
    assert chosen.unclaimed == Unclaimed(uniform, separately=True)
    assert (chosen.sampler, chosen.group, chosen.exclude_self) == (exact, "g", True)
    assert head(1, 0).direct().carries(ANY, unclaimed=exact).unclaimed == Unclaimed(exact)


def test_paths_name_rows_of_reports_so_equal_claims_get_numbers():
    twin, other = head(1, 0).direct().carries(ANY), mlp(0).direct().carries(ANY)
    root = OUTPUT.carries(OUT, twin, other, twin)
    assert [path for path, _ in root.paths("root")] == [
        "root / a1.h0 directly: any",
        "root / m0 directly: any",
        "root / a1.h0 directly: any #2",
    ]


def test_walk_is_parents_first():
    leaf = EMBED.direct().carries(ANY)
    middle = mlp(0).direct().carries(ANY, leaf)
    root = OUTPUT.carries(OUT, middle, head(1, 0).direct().carries(ANY))
    assert [claim.targets[0] for claim in root.walk()] == [
        OUTPUT,
        mlp(0).direct(),
        EMBED.direct(),
        head(1, 0).direct(),
    ]


def test_claims_are_equal_by_value():
    def make():
        return OUTPUT.carries(OUT, node("m0").at([1, 2]).any_path().part(neurons([1])).carries(ANY, group="g"))

    assert make() == make()
    assert hash(make()) == hash(make())
