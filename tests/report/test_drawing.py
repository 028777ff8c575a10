"""The drawings of the page: claims on the model's graph, the distribution of losses, and the front of sizes."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing.records.schema import Branch, ModelNode
from scrubbing.report import drawing
from scrubbing.report.correspondence import carried, correspondence


def branch(depth, what, variable="v"):
    return Branch(
        path=what, depth=depth, what=what, variable=variable, line=what, sample=None, value=None, unclaimed=None
    )


NAMES = {
    "a node": ("a1.h0 directly", [("a1.h0", False)]),
    "several": ("a1.h0 | a1.h1 by any path avoiding a1.h0", [("a1.h0", False), ("a1.h1", False)]),
    "what it reads": ("a1.h0 input at 1", [("a1.h0", True)]),
    "slots": ("a1.h0 q/k", [("a1.h0", True)]),
    "a part": ("a1.h0 part offsets(-1) directly into v", [("a1.h0", False)]),
    "the parent's": ("its q", [("logits", True)]),
    "a name that begins alike": ("a1.h01", []),
    "unknown": ("elsewhere", []),
}


@pytest.mark.parametrize("case", NAMES)
def test_nodes_of_a_claim_are_read_from_its_words(case):
    what, wanted = NAMES[case]
    known = {"logits", "a1.h0", "a1.h1"}
    _, found = carried([branch(0, "logits"), branch(1, what)], known)
    assert [(one.node, one.reads) for one in found] == wanted


def model(layers, heads):
    rows = [("output", [ModelNode(name="logits", layer=-1, state="claimed")])]
    for i in reversed(range(layers)):
        names = [*(f"a{i}.h{j}" for j in range(heads)), f"m{i}"]
        rows.append((f"layer {i}", [ModelNode(name=name, layer=i, state="unclaimed") for name in names]))
    return rows


@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (2, 8), (12, 12), (4, 32)])
@pytest.mark.parametrize("kind", ["wide", "narrow"])
def test_nothing_overlaps_and_lines_end_where_they_should(layers, heads, kind):
    rows = model(layers, heads)
    branches = [branch(0, "logits", "out"), branch(1, "a0.h0", "x"), branch(1, f"m{layers - 1}", "y" * 40)]
    nodes = [node for _, row in rows for node in row]
    drawn = getattr(correspondence(nodes, branches, []), kind)
    assert {one.node for one in drawn.chips} == {node.name for node in nodes}
    for i, one in enumerate(drawn.chips):
        assert one.x >= 0 and one.x + one.width <= drawn.width and one.y + one.height <= drawn.height
        for other in drawn.chips[i + 1 :]:
            apart = one.x + one.width <= other.x or other.x + other.width <= one.x
            assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y
    chips = {one.node: one for one in drawn.chips}
    wanted = {("out", "logits"), ("x", "a0.h0"), ("y" * 40, f"m{layers - 1}")}
    assert {(one.variable, one.node) for one in drawn.joins} == wanted
    for one in drawn.joins:
        x, y = map(float, one.line.rpartition("H")[2].split("V"))
        chip = chips[one.node]
        assert y == chip.y and chip.x < x < chip.x + chip.width


def test_without_nodes_or_claims_there_is_no_drawing(full):
    assert correspondence([], full.branches, full.variables) is None
    assert correspondence(full.nodes, [], full.variables) is None


def test_bars_hold_every_input_once():
    rng = np.random.default_rng(0)
    model, scrubbed = rng.exponential(0.01, 300), rng.exponential(1.0, 300)
    some = np.arange(300) < 40
    found = drawing.distribution("losses", model, scrubbed, [("all", np.ones(300, bool)), ("some", some)])
    for lane, n in zip(found.lanes, (300, 40), strict=True):
        assert lane.inputs == n
        for bars in (lane.above, lane.below):
            assert sum(round(n * height**2) for _, height in bars) == pytest.approx(n, abs=1)
            assert all(0 <= x < 100 for x, _ in bars)
    assert found.lanes[0].medians[0] == found.axis.at(float(np.median(scrubbed)))


def test_the_front_is_drawn_where_its_numbers_are():
    points = [(1, "small", 2.0, 0.5, True), (2, "beaten", 4.0, 0.4, False), (3, "large", 8.0, 1.0, True)]
    found = drawing.front(points, {1, 3})
    assert [(one.x, one.y) for one in found.points] == [(25.0, 50.0), (50.0, 40.0), (100.0, 100.0)]
    assert [one.name for one in found.line] == ["small", "large"]
    assert drawing.front([], set()) is None
