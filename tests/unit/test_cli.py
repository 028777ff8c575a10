"""Every command on a toy task in a file: what it prints, what it writes, and how it exits."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from scrubbing.cli import app
from scrubbing.hypothesis.addresses import load_file
from scrubbing.records.store import load

FILE = '''
"""A sum of two bits."""

import numpy as np

from scrubbing import OUTPUT, Dataset, Hypothesis, Settings, Task, Variable, everything, feature, node


@feature
def x_bit(data):
    return data["x"] == 1


def make(*names, name="half"):
    claims = (node(one).direct().carries(Variable(one, x_bit)) for one in names)
    return Hypothesis(f"toy/{name}", "A claim.", OUTPUT.carries(Variable("output", everything), *claims))


half = make("x")
illegal = make("z")


def by_function():
    return make("x", name="by function")


def model():
    from scrubbing import ToyModel

    return ToyModel({"x": "x", "y": "y"}, {"logits": (lambda a, b: a + b, {"a": ["x"], "b": ["y"]})})


def data():
    x, y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 25).astype(float)
    return Dataset({"x": x, "y": y, "label": x + y}, name="bits")


def loss():
    from scrubbing import SquaredError

    return SquaredError()


def graph():
    return model().graph(data())


settings = Settings(references=80, strata={"x": x_bit})
task = Task("toy", graph, data, model, loss, ladder=lambda: [half, by_function()], settings=settings)
'''


@pytest.fixture
def scrub(tmp_path, monkeypatch):
    """Run the command line in a folder with the toy task, also installed under the name `toy`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("toy.py", "mine.py"):  # a file runs once per process, and here it is another one in every test
        monkeypatch.delitem(sys.modules, name, raising=False)
    path = tmp_path / "toy.py"
    path.write_text(FILE)
    monkeypatch.setattr("scrubbing.experiment.task.find_task", lambda name: load_file(path).task)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_bench_prints_a_row_per_rung(scrub):
    found = scrub("bench", "toy")
    assert found.exit_code == 0, found.output
    assert "toy: 80 references x 4 draws, seed 0" in found.stdout
    lines = found.stdout.splitlines()
    assert [sum(line.startswith(f"{name} ") for line in lines) for name in ("half", "by function")] == [1, 1]


def test_bench_as_json(scrub):
    found = scrub("bench", "toy", "--json", "--references", "20", "--draws", "2", "--seed", "5")
    records = json.loads(found.stdout)
    assert [record["hypothesis"] for record in records] == ["toy/half", "toy/by function"]
    choices = records[0]["choices"]
    assert (choices["references"], choices["draws"], choices["seed"]) == (20, 2, 5)
    assert records[0]["losses"]["mean rest"]["value"] == pytest.approx(0.25)


def test_bench_of_some_rungs(scrub):
    records = json.loads(scrub("bench", "toy", "--json", "--only", "by function", "--references", "5").stdout)
    assert [record["hypothesis"] for record in records] == ["toy/by function"]


def test_bench_of_one_rung_is_still_a_list(scrub):
    assert isinstance(json.loads(scrub("bench", "toy", "--json", "--only", "half", "--references", "5").stdout), list)


def test_bench_of_a_task_without_hypotheses(scrub, tmp_path):
    (tmp_path / "toy.py").write_text(FILE.replace("lambda: [half, by_function()]", "list"))
    found = scrub("bench", "toy")
    assert (found.exit_code, found.stdout) == (2, "")
    assert "SCR-TASK" in found.stderr
    assert "has no hypotheses" in found.stderr


@pytest.mark.parametrize("address", ["toy.py::half", "toy.py:by_function", "toy/half"])
def test_run(scrub, address):
    found = scrub("run", address, "--references", "30", "--threads", "1")
    assert found.exit_code == 0, found.output
    for told in ("A claim.", "In squared error per reference input", "By stratum", "What was drawn"):
        assert told in found.stdout


def test_run_as_json_is_one_record(scrub):
    record = json.loads(scrub("run", "toy.py::half", "--json", "--references", "30").stdout)
    assert record["hypothesis"] == "toy/half"
    assert [(one["feature"], one["value"]) for one in record["strata"]] == [("x", True), ("x", False)]


def test_records_are_written_and_shown(scrub, tmp_path):
    ran = scrub("run", "toy.py::half", "--references", "30", "--out", "runs/today")
    assert ran.exit_code == 0, ran.output
    assert "scrub show runs/today/toy--half.json" in ran.stderr
    record = load(tmp_path / "runs" / "today" / "toy--half.json")
    shown = scrub("show", "runs/today/toy--half.json")
    assert shown.stdout == ran.stdout
    assert json.loads(scrub("show", "runs/today/toy--half.json", "--json").stdout) == record.model_dump(mode="json")


def test_why(scrub, tmp_path):
    """Inputs by id and the worst; what is unclaimed broke them, being the other bit."""
    scrub("run", "toy.py::half", "--references", "20", "--out", str(tmp_path / "out"))
    (path,) = (tmp_path / "out").glob("*.json")
    worst = [one.id for one in load(path).worst]
    said = " ".join(scrub("why", str(path), str(worst[0])).output.split())
    assert f"toy/half, input {worst[0]}" in said
    assert "what is unclaimed held" in said and "restored, 100.0 % of the rise goes" in said
    found = json.loads(scrub("why", str(path), "--worst", "--json").output)
    assert [one["id"] for one in found] == worst
    refused = scrub("why", str(path))
    assert refused.exit_code == 2 and "no input was named" in refused.output


