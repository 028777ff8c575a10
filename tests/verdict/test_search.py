"""Searches on models of which everything is known: what is found, what that is worth, and what is never found."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.groundtruth.catalogue import truth
from benchmarks.groundtruth.columns import column
from benchmarks.search.planted import compared
from scrubbing import (
    OUTPUT,
    Dataset,
    Experiment,
    Feature,
    Hypothesis,
    SquaredError,
    ToyModel,
    Trial,
    Variable,
    anything,
    controls,
    joint,
    mlp,
)
from scrubbing.cli import app
from scrubbing.data.agreement import digest_of
from scrubbing.report.terminal import section_view
from scrubbing.report.view.search import search as section_of
from scrubbing.search import search
from scrubbing.search.choices import Choices
from scrubbing.search.greedy import Greedy
from scrubbing.search.naming import named


def made(program, seed=7):
    one = truth(program, seed)
    return one, Experiment(one.model, one.data, one.loss, baselines=False)


def variables(one):
    return [column(name) for name in one.data if name != "tokens"]


@pytest.mark.parametrize("program", ["total", "largest", "offset"])
def test_what_was_planted_is_found_and_nothing_else(program):
    one, experiment = made(program)
    found = search(experiment, variables(one), random=0, controls=())
    beside = compared(one, found.hypothesis)
    for counts in (beside.nodes, beside.edges, beside.positions):
        assert counts.both == counts.there == counts.found
    assert beside.features["exact"] == sum(beside.features.values()) > 0
    assert found.record.word == "tight"
    assert found.record.effort.complete


def test_generated_features_are_enough():
    _, experiment = made("total")
    found = search(experiment, random=0, controls=())
    assert found.record.word == "tight"
    named = {claim.variable.agrees_on().name for claim in found.hypothesis.correspondence.walk()}
    assert named == {"column_label", "token"}


def test_a_scope_is_kept_and_what_is_outside_of_it_not_claimed():
    one, experiment = made("trigger")
    inside = search(experiment, variables(one), scope=column("untriggered"), random=0, controls=())
    assert inside.hypothesis.scope == column("untriggered")
    beside = compared(one, inside.hypothesis)
    assert beside.edges.both == beside.edges.there == beside.edges.found


def test_of_several_copies_as_many_as_are_needed_are_found():
    one, experiment = made("copies")
    beside = compared(one, search(experiment, variables(one), random=0, controls=()).hypothesis)
    assert beside.nodes.both == beside.nodes.there == beside.nodes.found


@pytest.mark.parametrize("control", ["fresh-weights-1", "fresh-weights-2", "shuffled-labels"])
@pytest.mark.parametrize("program", ["majority", "largest"])
def test_where_nothing_is_nothing_is_supported(program, control):
    one, _ = made(program)
    trial = controls[control].change(Trial(one.tight[0], one.model, one.data, one.loss))
    experiment = Experiment(trial.model, trial.data, trial.loss, baselines=False)
    found = search(experiment, variables(one), random=0, controls=())
    assert found.record.word in ("nothing to explain", "insufficient")


def test_a_result_says_what_it_is_worth():
    one, experiment = made("total")
    found = search(experiment, variables(one), beside=one.tight, random=120, name="total/found")
    record = found.record
    assert record.fitted + record.held_out == len(one.data)
    assert record.effort.tried > record.effort.decided > 0
    assert [control.word for control in record.controls] == ["nothing to explain"] * 2
    assert record.found[0].controls[0].several.tried > 0
    assert [one.hypothesis for one in record.beside] == [one.tight[0].name]
    assert type(record).model_validate_json(record.model_dump_json()) == record
    told = [str(line) for line in section_of(record).blocks[0].lines]
    assert told[0].startswith("Supported and tight")
    section_view(section_of(record))


def test_what_is_found_can_be_stored_and_written():
    one, experiment = made("total")
    found = search(experiment, variables(one), random=0, controls=()).hypothesis
    assert Hypothesis.from_json(json.loads(json.dumps(found.to_json()))) == found
    names: dict[str, object] = {}
    exec(found.to_source(), names)
    assert names["found"] == found


def test_where_a_control_is_supported_the_result_is_not_specific():
    """A control that changes nothing: the same is found there, too."""
    one, experiment = made("total")
    nothing = replace(controls["shuffled-labels"], name="nothing", change=lambda trial: trial)
    found = search(experiment, variables(one), random=0, controls=[nothing])
    assert found.record.found[0].tested.word == "tight"
    assert found.record.word == "not specific"
    assert [control.name for control in found.record.unspecific] == ["nothing"]


def test_a_budget_ends_a_search_with_what_was_found_so_far():
    one, experiment = made("offset")
    greedy = Greedy(experiment.subject, experiment.executor, variables(one), Choices(budget=6_000))
    left = greedy.run()
    assert not greedy.complete
    assert greedy.steps.examples < 6_000 + 10_000  # the last step is finished
    left.check(experiment.subject.graph, one.data)
    whole = experiment.run(left)
    assert np.isclose(whole.loss().value, whole.loss("model").value, atol=1e-3)


def test_the_same_seed_finds_the_same_and_an_interrupted_search_goes_on(tmp_path, monkeypatch):
    one, experiment = made("total")
    chosen = {"random": 0, "controls": (), "seed": 3}
    wanted = search(experiment, variables(one), **chosen)
    seen, looked = [], Greedy._what

    def stopped(self, path):
        seen.append(path)
        if len(seen) == 2:
            raise KeyboardInterrupt
        looked(self, path)

    monkeypatch.setattr(Greedy, "_what", stopped)
    fresh = Experiment(one.model, one.data, one.loss, baselines=False)
    with pytest.raises(KeyboardInterrupt):
        search(fresh, variables(one), out=tmp_path, **chosen)
    kept = list(tmp_path.rglob("*.npz"))
    assert len(kept) > 10
    monkeypatch.undo()
    again = search(Experiment(one.model, one.data, one.loss, baselines=False), variables(one), out=tmp_path, **chosen)
    assert again.hypothesis == wanted.hypothesis
    assert again.record.found[0].losses == wanted.record.found[0].losses
    assert not list(tmp_path.rglob("*.npz"))


def test_of_two_that_cancel_it_only_matters_that_they_agree():
    one, experiment = made("masked")
    found = search(experiment, variables(one), random=0, controls=())
    free = [claim for claim in found.hypothesis.correspondence.walk() if claim.variable.agrees_on() == anything]
    (pair,) = one.tight[0].correspondence.children[0].children[1:]
    assert {claim.targets[0].node for claim in free} == {target.node for target in pair.targets}
    assert len({claim.group for claim in free}) == 1
    assert found.record.word == "tight"


def test_what_is_merged_back_to_a_known_feature_goes_by_its_name():
    one, _ = made("total")
    label, noise = column("label"), column("noise_0")
    values = [(v, n) for v in np.unique(one.data["label"]).tolist() for n in np.unique(one.data["noise_0"]).tolist()]
    classes = [[pair for pair in values if pair[0] == v] for v in np.unique(one.data["label"]).tolist()]
    wide = joint(label, noise).merged(classes)
    twice = joint(label, noise).merged([[pair] for pair in values]).merged([[1], [2, 3]])
    claims = [mlp(0).direct().carries(Variable("wide", wide)), mlp(1).direct().carries(Variable("twice", twice))]
    found = named(Hypothesis("it", "It.", OUTPUT.carries(Variable("output", label), *claims)), [label, noise], one.data)
    first, second = (claim.variable for claim in found.correspondence.children)
    assert (first.name, first.feature) == ("label of m0", label)
    assert second.feature == joint(label, noise).merged([[values[0]], [values[1], values[2]]])
    assert second.name == "(label, noise_0), coarser, of m1"
    assert digest_of(second.feature, one.data) == digest_of(twice, one.data)


def test_what_is_looked_through_is_not_claimed_and_still_computed():
    one, experiment = made("majority")
    found = search(experiment, variables(one), through=("mlp",), random=0, controls=())
    nodes = {str(target.node) for claim in found.hypothesis.correspondence.walk() for target in claim.targets}
    assert not {node for node in nodes if node.startswith("m")}
    assert found.record.word == "tight"


def test_a_search_may_end_at_a_depth():
    one, experiment = made("brackets")
    greedy = Greedy(experiment.subject, experiment.executor, variables(one), Choices(depth=1))
    (only,) = greedy.run().correspondence.children
    assert (str(only.targets[0].node), only.children) == ("m1", ())


def test_features_that_cannot_be_computed_are_named_and_left_out():
    one, experiment = made("total")
    found = search(experiment, [column("nowhere"), *variables(one)], random=0, controls=())
    assert found.record.unusable == ["nowhere"]
    assert found.record.word == "tight"


def test_the_command_writes_what_can_be_run_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from benchmarks.groundtruth.catalogue import truth\n"
        "from benchmarks.groundtruth.columns import column\n"
        "from scrubbing import Task\n"
        'made = truth("total", 7)\n'
        'task = Task("total", data=lambda: made.data, model=lambda: made.model, loss=lambda: made.loss)\n'
        'names = [column(name) for name in made.data if name != "tokens"]\n'
    )
    asked = ["search", "mine.py::task", "--features", "mine.py::names", "--no-controls", "--random", "0"]
    told = CliRunner().invoke(app, [*asked, "--out", "out"])
    assert told.exit_code == 0, told.output
    assert "Supported and tight" in told.output
    written = {path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")}
    assert {"total--found.py", "total--found.json", "total--found.search.json", "search.html", "search.svg"} <= written
    again = CliRunner().invoke(app, ["check", "out/total--found.py::found", "--task", "mine.py::task"])
    assert again.exit_code == 0, again.output
    refused = CliRunner().invoke(app, ["search", "mine.py::task", "--features", "mine.py::made"])
    assert refused.exit_code == 2
    assert "SCR-ADDRESS" in refused.output


def test_any_model_graph_is_searched():
    """A toy graph: no tokens, no positions, two sources of which one matters through a node in between."""

    model = ToyModel(
        {"x": "x", "y": "y", "z": "z"},
        {"xor": (lambda a, b: abs(a - b), {"a": ["x"], "b": ["y"]}), "logits": (lambda a: a, {"a": ["xor", "z"]})},
    )
    x, y, z = np.random.default_rng(0).integers(2, size=(3, 400)).astype(float)
    data = Dataset({"x": x, "y": y, "z": 0 * z, "label": abs(x - y)})
    names = [Feature(name, compute=lambda data, name=name: data[name] == 1) for name in ("x", "y", "z", "label")]
    found = search(Experiment(model, data, SquaredError("label"), baselines=False), names, random=0, controls=())
    assert str(found.hypothesis).splitlines()[1:] == [
        "logits carries output = label",
        "└─ xor directly carries label of xor = label",
        "   ├─ x directly carries x of x = x",
        "   └─ y directly carries y of y = y",
    ]
    assert found.record.word == "tight"
