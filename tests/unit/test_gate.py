"""Verdicts from made-up losses: each check, the key, what moved, the level shared by all, and when settling stops."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from scrubbing.gate import outlets
from scrubbing.gate.judge import EXIT, checks_of, judge, settle
from scrubbing.gate.policy import Rule
from scrubbing.gate.snapshots import Snapshot, place, read, write
from scrubbing.records.compare import ASPECTS, differences
from scrubbing.records.inputs import InputTable
from scrubbing.records.moved import moved
from scrubbing.records.schema import (
    Branch,
    Choices,
    ClaimCost,
    MeasureValue,
    Number,
    Provenance,
    Recovered,
    RunRecord,
    Source,
    VariableNode,
)
from scrubbing.records.tested import VerdictRecord
from scrubbing.report.view import sentence
from scrubbing.stats.critical import AlwaysValid, fixed_size

NUMBER = Number(value=0.1, se=0.01, low=0.08, high=0.12)
CHOICES = Choices(references=3, draws=2, seed=0, ablation=None, loss="nats", dtype="float32", device="cpu")
PROVENANCE = Provenance(
    model="m",
    model_fingerprint="a" * 32,
    data="d",
    data_fingerprint="b" * 32,
    inputs_in_scope=9,
    versions={"torch": "2"},
    seconds=1.0,
    when="2026-11-21T00:00:00+00:00",
)


def record(**changed):
    made = RunRecord(
        hypothesis="h/one",
        claim="It is so.",
        scope=None,
        stored={"a": 1},
        choices=CHOICES,
        losses={"model": NUMBER, "scrubbed": NUMBER},
        recovered=[Recovered(baseline="null", meaning="", fraction=NUMBER, lost=NUMBER)],
        measures=[MeasureValue(name="kl", meaning="", unit="nats", value=NUMBER)],
        strata=[],
        claims=[],
        exchanged=True,
        notes=[],
        provenance=PROVENANCE,
        hash="abc",
        variables=[VariableNode(name="v", feature="f", parents=[], digest="1")],
        source=Source(address="h.py::one", file="h.py", line=3),
    )
    return made.model_copy(update=changed)


def inputs(rise=0.0, n=3000, seed=0, ids=None, spread=0.05):
    """Losses of a scrubbed model whose mean is `rise` above what the seed gives."""
    rng = np.random.default_rng(seed)
    hard = rng.exponential(0.2, size=n)
    noise = np.random.default_rng(99).normal(0, spread, size=n) if rise else np.zeros(n)
    found = {
        "id": np.arange(n) if ids is None else ids,
        "text": np.array([f"input {i}" for i in range(n)]),
        "weight": np.ones(n),
        "counted": np.ones(n),
        "loss.model": hard / 10,
        "loss.scrubbed": hard + rise + noise,
        "loss.null": hard + 4,
        "loss.constant": np.full(n, 0.6),
        "stratum.odd": np.arange(n) % 2 == 1,
    }
    return InputTable(found)


def judged(now, rule=None, before=None, this=None, **options):
    snapshot = Snapshot(record(), inputs()) if before is None else before
    options = {"alpha": 0.05, "critical": fixed_size, **options}
    return judge(rule or Rule(hypothesis="h.py::one"), this or record(), now, snapshot, **options)


def outcomes(gate):
    return {check.what: check.outcome for check in gate.checks}


@pytest.mark.parametrize(("rise", "verdict"), [(0.0, "pass"), (0.03, "pass"), (0.051, "inconclusive"), (0.1, "fail")])
def test_change_against_the_margin(rise, verdict):
    gate = judged(inputs(rise))
    assert outcomes(gate)["change"] == gate.verdict == verdict
    assert f"change {rise:+.3f}" in gate.reason or rise


OTHER_WEIGHTS = {"provenance": PROVENANCE.model_copy(update={"model_fingerprint": "z"})}


def test_the_same_weights_with_the_same_losses_pass_a_margin_of_nothing():
    """Nothing is left to chance: inputs that were not drawn lose what they lost, too."""
    gate = judged(inputs(n=20), Rule(hypothesis="h.py::one", margin=0.0))
    assert outcomes(gate)["change"] == "pass"
    assert gate.checks[0].text.endswith("on 20 common references; weights, features and draws are the snapshot's.")
    assert "[" not in gate.checks[0].text


@pytest.mark.parametrize(
    "changed",
    [
        OTHER_WEIGHTS,
        {"choices": CHOICES.model_copy(update={"draws": 3})},
        {"variables": [VariableNode(name="v", feature="f", parents=[], digest="2")]},
    ],
    ids=["weights", "draws", "feature"],
)
def test_equal_losses_of_something_else_leave_a_few_inputs_in_doubt(changed):
    """No change on 20 inputs is none that one in ten might show, of up to the null's largest loss."""
    gate = judged(inputs(n=20), this=record(**changed))
    assert outcomes(gate)["change"] == "inconclusive"
    assert gate.checks[0].needed > 100
    assert "none of 20 references shows anything" in gate.checks[0].text
    assert judged(inputs(), this=record(**changed)).verdict == "pass"


