"""What was claimed and how it was measured, in sections: claims, costs, draws, history, choices and provenance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from scrubbing.guards import is_sequence
from scrubbing.numbers import PLAIN, RECOVERED, SHARE, Form, count, many, plainly
from scrubbing.records.compare import differences
from scrubbing.records.schema import Branch, RunRecord
from scrubbing.report import drawing, pictures
from scrubbing.report.correspondence import correspondence, layers
from scrubbing.report.view.blocks import MISSING, Block, Fact, Facts, Grid, Section, Source, Table, Tree, Twig
from scrubbing.report.view.entry import Entry, when
from scrubbing.report.view.notes import claim
from scrubbing.report.view.outcome import how

STATES = {
    "claimed": ("C", "a claim names it, or a part of it"),
    "mixed": ("M", "recomputed on a mixture of inputs, on the way between two claims"),
    "behind": ("B", "upstream of the last claim, wholly on that claim's input"),
    "unclaimed": ("U", "resampled wherever it is read"),
}
"""Letter and meaning of each state of a node."""
_BITS = Form(2)
_LONGEST = 400
"""Characters of a sample that are shown."""


def claims(entry: Entry) -> Section:
    """The claims as a tree, each with one input it held; the variables, and the model's nodes."""
    record = entry.record
    blocks: list[Block] = []
    if (drawn := correspondence(record.nodes, record.branches, record.variables)) is not None:
        blocks.append(drawn)
    if record.branches:
        blocks.append(Tree("Claims, with one sampled input each", _twigs(record.branches)))
    elif record.claims_text:
        blocks.append(Source("Claims, with one sampled input each", record.claims_text))
    if record.variables:
        if not record.nodes and (graph := pictures.interpretation(record.variables)) is not None:
            blocks.append(graph)
        rows = [
            [Fact(one.name, one.name), Fact("", one.feature), Fact("", ", ".join(one.parents) or "the input")]
            for one in record.variables
        ]
        heads = ["variable", "feature", "computed from"]
        title = "Interpretation: variables, and what draws agree on"
        blocks.append(Table(title, heads, rows, wordy=heads[1:]))
    if record.nodes:
        legend = [(state, letter, meaning) for state, (letter, meaning) in STATES.items()]
        rows_of = [
            (name, [(node.name, node.state) for node in nodes]) for name, nodes in layers(record.nodes, record.branches)
        ]
        blocks.append(Grid("Correspondence: the model's nodes, the output first", rows_of, legend))
    return Section("claims", "What is claimed", blocks)


def _twigs(branches: Sequence[Branch]) -> list[Twig]:
    """The claims, nested; they come in the order of a walk from the root."""
    roots: list[Twig] = []
    levels = [roots]
    for branch in branches:
        del levels[branch.depth + 1 :]
        below: list[Twig] = []
        levels[-1].append(_twig(branch, below))
        levels.append(below)
    return roots


def _twig(branch: Branch, below: Sequence[Twig]) -> Twig:
    held: list[Fact] = []
    if branch.sample is not None:
        value = "" if branch.value is None else f"{branch.variable} = {branch.value}"
        held.append(Fact("held", pictures.shortened(branch.sample, _LONGEST), value))
    if branch.unclaimed is not None:
        held.append(Fact("unclaimed", pictures.shortened(branch.unclaimed, _LONGEST)))
    return Twig(branch.line, held, below, branch.what, branch.variable)


def costs(entry: Entry) -> Section | None:
    """What exchanging each thing alone costs."""
    record = entry.record
    branches = {branch.path: branch for branch in record.branches}
    rows: list[list[Fact]] = []
    for one in record.claim_costs:
        branch = branches.get(one.path)
        what = claim(one.path, "") if branch is None else claim(branch.what, branch.variable)
        rows.append([Fact(what, what), Fact.of(what, one.cost, name=f"cost.{what}")])
    if not rows:
        return None
    caption = "All else is left as it is. Costs do not add up to the whole: exchanges together can cost more, or less."
    title = f"Each exchange alone, in {record.choices.unit}"
    return Section("costs", "Cost of each claim", [Table(title, ["exchanged", "cost"], rows, caption)])


def draws(entry: Entry) -> Section | None:
    """What was drawn for each claim."""
    rows = [
        [
            Fact(one.path, one.what),
            Fact("", one.feature),
            Fact("", _BITS.one(one.bits)),
            Fact("", count(one.draws)),
            Fact("", MISSING if one.agreed_min is None else count(one.agreed_min)),
            Fact("", MISSING if one.agreed_median is None else count(one.agreed_median)),
            Fact("", SHARE.one(one.self_share)),
            Fact("", count(one.near_ties)),
        ]
        for one in entry.record.claims
    ]
    if not rows:
        return None
    heads = ["claim", "agreeing on", "bits", "draws", "fewest", "median", "itself", "near ties"]
    caption = (
        "Bits: entropy of the feature over the dataset. Fewest and median: how many inputs agreed with the one held. "
        "Itself: draws that returned the input held; near 100 % the claim is not tested."
    )
    return Section("draws", "What was drawn", [Table("", heads, rows, caption, ["agreeing on"])])


