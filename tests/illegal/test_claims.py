"""Claims that match no path, match one twice, or ask for what a node does not have."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import (
    EMBED,
    MASK,
    OUTPUT,
    Hypothesis,
    IllegalHypothesis,
    UsageError,
    feature,
    head,
    mlp,
    node,
    part,
    project,
    reads,
)
from scrubbing.parts import activation, attending_to, function, neurons
from scrubbing.samplers import agree, exact, fixed, generated, separate, uniform

V = np.ones(8)


def wave(data):
    return np.sin(data.ids)


def copy(held, uniform):
    return {name: held[name] for name in held}


def odd_tokens(data):
    return data["tokens"] % 2


def few_rows(data):
    return data["tokens"][:3] > 20


ILLEGAL = {
    # Nodes
    "unknown head": ("SCR-NODE", lambda w: w.check(head(1, 7).direct().carries(w.parity))),
    "unknown head by any path": ("SCR-NODE", lambda w: w.check(head(7, 0).any_path().carries(w.parity))),
    "unknown node to avoid": ("SCR-NODE", lambda w: w.check(head(1, 1).any_path(avoid=mlp(9)).carries(w.parity))),
    "unknown node in between": ("SCR-NODE", lambda w: w.check(EMBED.via("a1.h9").carries(w.parity))),
    "mask of unpadded inputs": (
        "SCR-NODE",
        lambda w: w.check(head(1, 0).direct().carries(w.parity, MASK.direct().carries(w.parity))),
    ),
    "avoiding what is no node": ("SCR-NODE", lambda w: EMBED.any_path(avoid=reads("q"))),
    "node name": ("SCR-NAME", lambda w: node("1.head")),
    # The root
    "root on a head": ("SCR-ROOT", lambda w: Hypothesis("h", "c", head(0, 0).carries(w.output)).check(w.graph)),
    "root at a position": ("SCR-ROOT", lambda w: Hypothesis("h", "c", OUTPUT.at(0).carries(w.output)).check(w.graph)),
    "root that draws": (
        "SCR-ROOT",
        lambda w: Hypothesis("h", "c", OUTPUT.carries(w.output, sampler=uniform)).check(w.graph),
    ),
    # Routes
    "no route": ("SCR-ROUTE", lambda w: w.check(head(1, 0).carries(w.parity))),
    "via nothing": ("SCR-ROUTE", lambda w: EMBED.via()),
    "the parent's own node": (
        "SCR-ROUTE",
        lambda w: w.check(mlp(0).direct().carries(w.parity, mlp(0).direct().carries(w.parity))),
    ),
    "not upstream": (
        "SCR-UPSTREAM",
        lambda w: w.check(head(0, 0).direct().carries(w.parity, head(1, 0).direct().carries(w.parity))),
    ),
    "no such path": ("SCR-PATH", lambda w: w.check(EMBED.via(head(0, 0), head(1, 0)).carries(w.parity))),
    "no direct path": ("SCR-PATH", lambda w: w.check(MASK.direct().carries(w.parity), padded=True)),
    "everything in between avoided": (
        "SCR-PATH",
        lambda w: w.check(
            MASK.any_path(avoid=[head(layer, i) for layer in (0, 1) for i in (0, 1)]).carries(w.parity), padded=True
        ),
    ),
    "into a slot it does not reach": (
        "SCR-PATH",
        lambda w: w.check(
            head(1, 0).direct().carries(w.parity, MASK.direct().into("q").carries(w.parity)), padded=True
        ),
    ),
    "below an unmatched claim": (
        "SCR-PATH",
        lambda w: w.check(head(0, 0).via(mlp(0), mlp(1)).carries(w.parity, EMBED.direct().carries(w.parity))),
    ),
    # Slots
    "unknown slot": (
        "SCR-SLOT",
        lambda w: w.check(head(1, 0).direct().carries(w.parity, reads("z").carries(w.parity))),
    ),
    "into an unknown slot": ("SCR-SLOT", lambda w: w.check(EMBED.direct().into("q").carries(w.parity))),
    "reads of the embedding": ("SCR-SLOT", lambda w: w.check(EMBED.direct().reads().carries(w.parity))),
    "mask slot of unpadded inputs": (
        "SCR-SLOT",
        lambda w: w.check(head(1, 0).direct().carries(w.parity, reads("mask").carries(w.parity))),
    ),
    "a slot the parent claim leaves out": (
        "SCR-SLOT",
        lambda w: w.check(
            head(1, 0).direct().carries(w.parity, reads("q").carries(w.thirds, reads("k").carries(w.thirds)))
        ),
    ),
    # Overlaps
    "overlap": (
        "SCR-OVERLAP",
        lambda w: w.check(head(1, 0).direct().carries(w.parity), head(1, 0).direct().carries(w.thirds)),
    ),
    "overlap of routes": (
        "SCR-OVERLAP",
        lambda w: w.check(head(0, 0).any_path().carries(w.parity), head(1, 0).direct().carries(w.thirds)),
    ),
    "the same claim twice": ("SCR-OVERLAP", lambda w: w.check(*[mlp(1).direct().carries(w.parity)] * 2)),
    "overlap within a claim": (
        "SCR-OVERLAP",
        lambda w: w.check((EMBED.direct() | EMBED.any_path()).carries(w.parity)),
    ),
    "overlap of neurons": (
        "SCR-OVERLAP",
        lambda w: w.check(
            mlp(1).direct().part(neurons([0, 1])).carries(w.parity),
            mlp(1).direct().part(neurons([1, 2])).carries(w.thirds),
        ),
    ),
    "overlap of own parts": (
        "SCR-OVERLAP",
        lambda w: w.check(
            mlp(1)
            .direct()
            .carries(w.parity, part(neurons([0, 1])).carries(w.parity), part(neurons([1])).carries(w.thirds))
        ),
    ),
    "a part and the whole": (
        "SCR-OVERLAP",
        lambda w: w.check(mlp(1).direct().part(project(V)).carries(w.parity), mlp(1).direct().carries(w.thirds)),
    ),
    # Positions
    "positions outside": ("SCR-POSITION", lambda w: w.check(head(1, 0).direct().at([1, 6, -7]).carries(w.parity))),
    "no position": ("SCR-POSITION", lambda w: w.check(head(1, 0).direct().at(slice(9, 12)).carries(w.parity))),
    "positions of few inputs": ("SCR-POSITION", lambda w: w.check(head(1, 0).direct().at(few_rows).carries(w.parity))),
    "positions that are no mask": (
        "SCR-POSITION",
        lambda w: w.check(head(1, 0).direct().at(odd_tokens).carries(w.parity)),
    ),
    # Where nothing is read
    "a later position": (
        "SCR-UNREAD",
        lambda w: w.check(
            head(1, 0).any_path().at(2).carries(w.parity, reads("k", "v", at=slice(3, 5)).carries(w.parity))
        ),
    ),
    "another position of an MLP": (
        "SCR-UNREAD",
        lambda w: w.check(mlp(1).direct().at(2).carries(w.parity, EMBED.direct().at([1, 3]).carries(w.thirds))),
    ),
    "the query of another position": (
        "SCR-UNREAD",
        lambda w: w.check(
            head(1, 0).direct().at(2).carries(w.parity, head(0, 0).direct().into("q").at(1).carries(w.thirds))
        ),
    ),
    "keys of a part that has no pattern": (
        "SCR-UNREAD",
        lambda w: w.check(head(1, 0).direct().part(attending_to(-1)).carries(w.parity, reads("k").carries(w.thirds))),
    ),
    "an output that the loss does not read": (
        "SCR-UNREAD",
        lambda w: w.scrub(mlp(1).direct().at(2).carries(w.parity)),
    ),
    "what a slot reads where its claim is not read": (
        "SCR-UNREAD",
        lambda w: w.scrub(head(1, 0).direct().carries(w.parity, reads("q", at=3).carries(w.parity))),
    ),
    # One draw, many positions
    "per-position feature, one draw": ("SCR-EACH", lambda w: w.check(head(1, 0).direct().carries(w.token_parity))),
    "per-position sampler, one draw": (
        "SCR-EACH",
        lambda w: w.check(head(1, 0).direct().carries(w.parity, sampler=agree(w.token_parity.feature))),
    ),
    "per-position unclaimed, one draw": (
        "SCR-EACH",
        lambda w: w.check(
            head(1, 0)
            .direct()
            .carries(w.parity, EMBED.direct().carries(w.parity), unclaimed=agree(w.token_parity.feature))
        ),
    ),
    # Masks
    "mask at a position": (
        "SCR-MASK",
        lambda w: w.check(head(1, 0).direct().carries(w.parity, reads("mask", at=1).carries(w.parity)), padded=True),
    ),
    "mask with claims below it": (
        "SCR-MASK",
        lambda w: w.check(
            head(1, 0)
            .direct()
            .carries(w.parity, reads("q", "mask").carries(w.thirds, EMBED.direct().carries(w.thirds))),
            padded=True,
        ),
    ),
    # Parts
    "neuron out of range": ("SCR-PART", lambda w: w.check(mlp(1).direct().part(neurons([1, 99])).carries(w.parity))),
    "neurons of a head": ("SCR-PART", lambda w: w.check(head(1, 0).direct().part(neurons([1])).carries(w.parity))),
    "neurons behind a norm": (
        "SCR-PART",
        lambda w: w.hypothesis(mlp(1).direct().part(neurons([1])).carries(w.parity)).check(w.post_norm_graph),
    ),
    "neurons of one of two nodes": (
        "SCR-PART",
        lambda w: w.check(
            (mlp(1).direct() | head(1, 0).direct()).carries(w.parity, part(neurons([1])).carries(w.parity))
        ),
    ),
    "vector of another width": (
        "SCR-PART",
        lambda w: w.check(mlp(1).direct().part(project(np.ones(5))).carries(w.parity)),
    ),
    "several vectors for one number": (
        "SCR-PART",
        lambda w: w.check(mlp(1).direct().part(function(wave, along=np.ones((2, 8)))).carries(w.parity)),
    ),
    "part of what is read": (
        "SCR-PART",
        lambda w: w.check(head(1, 0).direct().carries(w.parity, reads("q").part(project(V)).carries(w.parity))),
    ),
    "claims below a function of the input": (
        "SCR-PART",
        lambda w: w.check(
            mlp(1).direct().part(function(wave, along=V)).carries(w.parity, EMBED.direct().carries(w.parity))
        ),
    ),
    "part of a part": (
        "SCR-PART",
        lambda w: w.check(
            mlp(1).direct().part(neurons([1, 2])).carries(w.parity, part(neurons([1])).carries(w.parity))
        ),
    ),
    "beside the parts of its parent": (
        "SCR-PART",
        lambda w: w.check(
            mlp(1).direct().carries(w.parity, part(neurons([1])).carries(w.parity), EMBED.direct().carries(w.parity))
        ),
    ),
    "part of the output": ("SCR-PART", lambda w: w.check(part(activation(abs)).carries(w.parity))),
    # Samplers and groups
    "exactly itself, never itself": (
        "SCR-SAMPLER",
        lambda w: w.check(mlp(1).direct().carries(w.parity, sampler=exact, exclude_self=True)),
    ),
    "agreeing on everything, never itself": (
        "SCR-SAMPLER",
        lambda w: w.check(mlp(1).direct().carries(w.output, exclude_self=True)),
    ),
    "generated, never itself": (
        "SCR-SAMPLER",
        lambda w: w.check(mlp(1).direct().carries(w.parity, sampler=generated(copy), exclude_self=True)),
    ),
    "fixed input that is not there": (
        "SCR-SAMPLER",
        lambda w: w.check(mlp(1).direct().carries(w.parity, sampler=fixed(99))),
    ),
    "fixed input out of scope": (
        "SCR-SAMPLER",
        lambda w: w.check(
            mlp(1).direct().carries(w.parity, EMBED.direct().carries(w.parity), unclaimed=separate(fixed(7))),
            scope=w.early(),
        ),
    ),
    "group of two variables": (
        "SCR-GROUP",
        lambda w: w.check(
            head(1, 0).direct().carries(w.parity, group="g"), head(1, 1).direct().carries(w.thirds, group="g")
        ),
    ),
    "group below two claims": (
        "SCR-GROUP",
        lambda w: w.check(
            head(1, 0).direct().carries(w.thirds, EMBED.direct().carries(w.parity, group="g")),
            head(1, 1).direct().carries(w.thirds, EMBED.direct().carries(w.parity, group="g", exclude_self=True)),
        ),
    ),
    "floats to agree on": (
        "SCR-FLOAT",
        lambda w: w.check(mlp(1).direct().carries(w.parity, sampler=agree(feature(wave)))),
    ),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_illegal(case, world, refused):
    codes, call = ILLEGAL[case]
    refused(IllegalHypothesis, codes, lambda: call(world))


def test_several_faults_at_once(world, refused):
    claims = (
        head(1, 0).direct().at(17).carries(world.variable("short", lambda data: data.ids[:5])),
        head(1, 1).direct().carries(world.variable("waves", wave), head(1, 0).direct().carries(world.parity)),
        mlp(1).carries(world.parity),
        EMBED.direct().carries(world.token_parity, exclude_self=True),
    )
    codes = "SCR-ROUTE SCR-UPSTREAM SCR-POSITION SCR-EACH SCR-FEATURE SCR-FLOAT"
    refused(IllegalHypothesis, codes, lambda: world.check(*claims))


def test_unknown_names_are_reported_without_what_follows_from_them(world, refused):
    claims = (
        head(7, 0).direct().carries(world.parity, EMBED.direct().carries(world.parity)),
        mlp(9).direct().at(99).carries(world.parity),
    )
    refused(IllegalHypothesis, "SCR-NODE SCR-NODE", lambda: world.check(*claims))


MISUSED = {
    "a feature where a variable belongs": ("SCR-VARIABLE", lambda w: mlp(1).direct().carries(w.parity.feature)),
    "a claim that is not finished": ("SCR-CLAIM", lambda w: mlp(1).direct().carries(w.parity, EMBED.direct())),
    "claims in a list": ("SCR-CLAIM", lambda w: OUTPUT.carries(w.output, [mlp(1).direct().carries(w.parity)])),
    "a hypothesis without a claim": ("SCR-CLAIM", lambda w: Hypothesis("h", "c", OUTPUT)),
    "a hypothesis without a name": ("SCR-NAME", lambda w: Hypothesis("", "c", OUTPUT.carries(w.output))),
    "a hypothesis whose name is a number": ("SCR-NAME", lambda w: Hypothesis(7, "c", OUTPUT.carries(w.output))),
    "a claim instead of a sentence": ("SCR-CLAIM", lambda w: Hypothesis("h", OUTPUT.carries(w.output), None)),
    "a sampler by name": ("SCR-SAMPLER", lambda w: mlp(1).direct().carries(w.parity, sampler="uniform")),
    "separate() as a sampler": ("SCR-SAMPLER", lambda w: mlp(1).direct().carries(w.parity, sampler=separate())),
    "unclaimed by name": ("SCR-SAMPLER", lambda w: mlp(1).direct().carries(w.parity, unclaimed="mean")),
    "a vector where a part belongs": ("SCR-PART", lambda w: mlp(1).direct().part(V)),
    "neurons by mask": ("SCR-PART", lambda w: neurons(np.array([True, False, True]))),
    "no neurons": ("SCR-PART", lambda w: neurons([])),
    "a position where a slot belongs": ("SCR-SLOT", lambda w: reads(1)),
    "a word for positions": ("SCR-POSITION", lambda w: head(1, 0).direct().at("first")),
    "a fraction of a position": ("SCR-POSITION", lambda w: reads(at=1.5)),
    "positions by mask": ("SCR-POSITION", lambda w: reads(at=[True, False, True])),
    "a slice without a step": ("SCR-POSITION", lambda w: reads(at=slice(0, 4, 0))),
}


@pytest.mark.parametrize("case", MISUSED)
def test_misused(case, world, refused):
    codes, call = MISUSED[case]
    refused(UsageError, codes, lambda: call(world))
