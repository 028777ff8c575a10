"""What a default run of indirect object identification measures, on any model."""

from __future__ import annotations

from hypotheses.ioi.features import subject_first
from scrubbing import Settings
from scrubbing.metrics import LogitDifference


def settings(references: int) -> Settings:
    """The loss over names, and beside it the published logit difference of scrubbed model and model."""
    measures = ("accuracy", "kl", "changed", LogitDifference(), LogitDifference(of="model"))
    return Settings(references=references, draws=2, strata={"S before IO": subject_first}, measures=measures)
