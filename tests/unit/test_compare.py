"""One table of what may differ: the same answer to a gate, a merge, a comparison, and in every outlet."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from scrubbing import UsageError
from scrubbing.gate.judge import judge
from scrubbing.gate.policy import Rule
from scrubbing.gate.snapshots import Snapshot
from scrubbing.records.compare import ASPECTS, differences, unlike
from scrubbing.records.inputs import InputTable
from scrubbing.records.merge import merge
from scrubbing.records.schema import Choices, Number, Provenance, Recovered, RunRecord
from scrubbing.report.frames import to_frame
from scrubbing.report.markdown import markdown
from scrubbing.report.page import page
from scrubbing.report.plot import plot
from scrubbing.report.terminal import ladder_view
from scrubbing.report.view import cautions, names
from scrubbing.stats.critical import fixed_size

NUMBER = Number(value=0.1, se=0.01, low=0.08, high=0.12)
PROVENANCE = Provenance(
    model="m",
    model_fingerprint="a" * 32,
    data="d",
    data_fingerprint="b" * 32,
    inputs_in_scope=9,
    versions={},
    seconds=1.0,
    when="2026-11-21T00:00:00+00:00",
)


def record(hypothesis="h/one", scope=None, zero="null", hash_="abc", **changed):
    choices = {"references": 40, "draws": 2, "seed": 0, "ablation": None, "loss": "cross-entropy", "dtype": "float32"}
    told = {name: changed.pop(name) for name in list(changed) if name in Provenance.model_fields}
    return RunRecord(
        hypothesis=hypothesis,
        claim="It is so.",
        scope=scope,
        stored=None,
        choices=Choices(**{**choices, "device": "cpu", **changed}),
        losses=dict.fromkeys(("model", "scrubbed", "null"), NUMBER),
        recovered=[Recovered(baseline="null", meaning="", fraction=NUMBER, lost=NUMBER)],
        measures=[],
        strata=[],
        claims=[],
        exchanged=True,
        notes=[],
        zero=zero,
        provenance=PROVENANCE.model_copy(update=told),
        hash=hash_,
    )


def inputs(first=0, n=40):
    rng = np.random.default_rng(0)
    losses = {f"loss.{name}": rng.exponential(size=n) for name in ("model", "scrubbed", "null", "constant")}
    return InputTable({"id": np.arange(first, first + n), "weight": np.ones(n), "counted": np.ones(n), **losses})


CHANGES = {
    "loss": {"loss": "hinge"},
    "unit": {"unit": "bits"},
    "dataset": {"data_fingerprint": "c" * 32},
    "pool": {"pool": 500},
    "hypothesis": {"hypothesis": "h/two"},
    "definition": {"hash_": "def"},
    "scope": {"scope": "odd"},
    "model": {"model": "n"},
    "seed": {"seed": 7},
    "padding": {"padding": "avoided"},
    "ablation": {"ablation": "mean"},
    "dtype": {"dtype": "bfloat16"},
    "device": {"device": "cuda"},
    "accelerator": {"accelerator": "NVIDIA H100, CUDA 12.8, TF32 off"},
    "numerics": {"numerics": 1},
    "weights": {"model_fingerprint": "z" * 32},
    "draws": {"draws": 9},
    "clusters": {"clusters": "template"},
    "interval": {"interval": "another"},
    "zero": {"zero": "constant"},
    "references": {"references": 80},
}


def test_every_aspect_is_tried_and_every_choice_is_one():
    assert list(CHANGES) == [aspect.name for aspect in ASPECTS]
    # A bound is found in a run, and not chosen; what a loss is made of is held by the gate, which knows of Pythons.
    assert set(Choices.model_fields) - {"bound", "loss_identity"} <= set(CHANGES)


@pytest.mark.parametrize("aspect", ASPECTS, ids=lambda aspect: aspect.name)
def test_gate_merge_and_comparison_agree_on_what_differs(aspect):
    """Each asks for more than the one before, and all from one table."""
    other = record(**CHANGES[aspect.name])
    assert [one.aspect for one in differences(other, record())] == [aspect.name]
    stopped = [purpose for purpose in ("pair", "snapshot", "merge") if differences(other, record(), purpose)]
    assert stopped == {
        "pair": ["pair", "snapshot", "merge"],
        "snapshot": ["snapshot", "merge"],
        "merge": ["merge"],
    }.get(aspect.stops, [])
    gate = judge(
        Rule(hypothesis="h.py::one"), other, inputs(), Snapshot(record(), inputs()), alpha=0.05, critical=fixed_size
    )
    assert ("no snapshot for this key" in gate.checks[0].text) == ("snapshot" in stopped)
    if "merge" in stopped:
        with pytest.raises(UsageError, match=re.escape(str(differences(other, record())[0]))):
            merge([(record(), inputs()), (other, inputs(40))])
    else:
        merge([(record(), inputs()), (other, inputs(40))])


OUTLETS = {
    "terminal": lambda records, folder: printed(ladder_view(records, "ladder")),
    "page": lambda records, folder: page(records),
    "Markdown": lambda records, folder: markdown(records),
    "frame": lambda records, folder: to_frame(records)["unlike"][0],
    "figure": lambda records, folder: plot(records, folder / "one.svg").read_text(),
}


def printed(view):
    console = Console(file=io.StringIO(), width=300)
    console.print(view)
    return console.file.getvalue()


@pytest.mark.parametrize("outlet", OUTLETS)
@pytest.mark.parametrize("name", [name for name in CHANGES if name not in ("hypothesis", "definition")])
def test_what_is_not_alike_is_said_wherever_records_stand_together(name, outlet, tmp_path):
    records = [record(), record("h/two", hash_="def", **CHANGES[name])]
    (line,) = cautions(records)
    assert line.startswith(f"Not alike in {name}, so that rows are not simply comparable: ")
    assert f"Not alike in {name}" in " ".join(OUTLETS[outlet](records, tmp_path).split())


@pytest.mark.parametrize("outlet", OUTLETS)
def test_nothing_is_said_of_records_that_are_alike(outlet, tmp_path):
    records = [record(), record("h/two", hash_="def")]
    assert cautions(records) == []
    assert "Not alike" not in OUTLETS[outlet](records, tmp_path)


def test_datasets_that_differ_because_scopes_do_are_named_once():
    narrow = record("h/two", scope="odd", data_fingerprint="c" * 32)
    assert [one.aspect for one in unlike([record(), narrow])] == ["scope"]
    assert [one.aspect for one in unlike([record(), record(data_fingerprint="c" * 32), narrow])] == ["dataset", "scope"]


def test_a_difference_in_words():
    told = {name: str(differences(record(**change), record())[0]) for name, change in CHANGES.items()}
    assert told["seed"] == "seed was 0, is 7"
    assert told["draws"] == "draws were 2, are 9"
    assert told["ablation"] == "ablation was none, is mean"
    assert told["weights"] == "weights changed"
    assert told["loss"] == "loss was cross-entropy, is hinge"
    assert not any("None" in one for one in told.values())


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ([record("a/x"), record("a/y")], ["x", "y"]),
        ([record("a/x"), record("b/x")], ["a/x", "b/x"]),
        ([record("a/x"), record("a/x", seed=3)], ["x (seed 0)", "x (seed 3)"]),
        ([record("a/x"), record("a/x", model_fingerprint="z"), record("a/y")], ["x [1]", "x [2]", "y"]),
        (
            [record("a/x"), record("a/x", when="2026-11-22T10:30:00+00:00")],
            ["x (2026-11-21 00:00)", "x (2026-11-22 10:30)"],
        ),
        ([record("a/x"), record("a/x")], ["x [1]", "x [2]"]),
    ],
)
def test_every_record_has_a_name_of_its_own(records, wanted):
    assert names(records) == wanted