def test_anomalies(scrub, tmp_path):
    """An input whose claimed bit is one that no trusted input has, among others; from either kind of file."""
    columns = {"x": [0, 1, 5], "y": [1, 0, 1]}
    (tmp_path / "new.json").write_text(json.dumps(columns))
    np.savez(tmp_path / "new.npz", **{name: np.array(values) for name, values in columns.items()})
    found = [json.loads(scrub("anomalies", "toy.py::half", "--inputs", f"new.{kind}", "--json").output)
             for kind in ("json", "npz")]  # fmt: skip
    assert [one["inputs"] for one in found[:1]] == [one["inputs"] for one in found[1:]]
    assert [one["id"] for one in found[0]["inputs"]] == [0, 1, 2] and all(
        0 < one["p"] <= 1 for one in found[0]["inputs"]
    )
    said = " ".join(scrub("anomalies", "toy.py::half", "--inputs", "new.json", "--rate", "0.2").output.split())
    assert "3 new inputs flagged" in said and "20.0 % of inputs like the trusted ones" in said


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("new.csv", b"x", "SCR-FILE"),
        ("gone.json", None, "SCR-FILE"),
        ("new.json", b"{", "SCR-FILE"),
        ("new.json", b"[1]", "SCR-FILE"),
        ("new.npz", b"{", "SCR-FILE"),
        ("new.npz", b"", "SCR-FILE"),
        ("new.json", b"{}", "SCR-DATA"),
        ("new.json", b'{"x": [1], "y": [1, 2]}', "SCR-DATA"),
        ("new.json", b'{"z": [1]}', "SCR-DATA"),
    ],
)
def test_files_that_hold_no_inputs(scrub, tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused = scrub("anomalies", "toy.py::half", "--inputs", name)
    assert refused.exit_code == 2 and told in refused.output and "Traceback" not in refused.output


def test_bench_writes_a_record_per_rung(scrub, tmp_path):
    scrub("bench", "toy", "--references", "5", "--out", "runs")
    assert sorted(path.name for path in (tmp_path / "runs").glob("*.json")) == [
        "toy--by%20function.json",
        "toy--half.json",
    ]
    assert len(list((tmp_path / "runs").glob("toy--half-*.parquet"))) == 1
    assert not list((tmp_path / "runs").glob(".scrub-*"))  # what a stopped run would go on from


@pytest.mark.parametrize(
    ("out", "told"), [((), "Nothing was kept; with --out"), (("--out", "runs"), "The same command goes on")]
)
def test_ctrl_c_says_whether_the_same_command_goes_on(scrub, monkeypatch, out, told):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("scrubbing.experiment.in_process.InProcess._measured", interrupt)
    found = scrub("run", "toy.py::half", "--references", "30", *out)
    assert (found.exit_code, found.stdout) == (130, "")
    assert told in found.stderr and "Traceback" not in found.stderr


def test_the_whole_traceback_for_who_asks(scrub, tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text("x = 1 / 0")
    plain = scrub("check", "toy.py::half")
    monkeypatch.setenv("SCRUBBING_TRACEBACK", "1")
    whole = scrub("check", "toy.py::half")
    assert plain.exit_code == whole.exit_code == 2
    assert "[SCR-CODE] toy.py: it raised ZeroDivisionError" in plain.stderr and "Traceback" not in plain.stderr
    assert "Traceback" in whole.stderr and whole.stderr.endswith(plain.stderr)


def test_check(scrub):
    found = scrub("check", "toy.py::half")
    assert (found.exit_code, found.stderr) == (0, "")
    assert found.stdout.splitlines()[0] == "toy/half: A claim."
    assert found.stdout.endswith("\nlegal on toy\n")


def test_check_of_something_illegal(scrub):
    found = scrub("check", "toy.py::illegal")
    assert (found.exit_code, found.stdout) == (2, "")
    assert "[SCR-NODE]" in found.stderr
    assert "Traceback" not in found.output


def test_check_without_data_looks_at_no_feature(scrub, tmp_path):
    (tmp_path / "toy.py").write_text(FILE.replace('data["x"] == 1', 'data["no such column"]'))
    assert scrub("check", "toy.py::half").exit_code == 2
    assert scrub("check", "toy.py::half", "--no-data").exit_code == 0


def test_plan(scrub):
    """Every job with its steps, statistics among them, and what each costs."""
    found = scrub("plan", "toy.py::half", "--references", "60", "--control", "shuffled-labels")
    assert found.exit_code == 0, found.output
    jobs = ["toy/half", "null", "toy/half, mean rest", "toy/half, mean claimed", "toy/half (shuffled-labels)"]
    for job in [*jobs, "null (shuffled-labels)"]:
        assert f"\n\n{job}\n" in found.stdout
    assert "scrubbed = %" in found.stdout
    assert "240 examples: " in found.stdout
    assert "60 examples: " in found.stdout  # nothing is drawn where everything unclaimed is at its mean
    assert "M0 = mean over 100 inputs, once:\n    %0" in found.stdout
    assert "statistics over 100 inputs: 200 flop, once" in found.stdout  # one to add up, one to average, each
    assert "all of it: the operations of " in found.stdout
    assert "320 examples: " in scrub("plan", "toy.py::half").stdout


def test_a_task_beside_another_file(scrub, tmp_path):
    (tmp_path / "mine.py").write_text(FILE[: FILE.index("def model")])
    assert scrub("check", "mine.py::half").exit_code == 2
    assert scrub("check", "mine.py::half", "--task", "toy.py::task").exit_code == 0
    assert scrub("check", "mine.py::half", "--task", "toy").exit_code == 0


def test_help_names_every_command(scrub):
    told = scrub("--help").stdout
    assert all(command in told for command in ("bench", "run", "check", "plan", "show"))