def test_one_changed_input_of_many_is_not_the_same_run():
    moved = inputs().columns | {"loss.scrubbed": inputs()["loss.scrubbed"] + 0.5 * (np.arange(3000) == 7)}
    gate = judged(InputTable(moved), Rule(hypothesis="h.py::one", margin=0.0))
    assert outcomes(gate)["change"] == "inconclusive"
    assert "rests on about 1.0 of 3,000 references" in gate.reason


@pytest.mark.parametrize(
    ("word", "reasons", "supported", "tight"),
    [
        ("tight", [], "pass", "pass"),
        ("wider or finer than needed", ["idle"], "pass", "fail"),
        ("undecided", ["fineness?"], "pass", "inconclusive"),
        ("undecided", ["loses?"], "inconclusive", "inconclusive"),
        ("redundant", ["redundant"], "fail", "fail"),
        ("wrong values", ["wrong values"], "fail", "fail"),
        ("insufficient", ["apart"], "fail", "fail"),
        ("vacuous", ["no-claim"], "fail", "fail"),
        ("nothing to explain", ["no-gap"], "fail", "fail"),
    ],
)
def test_a_verdict_that_is_asked_for(word, reasons, supported, tight):
    found = VerdictRecord(word=word, reasons=reasons, margin=0.01, alpha=0.05, references=400, draws=4)
    for wanted, outcome in (("supported", supported), ("tight", tight)):
        gate = judged(inputs(), Rule(hypothesis="h.py::one", verdict=wanted), this=record(tested=found))
        assert outcomes(gate)["verdict"] == outcome
        assert f"Asked for: {wanted}." in gate.checks[-1].text
    assert "verdict" not in outcomes(judged(inputs(), this=record(tested=found)))


def test_better_is_a_pass():
    assert judged(inputs(-0.1)).verdict == "pass"


@pytest.mark.parametrize(("floor", "verdict"), [(0.9, "pass"), (0.98, "fail"), (0.956, "inconclusive")])
def test_floor(floor, verdict):
    gate = judged(inputs(), Rule(hypothesis="h.py::one", floor=floor))
    assert outcomes(gate)["floor"] == verdict, gate.details


def test_floor_of_a_baseline_like_the_model_is_inconclusive():
    same = InputTable({**inputs().columns, "loss.null": inputs()["loss.model"]})
    assert outcomes(judged(same, Rule(hypothesis="h.py::one", floor=0.5)))["floor"] == "inconclusive"


def test_worse_than_the_constant_fails_unless_told_otherwise():
    poor, before = inputs(1.0), Snapshot(record(), inputs(1.0))
    assert outcomes(judged(poor, before=before)) == {"change": "pass", "model": "pass", "beats constant": "fail"}
    assert judged(poor, Rule(hypothesis="h.py::one", beats=()), before=before).verdict == "pass"


def test_inconclusive_says_how_many_would_settle_it():
    few = judged(inputs(0.06, n=20))
    assert (few.verdict, outcomes(few)["change"]) == ("inconclusive", "inconclusive")
    assert few.needed > 20
    assert f"about {few.needed:,} references would settle it" in few.reason


def test_one_reference_settles_nothing():
    assert judged(inputs(n=1)).verdict == "inconclusive"


