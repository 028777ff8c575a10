"""A trained Llama from a folder without tokenizer files: what its previous-token heads carry, by a small ladder."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Claim,
    Dataset,
    Experiment,
    Hypothesis,
    NextToken,
    Variable,
    anything,
    everything,
    head,
    load_model,
    part,
)
from scrubbing.models.transformer.model import Transformer
from scrubbing.parts import offsets
from scrubbing.samplers import exact

HEADS = [(1, 3), (3, 6)]
"""Attend to the previous token with a weight of 0.83 and 0.88 on average."""
SEQUENCE, NOTHING = Variable("sequence", everything), Variable("nothing", anything)


def rung(name: str, claim: str, variable: Variable, *below: Claim) -> Hypothesis:
    """A hypothesis about the two heads together; everything beside them is exact."""
    paths = [head(*one).any_path(avoid=[head(*other) for other in HEADS if other[0] > one[0]]) for one in HEADS]
    both = reduce(lambda one, other: one | other, paths)
    return Hypothesis(
        f"stories/{name}",
        claim,
        OUTPUT.carries(Variable("next token", everything), both.carries(variable, *below), unclaimed=exact),
    )


def at(*distances: int) -> Claim:
    """What the heads write from these tokens alone; what they write from others is another story's."""
    return part(offsets(*distances)).carries(SEQUENCE)


PREVIOUS = rung("previous", "What the heads write comes from the previous token.", SEQUENCE, at(-1))
LADDER = [
    rung("nothing", "What the heads write does not matter.", NOTHING),
    rung("own", "What the heads write comes from the token itself.", SEQUENCE, at(0)),
    rung("two-back", "What the heads write comes from the token before the previous one.", SEQUENCE, at(-2)),
    PREVIOUS,
    rung("near", "What the heads write comes from the token itself and the two before it.", SEQUENCE, at(0, -1, -2)),
]


@pytest.fixture(scope="module")
def model(stories_folder: Path) -> Transformer:
    return load_model(stories_folder)


@pytest.fixture(scope="module")
def data(stories_folder: Path) -> Dataset:
    """Stories that the model wrote itself."""
    return Dataset(
        {"tokens": np.load(stories_folder / "samples.npz")["tokens"][:, :32].astype(np.int64)}, name="stories"
    )


def test_the_ladder(model: Transformer, data: Dataset) -> None:
    """Most of what the heads are worth comes from the previous token, and little from its neighbours."""
    found = Experiment(model, data, NextToken(), references=100, draws=1, baselines=False).run_all(LADDER)
    loss = {one.hypothesis.name.rpartition("/")[2]: one.loss().value for one in found}
    own = found[0].loss("model").value
    worth = loss["nothing"] - own
    assert worth > 0.02  # nats per token
    recovered = {name: 1 - (value - own) / worth for name, value in loss.items()}
    assert recovered["previous"] > 0.65
    assert recovered["near"] > recovered["previous"] + 0.05
    assert max(recovered["own"], recovered["two-back"]) < 0.45


@pytest.mark.slow
def test_the_verdict(model: Transformer, data: Dataset) -> None:
    """Enough, and not needed: beside an exact rest both heads are worth less than 1 % of what the model knows."""
    tested = Experiment(model, data, NextToken(), references=300, draws=1).verdict(PREVIOUS).record().tested
    assert tested is not None
    assert tested.word == "wider or finer than needed"
    assert "idle" in tested.reasons
    assert tested.together is not None
    assert (tested.together.low or 0) > 0.98
