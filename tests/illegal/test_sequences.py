"""Slices, baselines and parts of attention that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import (
    Baseline,
    Feature,
    IllegalHypothesis,
    NextToken,
    Series,
    UsageError,
    by_position,
    feature,
    head,
    mlp,
)
from scrubbing.parts import attending_to as as_if
from scrubbing.parts import offsets, pairs


def per_position(name, compute):
    return feature(name=name, per="position")(compute)


def never(data):
    return np.zeros(data["tokens"].shape, dtype=bool)


def tokens(data):
    return data["tokens"]


def last_input(data):
    return np.broadcast_to(data.ids[:, None] == 11, data["tokens"].shape)


def scrubbed(w, where: Feature | None = None, **options):
    options = {"model": w.models("native LN"), "loss": NextToken(where), "references": [0, 1], **options}
    return w.scrub(head(1, 0).direct().carries(w.parity), **options)


SEQUENCES = {
    "pairs of a slice that selects nothing": ("SCR-SLICE", lambda w: by_position(w.data, per_position("never", never))),
    "pairs of a slice of numbers": ("SCR-SLICE", lambda w: by_position(w.data, per_position("tokens", tokens))),
    "pairs with too long a context": ("SCR-POSITION", lambda w: by_position(w.data, w.token_parity.feature, context=6)),
    "slice that selects nothing": ("SCR-SLICE", lambda w: scrubbed(w, per_position("never", never))),
    "slice of numbers": ("SCR-SLICE", lambda w: scrubbed(w, per_position("tokens", tokens))),
    "slice of inputs": ("SCR-SLICE", lambda w: scrubbed(w, w.early())),
    "slice outside the references": ("SCR-SLICE", lambda w: scrubbed(w, per_position("last input", last_input))),
    "further slice that selects nothing": (
        "SCR-SLICE",
        lambda w: scrubbed(w, slices={"none": per_position("never", never)}),
    ),
    "further slice outside the references": (
        "SCR-SLICE",
        lambda w: scrubbed(w, slices={"late": per_position("last input", last_input)}),
    ),
    "baseline of a taken name": (
        "SCR-BASELINE",
        lambda w: scrubbed(w, extra_baselines={"null": Baseline("another", losses=lambda data: data)}),
    ),
    "baseline of nothing": ("SCR-BASELINE", lambda w: Baseline("nothing")),
    "baseline of two things": (
        "SCR-BASELINE",
        lambda w: Baseline("two things", hypothesis=w.hypothesis(), losses=lambda data: data),
    ),
    "series that goes back": (
        "SCR-SERIES",
        lambda w: Series("this model in training", "% of it", (10.0, 5.0), (2.0, 3.0)),
    ),
    "series of one": ("SCR-SERIES", lambda w: Series("this model in training", "% of it", (10.0,), (2.0,))),
    "series with losses of another number": (
        "SCR-SERIES",
        lambda w: Series("this model in training", "% of it", (1.0, 5.0), (2.0, 3.0, 4.0)),
    ),
    "unknown zero": ("SCR-BASELINE", lambda w: scrubbed(w, zero_baseline="heads")),
    "no offset": ("SCR-PART", lambda w: offsets()),
    "offset that is no integer": ("SCR-PART", lambda w: offsets(0.5)),
    "as if attending to a word": ("SCR-PART", lambda w: as_if("previous")),
    "pairs that are not square": ("SCR-PART", lambda w: pairs(np.ones((2, 3), dtype=bool))),
    "pairs of numbers": ("SCR-PART", lambda w: pairs(np.ones((2, 2)))),
    "no pair": ("SCR-PART", lambda w: pairs(np.zeros((2, 2), dtype=bool))),
}


@pytest.mark.parametrize("case", SEQUENCES)
def test_sequences(case, world, refused):
    codes, call = SEQUENCES[case]
    refused(UsageError, codes, lambda: call(world))


PARTS = {
    "keys of an MLP": lambda w: mlp(1).direct().part(offsets(0)),
    "keys after their query": lambda w: head(1, 0).direct().part(offsets(1)),
    "keys outside the input": lambda w: head(1, 0).direct().part(as_if(-6)),
    "pairs of another length": lambda w: head(1, 0).direct().part(pairs(np.eye(4, dtype=bool))),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts_of_attention(case, world, refused):
    refused(IllegalHypothesis, "SCR-PART", lambda: world.check(PARTS[case](world).carries(world.parity)))


def test_parts_that_share_pairs(world, refused):
    twice = [
        head(1, 0).direct().part(part).carries(world.parity) for part in (offsets(0), pairs(np.eye(6, dtype=bool)))
    ]
    refused(IllegalHypothesis, "SCR-OVERLAP", lambda: world.check(*twice))


def test_parts_that_do_not(world):
    first = head(1, 0).direct().part(offsets(0)).carries(world.parity)
    world.check(first, head(1, 0).direct().part(offsets(-1, -2)).carries(world.parity))
