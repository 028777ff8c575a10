"""What the induction task is on any model and text: where it is scored, its baselines, how much is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hypotheses.induction import features as f
from hypotheses.induction import ladder
from hypotheses.induction.roles import Roles
from scrubbing import Baseline, Settings

if TYPE_CHECKING:
    from scrubbing import Bigram, Feature, NextToken, Series

LENGTH = 128
SEQUENCES = 1_500
"""To draw from; the references are among them."""
WRITTEN_ON = 4_000
"""Other sequences, for candidates and n-grams."""
REFERENCES = 300

SLICES = {
    "all": f.every_position,
    "candidates that repeat": f.repeated_candidate,
    "second token of a repeated bigram": f.repeated_bigram,
}


def loss() -> NextToken:
    """Next-token loss at candidates."""
    from scrubbing import NextToken

    return NextToken(f.candidate)


def settings(
    roles: Callable[[], Roles],
    bigram: Callable[[], Bigram],
    references: int = REFERENCES,
    series: Callable[[], Series] | None = None,
    clusters: Feature | None = None,
) -> Settings:
    """Of a default run; 0 % recovered is the original study's zero point.

    Args:
        roles: of the model's heads, asked for when a hypothesis is run.
        bigram: a prediction from the current token alone, likewise.
        references: sequences to explain.
        series: unscrubbed models of increasing training.
        clusters: by which sequences are alike.
    """
    extra = {
        "heads only": Baseline(
            "everything the induction heads read resampled, the rest of the model as it is",
            hypothesis=lambda: ladder.heads_only(roles()),
        ),
        "bigram": Baseline(
            "the best prediction from the current token alone",
            losses=lambda data: bigram().losses(data["tokens"]),
        ),
    }
    return Settings(
        references=references,
        draws=2,
        memory=5
        * 2**30,  # a ladder and its tests keep more than 0.9 GiB of activations, which are slow to read from files
        slices=SLICES,
        extra_baselines=extra,
        zero_baseline="heads only",
        series=series,
        clusters=clusters,
    )
