"""What a message tells to do about claims that do not meet is done, as printed, and helps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubbing import EMBED, MASK, OUTPUT, Claim, Hypothesis, Variable, everything, head, mlp, reads, transformer_graph
from scrubbing.errors import Fault
from scrubbing.graph.positions import Where
from scrubbing.hypothesis.legality import faults
from scrubbing.hypothesis.meeting import Clash, Meeting
from scrubbing.hypothesis.remedies import Remedies, sentence
from scrubbing.hypothesis.treeify import Tree, treeify
from scrubbing.models.check import random_inputs
from scrubbing.parts import attending_to, neurons, offsets
from scrubbing.testing.random_hypotheses import _Maker, halves, odd_positions, thirds

LENGTH = 6
SIZES: Any = {"d_model": 8, "d_mlp": 6, "positions": LENGTH}
GRAPHS = {
    "causal": transformer_graph(2, 2, **SIZES, causal=True, padded=False),
    "padded": transformer_graph(2, 2, **SIZES, causal=True, padded=True),
    "both ways": transformer_graph(2, 2, **SIZES, causal=False, padded=False),
    "post-norms": transformer_graph(2, 2, **SIZES, causal=True, padded=False, post_norms=True),
}
DATA = {name: random_inputs(50, LENGTH, padded=name == "padded", n=13) for name in GRAPHS}
OUT = Variable("output", everything)
MEET = {"SCR-OVERLAP", "SCR-UNREAD", "SCR-PATH", "SCR-ROUTE", "SCR-UPSTREAM", "SCR-SLOT"}


def claims_at(root: Claim, path: tuple[int, ...]) -> Claim:
    for i in path:
        root = root.children[i]
    return root


def places(tree: Tree, index: int) -> tuple[int, ...]:
    """The way from the root to a claim, by numbers of children."""
    parent = tree.regions[index].parent
    if parent is None:
        return ()
    return (*places(tree, parent), tree.regions[parent].children.index(index))


def edited(root: Claim, path: tuple[int, ...], change: Callable[[Claim], Claim | None]) -> Claim:
    if not path:
        made = change(root)
        assert made is not None
        return made
    children = list(root.children)
    if len(path) == 1:
        made = change(children[path[0]])
        children[path[0] : path[0] + 1] = [] if made is None else [made]
    else:
        children[path[0]] = edited(children[path[0]], path[1:], change)
    return replace(root, children=tuple(children))


def with_code(claim: Claim, ordinal: int, code: str) -> Claim:
    """The claim with `target.CODE` in the place of one target, as a user would write it."""
    targets = list(claim.targets)
    targets[ordinal] = eval(f"target{code}", {"target": targets[ordinal]})
    return replace(claim, targets=tuple(targets))


def without(claim: Claim, label: str, keep: int) -> Claim:
    """Without the children's targets that read so, but for the first few."""
    children: list[Claim] = []
    for child in claim.children:
        targets = []
        for target in child.targets:
            alike = f"{target}: {child.variable}" == label
            if not alike or keep:
                targets.append(target)
            keep -= alike
        children += [replace(child, targets=tuple(targets))] if targets else []
    return replace(claim, children=tuple(children))


