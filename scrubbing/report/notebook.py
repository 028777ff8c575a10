"""What is no record, in notebooks: a hypothesis, a dataset, a model, a graph, a verdict, laid out as the view is.

What lives on a higher floor (tasks, experiments, verdicts of the gate) makes its own sections, and lays them out the
same way. Nothing is computed for the display, and no torch is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from scrubbing.data.dataset import Dataset
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.printing import describe
from scrubbing.records.schema import RunRecord, VariableNode
from scrubbing.records.tested import VerdictRecord
from scrubbing.report import pictures
from scrubbing.report.page import fragment, laid_out
from scrubbing.report.view.blocks import Block, Fact, Facts, Section, Sentences, Table, Tree, Twig
from scrubbing.report.view.verdict_words import further, verdict_sentence

_SAMPLES = 3
"""Inputs of a dataset that are shown."""
_LONGEST = 80


def html(thing: Any) -> str:
    """One of our objects as an HTML fragment; everything in it is escaped."""
    match thing:
        case RunRecord():
            return fragment(thing)
        case Hypothesis():
            return laid_out(thing.name, thing.sentence, [_claims(thing)])
        case Dataset():
            return laid_out(thing.name, f"{len(thing):,} inputs", [_columns(thing), _samples(thing)])
        case ModelGraph():
            return laid_out("model graph", _told(thing), [nodes(thing)])
        case VerdictRecord():
            said = Sentences([verdict_sentence(thing), *further(thing)])
            return laid_out("verdict", thing.word, [Section("tested", "Verdict", [said])])
        case _:
            return _model(thing)


def settings_of(settings: Any) -> Section:
    """The settings that differ from their defaults."""
    plain = type(settings)()
    changed = {one.name: getattr(settings, one.name) for one in fields(settings)}
    told = [
        Fact(name, pictures.shortened(str(value), _LONGEST))
        for name, value in changed.items()
        if value != getattr(plain, name)
    ]
    return Section("settings", "Settings that are not the default", [Facts(told or [Fact("none", "all as they are")])])


def nodes(graph: ModelGraph) -> Section:
    """The nodes of a graph, and what they read."""
    rows: list[list[Fact | str]] = []
    for node, slots in graph.slots.items():
        read = "; ".join(f"{slot}: {_listed([str(one) for one in read.parents])}" for slot, read in slots.items())
        rows.append([Fact(str(node), str(node)), read or "the input"])
    return Section("nodes", "Nodes", [Table("", ["node", "reads"], rows, wordy=["reads"])])


def _told(graph: ModelGraph) -> str:
    width = f", a residual stream of {graph.d_model}" if graph.d_model else ""
    return f"{len(graph.slots)} nodes, {graph.positions} positions{width}; its output is {graph.output}"


def _listed(names: list[str], most: int = 6) -> str:
    return ", ".join(names if len(names) <= most else [*names[: most - 1], f"... {len(names)} in all"])


def _claims(hypothesis: Hypothesis) -> Section:
    blocks: list[Block] = []
    if hypothesis.scope is not None:
        blocks.append(Sentences([f"On inputs where {hypothesis.scope}."]))
    blocks.append(Tree("Claims", [_twig(hypothesis.correspondence, hypothesis)]))
    interpretation = hypothesis.interpretation
    parents = {one.name: [a for a, b in interpretation.edges if b == one.name] for one in interpretation.variables}
    drawn = [
        VariableNode(name=one.name, feature=one.agrees_on().name, parents=parents[one.name], digest="")
        for one in interpretation.variables
    ]
    if (graph := pictures.interpretation(drawn)) is not None:
        blocks.append(graph)
    rows = [[Fact(one.name, one.name), one.feature, ", ".join(one.parents) or "the input"] for one in drawn]
    blocks.append(
        Table("Variables", ["variable", "feature", "computed from"], rows, wordy=["feature", "computed from"])
    )
    return Section("claims", "What is claimed", blocks)


def _twig(claim: Claim, hypothesis: Hypothesis) -> Twig:
    below = [_twig(one, hypothesis) for one in claim.children]
    return Twig(describe(claim, hypothesis.rule(claim), hypothesis.unclaimed), below=below)


def _columns(data: Dataset) -> Section:
    rows: list[list[Fact | str]] = [
        [Fact(name, name), str(data[name].dtype), " × ".join(map(str, data[name].shape))] for name in data
    ]
    return Section("columns", "Columns", [Table("", ["column", "type", "shape"], rows, wordy=["type", "shape"])])


def _samples(data: Dataset) -> Section:
    shown = range(min(_SAMPLES, len(data)))
    facts = [Fact(f"id {data.ids[row]}", pictures.shortened(data.show(row), _LONGEST)) for row in shown]
    return Section("samples", "The first inputs", [Facts(facts)])


def _model(model: Any) -> str:
    sections = [Section("model", "Model", [Facts(list(_facts(model)))])]
    if isinstance(graph := getattr(model, "_graph", None), ModelGraph):
        sections.append(nodes(graph))
    return laid_out(str(model.name), type(model).__name__, sections)


def _facts(model: Any) -> Iterator[Fact]:
    yield Fact("computes in", f"{str(model.dtype).rpartition('.')[2]} on {model.device}")
    for name, words in (("n_layers", "layers"), ("n_heads", "heads in each"), ("d_model", "residual stream")):
        if isinstance(number := getattr(model, name, None), int):
            yield Fact(words, f"{number:,}")
