"""Vectors without a direction, and parts that turn out wrong when they are computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scrubbing import IllegalHypothesis, UsageError, mlp, project
from scrubbing.parts import activation, direction, function, neurons

V = np.ones(8)


VECTORS = {
    "zero": lambda: project(np.zeros(8)),
    "one of two is zero": lambda: project(np.stack([V, 0 * V])),
    "NaN": lambda: project(np.full(8, np.nan)),
    "a matrix of vectors": lambda: project(np.ones((2, 2, 8))),
    "a number": lambda: project(3.0),
    "no number": lambda: function(np.abs, along=[]),
    "words": lambda: project(["a", "b"]),
}


@pytest.mark.parametrize("case", VECTORS)
def test_vectors(case, refused):
    refused(UsageError, "SCR-VECTORS", VECTORS[case])


@direction
def five_numbers(model):
    return np.ones(5)


@direction
def two_vectors(model):
    return np.ones((2, 8))


@direction
def nothing(model):
    return torch.zeros(8, requires_grad=True)


def wave(data):
    return np.sin(data.ids)


def three_values(data):
    return data.ids[:3]


def five_positions(data):
    return np.ones((len(data), 5))


def undefined(data):
    return np.where(data.ids > 9, np.inf, 1.0)


def words(data):
    return data.ids.astype(str)


def five_wide(data):
    return np.ones((len(data), 5))


def depth(data):
    return data["depth"]


def narrowed(x):
    return x[:, :3]


def forgotten(x):
    x.abs()


def centred(x):
    return x - x.mean(0)


def elsewhere(x):
    return torch.empty_like(x, device="meta")


def endless(x):
    return x * float("inf")


def enormous(x):
    return x * 1e9


def scrubbed(w, one):
    return w.scrub(mlp(1).direct().part(one).carries(w.parity))


ILLEGAL = {
    "direction of another width": ("SCR-PART", lambda w: scrubbed(w, project(five_numbers))),
    "several directions for one number": ("SCR-PART", lambda w: scrubbed(w, function(wave, along=two_vectors))),
    "too few values": ("SCR-PART", lambda w: scrubbed(w, function(three_values, along=V))),
    "too few positions": ("SCR-PART", lambda w: scrubbed(w, function(five_positions, along=V))),
    "values that are words": ("SCR-PART", lambda w: scrubbed(w, function(words, along=V))),
    "values that are vectors of another width": ("SCR-PART", lambda w: scrubbed(w, function(five_wide))),
    "values that are not finite": ("SCR-NAN", lambda w: scrubbed(w, function(undefined, along=V))),
    "output of another width": ("SCR-PART", lambda w: scrubbed(w, activation(narrowed))),
    "no output": ("SCR-PART", lambda w: scrubbed(w, activation(forgotten))),
    "one token depends on others": ("SCR-PART", lambda w: scrubbed(w, activation(centred))),
    "output on another device": ("SCR-DEVICE", lambda w: scrubbed(w, activation(elsewhere))),
    "not finite": ("SCR-SUM", lambda w: scrubbed(w, activation(endless))),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_illegal(case, world, refused):
    codes, call = ILLEGAL[case]
    refused(IllegalHypothesis, codes, lambda: call(world))


def test_a_part_that_holds_a_tensor_of_another_device(world, refused):
    held = torch.ones(8, device="meta")

    def shifted(x):
        return x + held

    refused(UsageError, "SCR-DEVICE", lambda: scrubbed(world, activation(shifted)))


def test_direction_that_is_zero(world, refused):
    refused(UsageError, "SCR-VECTORS", lambda: scrubbed(world, project(nothing)))


def test_a_rewrite_that_does_not_add_up(world, refused):
    """Part and remainder cancel only to float precision, and this part is a billion times the node."""
    hide = {r"by [\d.e+]+ of": "by <some> of"}
    refused(IllegalHypothesis, "SCR-SUM", lambda: scrubbed(world, activation(enormous)), hide)


def test_a_function_that_changes_its_argument_changes_nothing_else(world):
    def half(x):
        return x * 0.5

    def in_place(x):
        return x.mul_(0.5)

    in_place.__name__ = "half"  # names of parts are names of random streams
    losses = [scrubbed(world, activation(function)).losses["scrubbed"] for function in (half, in_place)]
    assert np.array_equal(*losses)


def test_neurons_in_any_order_are_the_same_part():
    assert neurons([3, 1, 1]) == neurons(np.array([1, 3]))
