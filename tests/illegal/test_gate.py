"""Policies, snapshots and records that a gate, a comparison or a merge cannot use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from scrubbing import FileError, UsageError, head
from scrubbing.cli import app
from scrubbing.cli.reading import compare as command
from scrubbing.gate.policy import load_policy
from scrubbing.gate.run import chosen
from scrubbing.records.inputs import InputTable
from scrubbing.records.merge import merge
from scrubbing.records.store import load, load_inputs, save

compare = command.__wrapped__
"""Without the part that prints errors."""
RULE = '[[rules]]\nhypothesis = "parens/signs"\n'


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def policy(text):
    Path("gate.toml").write_text(text)
    return load_policy(Path("gate.toml"))


POLICIES = {
    "unknown settings": lambda: policy("allpha = 0.1\n" + RULE + "flor = 0.9\n"),
    "no rules": lambda: policy("alpha = 0.1\n"),
    "empty rules": lambda: policy("rules = []\n"),
    "rule about nothing": lambda: policy("[[rules]]\nmargin = 0.1\n"),
    "values out of range": lambda: policy("alpha = 0.6\nmissing = 'pass'\n" + RULE + "margin = -1\nreferences = 1\n"),
    "a word for a number": lambda: policy(RULE + "margin = 'small'\n"),
    "no rule of this address": lambda: chosen(policy(RULE), ["parens/sings"]),
    "none in this folder": lambda: load_policy(),
    "pyproject without the table": lambda: (
        Path("pyproject.toml").write_text("[project]\nname = 'x'\n"),
        load_policy(Path("pyproject.toml")),
    ),
}


@pytest.mark.parametrize("case", POLICIES)
def test_policies(case, here, refused):
    times = {"unknown settings": 2, "values out of range": 4, "rule about nothing": 1, "a word for a number": 1}
    refused(UsageError, " ".join(["SCR-POLICY"] * times.get(case, 1)), POLICIES[case])


FILES = {
    "not TOML": lambda: policy("alpha = = 1"),
    "no file": lambda: load_policy(Path("missing.toml")),
}


@pytest.mark.parametrize("case", FILES)
def test_policy_files(case, here, refused):
    refused(FileError, "SCR-FILE", FILES[case])


@pytest.fixture
def run(world):
    """A record with its values per input, on some references."""

    def made(references=(0, 1, 2), **options):
        result = world.scrub(head(1, 0).direct().carries(world.parity), references=list(references), draws=2, **options)
        return result.record(), result.inputs()

    return made


def without(inputs, name):
    return InputTable({key: values for key, values in inputs.columns.items() if key != name})


MERGES = {
    "another seed": lambda run: merge([run(), run([3, 4], seed=1)]),
    "the same references": lambda run: merge([run(), run([2, 3])]),
    "everything at once": lambda run: merge([run(), run([2, 3], seed=1, ablation="mean"), run([5], seed=2)]),
    "other values": lambda run: merge([run(), (run([3])[0], without(run([3])[1], "measure.kl"))]),
}


@pytest.mark.parametrize("case", MERGES)
def test_merges(case, run, refused):
    times = {"everything at once": 3}
    refused(UsageError, " ".join(["SCR-MERGE"] * times.get(case, 1)), lambda: MERGES[case](run))


def test_compare_without_values(run, here, refused):
    record, inputs = run()
    save(record, "old.json")
    save(record, "new.json", inputs)
    refused(UsageError, "SCR-COMPARE", lambda: compare(Path("old.json"), Path("new.json")))


def test_compare_other_data(run, here):
    record, inputs = run()
    other = record.model_copy(
        update={"provenance": record.provenance.model_copy(update={"data_fingerprint": "another"})}
    )
    save(record, "old.json", inputs)
    save(other, "new.json", inputs)
    found = CliRunner().invoke(app, ["compare", "old.json", "new.json"])
    assert found.exit_code == 2
    assert "new.json cannot be held against old.json: dataset changed" in found.stderr


DAMAGE = {
    "truncated table": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "missing table": lambda path: path.unlink(),
    "another table": lambda path: path.write_bytes(InputTable({"id": np.arange(3)}).to_parquet()),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_values_per_input(case, run, here, refused):
    path = save(run()[0], "record.json", run()[1])
    (table,) = here.glob("*.parquet")
    DAMAGE[case](table)
    # The name of a table is a hash of its numbers, whose last digits are a machine's own.
    refused(FileError, "SCR-FILE", lambda: load_inputs(load(path), path), {r"record-[0-9a-f]{16}": "record-<hash>"})


def test_update_needs_a_reason(here):
    policy(RULE)
    found = CliRunner().invoke(app, ["gate", "--policy", "gate.toml", "--update"])
    assert (found.exit_code, found.stderr.splitlines()[0]) == (
        2,
        "[SCR-POLICY] a snapshot is replaced without a reason.",
    )


def test_a_file_that_ends_the_process(here, snapshot):
    Path("leaves.py").write_text("import sys\nsys.exit(0)\n")
    Path("gate.toml").write_text('[[rules]]\nhypothesis = "leaves.py::claims"\n')
    found = CliRunner().invoke(app, ["gate", "--policy", "gate.toml"])
    assert found.exit_code == 2
    assert found.stderr == snapshot