@pytest.mark.parametrize("missing", ["fail", "inconclusive"])
def test_without_a_snapshot(missing):
    rule = Rule(hypothesis="h.py::one")
    gate = judge(rule, record(), inputs(), None, alpha=0.05, critical=fixed_size, missing=missing)
    assert gate.verdict == missing
    assert "--update-new" in gate.reason


KEYS = {
    "definition": {"hash": "def"},
    "model": {"provenance": PROVENANCE.model_copy(update={"model": "n"})},
    "dataset": {"provenance": PROVENANCE.model_copy(update={"data_fingerprint": "c"})},
    "loss": {"choices": CHOICES.model_copy(update={"loss": "bits"})},
    "pool": {"choices": CHOICES.model_copy(update={"pool": 500})},
    "seed": {"choices": CHOICES.model_copy(update={"seed": 1})},
    "ablation": {"choices": CHOICES.model_copy(update={"ablation": "mean"})},
    "dtype": {"choices": CHOICES.model_copy(update={"dtype": "bfloat16"})},
    "device": {"choices": CHOICES.model_copy(update={"device": "cuda"})},
    "accelerator": {"choices": CHOICES.model_copy(update={"accelerator": "NVIDIA H100, CUDA 12.8, TF32 on"})},
    "numerics": {"choices": CHOICES.model_copy(update={"numerics": 1})},
    "unit": {"choices": CHOICES.model_copy(update={"unit": "bits"})},
    "padding": {"choices": CHOICES.model_copy(update={"padding": "avoided"})},
    "scope": {"scope": "odd"},
    "hypothesis": {"hypothesis": "h/two"},
}


@pytest.mark.parametrize("name", KEYS)
def test_another_key_is_no_snapshot(name):
    """However good the losses are."""
    other = record(**KEYS[name])
    gate = judged(inputs(), this=other)
    assert outcomes(gate)["change"] == "fail"
    assert "no snapshot for this key" in gate.reason
    (found,) = differences(other, record(), "snapshot")
    assert name == found.aspect and name in str(found)
    assert set(KEYS) == {aspect.name for aspect in ASPECTS if aspect.stops in ("pair", "snapshot")}


def test_other_weights_are_the_same_key():
    other = record(**OTHER_WEIGHTS)
    assert differences(other, record(), "snapshot") == []
    assert [str(one) for one in differences(other, record(), "merge")] == ["weights changed"]


def test_only_common_references_are_compared():
    more = inputs(n=4000)
    gate = judged(more)
    assert "on 3,000 common references" in gate.checks[0].text


def test_the_level_is_shared():
    assert checks_of(Rule(hypothesis="h")) == 3
    assert checks_of(Rule(hypothesis="h", floor=0.5, beats=("constant", "mean rest"))) == 5
    # A change that one gate tells is not told at a hundredth of its level.
    assert judged(inputs(0.062)).verdict == "fail"
    assert judged(inputs(0.062), alpha=0.0005).verdict == "inconclusive"


def test_settling_stops_when_it_is_settled():
    runs = []

    def run(n):
        runs.append(n)
        return record(), inputs(0.1, n=n)

    def verdict(this, now):
        return judged(now, this=this, before=Snapshot(record(), inputs(n=3200)), critical=AlwaysValid())

    gate = settle(verdict, run, [200, 400, 800, 1600])
    assert (gate.verdict, runs) == ("fail", [200, 400, 800])


def test_settling_ends_with_the_budget():
    gate = settle(
        lambda this, now: judged(now, this=this, critical=AlwaysValid()),
        lambda n: (record(), inputs(0.05, n=n)),
        [50, 100],
    )
    assert gate.verdict == "inconclusive"


def test_settling_does_not_wait_for_a_snapshot_that_is_not_there():
    runs = []

    def run(n):
        runs.append(n)
        return record(), inputs(n=n)

    def verdict(this, now):
        rule = Rule(hypothesis="h.py::one", beats=())
        return judge(rule, this, now, None, alpha=0.05, critical=AlwaysValid(), missing="inconclusive")

    settle(verdict, run, [300, 600, 1200])
    assert runs == [300]


def told(now, its_inputs, before, earlier):
    return [sentence(note) for note in moved(now, its_inputs, before, earlier)]