def history(entry: Entry) -> Section | None:
    """Other records of the hypothesis, by time."""
    if not entry.history:
        return None
    record, zero = entry.record, entry.record.zero
    ordered = sorted([*entry.history, record], key=lambda one: one.provenance.when)
    chart = drawing.fractions(f"Loss recovered of {zero}, %", [(when(one), _fraction(one, zero)) for one in ordered])
    rows: list[list[Fact]] = []
    for one in ordered:
        told = "this record" if one is record else "; ".join(map(str, differences(record, one))) or "nothing"
        accuracy = one.measure("accuracy")
        rows.append(
            [
                Fact(when(one), when(one), emphasis="strong" if one is record else ""),
                Fact.of("scrubbed", one.losses["scrubbed"]),
                Fact.of("recovered", _fraction(one, zero), RECOVERED),
                Fact.of("accuracy", accuracy and accuracy.value, SHARE),
                Fact("git", (one.provenance.git or MISSING)[:12]),
                Fact("differs", told),
            ]
        )
    heads = ["when", "scrubbed loss", f"of {zero}", "accuracy", "revision", "differs from this in"]
    table = Table("Records of this hypothesis", heads, rows, wordy=["differs from this in"])
    return Section("history", "History", [*([] if chart is None else [chart]), table])


def _fraction(record: RunRecord, baseline: str) -> Any:
    one = record.recovered_of(baseline)
    return None if one is None else one.fraction


def provenance(entry: Entry) -> Section:
    """Everything that it takes to run it again."""
    record = entry.record
    blocks: list[Block] = [Facts(list(_provenance(record)))]
    if record.stored is not None:
        text = json.dumps(record.stored, indent=1, ensure_ascii=False)
        blocks.append(Source("The hypothesis as JSON", text, machine=True))
    return Section("provenance", "Choices and provenance", blocks)


def _provenance(record: RunRecord) -> Iterator[Fact]:
    choices, source = record.choices, record.provenance
    if record.accepted is not None:
        yield _fact("accepted because", record.accepted.reason, "accepted")
        yield _fact("accepted on", record.accepted.when)
        rule = record.accepted.rule or {}
        told = ", ".join(f"{name} {_setting(value)}" for name, value in rule.items() if value is not None)
        yield _fact("accepted under", told)
    if record.scope:
        yield _fact("scope", f"inputs where {record.scope}", value=record.scope)
    if record.source is not None:
        file, line = record.source.file, record.source.line
        place = f" ({file}{f', line {line}' if line else ''})" if file else ""
        yield _fact("defined at", f"{record.source.address}{place}", "source", record.source.address)
    yield _fact("references", count(choices.references), value=choices.references)
    yield _fact("draws", count(choices.draws), value=choices.draws)
    yield _fact("seed", str(choices.seed), value=choices.seed)
    yield _fact("unclaimed", how(record), "ablation", choices.ablation)
    yield _fact("loss", choices.loss, "loss")
    yield _fact("loss as defined", choices.loss_identity or "", "loss_identity")
    yield _fact("counted", many(record.counted, "position") if record.counted is not None else "", value=record.counted)
    yield _fact("0 % stands for", record.zero, "zero")
    yield _fact("padding", choices.padding or "")
    yield _fact("clusters", choices.clusters or "", value=choices.clusters)
    yield _fact("intervals", choices.interval, "interval")
    if choices.bound is not None:
        yield _fact("reckoning with", f"a loss of {PLAIN.one(choices.bound)} on one more", "bound", choices.bound)
    yield _fact("draws by numbering", str(choices.numerics), "numerics", choices.numerics)
    yield _fact("precision", choices.dtype, "dtype")
    yield _fact("device", choices.device)
    yield _fact("accelerator", choices.accelerator or "")
    for label, name in (("task", "task"), ("family", "family"), ("processing", "processing")):
        yield _fact(label, getattr(source, name) or "")
    yield _fact("model", source.model)
    yield _fact("weights", source.model_fingerprint, "model_fingerprint")
    yield _fact("data", source.data)
    yield _fact("dataset", source.data_fingerprint, "data_fingerprint")
    yield _fact("inputs in scope", count(source.inputs_in_scope), "inputs_in_scope", source.inputs_in_scope)
    yield _fact("versions", ", ".join(f"{name} {version}" for name, version in sorted(source.versions.items())))
    yield _fact("revision", source.git or "", "git", source.git)
    yield _fact("seconds", PLAIN.one(source.seconds), value=source.seconds)
    yield _fact("when", source.when)
    if record.inputs is not None:
        yield _fact("values per input", f"{record.inputs.file}, {many(record.inputs.rows, 'row')}", "inputs")
    yield _fact("hash", record.hash or "", value=record.hash)
    yield _fact("record version", str(record.version), "version", record.version)


def _setting(value: Any) -> str:
    return " and ".join(map(str, value)) or "nothing" if is_sequence(value) else plainly(value)


def _fact(label: str, text: str, name: str = "", value: Any = None) -> Fact:
    """A fact for the frame too; without text it is in no other outlet."""
    return Fact(label, text, name=name or label.replace(" ", "_"), value=text or None if value is None else value)
