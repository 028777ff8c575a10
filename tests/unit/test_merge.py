"""Records of parts of a run put together say what the whole says; lists, comparisons and plans can be read."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from benchmarks.parens.task import our_data, task
from scrubbing import Experiment, UsageError
from scrubbing.cli import app
from scrubbing.records.merge import merge
from scrubbing.records.names import place
from scrubbing.records.store import load, save


def run(**options):
    options = {"references": 90, "baselines": True, "strata": task.settings.strata, **options}
    return Experiment(task.model(), our_data(600), task.loss(), **options).run(task.rung("two-tests"))


@pytest.fixture(scope="module")
def whole():
    return run()


@pytest.fixture(scope="module")
def parts():
    return [run(shard=(part, 3)) for part in (1, 2, 3)]


def test_parts_together_are_the_whole(whole, parts):
    record, inputs = merge([(part.record(), part.inputs()) for part in parts[::-1]])
    wanted = whole.record()
    assert inputs["id"].tolist() == whole.inputs()["id"].tolist()
    for name in (
        "losses",
        "recovered",
        "measures",
        "strata",
        "counted",
        "cancellation",
        "notes",
        "worst",
        "shared",
        "choices",
    ):
        found, expected = (one.model_dump()[name] for one in (record, wanted))
        assert _rounded(found) == _rounded(expected), name
    assert [claim.draws for claim in record.claims] == [claim.draws for claim in wanted.claims]
    assert record.recalibrated is None


def _rounded(value):
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def test_parts_do_not_overlap(parts):
    ids = [set(part.ids.tolist()) for part in parts]
    assert len(set.union(*ids)) == sum(map(len, ids)) == 90


@pytest.mark.parametrize("shard", [(0, 3), (4, 3), (1, 91)])
def test_parts_that_are_none(shard):
    with pytest.raises(UsageError, match="SCR-REFERENCES"):
        run(shard=shard)


@pytest.fixture
def folder(parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, part in enumerate(parts):
        save(part.record(), f"part{i}.json", part.inputs())
    return tmp_path


def scrub(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_merge_command(folder):
    assert scrub("merge", "part0.json", "part1.json", "part2.json", "--out", "whole.json").exit_code == 0
    assert load("whole.json").choices.references == 90


def test_compare_command(folder, whole):
    save(whole.record(), "whole.json", whole.inputs())
    found = scrub("compare", "part0.json", "whole.json")
    assert found.exit_code == 0, found.output
    assert "On 30 common references, paired" in found.stdout
    assert re.search(r"scrubbed loss +(\S+) +\1 +\+0.000 *\n", found.stdout)
    assert "References were 30, are 90." in found.stdout


def test_power_command(folder):
    found = scrub("power", "part0.json", "--change", "0.5")
    assert found.exit_code == 0, found.output
    assert "of the loss of one run" in found.stdout and "+0.500" in found.stdout


def test_list_names_what_is_damaged_and_shows_the_rest(folder):
    (folder / "bad.json").write_text("{")
    found = scrub("ls")
    assert found.exit_code == 2
    assert [line.split()[0] for line in found.stdout.splitlines()[1:4]] == ["part0.json", "part1.json", "part2.json"]
    assert "[SCR-FILE] bad.json" in found.stderr


def test_a_thousand_records_are_listed_at_once(folder):
    text = (folder / "part0.json").read_bytes()
    for i in range(1000):
        (folder / f"copy{i}.json").write_bytes(text)
    look = (
        "import sys; from scrubbing.cli import app; app(['ls'], standalone_mode=False); print('torch' in sys.modules)"
    )
    began = time.perf_counter()
    found = subprocess.run([sys.executable, "-c", look], cwd=folder, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    assert found.stdout.splitlines()[-1] == "False"
    assert len(found.stdout.splitlines()) > 1003
    assert seconds < 10  # under two on a machine of its own; this one may be busy


def test_the_file_of_a_record(whole, tmp_path):
    assert place(tmp_path, whole.record().hypothesis).name == "parens--two-tests.json"
