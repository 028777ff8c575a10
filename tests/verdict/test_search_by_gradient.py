"""Searches that gradients make proposals to: gates that are exactly what they say, and what is found with them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from benchmarks.groundtruth.catalogue import truth
from benchmarks.groundtruth.columns import column
from benchmarks.search.planted import compared
from scrubbing import Classification, Dataset, Experiment, Feature, NextToken, SquaredError, ToyModel, Trial, UsageError
from scrubbing.records.search import ControlSearch
from scrubbing.search import own_outputs, propose, relaxed, search, searched
from scrubbing.search.choices import Choices
from scrubbing.search.draft import offered, root, trimmed
from scrubbing.search.gated import Gated
from scrubbing.search.greedy import Greedy


def variables(one):
    return [column(name) for name in one.data if name != "tokens"]


@cache
def planted(program):
    one = truth(program, 7)
    return one, Experiment(one.model, one.data, one.loss, baselines=False)


def gated(experiment, through=(), depth=None):
    greedy = Greedy(experiment.subject, experiment.executor, (), Choices())
    greedy.steps.prepare(greedy.hypothesis())
    return Gated(experiment.subject, through, depth, 0, greedy.steps.gap, greedy.steps.spread)


def closed(of, which, apart):
    """What it costs to close some gates, nodes being drawn together or apart."""
    batch = of.batch(0 if apart else 1)
    gates = torch.ones(len(batch.rows), len(of.gates.gates), dtype=torch.float64)
    gates[:, [i for i, gate in enumerate(of.gates.gates) if which(gate)]] = 0
    return float(of.cost(batch, gates))


FAMILIES = ["native classifier", "native rotary", "native solu", "GPT-NeoX", "Gemma 2"]


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("family", FAMILIES)
def test_gates_are_what_they_say(family, padded, tiny_model):
    """On models of which nothing is known: open is the model; a node that reads another input's values is another's."""
    data = inputs(padded)
    loss = Classification("label", position=2) if family == "native classifier" else NextToken()
    of = gated(Experiment(tiny_model(family), data, loss, baselines=False))
    assert abs(closed(of, lambda gate: False, apart=True)) < 1e-4
    for node in [one for one in of.graph.slots if one in of.writers and of.graph.slots[one]]:
        reads = closed(of, lambda gate, node=node: gate.reader == node, apart=False)
        read = closed(of, lambda gate, node=node: gate.writer == node, apart=False)
        assert np.isclose(reads, read, rtol=1e-2, atol=1e-4), node
    gates = torch.full((of.size, len(of.gates.gates)), 0.5, requires_grad=True)
    batch = of.batch(0)
    slope = of.gradient(of.cost(batch, gates[: len(batch.rows)]), gates)
    assert slope.isfinite().all()
    assert (slope != 0).any()


def inputs(padded):
    rng = np.random.default_rng(0)
    columns = {"tokens": rng.integers(3, 50, (80, 6)), "label": rng.integers(0, 2, 80)}
    if padded:
        columns["mask"] = np.arange(6)[None] < rng.integers(3, 7, 80)[:, None]
    return Dataset(columns)


def test_through_what_is_looked_through_everything_else_is_read():
    _, experiment = planted("majority")
    of = gated(experiment, through=("mlp",), depth=1)
    assert {gate.reader for gate in of.gates.gates} == {of.graph.output}
    assert not {gate.writer for gate in of.gates.gates if gate.writer.kind == "mlp"}
    assert abs(closed(of, lambda gate: False, apart=True)) < 1e-6
    assert closed(of, lambda gate: True, apart=False) > 0.5


@cache
def by_tests():
    """Hypotheses that are tried without proposals."""
    one, experiment = planted("total")
    greedy = Greedy(experiment.subject, experiment.executor, variables(one), Choices())
    greedy.run()
    return greedy.steps.tried


@pytest.mark.parametrize("by", ["attribution", "gradient"])
def test_what_was_planted_is_found_and_nothing_else(by, monkeypatch):
    monkeypatch.setattr(relaxed, "STEPS", 150)
    one, experiment = planted("total")
    found = search(experiment, variables(one), by=by, random=0, controls=())
    beside = compared(one, found.hypothesis)
    for counts in (beside.nodes, beside.edges, beside.positions):
        assert counts.both == counts.there == counts.found
    assert beside.features["exact"] == sum(beside.features.values()) > 0
    assert found.record.word == "tight"
    assert found.record.effort.tried < by_tests()


@pytest.mark.slow
@pytest.mark.parametrize("adversarial", [False, True])
@pytest.mark.parametrize("program", ["majority", "brackets", "largest", "two-hops", "marker", "copies", "masked"])
def test_more_of_what_was_planted_is_found(program, adversarial):
    one, experiment = planted(program)
    found = search(experiment, variables(one), by="gradient", adversarial=adversarial, random=0, controls=())
    beside = compared(one, found.hypothesis)
    assert beside.edges.both == beside.edges.there == beside.edges.found
    assert found.record.word == "tight"


def test_a_fit_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    monkeypatch.setattr(relaxed, "STEPS", 90)
    monkeypatch.setattr(relaxed, "WARM", 10)
    monkeypatch.setattr(relaxed, "SNAPSHOTS", 8)
    experiment = toy(lambda a, b: (a - b) ** 2)
    wanted = relaxed.fitted(gated(experiment), None, adversarial=True, kept=None)
    kept, seen, adam = tmp_path / "gates", [], relaxed._adam

    def stopped(fit, gradient):
        seen.append(fit.step)
        if len(seen) == 55:
            raise KeyboardInterrupt
        adam(fit, gradient)

    monkeypatch.setattr(relaxed, "_adam", stopped)
    with pytest.raises(KeyboardInterrupt):
        relaxed.fitted(gated(experiment), None, adversarial=True, kept=kept)
    again = relaxed.fitted(gated(experiment), None, adversarial=True, kept=kept)
    assert 0 < seen[55] < 55
    assert again == wanted


def test_a_budget_ends_a_fit_and_what_was_not_looked_at_is_kept_whole():
    _, experiment = planted("offset")
    greedy = Greedy(experiment.subject, experiment.executor, (), Choices(by="gradient", budget=8_000))
    left = greedy.run()
    assert not greedy.complete
    assert 8_000 <= greedy.steps.examples < 10_000
    whole = experiment.run(left)
    assert np.isclose(whole.loss().value, whole.loss("model").value, atol=1e-3)


def toy(compute):
    model = ToyModel(
        {"x": "x", "y": "y", "z": "z"},
        {"xor": (compute, {"a": ["x"], "b": ["y"]}), "logits": (lambda a: a, {"a": ["xor", "z"]})},
    )
    x, y, z = np.random.default_rng(0).integers(2, size=(3, 400)).astype(float)
    data = Dataset({"x": x, "y": y, "z": 0 * z, "label": abs(x - y)})
    return Experiment(model, data, SquaredError("label"), baselines=False)


def test_any_model_graph_that_torch_can_differentiate_is_searched():
    names = [Feature(name, compute=lambda data, name=name: data[name] == 1) for name in ("x", "y", "z", "label")]
    asked = {"random": 0, "controls": (), "by": "attribution"}
    found = search(toy(lambda a, b: (a - b) ** 2), names, **asked)
    nodes = [str(claim.targets[0].node) for claim in found.hypothesis.correspondence.walk()]
    assert nodes == ["logits", "xor", "x", "y"]
    for cannot in (lambda a, b: torch.as_tensor((a - b).detach().numpy() ** 2), lambda a, b: (a != b).double()):
        with pytest.raises(UsageError, match=r"SCR-GRADIENT.*xor"):
            search(toy(cannot), names, **asked)


def test_what_is_no_longer_read_is_not_claimed_below():
    """Of a node that was read at two positions, and then at one, what it reads at the other is gone."""
    _, experiment = planted("planted-pairs")
    graph, read = experiment.subject.graph, experiment.subject.read.fixed
    nodes = {str(one): one for one in graph.slots}
    start = root(graph, read)
    head = next(one for one in offered(start, graph) if one.node == nodes["a1.h0"])
    mlp = next(one for one in offered(head, graph) if one.node == nodes["m0"])
    embed = next(one for one in offered(mlp, graph) if one.node == nodes["embed"])
    assert len(embed.positions) > 1
    draft = replace(start, below=(replace(head, below=(replace(mlp, below=(embed,)),)),))
    assert trimmed(draft, graph) == draft
    fewer = draft.with_((0, 0), draft.at((0, 0)).only(("q",), mlp.positions))
    assert fewer.at((0, 0)).positions == read
    assert fewer.at((0, 0, 0)).positions == embed.positions
    assert trimmed(fewer, graph).at((0, 0, 0)).positions == read


def test_what_is_proposed_is_public_and_says_what_it_took():
    experiment = toy(lambda a, b: (a - b) ** 2)
    made = propose(experiment, "attribution")
    nodes = {str(node): node for node in experiment.subject.graph.slots}
    assert made.examples > 1_000
    parts = [(nodes["xor"], None), (nodes["z"], None)]
    assert made.cuts(nodes["logits"], parts, 3) == [frozenset({(nodes["z"], None)})]
    for asked in ({"by": "tests"}, {"by": "gradient", "budget": 2_000}):
        with pytest.raises(UsageError, match="SCR-SEARCH"):
            propose(experiment, **asked)


def test_where_labels_are_the_models_own_outputs_only_what_is_as_small_counts():
    one, experiment = planted("total")
    control = own_outputs(1)
    made = control.change(Trial(one.tight[0], one.model, one.data, one.loss))
    own = made.model.own_output(made.model.inputs(made.data), torch.arange(len(made.data)))[:, -1, 0]
    assert np.allclose(made.data["label"], own.numpy())
    assert made.model.fingerprint != one.model.fingerprint
    assert made.data["label"].std() > 0.01 * one.data["label"].std()
    record = search(experiment, variables(one), random=0, controls=(), by="attribution").record
    bits = record.found[0].size.claimed
    for claimed, counts in ((bits + 1, False), (bits, True)):
        there = ControlSearch(name="own", meaning="", word="tight", claimed=claimed, own=True)
        assert bool(record.model_copy(update={"controls": [there]}).unspecific) == counts


@pytest.mark.parametrize(("name", "other"), [("STEPS", 600), ("WARM", 0), ("PRICES", (1e-3, 1.0)), ("SNAPSHOTS", 5)])
def test_a_fit_that_was_stopped_is_not_taken_up_by_one_of_other_steps_or_prices(name, other, tmp_path, monkeypatch):
    """Half of a longer path ends at a price at which much is open yet, and would pass for a whole one."""
    experiment, chosen = toy(lambda a, b: (a - b) ** 2), Choices(by="gradient")
    before = searched._state(chosen, experiment, tmp_path)
    assert before == searched._state(chosen, experiment, tmp_path)
    monkeypatch.setattr(relaxed, name, other)
    assert before != searched._state(chosen, experiment, tmp_path)
