"""The device where people name it: commands, and the gate with its snapshots."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from conftest import CLOSE, NAME
from typer.testing import CliRunner

from benchmarks.parens.task import our_data
from benchmarks.parens.task import task as parens
from scrubbing import cli
from scrubbing.gate.policy import policy_of
from scrubbing.gate.run import Runner

SMALL = ["--references", "16", "--draws", "1", "--json"]


def printed(*arguments):
    found = CliRunner().invoke(cli.app, list(arguments))
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_a_command(there):
    wanted, found = (printed("run", "parens/signs", *SMALL, "--device", one) for one in ("cpu", there))
    assert (wanted["choices"]["device"], found["choices"]["device"]) == ("cpu", NAME)
    assert wanted["choices"]["accelerator"] is None and found["choices"]["accelerator"]
    for name, loss in wanted["losses"].items():
        # Batches are as large as the processor's cache on the CPU alone, so sums need not be the same to the bit.
        close = {"rel": 1e-5, "abs": 1e-9} if NAME == "pretend" else {"abs": CLOSE}
        assert found["losses"][name]["value"] == pytest.approx(loss["value"], **close), name


def test_a_snapshot_of_the_cpu_is_none_of_the_device(there, tmp_path):
    rule = {"hypothesis": "parens/signs", "references": 16, "budget": 16, "draws": 1}
    policy = policy_of({"rules": [rule], "snapshots": "kept"}, tmp_path / "gate.toml")
    runner = Runner.of(policy, list(policy.rules), there)
    on_cpu = Runner.of(policy, list(policy.rules), "cpu").update(
        policy.rules[0], "this is the first one", only_new=False
    )
    assert on_cpu.name == "parens--signs.json"
    assert runner.gate(policy.rules[0]).snapshot is None
    taken = runner.update(policy.rules[0], "this is the first one", only_new=False)
    assert taken.name.startswith(f"parens--signs.float32-{NAME}")
    assert runner.gate(policy.rules[0]).snapshot is not None


def test_a_verdict(there, monkeypatch):
    """Everything a verdict runs is run there, on a task of few strings."""
    monkeypatch.setattr("benchmarks.parens.task.task", replace(parens, data=lambda: our_data(1000)))
    printed_there, on_cpu = (printed("verdict", "parens/signs", *SMALL, "--device", one) for one in (there, "cpu"))
    assert (printed_there["choices"]["device"], on_cpu["choices"]["device"]) == (NAME, "cpu")
    found, wanted = printed_there["tested"], on_cpu["tested"]
    assert found["word"] == wanted["word"]
    close = {"rel": 1e-5, "abs": 1e-7} if NAME == "pretend" else {"abs": 1e-3}
    compared = [one for one in numbers(found, wanted) if one[0] != ".seconds"]
    assert len(compared) > 20
    for place, one, other in compared:
        assert one == pytest.approx(other, **close), place


def numbers(found, wanted, place=""):
    """Every number of two records, with its place."""
    if isinstance(found, dict):
        assert found.keys() == wanted.keys(), place
        for name in found:
            yield from numbers(found[name], wanted[name], f"{place}.{name}")
    elif isinstance(found, list):
        assert len(found) == len(wanted), place
        for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from numbers(one, other, f"{place}.{number}")
    elif isinstance(found, float):
        yield place, found, wanted
    else:
        assert found == wanted, place
