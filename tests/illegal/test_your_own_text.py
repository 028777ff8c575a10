"""Models, tokenizers and text that are not here, or are not what they should be."""

from __future__ import annotations

import builtins
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from benchmarks.induction.task import HERE, task
from benchmarks.induction.yours import on
from hypotheses.induction.roles import find_roles
from scrubbing import BadData, FileError, ModelMismatch, Task, UsageError
from scrubbing.data.hub import _complete, fetch, tokenizer_file
from scrubbing.data.text import load_tokenizer, read_dataset, read_text, stretches
from scrubbing.models.local import from_folder
from scrubbing.models.transformer.checkpoint import to_file
from scrubbing.models.transformer.config import config_of
from scrubbing.models.transformer_lens import from_bridge


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder, and a hub from which nothing was fetched before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scrubbing.data.hub._cached", lambda name: None)
    return tmp_path


@pytest.fixture
def hub(monkeypatch):
    """Let the hub answer with an exception; None lets it answer."""

    def answer(error):
        def ask(*arguments, **options):
            if error is not None:
                raise error

        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.HfApi.model_info", ask)
        monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", ask)

    return answer


@pytest.mark.parametrize("name", ["ArthurConmy/redwood_attn_2l", "NeelNanda/Attn_Only_2L512W_C4_Code"])
def test_a_model_by_name_where_the_network_is_forbidden(name, refused):
    refused(FileError, "SCR-HUB", lambda: fetch(name))


def test_a_model_by_name_without_a_network(hub, refused):
    hub(ConnectionError("no route"))
    refused(FileError, "SCR-HUB", lambda: fetch("nobody/model"))


def test_a_model_by_name_when_the_hub_does_not_answer(hub, monkeypatch, refused):
    hub(None)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: time.sleep(3))
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "0.1")
    refused(FileError, "SCR-HUB", lambda: fetch("nobody/model"))


def test_a_model_the_hub_does_not_have(hub, refused):
    from huggingface_hub.errors import RepositoryNotFoundError

    hub(RepositoryNotFoundError.__new__(RepositoryNotFoundError))
    refused(FileError, "SCR-HUB", lambda: fetch("nobody/model"))


def test_a_dataset_by_name_where_the_network_is_forbidden(refused):
    refused(FileError, "SCR-HUB", lambda: read_dataset("nobody/texts:test"))


@pytest.mark.parametrize("name", ["./gone", "a/b/c", "file.txt"])
def test_a_folder_that_is_none(name, here, refused):
    (here / "file.txt").write_text("x")
    refused(FileError, "SCR-FILE", lambda: fetch(name))


