"""A graph is written once: tasks derive it from the model or its config, and files make a task without code."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from typer.testing import CliRunner

from scrubbing import Classification, NextToken, Task, ToyModel
from scrubbing.cli import app
from scrubbing.data import from_any_file
from scrubbing.experiment.from_files import loss_named, task_from_files
from scrubbing.graph import config_graph
from scrubbing.graph.configs import FAMILIES
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import HUGGING_FACE, NATIVE, NATIVE_SIZES, hugging_face

HYPOTHESIS = '''
"""One head reads the token before."""

import numpy as np

from scrubbing import OUTPUT, Hypothesis, Variable, everything, feature, head


@feature(per="position")
def before(data):
    return np.roll(data["tokens"], 1, 1)


mine = Hypothesis(
    "mine",
    "Head 0.0 reads the token before.",
    OUTPUT.carries(Variable("output", everything), head(0, 0).any_path().each().carries(Variable("before", before))),
)
'''


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", [*NATIVE, *HUGGING_FACE])
def test_the_graph_of_a_config_is_that_of_the_model(name: str, padded: bool, tiny_model: Any) -> None:
    data = random_inputs(50, 6, padded)
    config = {**NATIVE_SIZES, **NATIVE[name]} if name in NATIVE else hugging_face(name).config.to_dict()
    assert config_graph(config, 6, padded) == tiny_model(name).graph(data)


def test_a_family_that_is_not_known_is_asked_of_its_model() -> None:
    assert config_graph({"model_type": "unheard of"}, 6) is None
    assert set(FAMILIES) >= {hugging_face(name).config.model_type for name in HUGGING_FACE}


def counting(toy: Any) -> tuple[Task, list[str]]:
    """A task that notes what is loaded."""
    loaded: list[str] = []

    def model() -> Any:
        loaded.append("model")
        return toy.model

    return Task("toy", data=lambda: toy.data, model=model, loss=Classification), loaded


def test_the_graph_of_a_model(toy: Any) -> None:
    task, loaded = counting(toy)
    assert not loaded
    assert task.graph() == toy.model.graph(toy.data)
    assert loaded == ["model"]


def test_a_task_that_is_changed_derives_its_own(toy: Any) -> None:
    task, _ = counting(toy)
    other = ToyModel({"x": "x"}, {"other": (lambda x: x, {"x": ["x"]})})
    assert replace(task, model=lambda: other).graph() == other.graph(toy.data)
    assert task.graph() == toy.model.graph(toy.data)
    assert repr(task).startswith("Task(name='toy'")


@pytest.mark.parametrize("given", ["fields", "file", "folder"])
def test_the_graph_of_a_config_loads_no_model(given: str, tmp_path: Path) -> None:
    def heavy() -> Any:
        raise AssertionError("loaded")

    fields = {**NATIVE_SIZES, **NATIVE["native LN"]}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    config: Any = {"fields": fields, "file": str(tmp_path / "config.json"), "folder": tmp_path}[given]
    task = Task("mine", data=lambda: random_inputs(50, 6, True), model=heavy, loss=NextToken, config=config)
    assert task.graph() == config_graph(fields, 6, padded=True)


# Files of inputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """A tiny GPT-2 with a tokenizer of ten words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    place = tmp_path_factory.mktemp("gpt2")
    hugging_face("GPT-2").save_pretrained(place)
    tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(10)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(place / "tokenizer.json"))
    return place


WORDS = np.random.default_rng(0).integers(0, 10, (40, 6))
TEXTS = [" ".join(f"w{i}" for i in row) for row in WORDS]


def written(kind: str, place: Path) -> Path:
    """The same words in a file of a kind."""
    path = place / f"inputs{kind.partition(' ')[0]}"
    table = pa.table({"text": TEXTS, "number": range(40)})
    numbers = pa.table({"tokens": WORDS.tolist(), "label": (WORDS[:, 0] % 2).tolist()})
    match kind:
        case ".txt":
            path.write_text(" ".join(TEXTS))
        case ".jsonl":
            path.write_text("\n".join(json.dumps({"text": one}) for one in TEXTS))
        case ".csv":
            csv.write_csv(table, path)
        case ".parquet":
            parquet.write_table(table, path)
        case ".parquet of tokens":
            parquet.write_table(numbers, path)
        case ".jsonl of tokens":
            path.write_text("\n".join(json.dumps(one) for one in numbers.to_pylist()))
        case ".npz":
            np.savez(path, tokens=WORDS, label=WORDS[:, 0] % 2)
        case _:
            raise AssertionError(kind)
    return path