def followed(root: Claim, tree: Tree, remedies: Remedies, finding: Any, text: str) -> Claim:
    """Do what a remedy says, from its words alone."""
    ends = (finding.first, finding.second) if isinstance(finding, Clash) else (finding.target,)
    placed = [remedies.placed(finding.region, end) for end in ends]
    by_label = {f"'{one.label}'": one for one in placed} | {f'"{one.label}"': one for one in placed}
    where = {label: places(tree, one.index) for label, one in by_label.items()}
    one = placed[-1]

    def changed(label: str, code: str, on: Claim) -> Claim:
        return edited(on, where[label], lambda claim: with_code(claim, by_label[label].ordinal, code))

    quoted = r"('[^']*'|\"[^\"]*\")"
    if found := re.fullmatch(rf"keep {quoted} off it with (\..*)", text):
        return changed(found[1], found[2], root)
    if found := re.fullmatch(rf"claim {quoted} below {quoted}", text):
        moved = claims_at(root, where[found[1]])
        onto = edited(root, where[found[2]], lambda claim: replace(claim, children=(*claim.children, moved)))
        return edited(onto, where[found[1]], lambda claim: None)
    told = r"(?:let them enter by slots of their own, |claim them at positions of their own, such as )"
    if found := re.fullmatch(rf"{told}{quoted} (?:by )?(\.\S+\)) and {quoted} (?:by )?(\.\S+\))", text):
        return changed(found[3], found[4], changed(found[1], found[2], root))
    own = places(tree, one.index)
    if text == "drop it":
        left = [target for i, target in enumerate(one.region.claim.targets) if i != one.ordinal]
        shorter = replace(one.region.claim, targets=tuple(left)) if left else None
        return edited(root, own, lambda claim: shorter and replace(shorter, children=claim.children))
    if found := re.fullmatch(rf"drop (?:every )?{quoted}", text):
        return edited(root, own[:-1], lambda claim: without(claim, found[1][1:-1], keep=0))
    if text in ("drop one of them", "drop all but one of them"):
        return edited(root, own[:-1], lambda claim: without(claim, one.label, keep=1))
    if found := re.fullmatch(r"claim it under (.*)", text):
        moved, above = claims_at(root, own), own[:-1]
        while " | ".join(map(str, claims_at(root, above).targets)) != found[1] or above == own[:-1]:
            above = above[:-1]
        gone = edited(root, own, lambda claim: None)
        return edited(gone, above, lambda claim: replace(claim, children=(*claim.children, moved)))
    if found := re.fullmatch(r"(?:claim it at what is read there, |add |use )(\..*?\))( without \.into\(.*\))?", text):
        code = found[1] + (".into()" if found[2] else "")
        return edited(root, own, lambda claim: with_code(claim, one.ordinal, code))
    if found := re.fullmatch(r"use reads\(\"(\w+)\"\)", text):
        slots = (found[1],)
    else:
        assert text == "use reads(...) for what it reads", text
        slots = reads().read_slots
    fresh = reads().read_slots == slots
    here = {"read_slots": slots} | ({"node": None, "route": None, "into_slots": (), "only": None} if fresh else {})

    def reading(claim: Claim) -> Claim:
        targets = list(claim.targets)
        targets[one.ordinal] = replace(targets[one.ordinal], **here)
        return replace(claim, targets=tuple(targets))

    return edited(root, own, reading)


def check_remedies(made: Hypothesis, graph: Any, data: Any, read: Where | None) -> int:
    """Follow every remedy of every such fault; how many there were."""
    before = faults(made, graph, data, read)
    tree = treeify(made, graph, data)
    remedies, count = Remedies(tree, read, lambda tree: ()), 0
    printed = [fault for fault in before if fault.code in MEET]
    for finding in Meeting(tree, read).findings():
        for fault in printed:
            of = _about(finding, tree)
            if fault.where not in of:
                continue
            for remedy in remedies.of(finding):
                if remedy.text.lower() not in fault.remedy.lower():
                    continue
                count += 1
                root = followed(made.correspondence, tree, remedies, finding, remedy.text)
                after = faults(replace(made, correspondence=root), graph, data, read)
                assert len(alike(after, fault)) < len(alike(before, fault)), remedy.text
                if remedy.text.startswith("drop"):
                    continue  # what is left of a bundle has faults of its own
                assert (
                    replace(made, correspondence=root).correspondence == remedy.made.correspondence
                    or "below" in (remedy.text)
                    or "under" in remedy.text
                ), remedy.text
                for path, parent, labels in _changed_claims(made.correspondence, root):
                    alone = [fault for fault in after if fault.code in MEET - {"SCR-OVERLAP"} and fault.where == path]
                    clash = [fault for fault in after if fault.code == "SCR-OVERLAP" and fault.where == parent]
                    clash = [fault for fault in clash if any(repr(label) in fault.problem for label in labels)]
                    assert not alone and not clash, (remedy.text, path, alone, clash)
    return count


def alike(found: list[Fault], fault: Fault) -> list[Fault]:
    """The faults that read like this one, whichever of several equal claims they are about."""
    unnumbered = lambda one: (one.code, re.sub(r" #\d+", "", one.where), one.problem)  # noqa: E731
    return [one for one in found if unnumbered(one) == unnumbered(fault)]


def _about(finding: Any, tree: Tree) -> set[str]:
    region = tree.regions[finding.region]
    if isinstance(finding, Clash):
        return {region.path}
    return {tree.regions[tree.targets(region.index)[finding.target][0]].path}


def _changed_claims(before: Claim, after: Claim) -> Iterator[tuple[str, str, list[str]]]:
    """Of claims in the changed hypothesis that are not in the first one at the same path: path, the parent's path, and
    the labels of their targets.
    """

    def paths(claim: Claim, path: str, parent: str) -> Iterator[tuple[str, str, Claim]]:
        yield path, parent, claim
        for below, child in claim.paths(path):
            yield from paths(child, below, path)

    old = {path: claim for path, _, claim in paths(before, before.label, "")}
    new: set[str] = set()  # what lies below a moved claim moved with it, and had faults of its own before
    for path, parent, claim in paths(after, after.label, ""):
        if parent in new or path not in old or old[path].targets != claim.targets:
            new.add(path)
            if parent not in new:
                yield path, parent, [f"{target}: {claim.variable}" for target in claim.targets]