FOLDERS = {
    "no config": {},
    "config is not JSON": {"config.json": "{"},
    "config is a list": {"config.json": "[]"},
    "no weights": {"config.json": json.dumps({"n_layers": 2, "normalization": "LN"})},
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_without_a_model(case, here, refused):
    for name, text in FOLDERS[case].items():
        (here / name).write_text(text)
    refused(FileError, "SCR-FILE", lambda: from_folder(".", name="mine"))


def test_a_config_that_says_too_little(here, refused):
    save_file({"embed.W_E": torch.ones(2, 2)}, here / "model.safetensors")
    (here / "config.json").write_text(json.dumps({"n_layers": 2, "shortformer_pos": True, "attn_only": True}))
    refused(ModelMismatch, "SCR-CONFIG " * 4 + "SCR-CONFIG", lambda: from_folder("."))


def test_a_classifier_is_no_language_model(here, tiny_bridge, refused):
    made = from_bridge(tiny_bridge("native classifier"))
    to_file(made, here / "model.safetensors")
    (here / "config.json").write_text(json.dumps(config_of(made.spec, made.weights, "classifier")))
    refused(ModelMismatch, "SCR-MODEL", lambda: from_folder("."))


def test_a_hugging_face_model_without_transformer_lens(here, monkeypatch, refused):
    (here / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    real = builtins.__import__

    def without(name, *arguments):
        if name == "scrubbing.models.transformer_lens":
            raise ModuleNotFoundError("No module named 'transformer_lens'")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    refused(UsageError, "SCR-EXTRA", lambda: from_folder(".", name="mine"))


@pytest.mark.parametrize("library", ["tokenizers", "datasets", "huggingface_hub"])
def test_without_an_optional_library(library, here, monkeypatch, refused):
    (here / "texts.jsonl").write_text('{"text": "x"}')
    monkeypatch.setitem(sys.modules, library, None)
    calls = {
        "tokenizers": lambda: load_tokenizer(HERE / "tokenizer.json"),
        "datasets": lambda: read_dataset("texts.jsonl"),
        "huggingface_hub": lambda: fetch("nobody/model"),
    }
    refused(UsageError, "SCR-EXTRA", calls[library])


@pytest.mark.parametrize("config", [{}, {"tokenizer_name": "nobody/tokenizer"}], ids=["unnamed", "named"])
def test_no_tokenizer(config, here, refused):
    (here / "config.json").write_text(json.dumps(config))
    codes = "SCR-HUB" if config else "SCR-FILE"
    refused(FileError, codes, lambda: tokenizer_file(Path(), "mine"))


def test_a_tokenizer_that_is_none(here, refused):
    (here / "tokenizer.json").write_text("{}")
    refused(FileError, "SCR-FILE", lambda: load_tokenizer(Path() / "tokenizer.json"), {r"\(.*\)": "()"})


TEXTS = {"missing": None, "empty": b" \n", "binary": b"\x80\x02abc", "zero bytes": b"abc\0def"}


@pytest.mark.parametrize("case", TEXTS)
def test_a_file_that_is_no_text(case, here, refused):
    if TEXTS[case] is not None:
        (here / "text.txt").write_bytes(TEXTS[case])
    kind, code = (FileError, "SCR-FILE") if case == "missing" else (BadData, "SCR-TEXT")
    refused(kind, code, lambda: read_text("text.txt"))


def test_too_little_text(refused):
    tokenizer = load_tokenizer(HERE / "tokenizer.json")
    refused(BadData, "SCR-TEXT", lambda: stretches(["import numpy as np\n"], tokenizer, 0, 128, 80))


def test_a_dataset_without_the_column(here, refused):
    (here / "texts.jsonl").write_text('{"body": "x", "number": 1}\n')
    refused(BadData, "SCR-COLUMN", lambda: read_dataset("texts.jsonl"))
    assert read_dataset("texts.jsonl:train:body") == ["x"]


def test_a_dataset_that_is_none(here, refused):
    (here / "texts.json").write_text("{")
    refused(FileError, "SCR-FILE", lambda: read_dataset("texts.json"))


def python_folder(here, vocabulary=None):
    """The shipped Python model as a user's folder, perhaps with another tokenizer."""
    shutil.copy(HERE / "python.safetensors", here / "model.safetensors")
    shutil.copy(HERE / "tokenizer.json", here / "tokenizer.json")
    with safe_open(str(HERE / "python.safetensors"), "pt") as file:
        (here / "config.json").write_text(file.metadata()["config"])
    if vocabulary is not None:
        from tokenizers import Tokenizer, models, pre_tokenizers

        made = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        made.save(str(here / "tokenizer.json"))


def test_a_tokenizer_of_another_model(here, refused):
    python_folder(here, {f"w{i}": i for i in range(600)})
    words = [" ".join(f"w{i % 600}" for i in range(20_000))]
    refused(BadData, "SCR-TOKENS", lambda: on(".", lambda: words).data)


def test_text_in_which_nothing_recurs(here, refused):
    python_folder(here, {f"w{i}": i for i in range(512)})
    words = [" ".join(f"w{i % 512}" for i in range(20_000))]
    refused(BadData, "SCR-TEXT", lambda: on(".", lambda: words).data)


def test_a_model_without_induction_heads(tiny_model, refused):
    tokens = np.random.default_rng(0).integers(0, 50, size=(40, 6))
    numbers = {r"\d\.\d+": "<score>"}
    refused(ModelMismatch, "SCR-ROLES", lambda: find_roles(tiny_model("native attention-only"), tokens), numbers)


def test_the_task_needs_a_model(refused):
    refused(UsageError, "SCR-TASK", lambda: task.on("shipped", list))


def test_a_task_about_one_model(refused):
    refused(UsageError, "SCR-TASK", lambda: Task("mine", *[list] * 4).on("shipped", list))


def test_a_fetch_that_was_interrupted(here):
    """An index is fetched before the files that it lists, and a folder without them is fetched again."""
    (here / "config.json").write_text("{}")
    assert not _complete(here)
    (here / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})
    )
    (here / "a.safetensors").write_bytes(b"")
    assert not _complete(here)
    (here / "b.safetensors").write_bytes(b"")
    assert _complete(here)
    (here / "model.safetensors.index.json").write_text("{")
    assert not _complete(here)
