"""A hypothesis that explains the trained paren model must not explain one that has learned nothing."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.parens.task import task
from benchmarks.parens.train import CONFIG
from scrubbing import Experiment
from scrubbing.models.transformer_lens import boot, from_bridge
from scrubbing.models.transformer_lens.tiny import scramble

RUNG = "signs"


def record(model: Any) -> Any:
    options: dict[str, Any] = {"references": 300, "draws": 2, "baselines": False}
    return Experiment(model, data(), task.loss(), **options).run(task.rung(RUNG)).record()


def data() -> Any:
    return task.data().take(range(3000))


def test_the_trained_model_is_explained() -> None:
    made = record(task.model())
    assert made.losses["scrubbed"].value < 0.2 * made.losses["constant"].value
    assert not {note.code for note in made.notes} & {"worse-than-constant", "like-constant", "model-loses-to-constant"}


@pytest.mark.parametrize(("seed", "scrambled"), [(1, False), (1, True), (2, True)])
def test_a_model_with_random_weights_is_not(seed: int, scrambled: bool) -> None:
    """At initialisation, and with every parameter moved at random so that its logits are larger."""
    bridge = boot({**CONFIG, "seed": seed}, head_bias=True)
    if scrambled:
        scramble(bridge.original_model, seed)
    made = record(from_bridge(bridge, name="random weights"))
    assert made.losses["scrubbed"].value > made.losses["constant"].value
    assert "worse-than-constant" in {note.code for note in made.notes}
    assert {one.baseline: one.fraction for one in made.recovered} == {"null": None, "constant": None}
