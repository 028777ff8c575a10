"""The model graph: which node reads which, in every arrangement of blocks."""

from __future__ import annotations

import pytest

from scrubbing.graph.model_graph import ModelGraph, Slot, transformer_graph
from scrubbing.graph.nodes import LOGITS, Node

SIZES = {"d_model": 8, "d_mlp": 6, "positions": 5}


def graph(layers=2, heads=2, **changed):
    return transformer_graph(layers, heads, **{**SIZES, "causal": True, "padded": False, **changed})


def reads(made, name, slot):
    return [str(parent) for parent in made.slots[Node.parse(name)][slot].parents]


def test_pre_norm_blocks_read_everything_before_them():
    made = graph()
    assert reads(made, "a0.h1", "q") == ["embed", "pos"]
    assert reads(made, "m0", "x") == ["embed", "pos", "a0.h0", "a0.h1"]
    assert reads(made, "a1.h0", "v") == ["embed", "pos", "a0.h0", "a0.h1", "m0"]
    assert reads(made, "logits", "x") == ["embed", "pos", "a0.h0", "a0.h1", "m0", "a1.h0", "a1.h1", "m1"]
    assert made.output == LOGITS
    assert set(made.slots[Node.parse("a0.h0")]) == {"q", "k", "v"}


def test_parallel_blocks():
    """The MLP of a block does not read the block's own heads."""
    made = graph(parallel=True)
    assert reads(made, "m0", "x") == ["embed", "pos"]
    assert reads(made, "m1", "x") == ["embed", "pos", "a0.h0", "a0.h1", "m0"]


def test_post_norms_gather_the_heads():
    made = graph(post_norms=True)
    assert reads(made, "a0", "x") == ["a0.h0", "a0.h1"]
    assert reads(made, "m0", "x") == ["embed", "pos", "a0"]
    assert reads(made, "logits", "x") == ["embed", "pos", "a0", "m0", "a1", "m1"]
    assert not made.widths


def test_attention_only_without_learned_positions():
    made = graph(d_mlp=None, learned_positions=False)
    assert reads(made, "logits", "x") == ["embed", "a0.h0", "a0.h1", "a1.h0", "a1.h1"]
    assert not made.widths


@pytest.mark.parametrize(("causal", "reach"), [(True, "earlier"), (False, "every")])
def test_reach(causal, reach):
    slots = graph(causal=causal, padded=True).slots[Node.parse("a1.h0")]
    assert {name: slot.reach for name, slot in slots.items()} == {
        "q": "same",
        "k": reach,
        "v": reach,
        "mask": "every",
    }
    assert reads(graph(padded=True), "a1.h0", "mask") == ["mask"]


def test_upstream_follows_every_path():
    made = graph()
    assert {str(node) for node in made.upstream[Node.parse("m0")]} == {"embed", "pos", "a0.h0", "a0.h1"}
    assert made.upstream[Node.parse("embed")] == frozenset()
    assert made.upstream[LOGITS] == frozenset(made.slots) - {LOGITS}


def test_readers_with_something_avoided():
    made = graph()
    m0, m1 = Node.parse("m0"), Node.parse("m1")
    assert {str(node) for node in made.readers(m0)} == {"a1.h0", "a1.h1", "m1", "logits"}
    assert {str(node) for node in made.readers(m0, frozenset([m1]))} == {"a1.h0", "a1.h1", "logits"}
    heads = frozenset(Node("head", 1, h) for h in (0, 1))
    assert {str(node) for node in made.readers(Node.parse("a0.h0"), heads | {m0})} == {"m1", "logits"}


def test_readers_only_through_what_is_not_avoided():
    """a -> b -> c: with b avoided nothing reads a."""
    a, b, c = map(Node.parse, ("first", "second", "third"))
    made = ModelGraph({a: {}, b: {"x": Slot((a,))}, c: {"x": Slot((b,))}}, c)
    assert made.readers(a) == {b, c}
    assert made.readers(a, frozenset([b])) == frozenset()


def test_length_can_change():
    made = graph()
    assert made.with_positions(5) is made
    longer = made.with_positions(9)
    assert (longer.positions, longer.slots) == (9, made.slots)
