"""What a hypothesis leaves out: what the model does without it, the worst that it permits, how far it reaches."""

from __future__ import annotations

from collections.abc import Iterator

from scrubbing.numbers import PLAIN, SHARE, Form, count, many
from scrubbing.records.beyond import AdversaryRecord, CompleteRecord, Counterexample, ScopeRecord, StandInInput
from scrubbing.records.schema import Number
from scrubbing.report.pictures import shortened
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
        blocks += _complete(found.complete, found.margin)
    if found.adversary is not None:
        blocks += _adversary(found.adversary)
    if found.scope is not None:
        blocks += _scope(found.scope)
    return Section("beyond", "What is left out", blocks) if blocks else None


def complete_sentence(found: CompleteRecord, margin: float) -> str:
    """What the model can do without the mechanism, and whether that is surely more than a margin."""
    told = f"Without what is claimed, the model still recovers {_interval(found.paths)} of the null"
    if found.paths.low is not None and found.paths.low > margin:
        return f"{told}: what is unclaimed has a part in it."
    return f"{told}."


def _complete(found: CompleteRecord, margin: float) -> Iterator[Block]:
    yield Sentences([complete_sentence(found, margin)])
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


def adversary_sentence(found: AdversaryRecord) -> str:
    """How bad it can get."""
    on = "on all inputs in scope" if found.whole else "on references that it was not chosen by"
    return (
        f"Where one input stands in for all with the same value, in every reference alike, {_interval(found.average)} "
        f"is recovered on average, and {_interval(found.worst)} with the worst of "
        f"{many(found.tried, 'assignment')} that were tried, {on}."
    )


def _adversary(found: AdversaryRecord) -> Iterator[Block]:
    yield Sentences([adversary_sentence(found)])
    facts = [
        (
            "stochastic",
            found.stochastic,
            "recovered of the null with inputs drawn for each reference, as the scrub does",
        ),
        ("average", found.average, "with one assignment for all references, on average"),
        ("worst", found.worst, f"with assignment {found.number}, the worst of {found.tried}"),
    ]
    yield Facts([Fact.of(label, number, SHARE, words) for label, number, words in facts])
    if found.held:
        rows = [[Fact("", one.what or "what is unclaimed"), Fact("", one.value), _input(one)] for one in found.held]
        yield Table("Stands in, in the worst assignment", ["claim", "for", "input"], rows, "", ["for", "input"])


def scope_sentence(found: ScopeRecord) -> str:
    """How much of the dataset is in scope, and what holds outside."""
    share = SHARE.one(found.share)
    told = f"In scope are {count(found.inside)} of {count(found.total)} inputs, {share}"
    if found.edge is not None and found.edge.recovered is not None:
        told += f"; on the {count(found.edge.inputs)} at its edge {_interval(found.edge.recovered)} is recovered"
    if found.outside is not None:
        return f"{told}; outside, the same claims recover {_interval(found.outside)} of the null there."
    return f"{told}; outside nothing was tested, as {found.why_not}." if found.inside < found.total else f"{told}."


def _scope(found: ScopeRecord) -> Iterator[Block]:
    yield Sentences([scope_sentence(found)])
    if found.edge is not None:
        edge, far = found.edge, found.edge.distance
        steps = f"{count(far)} entr{'y' if far == 1 else 'ies'}"
        words = f"recovered on {many(edge.inputs, 'input')} in scope that differ from one outside in at most {steps}"
        outside = "recovered where the same is claimed of the inputs outside"
        facts = [
            Fact.of("at the edge", edge.recovered, SHARE, words, name="scope.edge"),
            Fact.of("outside", found.outside, SHARE, outside, name="scope.outside"),
        ]
        yield Facts(facts)
    for title, some in (("Counterexamples", found.inside_worst), ("Out of scope", found.outside_worst)):
        rows = [
            [
                _input(one),
                Fact("", SHARE.one(one.moved)),
                Fact("", PLAIN.one(one.model)),
                Fact("", PLAIN.one(one.scrubbed)),
            ]
            for one in some
        ]
        caption = (
            "Inputs whose scrubbed output is furthest from the model's, of those that were searched, measured again on "
            "new draws: how far, as a share of how far outputs of other inputs are, and losses."
        )
        if rows:
            yield Table(title, ["input", "moved", "model", "scrubbed"], rows, caption)


def _input(one: StandInInput | Counterexample) -> Fact:
    return Fact("", f"{one.id}: {shortened(one.text, 60)}")


def _interval(number: Number) -> str:
    return SHARE.interval(number.value, number.low, number.high)
