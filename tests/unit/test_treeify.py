"""Matching claims to paths, against an enumeration of every path of the graph."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scrubbing import (
    EMBED,
    MASK,
    OUTPUT,
    Claim,
    Hypothesis,
    Variable,
    anything,
    everything,
    head,
    mlp,
    part,
    project,
    reads,
)
from scrubbing.graph.model_graph import ModelGraph, transformer_graph
from scrubbing.graph.nodes import Node
from scrubbing.hypothesis.legality import faults
from scrubbing.hypothesis.meeting import Meeting
from scrubbing.hypothesis.treeify import Tree, treeify

GRAPH = transformer_graph(3, 2, d_model=8, d_mlp=6, positions=4, causal=True, padded=False)
PADDED = transformer_graph(2, 2, d_model=8, d_mlp=6, positions=4, causal=False, padded=True)
OUT, ANY = Variable("output", everything), Variable("any", anything)


def treed(root: Claim, graph: ModelGraph) -> Tree:
    return treeify(Hypothesis("test", "A test.", root), graph)


def codes(root: Claim, graph: ModelGraph) -> list[str]:
    return [fault.code for fault in faults(Hypothesis("test", "A test.", root), graph)]


Path = tuple[tuple[str, str], ...]


def paths(node: Node, above: Path = ()) -> Iterator[Path]:
    """Every way up from a node, as (slot, writer) steps from the output."""
    for slot, read in GRAPH.slots[node].items():
        for parent in read.parents:
            path = (*above, (slot, str(parent)))
            yield path
            yield from paths(parent, path)


def matched(*claims) -> dict[Path, int]:
    """The paths that end in a claim, by following the tree's cells; the number is the claim's."""
    tree = treed(OUTPUT.carries(OUT, *claims), GRAPH)
    assert not Meeting(tree).findings()
    found: dict[Path, int] = {}

    def follow(copy, above: Path) -> None:
        for slot in GRAPH.slots[copy.node]:
            for cell in tree.cells.get((copy, slot), ()):
                for entry in cell.entries:
                    path = (*above, (slot, str(entry.parent)))
                    for region in (hit.region for hit in entry.claimed):
                        found[path] = region
                    if entry.mixed is not None:
                        follow(entry.mixed, path)

    follow(tree.start(0, GRAPH.output), ())
    return found


def of(node: str, ways) -> set[Path]:
    return {path for path in paths(GRAPH.output) if path[-1][1] == node and ways(path[:-1])}


ROUTES = {
    "direct": (mlp(0).direct(), "m0", lambda way: not way),
    "any": (mlp(0).any_path(), "m0", lambda way: "m0" not in [name for _, name in way]),
    "avoiding one": (mlp(0).any_path(avoid="m1"), "m0", lambda way: not {"m1", "m0"} & {n for _, n in way}),
    "avoiding heads": (
        EMBED.any_path(avoid=[head(0, 0), head(1, 1)]),
        "embed",
        lambda way: not {"a0.h0", "a1.h1"} & {n for _, n in way},
    ),
    "via one": (mlp(0).via("m2"), "m0", lambda way: [n for _, n in way] == ["m2"]),
    "via two": (head(0, 1).via("m2", head(1, 0)), "a0.h1", lambda way: [n for _, n in way] == ["m2", "a1.h0"]),
}


@pytest.mark.parametrize("case", ROUTES)
def test_routes_match_exactly_their_paths(case):
    target, node, ways = ROUTES[case]
    wanted = of(node, ways)
    assert wanted
    assert set(matched(target.carries(ANY))) == wanted


def test_slots_by_which_a_path_enters():
    """Below head 2.0: the embedding directly into its keys only."""
    tree = treed(OUTPUT.carries(OUT, head(2, 0).direct().carries(ANY, EMBED.direct().into("k").carries(ANY))), GRAPH)
    assert not Meeting(tree).findings()
    start = tree.start(1, Node.parse("a2.h0"))
    taken = {
        slot: [str(entry.parent) for cell in tree.cells[start, slot] for entry in cell.entries if entry.claimed]
        for slot in ("q", "k", "v")
    }
    assert taken == {"q": [], "k": ["embed"], "v": []}


def test_two_claims_share_a_graph_without_meeting():
    """Direct and via paths of one node end in different claims; everything else is nobody's."""
    found = matched(mlp(0).direct().carries(ANY), mlp(0).via("m1").carries(ANY))
    assert found == {(("x", "m0"),): 1, (("x", "m1"), ("x", "m0")): 2}


def test_positions_cut_a_slot_into_cells():
    tree = treed(OUTPUT.carries(OUT, mlp(0).direct().at([1, 3]).carries(ANY)), GRAPH)
    cells = tree.cells[tree.start(0, GRAPH.output), "x"]
    assert {str(cell.where): any(entry.claimed for entry in cell.entries) for cell in cells} == {
        "1,3": True,
        "0,2": False,
    }