def test_what_moved():
    cost = ClaimCost(path="p", cost=NUMBER)
    dear = ClaimCost(path="p", cost=Number(value=0.9, se=0.01, low=0.8, high=1.0))
    branch = {"path": "p", "depth": 1, "what": "a1.h0", "variable": "v", "line": "", "sample": None, "value": None}
    branches = [Branch(**branch, unclaimed=None)]
    before = record(claim_costs=[cost], variables=[VariableNode(name="v", feature="f", parents=[], digest="0")])
    now = record(
        claim_costs=[dear],
        branches=branches,
        provenance=PROVENANCE.model_copy(update={"model_fingerprint": "9" * 32, "versions": {"torch": "3"}}),
    )
    worse = inputs().columns | {"loss.scrubbed": inputs()["loss.scrubbed"] + (np.arange(3000) % 2) * 0.5}
    assert told(now, InputTable(worse), before, inputs())[:5] == [
        "The weights changed: aaaaaaaa -> 99999999.",
        "Feature f of variable v has other values on the dataset than before.",
        "torch was 2, is 3.",
        "Exchanging a1.h0 carries v alone cost 0.100 -> 0.900 nats.",
        "Where odd: +0.500 nats on 1,500 references (+0.250 overall).",
    ]


def test_nothing_moved():
    assert told(record(), inputs(), record(), inputs()) == []


def test_strata_move_with_their_clusters():
    """Families that move together are one unit each: ten families, and what looks certain is not."""
    family, rng = np.repeat(np.arange(10), 30), np.random.default_rng(0)
    columns = inputs(n=300).columns | {"cluster": family, "stratum.all": np.ones(300, dtype=bool)}
    shift = np.repeat(rng.normal(0.0, 0.3, 10), 30)
    shift -= shift.mean() - 0.12
    worse = columns | {"loss.scrubbed": columns["loss.scrubbed"] + shift}
    assert not any("Where all" in line for line in told(record(), InputTable(worse), record(), InputTable(columns)))
    alone = [{name: one for name, one in table.items() if name != "cluster"} for table in (worse, columns)]
    assert any("Where all" in line for line in told(record(), InputTable(alone[0]), record(), InputTable(alone[1])))


def test_what_cannot_be_paired_is_not_compared_input_by_input():
    other = record(provenance=PROVENANCE.model_copy(update={"data_fingerprint": "c"}))
    assert told(other, inputs(0.5), record(), inputs()) == []
    assert told(record(), inputs(0.5, ids=np.arange(3000) + 10_000), record(), inputs()) == []


def test_a_snapshot_is_read_as_it_was_written(tmp_path):
    path = place(tmp_path, "h/one", "float32", "cpu")
    assert (path.name, read(path)) == ("h--one.json", None)
    write(path, record(), inputs(), "first")
    found = read(path)
    assert found.record.accepted.reason == "first"
    assert differences(found.record, record()) == []
    assert found.inputs.to_parquet() == inputs().to_parquet()


def test_snapshots_of_devices_and_precisions_are_kept_apart(tmp_path):
    kinds = [("float32", "cpu"), ("float32", "cuda"), ("bfloat16", "cpu")]
    names = [place(tmp_path, "h/one", *kind).name for kind in kinds]
    assert names == ["h--one.json", "h--one.float32-cuda.json", "h--one.bfloat16-cpu.json"]


def test_annotations_are_for_github_and_for_what_did_not_pass(monkeypatch, capsys):
    gates = [judged(inputs(0.1)), judged(inputs()), judged(inputs(0.051))]
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    outlets.annotate(gates)
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    outlets.annotate(gates * 20)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error"] * 10 + ["::warning"] * 10
    assert lines[0].startswith("::error file=h.py,line=3,title=h/one%3A fail::Scrubbed loss")


def test_junit():
    suite = ElementTree.fromstring(outlets.junit([judged(inputs(0.1)), judged(inputs())]))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    first, second = suite.iter("testcase")
    assert first.find("failure").get("type") == "fail"
    assert second.find("failure") is None
    facts = {one.get("name"): one.get("value") for one in first.iter("property")}
    assert facts["scrub.loss.scrubbed"] == "0.1" and facts["scrub.verdict"] == "fail"


def test_exit_codes():
    assert EXIT == {"pass": 0, "fail": 1, "inconclusive": 3}