@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".csv", ".parquet"])
def test_text(kind: str, tmp_path: Path, folder: Path) -> None:
    data = from_any_file(written(kind, tmp_path), folder, length=6)
    assert data["tokens"].shape[1] == 6 and len(data) >= 30
    assert "w" in data.show(0)
    if kind != ".txt":  # every document begins anew
        assert (np.sort(data["tokens"][:, 1:].ravel()) <= 9).all()


@pytest.mark.parametrize("kind", [".parquet of tokens", ".jsonl of tokens", ".npz"])
def test_columns(kind: str, tmp_path: Path) -> None:
    data = from_any_file(written(kind, tmp_path))
    assert (data["tokens"] == WORDS).all() and (data["label"] == WORDS[:, 0] % 2).all()


def test_losses_by_name() -> None:
    assert loss_named("next-token")().name == NextToken().name
    made: Any = loss_named("classification:answer")()
    assert (made.label, made.position) == ("answer", "last")
    squared: Any = loss_named("squared-error")()
    assert squared.label == "label"


def test_a_task_of_files(folder: Path, tmp_path: Path) -> None:
    task = task_from_files(str(folder), written(".jsonl", tmp_path))
    data = task.data()
    assert data["tokens"].shape[1] == 6, "as many as the model takes"
    assert task.graph() == task.model().graph(data)


# Commands


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(HYPOTHESIS)
    monkeypatch.delitem(sys.modules, "mine.py", raising=False)
    return tmp_path


def said(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_run_without_a_task(here: Path, folder: Path) -> None:
    options = ("--model", folder, "--data", written(".csv", here), "--references", "20", "--draws", "1")
    record = json.loads(said("run", "mine.py::mine", *options, "--json"))
    assert record["hypothesis"] == "mine" and record["choices"]["references"] == 20
    assert record["choices"]["loss"].startswith("next-token")
    labelled = written(".parquet of tokens", here)
    record = json.loads(
        said("run", "mine.py::mine", "--model", folder, "--data", labelled, "--loss", "classification", "--json")
    )
    assert record["choices"]["loss"].startswith("cross-entropy")
    assert "a0.h0" in said("plan", "mine.py::mine", *options[:4])


def test_check_without_a_task_loads_no_torch(here: Path, folder: Path) -> None:
    data = written(".parquet of tokens", here)
    command = [sys.executable, "-X", "importtime", "-m", "scrubbing.cli", "check", "mine.py::mine"]
    done = subprocess.run([*command, "--model", folder, "--data", data], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "legal on gpt2" in done.stdout
    assert not [line for line in done.stderr.splitlines() if line.endswith(("| torch", "| transformers"))]


def test_a_file_of_weights(here: Path) -> None:
    """Its config is in its header, so that it is loaded to be checked."""
    from scrubbing.models import to_file
    from scrubbing.models.transformer_lens import from_bridge
    from scrubbing.models.transformer_lens.tiny import tiny

    to_file(from_bridge(tiny("native LN")), here / "native.safetensors")
    assert "legal on native.safetensors" in said(
        "check", "mine.py::mine", "--model", "native.safetensors", "--data", written(".npz", here)
    )


def test_features_can_be_left_out(here: Path, folder: Path) -> None:
    data = written(".npz", here)
    (here / "mine.py").write_text(HYPOTHESIS.replace("np.roll", "np.rolled"))
    assert "legal" in said("check", "mine.py::mine", "--model", folder, "--data", data, "--no-data")


def test_saved_weights_are_not_needed_for_the_graph(folder: Path, here: Path) -> None:
    (here / "config.json").write_text((folder / "config.json").read_text())
    assert "legal" in said("check", "mine.py::mine", "--model", here, "--data", written(".npz", here))
