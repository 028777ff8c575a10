"""Features, variables and scopes that are no function of the inputs, or not the one they claim to be."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import Hypothesis, IllegalHypothesis, UsageError, Variable, feature, head, joint
from scrubbing.samplers import agree


def checked(w, variable, **options):
    w.check(head(1, 0).direct().carries(variable), **options)


def checked_each(w, variable):
    w.check(head(1, 0).direct().each().carries(variable))


def raises(data):
    return data["tokens"][:, 99]


def both(first, second):
    return first + second


RNG = np.random.default_rng(0)


def third_of_id(data):
    return data.ids / 3


ILLEGAL = {
    # Values
    "too few values": ("SCR-FEATURE", lambda w: checked(w, w.variable("short", lambda data: data.ids[:5]))),
    "one value": ("SCR-FEATURE", lambda w: checked(w, w.variable("yes", lambda data: True))),
    "no value": ("SCR-FEATURE", lambda w: checked(w, w.variable("forgot to return", lambda data: None))),
    "three axes": ("SCR-FEATURE", lambda w: checked(w, w.variable("deep", lambda data: np.zeros((12, 2, 2), int)))),
    "one axis per position": (
        "SCR-FEATURE",
        lambda w: checked_each(w, w.variable("flat", lambda data: data.ids, per="position")),
    ),
    "too few positions": (
        "SCR-FEATURE",
        lambda w: checked_each(w, w.variable("narrow", lambda data: data["tokens"][:, :4], per="position")),
    ),
    "objects": ("SCR-FEATURE", lambda w: checked(w, w.variable("sets", lambda data: [{1}] * 12))),
    "random values": ("SCR-FEATURE", lambda w: checked(w, w.variable("coin", lambda data: RNG.random(12) < 0.5))),
    "an exception": ("SCR-FEATURE", lambda w: checked(w, w.variable("last", raises))),
    "a missing column": ("SCR-COLUMN", lambda w: checked(w, w.variable("depth", lambda data: data["depth"] == 0))),
    "NaN": ("SCR-NAN", lambda w: checked(w, w.variable("ratio", lambda data: np.where(data.ids > 9, np.nan, 1.0)))),
    "infinity, rounded": (
        "SCR-NAN",
        lambda w: checked(w, Variable("ratio", feature(lambda data: np.where(data.ids > 9, np.inf, 1.0)).rounded(0.1))),
    ),
    "floats": ("SCR-FLOAT", lambda w: checked(w, Variable("share", feature(third_of_id)))),
    "floats in a joint feature": (
        "SCR-FLOAT",
        lambda w: checked(w, Variable("both", (w.parity.feature, feature(third_of_id)))),
    ),
    "words, rounded": (
        "SCR-FEATURE",
        lambda w: checked(w, Variable("word", feature(name="word")(lambda data: data.ids.astype(str)).rounded(1))),
    ),
    "numbers combined as booleans": (
        "SCR-FEATURE",
        lambda w: checked(w, Variable("both", w.parity.feature & w.thirds.feature)),
    ),
    "two features of which one fails": (
        "SCR-COLUMN SCR-NAN",
        lambda w: w.check(
            head(1, 0).direct().carries(w.variable("depth", lambda data: data["depth"])),
            head(1, 1).direct().carries(w.variable("ratio", lambda data: data.ids * np.nan)),
        ),
    ),
    "unclaimed by a feature that is too short": (
        "SCR-FEATURE",
        lambda w: w.check(
            head(1, 0)
            .direct()
            .carries(
                w.parity,
                head(0, 0).direct().carries(w.parity),
                unclaimed=agree(feature(name="short")(lambda data: data.ids[:5])),
            )
        ),
    ),
    # Variables
    "nothing to agree on": ("SCR-FEATURE", lambda w: checked(w, Variable("mystery"))),
    "a parent with nothing to agree on": (
        "SCR-FEATURE",
        lambda w: checked(w, Variable("sum", None, (Variable("mystery"),), value=lambda mystery: mystery)),
    ),
    "value function that contradicts": (
        "SCR-VALUE",
        lambda w: checked(w, Variable("first third", w.parity.feature, (w.thirds,), value=lambda thirds: thirds == 1)),
    ),
    "value function of another shape": (
        "SCR-FEATURE",
        lambda w: checked(w, Variable("first third", w.parity.feature, (w.thirds,), value=lambda thirds: thirds[:3])),
    ),
    "value function with other arguments": (
        "SCR-FEATURE",
        lambda w: checked(w, Variable("sum", None, (w.thirds,), value=both)),
    ),
    "two variables of one name": (
        "SCR-VARIABLE",
        lambda w: w.check(
            head(1, 0).direct().carries(Variable("count", w.parity.feature)),
            head(1, 1).direct().carries(Variable("count", w.thirds.feature)),
        ),
    ),
    "a parent of its child's name": (
        "SCR-VARIABLE",
        lambda w: checked(w, Variable("count", w.parity.feature, (Variable("count", w.thirds.feature),))),
    ),
    "variables in a circle": (
        "SCR-CYCLE",
        lambda w: w.check(
            head(1, 0).direct().carries(w.parity, head(0, 0).direct().carries(w.thirds)),
            head(1, 1).direct().carries(w.thirds, head(0, 0).direct().carries(w.parity)),
        ),
    ),
    # Scope
    "empty scope": ("SCR-SCOPE", lambda w: checked(w, w.parity, scope=w.never())),
    "scope that is no boolean": ("SCR-SCOPE", lambda w: checked(w, w.parity, scope=w.thirds.feature)),
    "scope per position": (
        "SCR-SCOPE",
        lambda w: checked(w, w.parity, scope=feature(per="position", name="large")(lambda data: data["tokens"] > 9)),
    ),
    "scope that fails": (
        "SCR-COLUMN",
        lambda w: checked(w, w.parity, scope=feature(name="long")(lambda data: data["length"] > 9)),
    ),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_illegal(case, world, refused):
    codes, call = ILLEGAL[case]
    refused(IllegalHypothesis, codes, lambda: call(world))


MISUSED = {
    "a plain function as a feature": ("SCR-FEATURE", lambda w: Variable("last", raises)),
    "a plain function to agree on": ("SCR-FEATURE", lambda w: agree(raises)),
    "a plain function in a combination": ("SCR-FEATURE", lambda w: w.parity.feature & raises),
    "a plain function as a scope": ("SCR-SCOPE", lambda w: Hypothesis("h", "c", w.hypothesis().correspondence, raises)),
    "joint of nothing": ("SCR-FEATURE", lambda w: joint()),
    "per token": ("SCR-FEATURE", lambda w: feature(per="token")),
    "everywhere, of a feature per input": ("SCR-FEATURE", lambda w: w.parity.feature.everywhere()),
    "steps of zero": ("SCR-FLOAT", lambda w: feature(third_of_id).rounded(0)),
    "negative tolerance": ("SCR-FLOAT", lambda w: feature(third_of_id).at_most(0.5, tolerance=-1e-6)),
    "a variable without a name": ("SCR-VARIABLE", lambda w: Variable(w.parity.feature)),
    "a parent that is no tuple": ("SCR-VARIABLE", lambda w: Variable("sum", None, (w.parity), value=np.abs)),
}


@pytest.mark.parametrize("case", MISUSED)
def test_misused(case, world, refused):
    codes, call = MISUSED[case]
    refused(UsageError, codes, lambda: call(world))


def test_a_feature_keeps_the_traceback_of_what_it_raised(world):
    with pytest.raises(IllegalHypothesis) as caught:
        feature(raises)(world.data)
    assert isinstance(caught.value.__cause__, IndexError)


def test_one_value_per_input_next_to_one_per_position_holds_everywhere(world):
    even = feature(name="even")(lambda data: data.ids % 2 == 0)
    large = feature(per="position", name="large")(lambda data: data["tokens"] > 20)
    together = (even & large)(world.data)
    assert np.array_equal(together, even(world.data)[:, None] & large(world.data))


def test_fine_features_together_do_not_wrap_around(world):
    parts = [feature(name=f"id {i}")(lambda data, i=i: np.roll(np.arange(2000), i * 7)) for i in range(7)]
    data = type(world.data)({"x": np.zeros(2000)})
    assert len(np.unique(joint(*parts)(data))) == 2000
