"""What a hypothesis leaves out: what the model can do without the mechanism."""

from __future__ import annotations

from collections.abc import Iterator

from scrubbing.numbers import SHARE, Form
from scrubbing.records.beyond import CompleteRecord
from scrubbing.records.schema import Number
from scrubbing.report.view.blocks import Block, Fact, Facts, Section, Sentences, Table
from scrubbing.report.view.entry import Entry

_LEFT = Form(1, 100.0, " %", sign=True)


def beyond(entry: Entry) -> Section | None:
    """What else there is, beside what is claimed."""
    found = entry.record.tested
    if found is None:
        return None
    blocks: list[Block] = []
    if found.complete is not None:
        blocks += _complete(found.complete)
    return Section("beyond", "What is left out", blocks) if blocks else None


def complete_sentence(found: CompleteRecord) -> str:
    """What the model can do without the mechanism."""
    told = f"Without what is claimed, the model still recovers {_interval(found.paths)} of the null"
    if found.paths.low is not None and found.paths.low > 0:
        return f"{told}: it has other ways."
    return f"{told}."


def _complete(found: CompleteRecord) -> Iterator[Block]:
    yield Sentences([complete_sentence(found)])
    facts = [
        ("claimed paths", found.paths, "what still is recovered where they hold another input, and all else is kept"),
        ("claimed nodes", found.nodes, "where the nodes claimed below the output do, whatever they read"),
        ("at their mean", found.mean, "where these nodes are at their mean, which may call up what backs them up"),
        ("constant", found.constant, "what the constant prediction recovers, which means may do knowing nothing"),
    ]
    yield Facts([Fact.of(label, number, SHARE, words) for label, number, words in facts if number is not None])
    if not found.removed:
        return
    rows = [
        [
            Fact("", " and ".join(one.claims) or "all claims"),
            Fact.of("model", one.model, _LEFT),
            Fact.of("hypothesis", one.hypothesis, _LEFT),
            Fact.of("difference", one.difference, _LEFT),
        ]
        for one in found.removed
    ]
    caption = (
        "Recovered of the null where claims hold another input, in the model, all else exact, and in the scrubbed "
        "model, all else as the hypothesis has it. A difference says that the model does without them what the "
        "hypothesis does not; one-sided 95 % bounds."
    )
    yield Table(
        "Claims removed from model and hypothesis", ["removed", "model", "hypothesis", "difference"], rows, caption
    )


def _interval(number: Number) -> str:
    return SHARE.interval(number.value, number.low, number.high)
