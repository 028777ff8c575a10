"""New inputs held against trusted ones: which are flagged, at what rate, and what to know before acting on it."""

from __future__ import annotations

from scrubbing.numbers import PLAIN, SHARE, many
from scrubbing.records.anomalies import Anomalies, NewInput
from scrubbing.report.pictures import shortened
from scrubbing.report.view.blocks import Block, Fact, Section, Sentences, Table

MOST = 40
"""Flagged inputs that a table shows, the highest scores first."""
EXPLAINED = 0.05
"""Mean score of trusted inputs from which the hypothesis is said not to explain them."""


def anomalies(found: Anomalies) -> Section:
    """The section of one set of new inputs."""
    flagged = sorted((one for one in found.inputs if one.p <= found.rate), key=_order)
    above = "is infinite" if found.threshold is None else f"is above {PLAIN.one(found.threshold)}"
    start = (
        f"{len(flagged)} of {many(len(found.inputs), 'new input')} flagged: their score {above}, which at most "
        f"{SHARE.one(found.rate)} of inputs like the trusted ones reach. Draws come from "
        f"{many(found.drawn_from, 'trusted input')}; {len(found.trusted):,} others were held out to calibrate."
    )
    blocks: list[Block] = [Sentences([start])]
    if flagged:
        caption = (
            "Scores are shares of how far the output of another input is away: `own` when the input is scrubbed with "
            "trusted ones, `lent` when trusted ones are scrubbed and what is unclaimed comes from it."
        )
        if len(flagged) > MOST:
            caption += f" Shown are the {MOST} highest."
        rows = [_row(one) for one in flagged[:MOST]]
        blocks.append(Table("", ["input", "score", "own", "lent", "p", "text"], rows, caption, ["text"]))
    if notes := _notes(found, flagged):
        blocks.append(Sentences(notes, "note"))
    return Section("anomalies", f"new inputs under {found.hypothesis}", blocks)


def _order(one: NewInput) -> tuple[float, int]:
    return (float("-inf") if one.score is None else -one.score, one.id)


def _row(one: NewInput) -> list[Fact | str]:
    scores = ["infinite" if value is None else PLAIN.one(value) for value in (one.score, one.own, one.lent)]
    return [str(one.id), *scores, PLAIN.one(one.p), shortened(one.text, 60)]


def _notes(found: Anomalies, flagged: list[NewInput]) -> list[str]:
    notes: list[str] = []
    if not found.exchanged:
        notes.append("The hypothesis lets nothing be exchanged, so it cannot tell an anomaly from anything else.")
    mean = found.trusted_score
    if mean is not None and mean > EXPLAINED:
        notes.append(
            f"The hypothesis does not explain the trusted inputs either: their mean score is {PLAIN.one(mean)}, and "
            "1 is that of an unrelated input. An anomaly must stand out from that."
        )
    unseen = [one for one in flagged if one.unexplained]
    if unseen:
        first = unseen[0]
        notes.append(
            f"With {many(len(unseen), 'input')} no trusted input agrees on a claimed feature, so their score is "
            f"infinite. Of input {first.id}: {first.unexplained}."
        )
    lost = sum(one is None for one in found.trusted)
    if lost:
        notes.append(
            f"Neither does any with {lost:,} of the trusted inputs held out: features are finer than the data can tell."
        )
    return notes