def test_copies_that_hold_one_value_are_one_copy():
    """The tree of all paths of a claim grows exponentially with depth; what is stored does not."""
    sizes = []
    for layers in (4, 8, 16):
        deep = transformer_graph(layers, 2, d_model=8, d_mlp=6, positions=4, causal=True, padded=False)
        sizes.append(len(treed(OUTPUT.carries(OUT, EMBED.any_path().carries(ANY)), deep).cells))
    assert sizes[1] < 2.2 * sizes[0]
    assert sizes[2] < 2.2 * sizes[1]


def test_regions_are_numbered_parents_first_and_know_their_place():
    inner = EMBED.direct().carries(ANY)
    tree = treed(OUTPUT.carries(OUT, mlp(2).direct().carries(ANY, inner), head(2, 0).direct().carries(ANY)), GRAPH)
    assert [(r.index, r.parent, r.children, str(r.nodes[0])) for r in tree.regions] == [
        (0, None, (1, 3), "logits"),
        (1, 0, (2,), "m2"),
        (2, 1, (), "embed"),
        (3, 0, (), "a2.h0"),
    ]
    assert tree.regions[2].path == "logits: output / m2 directly: any / embed directly: any"


def test_draws_per_position():
    tree = treed(
        OUTPUT.carries(
            OUT, head(2, 0).direct().carries(ANY, reads(each=True).carries(ANY, EMBED.direct().carries(ANY)))
        ),
        GRAPH,
    )
    assert [tree.within_each(i) for i in range(4)] == [False, False, True, True]


def test_single_positions():
    for at, wanted in ((2, 2), (-1, 3), ([1, 2], None), (slice(3, 9), 3), ("last", 3)):
        tree = treed(OUTPUT.carries(OUT, mlp(0).direct().at(at).carries(ANY)), GRAPH)
        assert tree.at_one_position(1) == wanted, at
    tree = treed(OUTPUT.carries(OUT, mlp(0).direct().at("last").carries(ANY)), PADDED)
    assert tree.at_one_position(1) is None


LEGAL = {
    "a node and what leads round it": [
        head(1, 0).any_path().carries(ANY),
        EMBED.any_path(avoid=head(1, 0)).carries(ANY),
    ],
    "two slots of one head": [
        head(1, 0).direct().carries(ANY, reads("q").carries(ANY), reads("k", "v").carries(ANY)),
    ],
    "two parts of one node": [
        head(1, 0).direct().part(project([1.0] + 7 * [0.0])).carries(ANY),
        head(1, 0).direct().part(project(7 * [0.0] + [1.0])).carries(ANY),
    ],
    "two positions of one node": [
        mlp(0).direct().at(0).carries(ANY),
        mlp(0).direct().at([1, 2]).carries(ANY),
    ],
    "a part of its own output, and what that part's node reads": [
        head(1, 0).direct().carries(ANY, part(project([1.0] * 8)).carries(ANY, reads("v").carries(ANY))),
    ],
    "the mask beside the whole input": [
        head(1, 0).direct().carries(ANY, reads().carries(ANY), reads("mask").carries(ANY)),
    ],
    "a mask by its node": [head(1, 0).direct().carries(ANY, MASK.direct().carries(ANY))],
}

ILLEGAL = {
    "one path twice": ("SCR-OVERLAP", [mlp(0).direct().carries(ANY), mlp(0).any_path().carries(ANY)]),
    "a path through a claimed node": (
        "SCR-OVERLAP",
        [head(1, 0).direct().carries(ANY), EMBED.any_path().carries(ANY)],
    ),
    "overlapping positions": (
        "SCR-OVERLAP",
        [mlp(0).direct().at([0, 1]).carries(ANY), mlp(0).direct().at([1, 2]).carries(ANY)],
    ),
    "a node and a part of it": (
        "SCR-OVERLAP",
        [mlp(0).direct().carries(ANY), mlp(0).direct().part(project([1.0] * 8)).carries(ANY)],
    ),
    "a slot twice": (
        "SCR-OVERLAP",
        [head(1, 0).direct().carries(ANY, reads("q").carries(ANY), reads("q", "k").carries(ANY))],
    ),
    "a later node": ("SCR-UPSTREAM", [head(0, 0).direct().carries(ANY, mlp(1).any_path().carries(ANY))]),
    "no way round": ("SCR-PATH", [head(1, 0).direct().carries(ANY, mlp(0).via("a0.h0").carries(ANY))]),
    "no route": ("SCR-ROUTE", [mlp(0).carries(ANY)]),
}


@pytest.mark.parametrize("case", LEGAL)
def test_legal(case):
    assert codes(OUTPUT.carries(OUT, *LEGAL[case]), PADDED) == []


@pytest.mark.parametrize("case", ILLEGAL)
def test_illegal(case):
    code, claims = ILLEGAL[case]
    assert codes(OUTPUT.carries(OUT, *claims), PADDED) == [code]
