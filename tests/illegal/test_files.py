"""Files that are missing, truncated, or of another kind than they should be; addresses, tasks and stored hypotheses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from scrubbing import OUTPUT, FileError, Hypothesis, ModelMismatch, Task, UsageError, Variable, head, mlp
from scrubbing.experiment.task import find_task
from scrubbing.hypothesis.addresses import resolve
from scrubbing.models.transformer.checkpoint import from_file, to_file
from scrubbing.models.transformer_lens import from_bridge, from_directory
from scrubbing.models.transformer_lens.tiny import NATIVE, NATIVE_SIZES
from scrubbing.records.files import folder
from scrubbing.records.store import load, save
from scrubbing.testing.random_hypotheses import halves

ROOT = Path(__file__).parents[2]

CONFIG = {**NATIVE_SIZES, **NATIVE["native LN"]}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def checkpoint(here, tiny_bridge):
    """A good checkpoint, and its bytes."""
    path = here / "model.safetensors"
    to_file(from_bridge(tiny_bridge("native LN")), path)
    return path


def truncated(path):
    path.write_bytes(path.read_bytes()[:-50])
    return from_file("model.safetensors")


def without_header(path, config, weights=None):
    from safetensors.torch import load_file

    save_file(weights or load_file(path), "plain.safetensors")
    return from_file("plain.safetensors", config)


def with_header(path, config):
    save_file({"embed.weight": torch.ones(2)}, "model.safetensors", {"config": config})
    return from_file("model.safetensors")


def with_config_file(path, text):
    (path.parent / "config.json").write_text(text)
    return from_file("model.safetensors", "config.json")


def pickled(thing):
    torch.save(thing, "model.pth")
    return from_file("model.pth", CONFIG)


LEGACY = {"embed.W_E": torch.ones(50, 8), "blocks.0.attn.W_Q": torch.ones(2, 8, 4)}

CHECKPOINTS = {
    "missing": (FileError, "SCR-FILE", lambda path: from_file("gone.safetensors")),
    "truncated": (FileError, "SCR-FILE", truncated),
    "no config": (FileError, "SCR-FILE", lambda path: without_header(path, None)),
    "config that is not JSON": (FileError, "SCR-FILE", lambda path: with_config_file(path, "n_layers: 2")),
    "config that is a list": (FileError, "SCR-FILE", lambda path: with_config_file(path, "[2, 2]")),
    "config file that is missing": (FileError, "SCR-FILE", lambda path: from_file("model.safetensors", "gone.json")),
    "header that is not JSON": (FileError, "SCR-FILE", lambda path: with_header(path, "{")),
    "pickled list": (FileError, "SCR-FILE", lambda path: pickled([1, 2])),
    "pickled training state": (FileError, "SCR-FILE", lambda path: pickled({"state_dict": {}})),
    "another architecture": (ModelMismatch, "SCR-WEIGHTS", lambda path: without_header(path, {**CONFIG, "d_mlp": 7})),
    "other layers": (ModelMismatch, "SCR-WEIGHTS", lambda path: without_header(path, {**CONFIG, "n_layers": 1})),
    "unrelated weights": (
        ModelMismatch,
        "SCR-WEIGHTS",
        lambda path: without_header(path, CONFIG, {"fc.weight": torch.ones(2)}),
    ),
    "legacy weights of another architecture": (ModelMismatch, "SCR-WEIGHTS", lambda path: pickled(LEGACY)),
    # Two heads of four numbers and four of two have weights of the same shapes.
    "as many numbers in other heads": (
        ModelMismatch,
        "SCR-WEIGHTS",
        lambda path: from_file("model.safetensors", {**CONFIG, "n_heads": 4, "d_head": 2}),
    ),
    "folder without config.json": (FileError, "SCR-FILE", lambda path: from_directory(".")),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_checkpoints(case, checkpoint, refused):
    kind, codes, call = CHECKPOINTS[case]
    refused(kind, codes, lambda: call(checkpoint))


def test_folder_with_a_config_that_is_no_json(here, refused):
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text("{")
    refused(FileError, "SCR-FILE", lambda: from_directory("model"))


@pytest.fixture(scope="session")
def record(world):
    return world.scrub(mlp(1).direct().carries(world.parity), references=4).record()


RECORDS = {
    "missing": lambda record: load("gone.json"),
    "a folder": lambda record: load("."),
    "truncated": lambda record: read(record.model_dump_json()[:100]),
    "another kind": lambda record: read('{"name": "not a record"}'),
    "another field": lambda record: read(record.model_dump_json().replace('"seed"', '"sead"')),
    "a later version": lambda record: read(record.model_dump_json().replace('"version":3', '"version":9')),
    "binary": lambda record: read(b"\xff\xfe\x00"),
    "where a file is in the way": lambda record: save(record, "record.json/later.json"),
    "folder where a file is in the way": lambda record: folder("record.json"),
}


def read(text):
    with open("record.json", "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return load("record.json")


@pytest.mark.parametrize("case", RECORDS)
def test_records(case, here, record, refused):
    (here / "record.json").write_text("{}")
    refused(FileError, "SCR-FILE", lambda: RECORDS[case](record), {r"Invalid JSON: .*\)": "Invalid JSON: <where>)"})


def test_a_record_comes_back(here, record):
    assert load(save(record, "records/one.json")) == record


def test_activations_that_fit_nowhere(here, world, refused):
    claim = head(1, 0).direct().carries(world.parity)
    refused(FileError, "SCR-MEMORY", lambda: world.scrub(claim, memory=8, spill="gone"))


def stored(w):
    claim = mlp(1).direct().carries(Variable("halves", halves))
    return Hypothesis("h", "c", OUTPUT.carries(w.output, claim)).to_json()


def without(w, *path):
    value = stored(w)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return value


def changed(w, old, new):
    return json.loads(json.dumps(stored(w)).replace(old, new))


def with_target(w, sampler=None, **fields):
    """The stored hypothesis with other fields of its one claim."""
    value = stored(w)
    (claim,) = value["correspondence"]["children"]
    claim["targets"][0] |= fields
    return value if sampler is None else value | {"unclaimed": {"class": "unclaimed", "sampler": sampler}}


def first_form():
    """A hypothesis of format 1, of which three values are of kinds that there never were."""
    value = json.loads((ROOT / "tests/compat/records/v1-signs.json").read_text())["stored"]
    claim = value["correspondence"]["children"][0]
    claim["targets"][0]["route"]["kind"] = "shortest"
    claim["targets"][0]["part"] = {"kind": "projekt", "vectors": None, "indices": [], "compute": None}
    claim["sampler"] = {"kind": "gibbs", "feature": None, "input": -1, "generate": None, "exclude_self": False}
    return value


STORED = {
    "lambda as a feature": (
        "SCR-JSON",
        lambda w: w.hypothesis(mlp(1).direct().carries(w.variable("parity", lambda data: data.ids))).to_json(),
    ),
    "lambda as a value function": (
        "SCR-JSON",
        lambda w: Hypothesis("h", "c", OUTPUT.carries(Variable("sum", None, (w.output,), value=lambda x: x))).to_json(),
    ),
    "lambda for positions": (
        "SCR-JSON",
        lambda w: w.hypothesis(mlp(1).direct().at(lambda data: data).carries(w.output)).to_json(),
    ),
    "a list": ("SCR-JSON", lambda w: Hypothesis.from_json([stored(w)])),
    "another format": ("SCR-JSON", lambda w: Hypothesis.from_json({**stored(w), "format": "scrubbing.hypothesis/9"})),
    "without targets": ("SCR-JSON", lambda w: Hypothesis.from_json(without(w, "correspondence", "targets"))),
    "without a name for a class": ("SCR-JSON", lambda w: Hypothesis.from_json(without(w, "correspondence", "class"))),
    "a field nobody knows": ("SCR-JSON", lambda w: Hypothesis.from_json(changed(w, '"children"', '"childs"'))),
    "a part of unknown kind": ("SCR-JSON", lambda w: Hypothesis.from_json(with_target(w, only={"class": "projekt"}))),
    "a sampler and a route of unknown kind": (
        "SCR-JSON SCR-JSON",
        lambda w: Hypothesis.from_json(with_target(w, sampler={"class": "gibbs"}, route={"class": "shortest"})),
    ),
    "code that is not installed": (
        "SCR-JSON SCR-JSON",
        lambda w: Hypothesis.from_json(
            with_target(
                w,
                only={"class": "activation", "compute": {"at": "elsewhere/mine.py:f"}},
                sampler={"class": "not_installed:Sampler"},
            )
        ),
    ),
    "a class that is no name": ("SCR-JSON", lambda w: Hypothesis.from_json(with_target(w, only={"class": 7}))),
    "kinds of the first form": ("SCR-JSON SCR-JSON SCR-JSON", lambda w: Hypothesis.from_json(first_form())),
    "a class that is no word of the language": (
        "SCR-JSON",
        lambda w: Hypothesis.from_json(with_target(w, only={"class": "pathlib:Path"})),
    ),
    "a class that is a function": (
        "SCR-JSON",
        lambda w: Hypothesis.from_json(with_target(w, only={"class": "os:getcwd"})),
    ),
    "a class that is gone": (
        "SCR-ADDRESS",
        lambda w: Hypothesis.from_json(with_target(w, only={"class": "hypotheses.parens.original:Gone"})),
    ),
    "a sampler where a part should be": (
        "SCR-PART",
        lambda w: Hypothesis.from_json(with_target(w, only={"class": "exact"})),
    ),
    "a part where a route should be": (
        "SCR-ROUTE",
        lambda w: Hypothesis.from_json(with_target(w, route={"class": "neurons", "indices": [1]})),
    ),
    "a route where a sampler should be": (
        "SCR-SAMPLER",
        lambda w: Hypothesis.from_json(with_target(w, sampler={"class": "direct"})),
    ),
    "without a variable": ("SCR-JSON", lambda w: Hypothesis.from_json(without(w, "variables", "halves"))),
    "a variable of its own parent": (
        "SCR-JSON",
        lambda w: Hypothesis.from_json(
            changed(w, '"name": "halves"', '"name": "halves", "parents": [{"variable": "halves"}]')
        ),
    ),
    "feature that is none any more": ("SCR-JSON", lambda w: Hypothesis.from_json(changed(w, ":halves", ":wave"))),
    "feature that is gone": ("SCR-ADDRESS", lambda w: Hypothesis.from_json(changed(w, ":halves", ":quarters"))),
    "address without a name": ("SCR-ADDRESS", lambda w: resolve("claims.py")),
    "address of a missing file": ("SCR-ADDRESS", lambda w: resolve("claims.py::balanced")),
    "address of a missing module": ("SCR-ADDRESS", lambda w: resolve("claims.parens:balanced")),
    "address of a missing name": ("SCR-ADDRESS", lambda w: resolve("hypotheses.parens.features:ballanced")),
    "name in what has none": ("SCR-ADDRESS", lambda w: resolve("hypotheses.parens.features:START.name")),
    "unknown rung": ("SCR-TASK", lambda w: task(stored).rung("0z")),
    "rung of an empty ladder": ("SCR-TASK", lambda w: task().rung("0a")),
    "unknown variant": ("SCR-TASK", lambda w: task().variant("redwood", None)),
    "variant without a folder": ("SCR-TASK", lambda w: find_task("parens").variant("redwood", None)),
}


def task(*rungs):
    hypotheses = [Hypothesis(f"toy/{i}a", "c", OUTPUT.carries(Variable("v", halves))) for i in range(2 * len(rungs))]
    return Task("toy", *[lambda: None] * 4, ladder=lambda: hypotheses)


@pytest.mark.parametrize("case", STORED)
def test_stored_hypotheses_addresses_and_tasks(case, here, world, refused):
    codes, call = STORED[case]
    refused(UsageError, codes, lambda: call(world))


def test_unknown_task(refused):
    refused(UsageError, "SCR-TASK", lambda: find_task("brackets"))


def test_original_files_that_are_not_there(here, refused):
    variant = find_task("parens").variant("redwood", here)
    refused(FileError, "SCR-FILE", variant.model, {re.escape(str(here)): "<folder>"})


def test_original_strings_that_are_not_the_originals(here, refused):
    (here / "strings.txt").write_text("(())\n")
    (here / "model.safetensors").write_bytes(b"")
    data = find_task("parens").variant("redwood", here).data
    refused(FileError, "SCR-FILE", data, {re.escape(str(here)): "<folder>"})
