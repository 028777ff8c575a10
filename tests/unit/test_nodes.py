"""Node names: the parser and the printer are inverses."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scrubbing import IllegalHypothesis
from scrubbing.graph.nodes import EMBED, LOGITS, MASK, POS, Node, attn_node, head_node, mlp_node

number = st.integers(0, 200)
nodes = st.one_of(
    st.builds(head_node, number, number),
    st.builds(mlp_node, number),
    st.builds(attn_node, number),
    st.sampled_from([EMBED, POS, MASK, LOGITS]),
)


@given(nodes)
def test_a_printed_node_parses_to_itself(node):
    assert Node.parse(str(node)) == node


@given(st.from_regex(r"[a-zA-Z_.0-9]{1,8}", fullmatch=True))
def test_a_name_that_parses_prints_as_itself(name):
    """Every name has one node, and nothing else is read into it; numbers may have leading zeros."""
    try:
        node = Node.parse(name)
    except IllegalHypothesis:
        assume(False)
    assert Node.parse(str(node)) == node
    if node.kind not in ("head", "mlp", "attn"):
        assert str(node) == name


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("a1.h0", Node("head", 1, 0)),
        ("a12.h34", Node("head", 12, 34)),
        ("a3", Node("attn", 3)),
        ("m2", Node("mlp", 2)),
        ("embed", EMBED),
        ("a1.h", Node("a1.h")),
        ("total", Node("total")),
    ],
)
def test_names(name, node):
    assert Node.parse(name) == node
    assert repr(node) == f"Node('{name}')"


@pytest.mark.parametrize("name", ["", "1.0", "a1 h0", "head", "mlp", "attn", "a1/h0", " embed", "m-1"])
def test_what_is_no_name(name):
    with pytest.raises(IllegalHypothesis, match="SCR-NAME") as caught:
        Node.parse(name)
    assert repr(name) in str(caught.value)


def test_order_is_by_kind_layer_and_head():
    """Numbers, not digits: layer 10 comes after layer 9."""
    assert sorted([head_node(10, 0), head_node(9, 1), head_node(9, 0)]) == [
        head_node(9, 0),
        head_node(9, 1),
        head_node(10, 0),
    ]