@pytest.mark.parametrize("graph", GRAPHS)
@given(seed=st.integers(0, 100_000), last=st.booleans())
@settings(max_examples=50, deadline=None)
def test_of_random_hypotheses(graph: str, seed: int, last: bool) -> None:
    """Claims are put together at random, whatever becomes of it."""
    maker = _Maker(GRAPHS[graph], DATA[graph], np.random.default_rng(seed))
    root = OUTPUT.carries(OUT)
    for _ in range(5):
        root = maker.grown(root, GRAPHS[graph].output, each=False)
    read = Where((LENGTH - 2,)) if last else None
    check_remedies(Hypothesis("random", "c", root), GRAPHS[graph], DATA[graph], read)


A, B = Variable("a", halves), Variable("b", thirds)
L10, L00 = head(1, 0), head(0, 0)
CASES: dict[str, tuple[str, list[Claim]]] = {
    "twice the same": ("SCR-OVERLAP", [L10.direct().carries(A)] * 2),
    "two variables on one path": ("SCR-OVERLAP", [L10.direct().carries(A), L10.direct().carries(B)]),
    "one through the other": ("SCR-OVERLAP", [L10.direct().carries(A), L00.any_path().carries(B)]),
    "one through the other, off it": ("SCR-OVERLAP", [L10.direct().carries(A), L00.any_path(avoid=mlp(0)).carries(B)]),
    "a part and the whole": (
        "SCR-OVERLAP",
        [mlp(1).direct().part(neurons([1])).carries(A), mlp(1).direct().carries(B)],
    ),
    "a bundle on itself": ("SCR-OVERLAP", [(EMBED.direct() | EMBED.any_path()).carries(A)]),
    "keys and a writer of them": (
        "SCR-OVERLAP",
        [L10.direct().carries(A, reads("k").carries(A), L00.any_path().carries(A))],
    ),
    "keys at some positions and a writer of these": (
        "SCR-OVERLAP",
        [L10.any_path().at(5).carries(A, reads("k", "v", at=slice(1, 5)).carries(A), L00.any_path().at(4).carries(A))],
    ),
    "a future position": ("SCR-UNREAD", [L10.direct().at(2).carries(A, EMBED.direct().at(4).carries(A))]),
    "a future position, further up": ("SCR-UNREAD", [L10.direct().at(2).carries(A, EMBED.any_path().at(3).carries(A))]),
    "a future position of a slot": ("SCR-UNREAD", [L10.direct().at(2).carries(A, reads("k", at=3).carries(A))]),
    "another position of an MLP": ("SCR-UNREAD", [mlp(1).direct().at(3).carries(A, EMBED.direct().at(1).carries(A))]),
    "another query": ("SCR-UNREAD", [L10.direct().at(3).carries(A, reads("q", at=2).carries(A))]),
    "queries of what has no pattern": (
        "SCR-UNREAD",
        [L10.direct().part(attending_to(-1)).carries(A, reads("q").carries(A))],
    ),
    "keys that offsets leave out": (
        "SCR-UNREAD",
        [L10.direct().at(3).part(offsets(-1)).carries(A, reads("v", at=3).carries(A))],
    ),
    "half of a bundle": (
        "SCR-UNREAD",
        [mlp(1).direct().at(3).carries(A, (EMBED.direct().at(1) | L00.direct()).carries(A))],
    ),
    "no route": ("SCR-ROUTE", [L10.carries(A)]),
    "no route that is direct": ("SCR-ROUTE", [mlp(0).direct().carries(A, EMBED.carries(A)), MASK.carries(A)]),
    "its own node": ("SCR-ROUTE", [mlp(0).direct().carries(A, mlp(0).direct().carries(A))]),
    "via, the wrong way round": ("SCR-PATH", [EMBED.via(L00, L10).carries(A)]),
    "everything avoided": ("SCR-PATH", [MASK.any_path(avoid=[head(i, j) for i in (0, 1) for j in (0, 1)]).carries(A)]),
    "into a slot it does not reach": ("SCR-PATH", [L10.direct().carries(A, MASK.direct().into("q").carries(A))]),
    "not upstream": ("SCR-UPSTREAM", [L00.direct().carries(A, L10.direct().carries(A))]),
    "not upstream, two levels": (
        "SCR-UPSTREAM",
        [mlp(1).direct().carries(A, L00.direct().carries(A, mlp(0).direct().carries(A)))],
    ),
    "another slot than the parent's": (
        "SCR-SLOT",
        [L10.direct().carries(A, reads("q").carries(A, reads("k").carries(A)))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_of_each_kind(case: str) -> None:
    code, claims = CASES[case]
    made = Hypothesis("h", "c", OUTPUT.carries(OUT, *claims))
    found = [fault for fault in faults(made, GRAPHS["padded"], DATA["padded"]) if fault.code in MEET]
    assert code in {fault.code for fault in found}
    assert check_remedies(made, GRAPHS["padded"], DATA["padded"], None) >= 1


@pytest.mark.parametrize(
    ("claim", "at"),
    [
        (L10.direct().at(3).carries(A), (0,)),
        (L10.direct().carries(A, reads("q", at=3).carries(A)), (0,)),
        (reads(at=3).carries(A), (0,)),
        (mlp(1).direct().at([3, 4]).carries(A), (0, 1)),
        (EMBED.any_path(avoid=[L10, head(1, 1), L00, head(0, 1)]).at(2).carries(A), (0,)),
        (EMBED.any_path().at(5).carries(A), (4,)),
    ],
)
def test_what_the_loss_does_not_read(claim: Claim, at: tuple[int, ...]) -> None:
    """Legal where every output is read, and not where the loss reads some."""
    graph, data = GRAPHS["causal"], DATA["causal"]
    made = Hypothesis("h", "c", OUTPUT.carries(OUT, claim))
    assert faults(made, graph, data) == []
    assert {fault.code for fault in faults(made, graph, data, Where(at))} == {"SCR-UNREAD"}
    assert check_remedies(made, graph, data, Where(at)) >= 1


LEGAL = [
    L10.any_path().at(5).carries(
        A, reads("k", "v", at=slice(1, 5)).carries(A), L00.any_path().at(5).carries(A)
    ),
    mlp(1).direct().at(3).carries(A, EMBED.direct().at(3).carries(A)),
    L10.direct().at(3).carries(A, reads("v", at=2).carries(A), EMBED.direct().into("q").at(3).carries(A)),
    L10.direct().at(odd_positions).carries(A, EMBED.direct().at(0).carries(A)),
    mlp(1).direct().at(odd_positions).carries(A, EMBED.direct().at(1).carries(A)),
]  # fmt: skip


@pytest.mark.parametrize("claim", LEGAL)
def test_disjoint_positions_do_not_overlap(claim: Claim) -> None:
    made = Hypothesis("h", "c", OUTPUT.carries(OUT, claim))
    assert (
        faults(made, GRAPHS["causal"], DATA["causal"], Where((5,) if claim is LEGAL[0] else tuple(range(LENGTH)))) == []
    )


def test_a_sentence_names_them_all() -> None:
    made = Hypothesis("h", "c", OUTPUT.carries(OUT, L10.direct().carries(A), L00.any_path().carries(B)))
    (fault,) = faults(made, GRAPHS["causal"])
    tree = treeify(made, GRAPHS["causal"])
    (finding,) = Meeting(tree).findings()
    found = Remedies(tree, None, lambda tree: ()).of(finding)
    assert fault.remedy == sentence(found)
    assert [remedy.text for remedy in found] == [
        "keep 'a0.h0 by any path: b' off it with .any_path(avoid=\"a1.h0\")",
        "claim 'a0.h0 by any path: b' below 'a1.h0 directly: a'",
        "drop 'a0.h0 by any path: b'",
    ]


def test_remedies_are_tried_out_within_bounds(monkeypatch):
    """Claims on each other's paths in a deep model have hundreds of faults, each of which has a remedy nevertheless."""
    graph = transformer_graph(8, 8, d_model=8, d_mlp=6, positions=LENGTH, causal=True, padded=False)
    claims = [head(layer, i).any_path().carries(OUT) for layer in range(8) for i in range(2)]
    made = Hypothesis("many", "Of many.", OUTPUT.carries(OUT, *claims))
    counted: list[int] = []
    monkeypatch.setattr("scrubbing.hypothesis.remedies._WORK", 20_000)
    real = treeify

    def counting(*given: Any) -> Tree:
        counted.append(1)
        return real(*given)

    monkeypatch.setattr("scrubbing.hypothesis.remedies.treeify", counting)
    found = faults(made, graph, DATA["causal"], None)
    assert len(found) == 112  # pairs of claims of two layers
    assert all(fault.code == "SCR-OVERLAP" and fault.remedy for fault in found)
    assert 0 < len(counted) < 5
