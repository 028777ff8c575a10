"""Padding by hand: three inputs of lengths 3, 2 and 1, whose model gives out each token as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Dataset,
    Experiment,
    Hypothesis,
    SquaredError,
    ToyModel,
    Variable,
    anything,
    everything,
    reads,
)

COPY = ToyModel({"x": "tokens"}, {"logits": (lambda x: x, {"x": ["x"]})}, positions=3)
NOTHING = Hypothesis(
    "nothing",
    "Nothing matters.",
    OUTPUT.carries(Variable("output", everything), reads().carries(Variable("anything", anything))),
)
COPIES, DRAWS = 700, 8
"""So many of each, exchanged like one."""


def data(pad: int = 0) -> Dataset:
    """Each input's label is its own last token."""
    tokens, mask = [[1, 2, 3], [4, 5, 99], [6, -7, 99]], [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
    columns = {"tokens": np.tile(tokens, (COPIES, 1)), "mask": np.tile(mask, (COPIES, 1))}
    return Dataset({**columns, "label": np.tile([3, 5, 6], COPIES)}, pad=pad)


def mean(values: np.ndarray) -> np.ndarray:
    """Over the copies and draws of each input."""
    return values.reshape(COPIES, 3, -1).mean(axis=(0, 2))


def run(loss: SquaredError, pad: int = 0) -> tuple[np.ndarray, np.ndarray, Any]:
    """Mean loss of each input, share of its draws that read padding, and the record."""
    result = Experiment(COPY, data(pad), loss, draws=DRAWS).run(NOTHING)
    assert result.loss("model").value == 0.0
    read = result.measured.values["read at padding"]
    assert (read <= 1).all()
    return mean(result.losses["scrubbed"]), mean(read), result.record()


@pytest.mark.parametrize("pad", [0, 50])
def test_draws_that_are_real_where_they_are_read(pad: int) -> None:
    """Each reference is read at its last token. 3 is exchanged only for itself; 5 for 2 or itself, 9/2; 6 for 1, 4 or
    itself, (25 + 4) / 3.
    """
    found, read, record = run(SquaredError(position="last"), pad)
    assert found == pytest.approx([0.0, 9 / 2, 29 / 3], abs=0.5)
    assert found[0] == 0.0
    assert not read.any()
    assert record.padding.reads == 0 and record.choices.padding == "avoided"
    (claim,) = record.claims
    assert (claim.agreed_min, claim.agreed_median) == (COPIES, 2.0 * COPIES)


def test_padding_as_part_of_the_input() -> None:
    """3 may be exchanged for the pad tokens of both others, 2 * 9 / 3; 5 for one, (9 + 25) / 3."""
    found, read, record = run(SquaredError(position="last", padding_is_input=True))
    assert found == pytest.approx([6.0, 34 / 3, 29 / 3], abs=0.5)
    assert read == pytest.approx([2 / 3, 1 / 3, 0.0], abs=0.03)
    assert record.padding.draws == pytest.approx(1 / 3, abs=0.02)
    assert record.padding.reads == pytest.approx(COPIES * DRAWS, rel=0.05) and record.choices.padding == "input"
    assert any(note.code == "padding-read" for note in record.notes)


def test_the_declared_pad_token_is_what_is_read_there() -> None:
    """With 2 at padding: 2 * 1 / 3, and (9 + 9) / 3."""
    found, _, _ = run(SquaredError(position="last", padding_is_input=True), pad=2)
    assert found == pytest.approx([2 / 3, 6.0, 29 / 3], abs=0.5)


def test_the_null_is_drawn_likewise() -> None:
    """The baseline is of the same draws: a fraction of loss recovered compares like with like."""
    result = Experiment(COPY, data(), SquaredError(position="last"), draws=DRAWS, baselines=False).run(NOTHING)
    assert mean(result.losses["null"]) == pytest.approx([0.0, 9 / 2, 29 / 3], abs=0.5)
